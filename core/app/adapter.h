/*
 * An adapter is one neighbour of the service: its webhooks in, its effects
 * out. It plugs in as a table; adapters/meson.build names it and the
 * build makes the list `adapters` of it.
 */
#ifndef LULAB_APP_ADAPTER_H
#define LULAB_APP_ADAPTER_H

#include "net/http.h"
#include "store/effect.h"

struct app;
struct tally;
struct task_kind;

struct adapter {
	const char *name;           /* "tencent_meeting" */
	const struct route *routes; /* ends with {0} */
	const struct effect *effects; /* ends with {0}; NULL = none. Acted upon while unready() has nothing to say at the start */
	const struct task_kind *task_kinds;   /* ends with {0}; NULL = none: what tasks may do with it (app/tasks.h) */

	/*
	 * Before the server listens, on the main thread: 0 and the adapter's own
	 * state, or an error that stops the start (told by the adapter's log
	 * line). Missing settings are no error: the adapter then answers 503 and says why.
	 */
	int (*start)(struct app *app, void **ret_state);
	/* After the last request was answered, and the last append too. NULL state is never passed. */
	void (*stop)(void *state);

	/*
	 * The server itself refused a request to one of these routes: too big, too
	 * slow, malformed. No handler saw it. Loop threads; may be NULL.
	 */
	void (*refused)(void *state, const struct route *route, int status);
	/* Now and then on the main loop (every 5 s, and once before stop with last true); may be NULL. */
	void (*tick)(void *state, bool last);
	/* Why it does not work at the moment, static text for doctor and health, or NULL; may be NULL itself. */
	const char *(*unready)(void *state);
	/* How what it works with is, a sentence for health, in the arena, and whether that is well; any thread, at once; may be NULL. */
	const char *(*condition)(void *state, struct arena *a, bool *ret_ok);
	/* What its webhooks refused and repeated, for metrics; any thread; may be NULL. */
	struct tally *(*tally)(void *state);
	/* Appends families in Prometheus' text form; any thread; may be NULL. */
	void (*metrics)(void *state, struct buf *out);
};

/* Closed by NULL; made by the build. */
extern const struct adapter *const adapters[];

/* What start() gave; NULL for an adapter that is not part of this app. */
void *app_adapter_state(const struct app *app, const struct adapter *adapter);

#endif
