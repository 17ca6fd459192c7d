/* See lark_connection.h; the story of one connection is live(), of all of them run(). */
#include "adapters/lark_connection.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "adapters/lark_frames.h"
#include "adapters/lark_private.h"
#include "app/metrics_text.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/ws_client.h"

#define ENDPOINT_PATH "/callback/ws/endpoint"
#define REST_S 3600        /* after a refusal that only a person ends */
#define TIMEOUT_MS 10000
#define ANSWER_MAX (64 << 10)
#define DELIVERY_MAX (64 << 20)
#define BACKOFF_DOUBLINGS 3 /* of the vendor's interval, which is the least */

enum state { ASKING, CONNECTING, STANDING, WAITING, RESTING, STATES };

static const char *const says[STATES] = {
	[ASKING] = "The long connection to Feishu is being opened.",
	[CONNECTING] = "The long connection to Feishu is being opened.",
	[STANDING] = NULL,
	[WAITING] = "The long connection to Feishu is down; it is tried again soon.",
	[RESTING] = "Feishu refuses the long connection: see LARK_APP_ID and LARK_APP_SECRET, and whether the application receives "
	            "events by long connection and has no more than 50. It is tried again within the hour.",
};

/* How an attempt or a connection ended. */
enum ending { LOST, FAILED, REFUSED, STOPPED };

struct lark_connection {
	struct lark *lark;
	uv_thread_t thread;
	bool started;
	int stop_fd; /* readable once it shall end */
	_Atomic bool stopping; /* the same for who cannot wait for it */
	_Atomic int state;
	_Atomic uint64_t n_attempts, n_opened, n_lost, n_events, n_unkept, n_pings;

	/* The thread's own. */
	struct http_client *http;
	struct lark_client_config vendor;
	int32_t service;
	struct ws_client *ws;
	struct lark_splits splits;
	int64_t heard_us, pinged_us; /* monotonic; pinged_us 0: no ping yet */
};

bool lark_connection_wanted(const struct config *c)
{
	if (slice_is(c->lark_connection, "off"))
		return false;
	if (c->lark_app_id.len > 0 && c->lark_app_secret.len > 0)
		return true;
	if (slice_is(c->lark_connection, "on"))
		log_warn("lark", "LARK_CONNECTION is on, but LARK_APP_ID or LARK_APP_SECRET is not set: there is no long connection");
	return false;
}

/* --- time ------------------------------------------------------------------------------- */

static int64_t now_us(const struct lark_connection *c)
{
	return clock_monotonic_us(c->lark->app->clock);
}

/* False when it shall end. */
static bool rest(struct lark_connection *c, int64_t ms)
{
	int64_t until_us = now_us(c) + ms * 1000, left_us;
	struct pollfd p = {.fd = c->stop_fd, .events = POLLIN};
	bool stopped = poll(&p, 1, 0) == 1;

	while (!stopped && (left_us = until_us - now_us(c)) > 0)
		stopped = poll(&p, 1, left_us > 60000000 ? 60000 : (int)(left_us / 1000 + 1)) == 1;
	return !stopped;
}

/* Up to a quarter more: many clients of one vendor shall not come back together. */
static int64_t spread(struct lark_connection *c, int64_t ms)
{
	return ms + (int64_t)rng_below(c->lark->app->rng, (uint64_t)ms / 4 + 1);
}

/* n_failed attempts in a row since it stood, or since the start. */
static int64_t pause_ms(struct lark_connection *c, enum ending how, unsigned n_failed)
{
	unsigned doublings = n_failed > BACKOFF_DOUBLINGS ? BACKOFF_DOUBLINGS : n_failed == 0 ? 0 : n_failed - 1;

	if (how == REFUSED)
		return spread(c, REST_S * 1000);
	if (how == LOST)
		return (int64_t)rng_below(c->lark->app->rng, (uint64_t)c->vendor.reconnect_nonce_s * 1000 + 1);
	return spread(c, (c->vendor.reconnect_interval_s * 1000) << doublings);
}

/* --- where to connect --------------------------------------------------------------------- */

static enum ending ending_of(int rc, enum answer_class is)
{
	if (rc == ERR_CANCELLED)
		return STOPPED;
	return rc == 0 && is == ANSWER_CONFIG ? REFUSED : FAILED;
}

