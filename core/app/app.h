/*
 * The service: everything it is made of, in the order it is started, and what
 * a request handler reaches through rq->app.
 *
 *     config -> keys -> log -> signer -> witnesses -> read models -> queries -> adapters -> effects -> tasks -> HTTP
 *
 * It stops the other way round: the server first, so that what was accepted is
 * finished; then the read models; then the log, which writes what waits.
 *
 * Threads: the main one runs the loop of signals and timers; HTTP loops run
 * the handlers; the log, the signer, the log's verification, the keyring and
 * each read model have one of their own. What handlers share is read-only, or says how it is guarded.
 */
#ifndef LULAB_APP_APP_H
#define LULAB_APP_APP_H

#include <regex.h>
#include <stdatomic.h>
#include <uv.h>

#include "app/adapter.h"
#include "app/auth.h"
#include "app/config.h"
#include "app/log_check.h"
#include "app/job_pool.h"
#include "app/metrics_http.h"
#include "app/setup.h"
#include "app/tokens.h"
#include "app/witnesses.h"
#include "net/http.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"
#include "store/keyring.h"
#include "store/projector.h"
#include "store/query.h"
#include "store/seal.h"
#include "store/succession.h"

#define APP_LOOPS_MAX 64
#define APP_ADAPTERS_MAX 16

/* The process ends with this when the log could not be written: the next start decides what is there. */
#define APP_STATUS_LOG_FAILED 70

/* What belongs to one HTTP loop; rq->loop_data. Its loop's thread only. */
struct app_loop {
	struct app *app;
	uv_loop_t *loop;
	unsigned index;
	struct log_port *log_port;
	struct query_port *query_port;
	struct known *known;
	struct job_port *action_port, *hashing_port, *decision_port, *long_port;
	struct principals *principals;
	struct metrics_http *metrics;
	int64_t log_second; /* access lines are limited: the second they are counted in, and how many */
	unsigned log_lines;
};

#define APP_ROUTE_TABLES_MAX 64
#define APP_CORS_PATTERNS_MAX 16

struct app {
	struct config *config; /* borrowed; read-only while running */
	const char *data_dir;
	const struct clock *clock;
	const struct rng *rng;

	struct auth auth;
	char origin[LOG_ORIGIN_MAX + 1];
	struct keyring *keyring;
	struct sealer *sealer;
	struct eventlog *log;
	struct signer *signer;
	struct log_check *log_check;
	struct witnesses *witnesses; /* NULL: there are none */
	struct projector *projector;
	struct query_pool *queries;
	struct tokens *tokens;
	struct job_pool *commands, *hashings, *decisions, *longs;
	struct user_imports *imports;
	struct erasures *erasures;
	struct setup setup; /* the link of the first start */
	struct peers *key_rates;            /* requests of API keys */
	struct caller_notes *caller_notes;
	struct key_usage *key_usage;
	struct codes *codes;
	_Atomic uint64_t access_epoch; /* events there were when rights last changed; see principals.h */
	const struct adapter *const *adapters;
	void *adapter_states[APP_ADAPTERS_MAX];
	unsigned n_adapters_started;
	struct effects *effects;
	_Atomic bool replaying; /* history into the world: one at a time */
	struct task_scheduler *task_scheduler;
	const struct route *routes[APP_ROUTE_TABLES_MAX + 1]; /* closed by NULL */
	regex_t cors_patterns[APP_CORS_PATTERNS_MAX];
	unsigned n_cors_patterns;
	struct buf openapi; /* the document; made before the server starts */
	struct http_server *server;
	int64_t started_us; /* wall clock */

	char setup_token[SETUP_TOKEN_LEN + 1]; /* to be shown once by whoever started the app; "": there is none */

	/* Made by each loop's own thread, kept until all have ended; metrics look at them from others. */
	_Atomic(struct metrics_http *) loop_metrics[APP_LOOPS_MAX];
	_Atomic int fatal; /* ERR_* once the log failed */
	_Atomic bool stopping; /* asked to; readiness says no from here on */

	/* The main loop. */
	uv_loop_t loop;
	uv_signal_t sigterm, sigint, sighup;
	uv_timer_t tick;
	uv_work_t pool_start;
	uv_async_t wake; /* from the log's writer, when it failed */
	bool loop_ready, signals_ready;
};

struct app_options {
	struct config *config;
	const struct adapter *const *adapters; /* closed by NULL */
	const struct clock *clock;             /* NULL = the system's */
	const struct rng *rng;                 /* NULL = the system's */
	bool keep_signals; /* tests: SIGTERM and SIGINT are not caught */
};

/*
 * Starts everything and listens. On failure *problem holds a sentence for
 * people that names the thing and the way out, and what was started is stopped again.
 * app is the caller's memory, zeroed or not.
 */
int app_start(struct app *app, const struct app_options *options, struct buf *problem);

/* Serves until SIGTERM, SIGINT or a failed log; 0 or the log's error. Main thread. */
int app_run(struct app *app);

/* Finishes what is in flight and ends every thread; in any state app_start() may leave. Main thread. */
void app_stop(struct app *app);

/* The app and the loop of a request. */
static inline struct app *app_of(const struct http_request *rq)
{
	return rq->app;
}

static inline struct app_loop *loop_of(const struct http_request *rq)
{
	return rq->loop_data;
}

#endif
