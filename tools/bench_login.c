/*
 * Log-ins: how many a second beside bare Argon2id on the same cores, what it
 * costs a request that its token is an access token or an API key instead of the
 * operator's, and whether the time of a refusal tells who has an account.
 *
 * The last is a statistic of many refusals of three kinds, sent in turn: of a
 * name with an account, of one without, and of that with an account once more. Welch's t between
 * the first two is held against that between the first and the third, which
 * are the same: it has to be as small.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/json.h"
#include "bench_load.h"
#include "bench_server.h"
#include "bench_work.h"
#include "crypto/password.h"

#define PASSWORD "correct horse battery"
#define CONNECTIONS 16
#define TOKEN_CONNECTIONS 64
#define WARMUP_SECONDS 0.5
#define THREADS_MAX 4 /* as many as the service hashes with at once */
#define TEXT_MAX 4096
#define KEYS 16

struct logins {
	struct bench *b;
	struct bench_server server;
	char access[TEXT_MAX];
	char keys[KEYS][TEXT_MAX]; /* one may ask a million times a minute, which is too little here */
	const char *bearer;        /* NULL: the keys in turn */
	unsigned n_calls;
	struct load_result result;
};

/* ---- bare Argon2id ----------------------------------------------------------------------- */

struct hasher {
	pthread_t thread;
	bool started;
	const struct bench *b;
	const char *hash;
	int64_t until_us;
	uint64_t n;
	struct bench_histogram latency; /* the first one's is told */
	int rc;
};

static void *hash_on(void *arg)
{
	struct hasher *h = arg;
	bool rehash;

	do {
		int64_t start_us = bench_now_us(h->b);

		h->rc = password_verify(slice_str(h->hash), SLICE(PASSWORD), &PASSWORD_COST_DEFAULT, &rehash);
		h->n += h->rc == 0;
		bench_histogram_add(&h->latency, bench_now_us(h->b) - start_us);
	} while (h->rc == 0 && bench_now_us(h->b) < h->until_us);
	return NULL;
}