/* LOST: here it means that ret is filled in. */
static enum ending ask(struct lark_connection *c, struct arena *a, struct lark_endpoint *ret)
{
	const struct config *config = c->lark->app->config;
	static const char *const headers[] = {"Content-Type: application/json; charset=utf-8", "locale: zh", NULL};
	struct slice base = config->lark_base_url;
	const char *url;
	struct buf body = BUF_INIT(4096);
	struct http_call call = {.headers = headers, .timeout_ms = TIMEOUT_MS, .answer_max = ANSWER_MAX, .stopping = &c->stopping,
	    .ca_file = config->lark_ca_file.len > 0 ? config->lark_ca_file.ptr : NULL};
	struct http_result answer = {0};
	enum answer_class is = ANSWER_RETRY;
	int rc;

	while (base.len > 0 && base.ptr[base.len - 1] == '/')
		base.len--;
	url = arena_printf(a, "%.*s" ENDPOINT_PATH, SLICE_ARG(base));
	rc = url == NULL ? ERR_NOMEM : lark_body_endpoint(&body, config->lark_app_id, config->lark_app_secret);
	if (rc == 0) {
		call.url = url;
		call.body = buf_slice(&body);
		rc = http_client_call(c->http, &call, &answer);
		if (rc == 0)
			rc = lark_endpoint_parse(answer.status, buf_slice(&answer.body), a, ret, &is);
		if (rc == 0 && is == ANSWER_OK) { /* it lies in the answer's body, and is to end with a NUL */
			ret->url = slice_str(arena_printf(a, "%.*s", SLICE_ARG(ret->url)));
			rc = ret->url.ptr == NULL ? ERR_NOMEM : 0;
		}
		if (rc != ERR_CANCELLED && (rc != 0 || is != ANSWER_OK))
			log_warn("lark", "Feishu does not say where the long connection goes", "error", rc != 0 ? err_name(rc) : "answer",
			    "status", arena_printf(a, "%d", answer.status));
		http_result_finish(&answer);
	}
	buf_wipe(&body);
	return rc == 0 && is == ANSWER_OK ? LOST : ending_of(rc, is);
}

/* 403 and 514 are about who we are (vendor-protocols 2.6). */
static bool is_final(const struct http_result *answer)
{
	struct slice status;

	return http_result_header(answer, "handshake-status", &status) && (slice_is(status, "403") || slice_is(status, "514"));
}

static enum ending open_ws(struct lark_connection *c, const struct lark_endpoint *e)
{
	const struct config *config = c->lark->app->config;
	struct ws_call call = {.url = e->url.ptr, .timeout_ms = TIMEOUT_MS, .message_max = LARK_FRAME_MAX, .stop_fd = c->stop_fd,
	    .ca_file = config->lark_ca_file.len > 0 ? config->lark_ca_file.ptr : NULL, .rng = c->lark->app->rng};
	struct http_result answer = {0};
	enum ending how = LOST;
	int rc = ws_open(&c->ws, &call, &answer);

	if (rc != 0) {
		how = rc == ERR_UNAVAILABLE && is_final(&answer) ? REFUSED : ending_of(rc, ANSWER_RETRY);
		if (how != STOPPED)
			log_warn("lark", "the long connection to Feishu cannot be opened", "error", err_name(rc), "detail", answer.message);
	}
	http_result_finish(&answer);
	return how;
}

/* --- what comes ----------------------------------------------------------------------------- */

static void on_kept(struct delivery *d)
{
	(void)d; /* rc says it all */
}

/* True once it is durable, or was before. */
static bool keep(struct lark_connection *c, struct slice payload, struct slice message_id)
{
	struct arena a = ARENA_INIT(DELIVERY_MAX);
	struct lark_received r = {.plain = payload};
	struct delivery d = {.actor = LARK_CONNECTION_ACTOR, .traceparent = "", .arena = &a, .raw = payload, .done = on_kept};
	int rc = utf8_valid(payload) ? lark_event_parse(payload, &a, &r) : ERR_MALFORMED;
	bool kept = false;

	r.plain = payload;
	if (!utf8_valid(payload)) {
		tally_refuse(&c->lark->tally, LARK_REFUSED_FRAME);
	} else if (rc != ERR_NOMEM) {
		lark_deliver(c->lark, &d, &r, rc == 0, message_id);
		kept = d.rc == 0;
		if (!kept)
			tally_refuse(&c->lark->tally, LARK_REFUSED_STORE);
	}
	atomic_fetch_add(kept ? &c->n_events : &c->n_unkept, 1);
	arena_finish(&a);
	return kept;
}

