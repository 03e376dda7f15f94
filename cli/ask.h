#ifndef OIM_ASK_H
#define OIM_ASK_H

/*
 * Calls to the server, with all that goes with one: connection, deadline,
 * controller, --trace and --dry-run.
 */

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "cli/task.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/client.h"
#include "proto/lib/err.h"

struct ask {
	const char *method;     /* "/package.Service/Method" */
	const char *controller; /* NULL: no controller in particular */
	const ProtobufCMessage *request;
	const ProtobufCMessageDescriptor *reply;
};

/*
 * The reply, in the task's arena. With --dry-run nothing is sent: the call is
 * noted and the reply empty.
 */
void *ask(struct task *t, const struct ask *what, struct err *err);

/* The same; while the answer is ABORTED it is asked again, until the deadline.
 */
void *ask_patiently(struct task *t, const struct ask *what, struct err *err);

/*
 * The same from any thread, once the connection is open, with its own arena and
 * deadline. Leaves the task alone.
 */
void *ask_beside(const struct task *t, const struct ask *what, int64_t deadline,
		 struct arena *a, struct err *err);

/* GetStatus, of the server or of a controller's daemon. */
const Oim__Admin__V1__GetStatusReply *ask_status(struct task *t,
						 const char *controller,
						 struct err *err);

/* What a controller's daemon says of it; NULL, also without an error, if it
 * says nothing. */
const Oim__Admin__V1__ControllerStatus *ask_controller_status(struct task *t,
							      const char *id,
							      struct err *err);

/* The call of a stream; md has room for one entry. */
struct client_call ask_call(const struct ask *what, int64_t deadline,
			    struct client_md *md);

/* Opens the connection. */
struct client *ask_client(struct task *t, struct err *err);

/* Notes a call for --dry-run. */
void ask_plan(struct task *t, const struct ask *what);

#endif
