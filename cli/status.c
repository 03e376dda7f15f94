/* How the server fares: status, health. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/task.h"
#include "grpc/health/v1/health.pb-c.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/units.h"

/* --- status: what is wrong --- */

/* A list of texts, in JSON; and the same as lines for people. */
static void add_problem(struct task *t, struct json_object *problems,
			const char *text)
{
	json_object_array_add(problems, json_object_new_string(text));
	out_line(t->out, OUT_TROUBLE, "%s", text);
}

static void add_controller_problems(struct task *t,
				    struct json_object *problems,
				    const Oim__Admin__V1__ControllerStatus *c)
{
	struct arena *a = t->arena;

	if (!c->ready)
		add_problem(t, problems,
			    arena_printf(a, "controller %s: %s",
					 c->controller_id, c->problem));
	if (*c->registration_problem)
		add_problem(t, problems,
			    arena_printf(
				    a, "controller %s is not registered: %s",
				    c->controller_id, c->registration_problem));
}

static struct json_object *find_problems(
	struct task *t, const Oim__Admin__V1__GetStatusReply *r)
{
	struct json_object *problems = json_object_new_array();

	if (!r->serving)
		add_problem(
			t, problems,
			arena_printf(t->arena, "not serving: %s", r->problem));
	for (size_t i = 0; i < r->n_controllers; i++)
		add_controller_problems(t, problems, r->controllers[i]);
	if (r->lost)
		add_problem(
			t, problems,
			arena_printf(t->arena,
				     "%" PRId64
				     " of the registered controllers %s lost",
				     r->lost, r->lost == 1 ? "is" : "are"));
	return problems;
}

/* --- status: what to do next --- */

static const char *next_of_controller(struct task *t,
				      const Oim__Admin__V1__GetStatusReply *r)
{
	const Oim__Admin__V1__ControllerStatus *c = r->controllers[0];
	const char *only =
		r->n_controllers > 1 || task_controller(t)
			? arena_printf(t->arena, " -C %s", c->controller_id)
			: "";

	if (*c->registration_problem || !c->ready)
		return arena_printf(t->arena, "oimctl show controller %s",
				    c->controller_id);
	if (!c->bdevs && !c->mappings)
		return arena_printf(t->arena, "oimctl provision d0 64M%s",
				    only);
	return c->mappings
		       ? "oimctl list mappings"
		       : arena_printf(
				 t->arena,
				 "oimctl list bdevs, then oimctl map NAME%s",
				 only);
}

static const char *next_step(struct task *t,
			     const Oim__Admin__V1__GetStatusReply *r)
{
	if (r->lost)
		return "oimctl list controllers -l state=lost -o wide";
	if (r->n_controllers)
		return next_of_controller(t, r);
	return r->registered ? "oimctl list controllers"
			     : "oimctl register ID ADDRESS";
}

/* --- status: all of it --- */

static struct json_object *json_of_strings(char **strings, size_t n)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(array,
				      json_object_new_string(strings[i]));
	return array;
}

static void describe_daemon(struct task *t,
			    const Oim__Admin__V1__GetStatusReply *r)
{
	const Oim__Admin__V1__StoreStatus *s = r->store;

	out_str(t->out, "version", r->version);
	out_time(t->out, "started", r->started);
	out_i64(t->out, "pid", r->pid);
	out_str(t->out, "host", r->host);
	out_bool(t->out, "serving", r->serving);
	out_json(t->out, "listen", json_of_strings(r->listen, r->n_listen));
	out_bool(t->out, "registry", r->registry);
	out_i64(t->out, "registered", r->registered);
	out_i64(t->out, "lost", r->lost);
	out_str(t->out, "storeEngine", s ? s->engine : "");
	out_str(t->out, "storeLocation", s ? s->location : "");
	out_i64(t->out, "storeRevision", s ? s->revision : 0);
	out_size(t->out, "storeSize", s ? (uint64_t)s->size : 0);
}

static void say_daemon(struct task *t, const Oim__Admin__V1__GetStatusReply *r)
{
	int64_t up = units_now() - r->started;
	CLEANUP(cleanup_free) char *age = units_format_age(up > 0 ? up : 0);

	out_line(t->out, 0, "oimd %s on %s, up %s, %s", r->version, r->host,
		 age, r->serving ? "serving" : "not serving");
	for (size_t i = 0; i < r->n_listen; i++)
		out_line(t->out, 0, "listens on %s", r->listen[i]);
	if (r->registry)
		out_line(t->out, 0, "registry of %" PRId64 " controller%s%s",
			 r->registered, r->registered == 1 ? "" : "s",
			 r->lost ? arena_printf(t->arena, ", %" PRId64 " lost",
						r->lost)
				 : "");
	if (r->store && *r->store->engine) {
		CLEANUP(cleanup_free)
		char *size = units_format_size((uint64_t)r->store->size);

		out_line(t->out, 0, "store %s in %s, %s", r->store->engine,
			 r->store->location, size);
	}
}