static int take_data(struct lark_connection *c, const struct lark_frame *f)
{
	struct buf message = BUF_INIT(LARK_SPLIT_BYTES_MAX + 1), out = BUF_INIT(2 * LARK_FRAME_MAX);
	int64_t begun_us = now_us(c);
	bool complete;
	int rc = lark_splits_add(&c->splits, f, begun_us / 1000, &message, &complete);

	if (rc != 0) { /* not acknowledged: the vendor sends it again */
		tally_refuse(&c->lark->tally, LARK_REFUSED_FRAME);
		rc = 0;
	} else if (complete) {
		bool kept = keep(c, buf_slice(&message), lark_frame_header(f, "message_id"));

		rc = lark_ack(&out, f, kept, (now_us(c) - begun_us) / 1000);
		if (rc == 0)
			rc = ws_send(c->ws, buf_slice(&out));
		else
			rc = rc == ERR_NOMEM ? rc : 0; /* so many headers that ours has no room */
	}
	buf_finish(&out);
	buf_finish(&message);
	return rc;
}

static void take_control(struct lark_connection *c, const struct lark_frame *f)
{
	struct arena a = ARENA_INIT(1 << 20);

	if (slice_is(lark_frame_header(f, "type"), "pong") && f->payload.len > 0)
		(void)lark_client_config_parse(f->payload, &a, &c->vendor);
	arena_finish(&a);
}

static int take_message(struct lark_connection *c, struct slice bytes)
{
	struct lark_frame f;

	if (lark_frame_decode(bytes, &f) != 0) {
		tally_refuse(&c->lark->tally, LARK_REFUSED_FRAME);
		return 0;
	}
	if (f.method == LARK_DATA)
		return take_data(c, &f);
	take_control(c, &f);
	return 0;
}

/* --- one connection --------------------------------------------------------------------------- */

static int ping(struct lark_connection *c)
{
	struct buf out = BUF_INIT(256);
	int rc = lark_ping(&out, c->service);

	if (rc == 0)
		rc = ws_send(c->ws, buf_slice(&out));
	buf_finish(&out);
	c->pinged_us = now_us(c);
	atomic_fetch_add(&c->n_pings, 1);
	return rc;
}

/* Pings when it is time; ERR_TIMEOUT when nothing came since the last one. *ret_ms: how long to listen. */
static int keep_alive(struct lark_connection *c, unsigned *ret_ms)
{
	int64_t interval_us = c->vendor.ping_interval_s * 1000000, left_us;
	int rc = 0;

	if (c->pinged_us == 0 || now_us(c) - c->pinged_us >= interval_us) {
		if (c->pinged_us != 0 && c->heard_us < c->pinged_us)
			return ERR_TIMEOUT;
		rc = ping(c);
	}
	left_us = c->pinged_us + interval_us - now_us(c);
	*ret_ms = left_us <= 0 ? 0 : (unsigned)(left_us / 1000) + 1;
	return rc;
}

static enum ending listen_to(struct lark_connection *c)
{
	struct slice message;
	unsigned ms;
	int rc;

	c->heard_us = now_us(c);
	c->pinged_us = 0;
	for (;;) {
		rc = keep_alive(c, &ms);
		if (rc == 0) {
			rc = ws_receive(c->ws, ms, &message);
			if (rc == ERR_TIMEOUT)
				continue;
			if (rc == 0) {
				c->heard_us = now_us(c);
				rc = take_message(c, message);
			}
		}
		if (rc == ERR_CANCELLED)
			return STOPPED;
		if (rc != 0) {
			log_warn("lark", "the long connection to Feishu is lost", "error", err_name(rc));
			return LOST;
		}
	}
}

/* From asking where to the end. n_failed is 0 again once it stands. */
static enum ending live(struct lark_connection *c, unsigned *n_failed)
{
	struct arena a = ARENA_INIT(1 << 20);
	struct lark_endpoint e = {0};
	enum ending how;

