/*
 * Calls to a cluster: which endpoint is asked, what is tried again and when,
 * and whether it is still the same cluster.
 */

#include "daemon/store/etcd.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "daemon/log.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define LOG_COMPONENT "store"

#define MIN_PAUSE  (UNITS_SECOND / 20)
#define MAX_TOKENS 3 /* of one call */

/* --- endpoints --- */

size_t etcd_current(struct etcd *s)
{
	size_t at;

	pthread_mutex_lock(&s->lock);
	at = s->current;
	pthread_mutex_unlock(&s->lock);
	return at;
}

void etcd_works(struct etcd *s, size_t at)
{
	struct etcd_endpoint *e = &s->endpoints[at];
	bool was_bad;

	pthread_mutex_lock(&s->lock);
	was_bad = e->is_bad;
	e->is_bad = false;
	pthread_mutex_unlock(&s->lock);
	if (was_bad)
		log_info("etcd at %s answers again", e->name);
}

void etcd_fails(struct etcd *s, size_t at, const struct err *err)
{
	struct etcd_endpoint *e = &s->endpoints[at];
	bool was_bad;

	pthread_mutex_lock(&s->lock);
	was_bad = e->is_bad;
	e->is_bad = true;
	if (s->current == at)
		s->current = (at + 1) % s->n_endpoints;
	pthread_mutex_unlock(&s->lock);
	if (!was_bad)
		log_warn("etcd at %s: %s", e->name, err->msg);
}

int64_t etcd_pause(void)
{
	unsigned char jitter = 0;

	if (getrandom(&jitter, sizeof(jitter), GRND_NONBLOCK) == -1)
		jitter = 128;
	return MIN_PAUSE + 3 * MIN_PAUSE * jitter / 256;
}

/* --- which cluster --- */

/* Needs the lock. */
static void add_id(struct etcd *s, uint64_t cluster)
{
	CLEANUP(cleanup_free)
	char *text = mem_printf("etcd %016" PRIx64 " %s", cluster, s->prefix);
	struct etcd_id *id = mem_alloc(sizeof(*id) + strlen(text) + 1);

	memcpy(id->text, text, strlen(text) + 1);
	id->older = s->ids;
	s->ids = id;
}

/* Needs the lock. Whether what was there before cannot be what is there now. */
static bool is_another(struct etcd *s,
		       const Etcdserverpb__ResponseHeader *header, int64_t seen)
{
	if (header->cluster_id != s->cluster_id) {
		bool is_first = !s->cluster_id;

		s->cluster_id = header->cluster_id;
		add_id(s, header->cluster_id);
		return !is_first;
	}
	return header->revision < seen;
}

void etcd_note(struct etcd *s, const Etcdserverpb__ResponseHeader *header,
	       int64_t seen)
{
	bool another;

	if (!header)
		return;
	pthread_mutex_lock(&s->lock);
	another = is_another(s, header, seen);
	if (another)
		s->history++;
	if (another || header->revision > s->revision)
		s->revision = header->revision;
	pthread_mutex_unlock(&s->lock);
	if (!another)
		return;
	log_error("etcd at %s: it is another cluster, or an old backup of it",
		  s->location);
	etcd_watches_kick(s);
}

int64_t etcd_seen(struct etcd *s)
{
	int64_t revision;

	pthread_mutex_lock(&s->lock);
	revision = s->revision;
	pthread_mutex_unlock(&s->lock);
	return revision;
}

unsigned etcd_history(struct etcd *s)
{
	unsigned history;

	pthread_mutex_lock(&s->lock);
	history = s->history;
	pthread_mutex_unlock(&s->lock);
	return history;
}

/* The first field of every reply. */
static const Etcdserverpb__ResponseHeader *header_of(
	const ProtobufCMessageDescriptor *type, const void *reply)
{
	const Etcdserverpb__ResponseHeader *header;

	memcpy(&header, (const char *)reply + type->fields[0].offset,
	       sizeof(header));
	return header;
}

/* --- attempts --- */

/* One attempt after the other. */
struct attempts {
	struct etcd *s;
	struct etcd_call *call;
	struct arena *a;
	int64_t until;
	unsigned failed;
	unsigned tokens;

	/* Of the last one. */
	size_t at;
	struct client_md md[ETCD_MD];
	size_t n_md;
	bool unsent;
	bool is_late; /* there was no time left for it */
};

