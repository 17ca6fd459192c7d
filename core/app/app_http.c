/* See app_http.h. */
#include "app_http.h"
#include "app/known.h"
#include "app/principals.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/api.h"
#include "app/caller_notes.h"
#include "app/key_usage.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"

#define RATE_WINDOW_S 900
#define RATE_MEETINGS_WINDOW_S 60
#define PEM_MAX (1 << 20)       /* of a certificate chain, or a key */
#define SLOW_US 1000000        /* functional-spec 16.1: slow log above 1000 ms */
#define ACCESS_LINES_PER_S 50  /* a loop: a flood of refusals must not become a flood of lines */

/* --- loops --------------------------------------------------------------------- */

static void loop_free(struct app_loop *l)
{
	query_port_close(l->query_port);
	log_port_close(l->log_port);
	job_port_close(l->action_port);
	job_port_close(l->hashing_port);
	job_port_close(l->decision_port);
	job_port_close(l->long_port);
	principals_destroy(l->principals);
	known_destroy(l->known);
	free(l); /* its counts stay: a scrape on another loop may be reading them */
}

static void *on_loop_start(void *arg, struct uv_loop_s *loop, unsigned index)
{
	struct app *app = arg;
	struct app_loop *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return NULL;
	*l = (struct app_loop){.app = app, .loop = loop, .index = index};
	rc = index < APP_LOOPS_MAX ? metrics_http_create(&l->metrics) : ERR_RANGE;
	if (rc == 0) {
		atomic_store(&app->loop_metrics[index], l->metrics);
		rc = log_port_open(&l->log_port, app->log, loop);
	}
	if (rc == 0)
		rc = query_port_open(&l->query_port, app->queries, loop);
	if (rc == 0)
		rc = known_create(&l->known, app->rng);
	if (rc == 0)
		rc = job_port_open(&l->action_port, app->commands, loop);
	if (rc == 0)
		rc = job_port_open(&l->hashing_port, app->hashings, loop);
	if (rc == 0)
		rc = job_port_open(&l->decision_port, app->decisions, loop);
	if (rc == 0)
		rc = job_port_open(&l->long_port, app->longs, loop);
	if (rc == 0)
		rc = principals_create(&l->principals);
	if (rc != 0) {
		log_error("app", "a loop could not be prepared", "error", err_name(rc));
		loop_free(l);
		return NULL;
	}
	return l;
}

static void on_loop_stop(void *arg, void *loop_data)
{
	(void)arg;
	if (loop_data != NULL)
		loop_free(loop_data);
}

/* --- who and from where -------------------------------------------------------- */

int app_cors_init(struct app *app, struct buf *problem)
{
	const struct config *c = app->config;

	for (size_t i = 0; i < c->cors_origin_regexes.n; i++) {
		const char *pattern = c->cors_origin_regexes.items[i].ptr;

		if (app->n_cors_patterns == APP_CORS_PATTERNS_MAX ||
		    regcomp(&app->cors_patterns[app->n_cors_patterns], pattern, REG_EXTENDED) != 0) {
			buf_printf(problem,
			    "CORS_ORIGIN_REGEXES: \"%s\" is not an extended regular expression, or there are too many",
			    pattern);
			return ERR_CONFIG;
		}
		app->n_cors_patterns++;
	}
	return 0;
}

void app_cors_finish(struct app *app)
{
	while (app->n_cors_patterns > 0)
		regfree(&app->cors_patterns[--app->n_cors_patterns]);
}

/* Is it among the origins that were named? "*" names none. */
static bool origin_is_named(const struct app *app, struct slice origin)
{
	const struct config *c = app->config;
	regmatch_t whole;
	char text[256];

	for (size_t i = 0; i < c->cors_origins.n; i++)
		if (slice_eq(origin, c->cors_origins.items[i]))
			return true;
	if (origin.len >= sizeof(text))
		return false;
	memcpy(text, origin.ptr, origin.len);
	text[origin.len] = '\0';
	for (unsigned i = 0; i < app->n_cors_patterns; i++)
		if (regexec(&app->cors_patterns[i], text, 1, &whole, 0) == 0 && whole.rm_so == 0 &&
		    (size_t)whole.rm_eo == origin.len)
			return true;
	return false;
}

/* Anybody's pages may read what needs no cookie; with cookies only those that were named. */
static bool on_cors(void *arg, struct slice origin, bool *ret_credentials)
{
	const struct app *app = arg;
	const struct config *c = app->config;
	bool named = origin_is_named(app, origin);

	*ret_credentials = named && c->cors_credentials;
	for (size_t i = 0; !named && i < c->cors_origins.n; i++)
		named = slice_is(c->cors_origins.items[i], "*");
	return named;
}

static bool is_own_origin(const struct http_request *rq, struct slice origin)
{
	struct slice host;

	if (slice_starts_with(origin, SLICE("https://")))
		host = slice_of(origin.ptr + 8, origin.len - 8);
	else if (!rq->secure && slice_starts_with(origin, SLICE("http://")))
		host = slice_of(origin.ptr + 7, origin.len - 7);
	else
		return false;
	return host.len > 0 && slice_eq_nocase(host, rq->host);
}