	atomic_fetch_add(&c->n_attempts, 1);
	atomic_store(&c->state, ASKING);
	how = ask(c, &a, &e);
	if (how == LOST) {
		c->vendor = e.config;
		c->service = e.service;
		atomic_store(&c->state, CONNECTING);
		how = open_ws(c, &e);
	}
	arena_finish(&a);
	if (how != LOST)
		return how;
	*n_failed = 0;
	atomic_fetch_add(&c->n_opened, 1);
	atomic_store(&c->state, STANDING);
	log_info("lark", "the long connection to Feishu stands");
	how = listen_to(c);
	if (how == LOST)
		atomic_fetch_add(&c->n_lost, 1);
	ws_close(c->ws);
	c->ws = NULL;
	lark_splits_finish(&c->splits);
	return how;
}

/* The vendor allows so many attempts in a row; after them it is as if it had refused. */
static bool too_many(const struct lark_connection *c, unsigned n_failed)
{
	return c->vendor.reconnect_count >= 0 && n_failed > c->vendor.reconnect_count;
}

static void run(void *arg)
{
	struct lark_connection *c = arg;
	unsigned n_failed = 0;
	enum ending how;

	thread_name("lulab-lark");
	for (;;) {
		how = live(c, &n_failed);
		if (how == STOPPED)
			break;
		if (how == FAILED && too_many(c, ++n_failed))
			how = REFUSED;
		if (how == REFUSED)
			log_error("lark", says[RESTING]);
		atomic_store(&c->state, how == REFUSED ? RESTING : WAITING);
		if (!rest(c, pause_ms(c, how, n_failed)))
			break;
		n_failed = how == REFUSED ? 0 : n_failed;
	}
	atomic_store(&c->state, WAITING);
}

/* --- from outside ------------------------------------------------------------------------------ */

int lark_connection_start(struct lark_connection **ret, struct lark *l)
{
	struct lark_connection *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return ERR_NOMEM;
	c->lark = l;
	c->vendor = (struct lark_client_config){-1, 120, 30, 120};
	c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = c->stop_fd < 0 ? ERR_IO : http_client_create(&c->http);
	if (rc == 0) {
		c->started = uv_thread_create(&c->thread, run, c) == 0;
		rc = c->started ? 0 : ERR_NOMEM;
	}
	if (rc != 0) {
		lark_connection_destroy(c);
		return rc;
	}
	*ret = c;
	return 0;
}

void lark_connection_stop(struct lark_connection *c)
{
	const uint64_t one = 1;

	if (c == NULL || !c->started)
		return;
	atomic_store(&c->stopping, true);
	if (write(c->stop_fd, &one, sizeof(one)) < 0)
		log_warn("lark", "the long connection could not be told to end");
	uv_thread_join(&c->thread);
	c->started = false;
}

void lark_connection_destroy(struct lark_connection *c)
{
	if (c == NULL)
		return;
	lark_connection_stop(c);
	http_client_destroy(c->http);
	if (c->stop_fd >= 0)
		close(c->stop_fd);
	free(c);
}

const char *lark_connection_says(const struct lark_connection *c)
{
	return says[atomic_load(&c->state)];
}

static void counter(struct buf *out, const char *name, const char *help, const _Atomic uint64_t *n)
{
	metric_head(out, name, "counter", help);
	metric_u64(out, name, NULL, atomic_load(n));
}

void lark_connection_metrics(const struct lark_connection *c, struct buf *out)
{
	if (c == NULL)
		return;
	metric_head(out, "lulab_lark_connection_up", "gauge", "1 while the long connection to Feishu stands.");
	metric_u64(out, "lulab_lark_connection_up", NULL, atomic_load(&c->state) == STANDING);
	counter(out, "lulab_lark_connection_attempts_total", "Times the long connection was tried.", &c->n_attempts);
	counter(out, "lulab_lark_connection_opened_total", "Times it stood.", &c->n_opened);
	counter(out, "lulab_lark_connection_lost_total", "Times it was lost.", &c->n_lost);
	counter(out, "lulab_lark_connection_events_total", "Events it brought that are durable.", &c->n_events);
	counter(out, "lulab_lark_connection_unkept_total", "Events it brought that could not be stored, and are sent again.", &c->n_unkept);
	counter(out, "lulab_lark_connection_pings_total", "Pings sent.", &c->n_pings);
}
