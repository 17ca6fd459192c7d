/*
 * lulab witness serve: the witness over HTTP.
 *
 * The loops read requests and send answers; what a request needs (checking
 * signatures, two syncs) is done on libuv's worker threads, one request at a
 * time, because comparing and storing is one step (witness.h).
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "net/http.h"
#include "process.h"
#include "witness.h"
#include "witness_commands.h"

#define STOP_GRACE_MS 5000

/* A request on its way through a worker thread; in the request's arena. */
struct add {
	uv_work_t work;
	struct http_request *rq;
	struct buf answer;
	int status;
};

static void on_work(uv_work_t *work)
{
	struct add *a = work->data;

	a->status = witness_add_checkpoint(a->rq->app, a->rq->body, &a->answer);
}

static void on_done(uv_work_t *work, int cancelled)
{
	struct add *a = work->data;
	struct buf answer = a->answer; /* the arena ends with the answer */

	if (cancelled != 0) {
		buf_finish(&answer);
		http_problem(a->rq, 503, "stopping", "The witness is stopping.", NULL, 0);
		return;
	}
	http_respond(a->rq, a->status, a->status == 409 ? "text/x.tlog.size" : HTTP_TEXT, &answer);
}

static void add_checkpoint(struct http_request *rq)
{
	struct add *a = arena_alloc(rq->arena, sizeof(*a));

	if (a == NULL) {
		http_problem(rq, 503, "no_memory", NULL, NULL, 0);
		return;
	}
	*a = (struct add){.rq = rq, .answer = BUF_INIT(65536)};
	a->work.data = a;
	uv_queue_work(rq->loop, &a->work, on_work, on_done);
}

static void livez(struct http_request *rq)
{
	http_respond_slice(rq, 200, HTTP_TEXT, SLICE("ok\n"));
}

#define FLAGS (ROUTE_PUBLIC | ROUTE_NO_ETAG)

static const struct route routes[] = {
	{HTTP_POST, "/add-checkpoint", add_checkpoint, .flags = FLAGS, .rate = RATE_EXEMPT, .body_max = COSIGN_REQUEST_MAX},
	{HTTP_GET, "/livez", livez, .flags = FLAGS, .rate = RATE_EXEMPT},
	{0},
};

static void on_answered(void *app, const struct http_request *rq, const struct http_outcome *outcome)
{
	char status[8];

	(void)app;
	if (rq->route == NULL || rq->route->handler != add_checkpoint)
		return;
	snprintf(status, sizeof(status), "%d", outcome->status);
	log_write(outcome->status == 200 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "witness", "checkpoint", "status", status, NULL);
}

/* Before any thread is made, so that none of them gets the signals. */
static void catch_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	pthread_sigmask(SIG_BLOCK, ret, NULL);
}

static int run_serve(struct invocation *in)
{
	static const struct route *const tables[] = {routes, NULL};
	struct http_options o = {
		.listen = option_text(in, "listen"),
		.loops = 1,
		.routes = tables,
		.tls_cert = option_text(in, "tls-cert"),
		.tls_key = option_text(in, "tls-key"),
		.on_answered = on_answered,
	};
	struct http_server *server = NULL;
	const char *detail = NULL;
	sigset_t signals;
	int number, rc, status = STATUS_OK;
	struct witness *w;

	if ((o.tls_cert == NULL) != (o.tls_key == NULL))
		return command_fail_usage(in, "HTTPS needs both --tls-cert and --tls-key");
	process_prepare();
	catch_signals(&signals);
	w = witness_tool_open(in, &status);
	if (w == NULL)
		return status;
	o.app = w;
	rc = http_server_start(&server, &o, &detail);
	if (rc != 0) {
		status = command_fail(in, status_of(rc), "cannot listen on %s: %s", o.listen, detail != NULL ? detail : err_text(rc));
	} else {
		log_info("witness", "listening", "address", http_server_address(server), "name", witness_key(w)->name);
		sigwait(&signals, &number);
		http_server_stop(server, STOP_GRACE_MS);
		http_server_close(server);
		log_info("witness", "stopped");
	}
	witness_close(w);
	return status;
}

static const struct option options[] = {
    {.name = "data", .kind = OPTION_DIR, .value = "DIR", .fallback = "./witness",
	.summary = "the witness's own directory"},
    {.name = "listen", .kind = OPTION_TEXT, .value = "ADDR:PORT", .fallback = "127.0.0.1:3081", .summary = "where to listen"},
    {.name = "tls-cert", .kind = OPTION_FILE, .value = "FILE", .summary = "certificate chain in PEM: serve HTTPS"},
    {.name = "tls-key", .kind = OPTION_FILE, .value = "FILE", .summary = "its private key"},
    {0},
};

static const struct example examples[] = {
    {"lulab witness serve --data /var/lib/witness --listen 127.0.0.1:3081", "answer POST /add-checkpoint, behind a proxy that does TLS"},
    {0},
};

const struct command witness_serve_command = {
    .name = "serve",
    .summary = "Answer the logs it serves over HTTP",
    .description =
	"POST /add-checkpoint as in C2SP tlog-witness. Run it under another account than the log's, better on another "
	"machine, best with other people. Ends cleanly on SIGTERM and Ctrl-C; can be killed at any time.",
    .options = options,
    .examples = examples,
    .run = run_serve,
};