bool app_cookie_allowed(const struct app *app, const struct http_request *rq)
{
	struct slice origin;

	if (!http_request_field(rq, "origin", &origin) || !http_request_is(rq, "application/json"))
		return false;
	return is_own_origin(rq, origin) || (app->config->cors_credentials && origin_is_named(app, origin));
}

/* --- memory ---------------------------------------------------------------------- */

/* The number at the start of a small system file, or 0. */
static uint64_t number_in(const char *path, unsigned skip_fields)
{
	struct buf text = BUF_INIT(65536);
	struct slice rest, word;
	uint64_t n = 0;

	if (file_read(&text, path) == 0) {
		rest = slice_trim(buf_slice(&text));
		do
			slice_cut(rest, ' ', &word, &rest);
		while (skip_fields-- > 0);
		if (slice_to_u64(slice_trim(word), &n) != 0)
			n = 0;
	}
	buf_finish(&text);
	return n;
}

void app_memory(const struct app *app, uint64_t *ret_used, uint64_t *ret_limit)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), group;

	*ret_used = number_in("/proc/self/statm", 1) * page;
	*ret_limit = (uint64_t)sysconf(_SC_PHYS_PAGES) * page;
	group = number_in("/sys/fs/cgroup/memory.max", 0);
	if (group > 0 && group < *ret_limit)
		*ret_limit = group;
	if (app->config->memory_max > 0 && (uint64_t)app->config->memory_max < *ret_limit)
		*ret_limit = (uint64_t)app->config->memory_max;
}

static bool on_overloaded(void *arg)
{
	struct app *app = arg;
	uint64_t used, limit;

	if (app->config->memory_max == 0)
		return false;
	app_memory(app, &used, &limit);
	return used > limit;
}

/* --- after an answer ---------------------------------------------------------------- */

static const char *method_name(enum http_method method)
{
	static const char *const names[HTTP_METHOD_COUNT] = {"?", "GET", "POST", "PUT", "PATCH", "DELETE"};

	return method < HTTP_METHOD_COUNT && names[method] != NULL ? names[method] : "?";
}

/* The route's path, never the target: queries hold what people search for. */
static void write_access_line(struct app_loop *l, const struct http_request *rq, const struct http_outcome *outcome,
    enum log_level level, const char *message)
{
	char status[16], duration[32];
	int64_t second = rq->received_at_us / 1000000;

	if (second != l->log_second) {
		l->log_second = second;
		l->log_lines = 0;
	}
	if (level > log_get_level() || l->log_lines++ >= ACCESS_LINES_PER_S)
		return;
	snprintf(status, sizeof(status), "%d", outcome->status);
	snprintf(duration, sizeof(duration), "%.3f", (double)outcome->duration_us / 1000);
	log_set_trace(rq->trace_id, rq->span_id);
	log_write(level, "http", message, "method", method_name(rq->method), "route",
	    rq->route == NULL ? "" : rq->route->path, "status", status, "durationMs", duration, "requestId",
	    arena_printf(rq->arena, "%.*s", SLICE_ARG(rq->request_id)), NULL);
	log_set_trace(NULL, NULL);
}

static bool is_probe(const struct http_request *rq)
{
	return rq->route != NULL && rq->route->tag != NULL && strcmp(rq->route->tag, "service") == 0;
}

/* An adapter counts what was refused at its door, whoever refused it. */
static void tell_adapter(struct app *app, const struct route *route, int status)
{
	for (unsigned i = 0; i < app->n_adapters_started; i++) {
		const struct adapter *a = app->adapters[i];

		if (a->routes == NULL || a->refused == NULL)
			continue;
		for (const struct route *r = a->routes; r->method != HTTP_NONE; r++)
			if (r == route)
				a->refused(app->adapter_states[i], route, status);
	}
}

/* Refused for who they are, here or by the handler. A log-in that fails is an event of its own. */
static void note_denial(struct app *app, const struct http_request *rq, const struct http_outcome *outcome)
{
	const struct principal *who = rq->principal;

	if ((outcome->status != 401 && outcome->status != 403) || rq->route == NULL ||
	    (rq->route->flags & ROUTE_PUBLIC) != 0)
		return;
	caller_notes_denied(app->caller_notes, who == NULL ? NULL : who->id, rq->route, clock_wall_ms(app->clock));
}

static void note_use(struct app *app, const struct http_request *rq, const struct http_outcome *outcome)
{
	const struct principal *who = rq->principal;

	if (who != NULL && who->key_id[0] != '\0' && rq->route != NULL)
		key_usage_note(app->key_usage, who, rq->route, outcome->status, outcome->duration_us, clock_wall_ms(app->clock));
}