static void describe_controller(struct task *t,
				const Oim__Admin__V1__ControllerStatus *c)
{
	out_row(t->out);
	out_str(t->out, "controllerId", c->controller_id);
	out_str(t->out, "plane", c->plane);
	out_bool(t->out, "ready", c->ready);
	out_str(t->out, "problem", c->problem);
	out_i64(t->out, "bdevs", c->bdevs);
	out_i64(t->out, "mappings", c->mappings);
	out_size(t->out, "mallocUsed", (uint64_t)c->malloc_used);
	out_size(t->out, "mallocLimit", (uint64_t)c->malloc_limit);
	out_str(t->out, "registry", c->registry);
	out_str(t->out, "address", c->address);
	out_time(t->out, "registered", c->registered);
	out_str(t->out, "registrationProblem", c->registration_problem);
}

static int run_status(struct task *t, struct err *err)
{
	const Oim__Admin__V1__GetStatusReply *r =
		ask_status(t, task_controller(t), err);
	const char *next;

	if (!r)
		return -1;
	next = next_step(t, r);
	out_list(t->out, "Status", "controllers");
	out_json(t->out, "problems", find_problems(t, r));
	out_str(t->out, "next", next);
	describe_daemon(t, r);
	say_daemon(t, r);
	if (r->n_controllers)
		out_line(t->out, 0, "%s", "");
	for (size_t i = 0; i < r->n_controllers; i++)
		describe_controller(t, r->controllers[i]);
	out_line(t->out, 0, "%s", "");
	out_line(t->out, 0, "next: %s", next);
	return 0;
}

/* --- health --- */

static const char *health_name(Grpc__Health__V1__HealthCheckResponse *r)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
		&grpc__health__v1__health_check_response__serving_status__descriptor,
		(int)r->status);

	return v ? v->name : "UNKNOWN";
}

static int check(struct task *t, const char *service, struct err *err)
{
	Grpc__Health__V1__HealthCheckRequest request =
		GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	const struct ask what = {
		.method = "/grpc.health.v1.Health/Check",
		.request = &request.base,
		.reply = &grpc__health__v1__health_check_response__descriptor,
	};
	Grpc__Health__V1__HealthCheckResponse *r;

	request.service = (char *)service;
	r = ask(t, &what, err);
	if (!r)
		return -1;
	out_row(t->out);
	out_str(t->out, "service", service);
	out_str(t->out, "status", health_name(r));
	if (r->status !=
	    GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
		t->status = STATUS_NO;
	return 0;
}

static int run_health(struct task *t, struct err *err)
{
	out_list(t->out, "HealthList", "items");
	return t->n_args ? task_each(t, check, err) : check(t, "", err);
}

static const struct out_column status_columns[] = {
	{"controllerId", "CONTROLLER", 0},
	{"plane", "PLANE", 0},
	{"ready", "READY", 0},
	{"bdevs", "BDEVS", 0},
	{"mappings", "MAPPINGS", 0},
	{"mallocUsed", "USED", 0},
	{"mallocLimit", "OF", 0},
	{"registry", "REGISTRY", OUT_ONLY_WIDE},
	{"address", "ADDRESS", OUT_ONLY_WIDE},
	{"registered", "REGISTERED", OUT_AGE},
	{0},
};

static const struct out_column health_columns[] = {
	{"service", "SERVICE", 0},
	{"status", "STATUS", 0},
	{0},
};

const struct cmd cmds_status[] = {
	{
		.name = "status",
		.help = "how the server and its controllers fare",
		.more = "Trouble comes first, and what to do next last.\n"
			"\n"
			"  oimctl status\n"
			"  oimctl status -o value=/problems\n",
		.columns = status_columns,
		.run = run_status,
	},
	{
		.name = "health",
		.args = "[SERVICE...]",
		.help = "whether the server, or a service, is serving",
		.more = "The exit status is 3 if one of them is not.\n"
			"\n"
			"  oimctl health\n"
			"  oimctl health oim.v0.Registry\n",
		.columns = health_columns,
		.run = run_health,
		.complete = complete_services,
	},
	{0},
};
