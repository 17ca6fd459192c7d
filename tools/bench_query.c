/*
 * Answers from the read models over HTTP: one meeting by its id, a page of a
 * list, and the same meeting when the client has it already (304), each beside
 * an HTTP echo that is asked the same and gives the same answer, its head included.
 * The service keeps answers until the next event, so the first two are measured
 * twice: as clients ask, who get what is kept, and with a demand that makes it
 * read the rows every time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "bench_load.h"
#include "bench_server.h"
#include "bench_webhook.h"
#include "bench_work.h"

#define CONNECTIONS 64
#define TURNS 5 /* of each measurement */
#define WARMUP_SECONDS 0.2
#define FILL_SECONDS 600.0
#define IDS_MAX 100
#define ID_TEXT_MAX 128
/* Any position will do, but it has to be looked up, with the rows. */
#define READ_EACH_TIME "Lulab-Min-Position: 0"
#define ANSWER_MAX ((size_t)64 << 10)

struct queries {
	struct bench *b;
	struct bench_server server;
	struct webhook_maker *maker;
	char ids[IDS_MAX][ID_TEXT_MAX];
	unsigned n_ids;
	const char *path;   /* of the list; NULL: by id */
	char extra[256];    /* one more header line, without its end */
	char etag[ID_TEXT_MAX]; /* of what was probed last */
	struct load_result turn;
};

static int make_webhook(void *arg, uint64_t i, struct buf *request)
{
	return webhook_make(arg, i, request);
}

int bench_fill(struct bench *b, struct bench_server *s, struct webhook_maker *maker, uint64_t n)
{
	struct load_result *r = calloc(1, sizeof(*r));
	struct bench_row *row;
	int64_t took_us;
	int rc;

	if (r == NULL)
		return ERR_NOMEM;
	rc = load_run(&(struct load_options){.clock = b->clock, .port = s->port, .connections = CONNECTIONS,
	    .seconds = FILL_SECONDS, .make = make_webhook, .arg = maker, .requests_max = n, .expect = 200}, r);
	row = bench_row(b, "filling the log over HTTP, %u connections", CONNECTIONS);
	bench_row_fill(row, "webhooks", r->ok, r->span_us, &r->latency);
	if (rc == 0 && r->ok_all < n)
		rc = ERR_UNAVAILABLE;
	free(r);
	if (rc == 0)
		rc = bench_server_catch_up(s, b, &took_us);
	if (rc == 0) {
		row = bench_row(b, "read models caught up after the last webhook");
		row->n = n;
		row->unit = "webhooks";
		row->p50_us = row->max_us = (uint64_t)took_us;
	}
	return rc;
}

/* Ids of the meetings on the first page. */
static int find_ids(struct queries *q)
{
	struct http_result result = {0};
	struct arena arena = ARENA_INIT(1 << 20);
	struct json_value data, item, id;
	struct json_reader r;
	struct slice text;
	int rc = bench_server_get(&q->server, "/api/v1/meetings?limit=100", &result);

	rc = rc == 200 ? json_scan(buf_slice(&result.body), NULL, NULL) : ERR_UNAVAILABLE;
	if (rc == 0 && json_member(json_root(buf_slice(&result.body)), "data", &data) && data.type == JSON_ARRAY) {
		for (json_enter(&r, data); q->n_ids < IDS_MAX && json_next(&r, NULL, &item);) {
			if (json_member(item, "id", &id) && json_string(id, &arena, &text) == 0 &&
			    text.len < ID_TEXT_MAX)
				snprintf(q->ids[q->n_ids++], ID_TEXT_MAX, "%.*s", SLICE_ARG(text));
		}
	}
	arena_finish(&arena);
	http_result_finish(&result);
	return rc == 0 && q->n_ids == 0 ? ERR_NOT_FOUND : rc;
}

static int append_path(const struct queries *q, uint64_t i, struct buf *to)
{
	buf_append_str(to, q->path != NULL ? q->path : "/api/v1/meetings/");
	return buf_append_str(to, q->path != NULL ? "" : q->ids[i % q->n_ids]);
}

static int make_get(void *arg, uint64_t i, struct buf *request)
{
	const struct queries *q = arg;

	buf_append_str(request, "GET ");
	append_path(q, i, request);
	buf_append_str(request, " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ");
	buf_append_str(request, q->server.token);
	buf_append_str(request, "\r\n");
	if (q->extra[0] != '\0') {
		buf_append_str(request, q->extra);
		buf_append_str(request, "\r\n");
	}
	return buf_append_str(request, "\r\n");
}