static void on_answered(void *arg, const struct http_request *rq, const struct http_outcome *outcome)
{
	struct app_loop *l = rq->loop_data;

	if (!outcome->handled && outcome->status >= 400 && rq->route != NULL)
		tell_adapter(arg, rq->route, outcome->status);
	note_denial(arg, rq, outcome);
	note_use(arg, rq, outcome);
	principals_release(rq);
	if (l == NULL)
		return;
	metrics_http_count(l->metrics, rq, outcome);
	/* A health check that says no has answered as it should. */
	if (outcome->status >= 500 && !is_probe(rq))
		write_access_line(l, rq, outcome, LOG_LEVEL_ERROR, "request failed");
	else if (outcome->duration_us > SLOW_US && outcome->status != 0 && rq->on_drain == NULL)
		write_access_line(l, rq, outcome, LOG_LEVEL_WARN, "slow request");
	else
		write_access_line(l, rq, outcome, outcome->status >= 400 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "request");
}

/* --- start ---------------------------------------------------------------------------- */

static int gather_routes(struct app *app)
{
	size_t n = 0;

	for (size_t i = 0; api_tables[i] != NULL; i++) {
		if (n == APP_ROUTE_TABLES_MAX)
			return ERR_RANGE;
		app->routes[n++] = api_tables[i];
	}
	for (size_t i = 0; app->adapters[i] != NULL; i++) {
		if (n == APP_ROUTE_TABLES_MAX)
			return ERR_RANGE;
		if (app->adapters[i]->routes != NULL)
			app->routes[n++] = app->adapters[i]->routes;
	}
	app->routes[n] = NULL;
	return 0;
}

static const char *join(struct arena *a, const struct slice *items, size_t n)
{
	const char *text = NULL;

	for (size_t i = 0; i < n; i++)
		text = text == NULL ? arena_printf(a, "%.*s", SLICE_ARG(items[i]))
		                    : arena_printf(a, "%s,%.*s", text, SLICE_ARG(items[i]));
	return text;
}

static struct http_rate rate(int64_t quota, unsigned window_s, bool off)
{
	return (struct http_rate){off || quota <= 0 ? 0 : (unsigned)quota, window_s};
}

/* One of the files cannot be read, or they do not fit each other. */
static void explain_tls(struct buf *problem, const struct config *c)
{
	const struct {
		const char *setting, *path;
	} files[] = {{"LULAB_TLS_CERT", c->tls_cert.ptr}, {"LULAB_TLS_KEY", c->tls_key.ptr}};

	for (size_t i = 0; i < 2; i++) {
		struct buf text = BUF_INIT(PEM_MAX);
		int rc = file_read(&text, files[i].path);

		buf_wipe(&text);
		if (rc != 0) {
			buf_printf(problem, "%s: %s cannot be read: %s", files[i].setting, files[i].path, err_text(rc));
			return;
		}
	}
	buf_printf(problem,
	    "LULAB_TLS_CERT and LULAB_TLS_KEY: %s and %s are not a certificate and its key in PEM; lulab doctor says why",
	    files[0].path, files[1].path);
}

static void explain(struct buf *problem, int rc, const struct config *c, const char *listen, const char *detail)
{
	if (rc == ERR_TAKEN)
		buf_printf(problem,
		    "%s is in use by another program: stop it, or choose another address with --listen or PORT", listen);
	else if (rc == ERR_DENIED)
		buf_printf(problem, "not permitted to listen on %s: ports below 1024 need privileges", listen);
	else if (rc == ERR_CONFIG)
		explain_tls(problem, c);
	else
		buf_printf(problem, "cannot listen on %s: %s", listen, detail == NULL ? err_text(rc) : detail);
}

int app_http_start(struct app *app, struct buf *problem)
{
	const struct config *c = app->config;
	struct arena a = ARENA_INIT(65536);
	const char *listen = config_listen(c, &a), *detail = NULL;
	struct http_options o = {
		.listen = listen,
		.loops = (unsigned)c->loops,
		.routes = app->routes,
		.app = app,
		.clock = app->clock,
		.rng = app->rng,
		.limits = {.connections_max = (unsigned)c->connections_max, .idle_ms = (unsigned)c->idle_timeout},
		.rate_general = rate(c->rate_limit, RATE_WINDOW_S, false),
		.rate_meetings = rate(c->rate_limit_meetings, RATE_MEETINGS_WINDOW_S, c->rate_limit == 0),
		.trusted_proxies = join(&a, c->trusted_proxies.items, c->trusted_proxies.n),
		.tls_cert = c->tls_cert.len > 0 ? c->tls_cert.ptr : NULL,
		.tls_key = c->tls_key.len > 0 ? c->tls_key.ptr : NULL,
		.on_loop_start = on_loop_start,
		.on_loop_stop = on_loop_stop,
		.authorize = principals_authorize,
		.authorize_later = principals_authorize_later,
		.cors = on_cors,
		.overloaded = on_overloaded,
		.on_answered = on_answered,
	};
	int rc = gather_routes(app);

	if (rc == 0)
		rc = openapi_make(app);
	if (rc == 0)
		rc = http_server_start(&app->server, &o, &detail);
	if (rc != 0)
		explain(problem, rc, c, listen, detail);
	arena_finish(&a);
	return rc;
}