static void *exchange(struct attempts *t, const struct client_call *what,
		      const ProtobufCMessage *request, struct err *err)
{
	struct client *client = t->s->endpoints[t->at].client;
	struct client_stream *stream;
	void *reply = NULL;

	if (!t->call->is_stream)
		return client_unary(client, what, request, t->a, err);
	t->unsent = false;
	stream = client_stream_open(client, what, err);
	if (!stream)
		return NULL;
	client_stream_send(stream, request); /* receive says what is wrong */
	if (client_stream_receive(stream, t->a, &reply, err) == 0)
		err_set(err, GRPC_STATUS_UNAVAILABLE, "no answer");
	client_stream_free(stream);
	return reply;
}

static void *attempt(struct attempts *t, struct err *err)
{
	int64_t deadline = units_monotonic() + ETCD_ATTEMPT;
	struct client_call what = {.method = t->call->method,
				   .reply_type = t->call->reply_type,
				   .md = t->md,
				   .unsent = &t->unsent};

	if (deadline > t->until)
		deadline = t->until;
	t->at = etcd_current(t->s);
	t->unsent = true;
	t->is_late = deadline <= units_monotonic();
	if (t->is_late) {
		err_set(err, GRPC_STATUS_DEADLINE_EXCEEDED, "no time is left");
		return NULL;
	}
	if (etcd_auth_metadata(t->s, t->at, deadline, t->a, t->md, &t->n_md,
			       err) < 0)
		return NULL;
	what.n_md = t->n_md;
	what.deadline = deadline;
	return exchange(t, &what,
			t->call->is_unsure ? t->call->again : t->call->request,
			err);
}

static bool is_closing(struct etcd *s)
{
	bool closing;

	pthread_mutex_lock(&s->lock);
	closing = s->is_closing;
	pthread_mutex_unlock(&s->lock);
	return closing;
}

/* Once all endpoints have failed there is no hurry. */
static void wait_before_next(struct attempts *t)
{
	int64_t pause = etcd_pause();
	struct timespec ts = {.tv_nsec = pause};

	if (!t->unsent || ++t->failed % t->s->n_endpoints == 0)
		nanosleep(&ts, NULL);
}

/* After that verdict: whether there is anything left to try. */
static bool can_go_on(struct attempts *t, enum etcd_verdict verdict,
		      const struct err *err)
{
	struct etcd_call *call = t->call;

	if (verdict == ETCD_FINAL)
		return false;
	if (verdict == ETCD_TOKEN) {
		etcd_auth_forget(t->s, t->md, t->n_md);
		return t->s->user && ++t->tokens < MAX_TOKENS;
	}
	if (t->is_late)
		return false;
	etcd_fails(t->s, t->at, err);
	if (verdict == ETCD_UNKNOWN) {
		call->is_unsure = true;
		if (!call->again)
			return false;
	}
	if (is_closing(t->s))
		return false;
	wait_before_next(t);
	return units_monotonic() < t->until - MIN_PAUSE;
}

/* The last error, as that of the whole call. */
static void explain(struct attempts *t, enum etcd_verdict verdict,
		    struct err *err)
{
	const char *name = t->s->endpoints[t->at].name;

	if (verdict == ETCD_TOKEN && !t->s->user)
		err_hint(err, "etcd demands a user (store.user) or a "
			      "certificate (store.cert)");
	if (verdict == ETCD_LATER || verdict == ETCD_UNKNOWN)
		err->code = GRPC_STATUS_UNAVAILABLE;
	else
		etcd_translate(err);
	err_wrap(err, "etcd at %s", name);
}

void *etcd_call(struct etcd *s, struct etcd_call *call, struct arena *a,
		struct err *err)
{
	struct attempts t = {.s = s, .call = call, .a = a};
	enum etcd_verdict verdict;
	void *reply;

	t.until = call->until ? call->until : units_monotonic() + ETCD_LIMIT;
	call->is_unsure = false;
	for (;;) {
		int64_t seen = call->is_local ? 0 : etcd_seen(s);

		reply = attempt(&t, err);
		if (reply) {
			etcd_note(s, header_of(call->reply_type, reply), seen);
			etcd_works(s, t.at);
			return reply;
		}
		verdict = etcd_judge(err, t.unsent, call->is_write);
		if (!can_go_on(&t, verdict, err))
			break;
		err_clear(err);
	}
	explain(&t, verdict, err);
	return NULL;
}