static int64_t own_cpu_us(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * INT64_C(1000000) + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

/* For half the time; called before and after what is compared with it, so that both see the same machine. */
static int hash_for_a_while(struct bench *b, uint64_t *n, int64_t *span_us, int64_t *cpu_us, struct bench_histogram *latency)
{
	struct hasher *hashers = calloc(THREADS_MAX, sizeof(*hashers));
	char hash[PASSWORD_HASH_SIZE];
	int64_t start_us, cpu_from_us = own_cpu_us();
	int rc = hashers == NULL ? ERR_NOMEM : password_hash(hash, SLICE(PASSWORD), &PASSWORD_COST_DEFAULT, &rng_system);

	start_us = bench_now_us(b);
	for (int i = 0; rc == 0 && i < THREADS_MAX; i++) {
		hashers[i].b = b;
		hashers[i].hash = hash;
		hashers[i].until_us = start_us + (int64_t)(b->seconds * 0.5e6);
		hashers[i].started = pthread_create(&hashers[i].thread, NULL, hash_on, &hashers[i]) == 0;
		rc = hashers[i].started ? 0 : ERR_NOMEM;
	}
	for (int i = 0; hashers != NULL && i < THREADS_MAX; i++) {
		if (!hashers[i].started)
			continue;
		pthread_join(hashers[i].thread, NULL);
		rc = rc == 0 ? hashers[i].rc : rc;
		*n += hashers[i].n;
	}
	if (rc == 0) {
		*span_us += bench_now_us(b) - start_us;
		*cpu_us += own_cpu_us() - cpu_from_us;
		*latency = hashers[0].latency;
	}
	free(hashers);
	return rc;
}

/* ---- asking ------------------------------------------------------------------------------------ */

static int put_request(struct buf *out, const char *method, const char *path, const char *bearer, const char *body)
{
	buf_printf(out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", method, path);
	if (bearer != NULL)
		buf_printf(out, "Authorization: Bearer %s\r\n", bearer);
	if (body == NULL)
		return buf_append_str(out, "\r\n");
	return buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
}

/* POST; a member of the answer as a text (may be NULL). The status or ERR_*. */
static int post(struct logins *l, const char *path, const char *bearer, const char *body, const char *member,
    char ret_text[TEXT_MAX])
{
	char url[256], authorization[TEXT_MAX + 32];
	char from[64];
	const char *headers[] = {"Content-Type: application/json", authorization, from, NULL};
	struct arena arena = ARENA_INIT(1 << 20);
	struct http_result result = {0};
	struct json_value v;
	struct slice text;
	int rc;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", l->server.port, path);
	l->n_calls++;
	snprintf(from, sizeof(from), "X-Forwarded-For: 10.%u.%u.1", l->n_calls / 256 % 256, l->n_calls % 256);
	snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", bearer == NULL ? "none" : bearer);
	rc = http_client_call(l->server.client, &(struct http_call){.method = "POST", .url = url, .headers = headers,
		.body = slice_str(body), .flags = CLIENT_LOOPBACK_ONLY}, &result);
	if (rc == 0)
		rc = result.status;
	if (rc >= 200 && rc < 300 && member != NULL) {
		if (json_scan(buf_slice(&result.body), NULL, NULL) != 0 ||
		    !json_member(json_root(buf_slice(&result.body)), member, &v) || json_string(v, &arena, &text) != 0 ||
		    text.len >= TEXT_MAX)
			rc = ERR_MALFORMED;
		else
			snprintf(ret_text, TEXT_MAX, "%.*s", SLICE_ARG(text));
	}
	arena_finish(&arena);
	http_result_finish(&result);
	return rc;
}

static int make_account(struct logins *l, const char *name)
{
	char body[256];

	snprintf(body, sizeof(body), "{\"username\":\"%s\",\"password\":\"" PASSWORD "\",\"role\":\"MEMBER\"}", name);
	return post(l, "/api/v1/users", l->server.token, body, NULL, NULL) == 201 ? 0 : ERR_UNAVAILABLE;
}

static int make_callers(struct logins *l)
{
	int rc = make_account(l, "bench_person");

	if (rc == 0 && post(l, "/api/v1/auth/login", NULL,
	        "{\"type\":\"username_password\",\"username\":\"bench_person\",\"password\":\"" PASSWORD "\"}", "accessToken",
	        l->access) != 200)
		rc = ERR_UNAVAILABLE;
	for (int i = 0; rc == 0 && i < KEYS; i++)
		if (post(l, "/api/v1/api-keys", l->access,
		        "{\"name\":\"bench\",\"scopes\":[\"meetings:read\"],\"rateLimit\":1000000}", "key", l->keys[i]) != 201)
			rc = ERR_UNAVAILABLE;
	return rc;
}

/* ---- log-ins ----------------------------------------------------------------------------------- */

static int make_login(void *arg, uint64_t i, struct buf *request)
{
	(void)arg;
	(void)i;
	return put_request(request, "POST", "/api/v1/auth/login", NULL,
	    "{\"type\":\"username_password\",\"username\":\"bench_person\",\"password\":\"" PASSWORD "\"}");
}

static void note_load(struct bench_row *row, const struct load_result *r)
{
	if (r->refused + r->wrong + r->broken > 0)
		snprintf(row->note, sizeof(row->note), "%llu refused, %llu wrong (%d), %llu broken", (unsigned long long)r->refused,
		    (unsigned long long)r->wrong, r->wrong_status, (unsigned long long)r->broken);
}

static int measure_logins(struct logins *l)
{
	struct bench_row *limit = bench_row(l->b, "bare Argon2id, 64 MiB, 2 passes, %d threads", THREADS_MAX), *row;
	struct bench_histogram *latency = calloc(1, sizeof(*latency));
	uint64_t n = 0;
	int64_t span_us = 0, cpu_us = 0, server_cpu_us;
	int rc = latency == NULL ? ERR_NOMEM : hash_for_a_while(l->b, &n, &span_us, &cpu_us, latency);

	row = bench_row(l->b, "log-ins, %d connections", CONNECTIONS);
	server_cpu_us = bench_server_cpu_us(&l->server);
	if (rc == 0)
		rc = load_run(&(struct load_options){.clock = l->b->clock, .port = l->server.port, .connections = CONNECTIONS,
		    .warmup_seconds = WARMUP_SECONDS, .seconds = l->b->seconds, .make = make_login, .expect = 200}, &l->result);
	server_cpu_us = bench_server_cpu_us(&l->server) - server_cpu_us;
	if (rc == 0)
		rc = hash_for_a_while(l->b, &n, &span_us, &cpu_us, latency);
	if (rc == 0) {
		bench_row_fill(limit, "verifications", n, span_us, latency);
		bench_row_fill(row, "log-ins", l->result.ok, l->result.span_us, &l->result.latency);
		/* Says more than the rates where others use the machine. */
		snprintf(limit->note, sizeof(limit->note), "%.1f ms of CPU each", (double)cpu_us / 1000 / (double)(n > 0 ? n : 1));
		snprintf(row->note, sizeof(row->note), "%.1f ms of the server's CPU each",
		    (double)server_cpu_us / 1000 / (double)(l->result.ok_all > 0 ? l->result.ok_all : 1));
		note_load(row, &l->result);
		bench_compare(row, limit);
	}
	free(latency);
	return rc;
}

/* ---- what a token costs -------------------------------------------------------------------------- */

static int make_get(void *arg, uint64_t i, struct buf *request)
{
	const struct logins *l = arg;

	return put_request(request, "GET", "/api/v1/meetings?limit=20", l->bearer != NULL ? l->bearer : l->keys[i % KEYS], NULL);
}

static struct bench_row *measure_token(struct logins *l, const char *what, const char *bearer, int *ret_rc)
{
	struct bench_row *row = bench_row(l->b, "GET a list with %s, %d connections", what, TOKEN_CONNECTIONS);
	int64_t cpu_us = bench_server_cpu_us(&l->server);

	l->bearer = bearer;
	*ret_rc = load_run(&(struct load_options){.clock = l->b->clock, .port = l->server.port,
	    .connections = TOKEN_CONNECTIONS, .warmup_seconds = WARMUP_SECONDS, .seconds = l->b->seconds, .make = make_get,
	    .arg = l, .expect = 200}, &l->result);
	if (*ret_rc != 0)
		return row;
	bench_row_fill(row, "answers", l->result.ok, l->result.span_us, &l->result.latency);
	if (l->result.ok_all > 0)
		snprintf(row->note, sizeof(row->note), "%.1f us of the server's CPU each",
		    (double)(bench_server_cpu_us(&l->server) - cpu_us) / (double)l->result.ok_all);
	note_load(row, &l->result);
	return row;
}

static int measure_tokens(struct logins *l)
{
	struct bench_row *limit, *row;
	int rc;

	limit = measure_token(l, "the operator's token", l->server.token, &rc);
	if (rc == 0) {
		row = measure_token(l, "API keys", NULL, &rc);
		bench_compare(row, limit);
	}
	if (rc == 0) {
		row = measure_token(l, "an access token", l->access, &rc);
		bench_compare(row, limit);
	}
	return rc;
}

/* ---- what the time of a refusal tells ------------------------------------------------------------- */

struct sample {
	double sum, squares, n;
	struct bench_histogram latency;
};

static void sample_add(struct sample *s, int64_t us)
{
	s->sum += (double)us;
	s->squares += (double)us * (double)us;
	s->n++;
	bench_histogram_add(&s->latency, us);
}

static double mean_of(const struct sample *s)
{
	return s->n == 0 ? 0 : s->sum / s->n;
}

static double welch_t(const struct sample *a, const struct sample *b)
{
	double va, vb;

	if (a->n < 2 || b->n < 2)
		return 0;
	va = (a->squares - a->sum * a->sum / a->n) / (a->n - 1);
	vb = (b->squares - b->sum * b->sum / b->n) / (b->n - 1);
	return va + vb == 0 ? 0 : (mean_of(a) - mean_of(b)) / sqrt(va / a->n + vb / b->n);
}

/* One refused log-in; as long as it took into the sample. */
static int refuse_one(struct logins *l, const char *name, struct sample *s)
{
	char body[256];
	int64_t start_us;
	int status;

	snprintf(body, sizeof(body), "{\"type\":\"username_password\",\"username\":\"%s\",\"password\":\"wrong horse battery\"}", name);
	start_us = bench_now_us(l->b);
	status = post(l, "/api/v1/auth/login", NULL, body, NULL, NULL);
	if (status == 401)
		sample_add(s, bench_now_us(l->b) - start_us);
	return status == 401 ? 0 : status < 0 ? status : ERR_UNAVAILABLE;
}

/* In turn, each from an address of its own: refusals are limited by name and by address. */
static int measure_refusals(struct logins *l)
{
	static const char *const names[] = {"a name with an account", "a name without", "a name with an account, again"};
	struct sample *s = calloc(3, sizeof(*s));
	double until_us = (double)bench_now_us(l->b) + l->b->seconds * 1e6;
	char known[32], unknown[32];
	int rc = s == NULL ? ERR_NOMEM : 0;
	unsigned i = 0;

	for (; rc == 0 && (double)bench_now_us(l->b) < until_us; i++) {
		static const unsigned orders[][3] = {{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}, {1, 0, 2}, {0, 2, 1}};
		const unsigned *order = orders[i % 6];

		/* Four refusals of a name at most: the sixth would be answered without a look at the password. */
		snprintf(known, sizeof(known), "bench_known_%u", i / 2);
		snprintf(unknown, sizeof(unknown), "bench_other_%u", i / 2);
		if (i % 2 == 0)
			rc = make_account(l, known);
		for (int k = 0; rc == 0 && k < 3; k++)
			rc = refuse_one(l, order[k] == 1 ? unknown : known, &s[order[k]]);
	}
	if (rc == 0) {
		struct bench_row *row = NULL;

		for (int k = 0; k < 3; k++) {
			row = bench_row(l->b, "refusal of %s", names[k]);
			bench_row_fill(row, "refusals", (uint64_t)s[k].n, (int64_t)s[k].sum, &s[k].latency);
			snprintf(row->note, sizeof(row->note), "mean %.2f ms", mean_of(&s[k]) / 1000);
		}
		snprintf(row->note, sizeof(row->note), "t unknown %.2f, t of equals %.2f; mean %.2f ms", welch_t(&s[0], &s[1]),
		    welch_t(&s[0], &s[2]), mean_of(&s[2]) / 1000);
	}
	free(s);
	return rc;
}

int bench_login(struct bench *b)
{
	struct logins *l = calloc(1, sizeof(*l));
	int rc, stop_rc;

	if (l == NULL)
		return ERR_NOMEM;
	l->b = b;
	l->server.behind_proxy = true; /* what is refused is counted by address: each try comes from its own */
	rc = bench_server_start(&l->server, b, "login", NULL);
	if (rc == 0)
		rc = make_callers(l);
	if (rc == 0)
		rc = measure_tokens(l); /* first: twenty log-ins later this one has ended */
	if (rc == 0)
		rc = measure_logins(l);
	if (rc == 0)
		rc = measure_refusals(l);
	stop_rc = bench_server_stop(&l->server);
	free(l);
	return rc != 0 ? rc : stop_rc;
}