/* What is asked next, asked once: the whole answer, for the echo, and its ETag. */
static int probe(struct queries *q, int expect, struct buf *ret_answer)
{
	struct http_result result = {0};
	struct buf path = BUF_INIT(ID_TEXT_MAX + 64);
	struct slice etag = {0};
	int rc = append_path(q, 0, &path);

	if (rc == 0 && bench_server_ask(&q->server, path.ptr, q->extra[0] == '\0' ? NULL : q->extra, &result) != expect)
		rc = ERR_UNAVAILABLE;
	if (rc == 0)
		rc = buf_printf(ret_answer, "HTTP/1.1 %d %s\r\n%.*s\r\n%.*s", expect, expect == 304 ? "Not Modified" : "OK",
		    SLICE_ARG(buf_slice(&result.headers)), SLICE_ARG(buf_slice(&result.body)));
	if (rc == 0 && (!http_result_header(&result, "etag", &etag) || etag.len >= sizeof(q->etag)))
		rc = ERR_UNAVAILABLE;
	if (rc == 0)
		snprintf(q->etag, sizeof(q->etag), "%.*s", SLICE_ARG(etag));
	http_result_finish(&result);
	buf_finish(&path);
	return rc;
}

/*
 * In turns with the limit, for on a machine that others use as well its speed is another one from second to second.
 * *ret_cpu_us: what the server used.
 */
static int take_turns(struct queries *q, struct slice answer, int expect, struct load_result *ret_echo,
    struct load_result *ret_ours, int64_t *ret_cpu_us)
{
	struct load_options load = {.clock = q->b->clock, .connections = CONNECTIONS, .warmup_seconds = WARMUP_SECONDS,
	    .seconds = q->b->seconds / TURNS, .make = make_get, .arg = q, .expect = expect};
	int rc = 0;

	for (int i = 0; i < 2 * TURNS && rc == 0; i++) {
		int64_t cpu_us = bench_server_cpu_us(&q->server);

		memset(&q->turn, 0, sizeof(q->turn));
		load.port = q->server.port;
		rc = i % 2 == 0 ? bench_echo(q->b, answer, 0, &load, &q->turn) : load_run(&load, &q->turn);
		load_merge(i % 2 == 0 ? ret_echo : ret_ours, &q->turn);
		if (i % 2 == 1)
			*ret_cpu_us += bench_server_cpu_us(&q->server) - cpu_us;
	}
	return rc;
}

static int measure(struct queries *q, const char *what, int expect)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	struct load_result *echo = calloc(1, sizeof(*echo)), *ours = calloc(1, sizeof(*ours));
	int64_t cpu_us = 0;
	int rc = echo == NULL || ours == NULL ? ERR_NOMEM : probe(q, expect, &answer);

	if (rc == 0)
		rc = take_turns(q, buf_slice(&answer), expect, echo, ours, &cpu_us);
	if (rc == 0) {
		struct bench_row *limit = bench_row(q->b, "bare HTTP echo of the same answer, %zu bytes, %u connections",
		    answer.len, CONNECTIONS);
		struct bench_row *row = bench_row(q->b, "GET %s, %u connections", what, CONNECTIONS);

		bench_row_fill(limit, "answers", echo->ok, echo->span_us, &echo->latency);
		bench_row_fill(row, "answers", ours->ok, ours->span_us, &ours->latency);
		bench_compare(row, limit);
		if (!bench_row_failures(row, ours) && ours->ok_all > 0) /* says more than the rate where others use the machine */
			snprintf(row->note, sizeof(row->note), "%.1f us of the server's CPU each",
			    (double)cpu_us / (double)ours->ok_all);
	}
	buf_finish(&answer);
	free(echo);
	free(ours);
	return rc;
}

/* As clients ask, and with a demand that makes it read the rows every time. */
static int measure_both(struct queries *q, const char *what)
{
	char name[64];
	int rc = measure(q, what, 200);

	snprintf(name, sizeof(name), "%s, read each time", what);
	snprintf(q->extra, sizeof(q->extra), "%s", READ_EACH_TIME);
	if (rc == 0)
		rc = measure(q, name, 200);
	q->extra[0] = '\0';
	return rc;
}

static int measure_all(struct queries *q)
{
	char known[sizeof(q->extra)];
	int rc = measure_both(q, "one meeting");

	snprintf(known, sizeof(known), "If-None-Match: %s", q->etag);
	q->path = "/api/v1/meetings?limit=20";
	if (rc == 0)
		rc = measure_both(q, "a list of 20");
	if (rc != 0)
		return rc;
	/* All ask for the one whose ETag is known. */
	q->path = NULL;
	q->n_ids = 1;
	memcpy(q->extra, known, sizeof(q->extra));
	return measure(q, "one meeting, known (304)", 304);
}

int bench_query(struct bench *b, uint64_t n_meetings)
{
	struct queries *q = calloc(1, sizeof(*q));
	int rc, stop_rc;

	if (q == NULL)
		return ERR_NOMEM;
	q->b = b;
	rc = webhook_maker_create(&q->maker, (uint64_t)clock_wall_us(b->clock), b->clock);
	if (rc == 0)
		rc = bench_server_start(&q->server, b, "query", NULL);
	if (rc == 0)
		rc = bench_fill(b, &q->server, q->maker, n_meetings * WEBHOOK_EVENTS_PER_MEETING);
	if (rc == 0)
		rc = find_ids(q);
	if (rc == 0)
		rc = measure_all(q);
	stop_rc = bench_server_stop(&q->server);
	webhook_maker_destroy(q->maker);
	free(q);
	return rc != 0 ? rc : stop_rc;
}
