/* http_stream.c: streamed answers, back-pressure, server-sent events. */
#include <uv.h>

#include "base/err.h"
#include "base/rng.h"
#include "core/net/http_rig.h"

#define HOST "Host: a\r\n"

static struct http_server *server;
static struct clock_manual hands;
static struct clock_manual still; /* by which the loop is never late, however busy the machine is */
static struct rng_test rng;
static unsigned port;
static _Atomic unsigned n_closed, n_ended, n_busy, n_drained;
static _Atomic int write_rc;

/* Handlers: what they have in flight lives in rq->data, in the arena. */

static void three_pieces(struct http_request *rq)
{
	http_header(rq, "X-Extra", SLICE("yes"));
	http_stream_start(rq, 200, "text/csv; charset=utf-8");
	write_rc = http_stream_write(rq, SLICE("a,b\n"));
	http_stream_write(rq, SLICE(""));
	http_stream_write(rq, SLICE("1,2\n"));
	http_stream_write(rq, SLICE("3,4\n"));
	http_stream_end(rq, true);
}

static void known_length(struct http_request *rq)
{
	http_stream_start_len(rq, 206, HTTP_TEXT, 8);
	write_rc = http_stream_write(rq, SLICE("a,b\n"));
	http_stream_write(rq, SLICE("1,2\n"));
	http_stream_end(rq, true);
}

static void too_short(struct http_request *rq)
{
	http_stream_start_len(rq, 200, HTTP_TEXT, 8);
	http_stream_write(rq, SLICE("a,b\n"));
	http_stream_end(rq, true);
}

static void cut_short(struct http_request *rq)
{
	http_stream_start(rq, 200, HTTP_TEXT);
	http_stream_write(rq, SLICE("half of"));
	http_stream_end(rq, false);
}

static void too_big(struct http_request *rq)
{
	struct buf piece = BUF_INIT(HTTP_STREAM_BUFFER + 1);

	http_stream_start(rq, 200, HTTP_TEXT);
	if (buf_reserve(&piece, HTTP_STREAM_BUFFER + 1) != NULL) {
		memset(piece.ptr, 'x', HTTP_STREAM_BUFFER + 1);
		buf_commit(&piece, HTTP_STREAM_BUFFER + 1);
	}
	write_rc = http_stream_write(rq, buf_slice(&piece));
	buf_finish(&piece);
	http_stream_end(rq, true);
}

#define FLOOD_PIECES 400
#define FLOOD_PIECE ((size_t)64 * 1024)

/* Writes until told to wait, and goes on when there is room. */
static void pour(struct http_request *rq)
{
	unsigned *n_poured = rq->data;
	char *piece = arena_alloc(rq->arena, FLOOD_PIECE);
	int rc = 0;

	while (*n_poured < FLOOD_PIECES) {
		memset(piece, 'a' + (int)(*n_poured % 26), FLOOD_PIECE);
		rc = http_stream_write(rq, slice_of(piece, FLOOD_PIECE));
		if (rc != 0)
			break;
		(*n_poured)++;
	}
	if (rc == ERR_BUSY) {
		n_busy++;
		return;
	}
	n_ended++;
	http_stream_end(rq, rc == 0);
}

static void on_drain(struct http_request *rq)
{
	n_drained++;
	pour(rq);
}

static void on_flood_closed(struct http_request *rq)
{
	n_closed++;
	http_stream_end(rq, false);
}

static void flood(struct http_request *rq)
{
	rq->data = arena_alloc(rq->arena, sizeof(unsigned));
	rq->on_drain = on_drain;
	rq->on_closed = on_flood_closed;
	http_stream_start(rq, 200, "application/octet-stream");
	pour(rq);
}

static void on_events_closed(struct http_request *rq)
{
	n_closed++;
	http_stream_end(rq, true);
}

static void events(struct http_request *rq)
{
	struct slice last;

	rq->on_closed = on_events_closed;
	http_sse_start(rq, 0);
	http_request_field(rq, "last-event-id", &last);
	http_sse_send(rq, SLICE("8"), SLICE("meeting.started"), SLICE("{\"a\":1}"));
	http_sse_send(rq, (struct slice){0}, (struct slice){0}, SLICE("two\nlines"));
}

static void hello(struct http_request *rq)
{
	http_respond_slice(rq, 200, HTTP_TEXT, SLICE("hello\n"));
}

static const struct route routes[] = {
	{.method = HTTP_GET, .path = "/three", .handler = three_pieces, .flags = ROUTE_PUBLIC},
	{.method = HTTP_GET, .path = "/known", .handler = known_length, .flags = ROUTE_PUBLIC},
	{.method = HTTP_GET, .path = "/short", .handler = too_short, .flags = ROUTE_PUBLIC},
	{.method = HTTP_GET, .path = "/cut", .handler = cut_short, .flags = ROUTE_PUBLIC},
	{.method = HTTP_GET, .path = "/too-big", .handler = too_big, .flags = ROUTE_PUBLIC},
	{.method = HTTP_GET, .path = "/flood", .handler = flood, .flags = ROUTE_PUBLIC},
	{.method = HTTP_GET, .path = "/events", .handler = events, .flags = ROUTE_PUBLIC},
	{.method = HTTP_GET, .path = "/hello", .handler = hello, .flags = ROUTE_PUBLIC},
	{0},
};
static const struct route *const tables[] = {routes, NULL};

static void start(void)
{
	struct http_options options = {.listen = "127.0.0.1:0", .loops = 1, .routes = tables, .clock = &hands.clock,
	    .lag_clock = &still.clock, .rng = &rng.rng, .rate_general = {0, 1}};

	clock_manual_init(&hands, 1);
	clock_manual_init(&still, 1);
	rng_test_init(&rng, 7);
	n_closed = n_ended = n_busy = n_drained = 0;
	ck_assert_int_eq(http_server_start(&server, &options, NULL), 0);
	port = http_server_port(server);
}

static void stop(void)
{
	http_server_close(server);
	server = NULL;
}

static struct http_stats stats(void)
{
	struct http_stats s;

	http_server_stats(server, &s);
	return s;
}

START_TEST(pieces_are_chunks)
{
	static const char chunks[] = "4\r\na,b\n\r\n4\r\n1,2\n\r\n4\r\n3,4\n\r\n0\r\n\r\n";
	struct client c;
	struct answer a;

	start();
	c = client_connect(port);
	client_say(&c, "GET /three HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
	a = client_head(&c);
	ck_assert_int_eq(a.status, 200);
	ck_assert_slice_eq(answer_value(&a, "transfer-encoding"), SLICE("chunked"));
	ck_assert_slice_eq(answer_value(&a, "x-extra"), SLICE("yes"));
	ck_assert(!answer_field(&a, "content-length", &(struct slice){0}));
	answer_finish(&a);
	client_need(&c, sizeof(chunks) - 1);
	ck_assert_slice_eq(slice_of(c.in.ptr, sizeof(chunks) - 1), SLICE(chunks));
	buf_consume(&c.in, sizeof(chunks) - 1);
	a = client_answer(&c, true);
	ck_assert_str_eq(a.body.ptr, "hello\n");
	answer_finish(&a);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(old_clients_read_until_the_end)
{
	struct answer a;

	start();
	a = ask(port, "GET /three HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	ck_assert_slice_eq(answer_value(&a, "connection"), SLICE("close"));
	ck_assert(!answer_field(&a, "transfer-encoding", &(struct slice){0}));
	ck_assert_str_eq(a.body.ptr, "a,b\n1,2\n3,4\n");
	answer_finish(&a);
	stop();
}
END_TEST

START_TEST(head_has_no_body)
{
	struct client c;
	struct answer a;

	start();
	c = client_connect(port);
	client_say(&c, "HEAD /three HTTP/1.1\r\n" HOST "\r\n");
	a = client_answer(&c, false);
	ck_assert_int_eq(a.status, 200);
	answer_finish(&a);
	client_say(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	a = client_answer(&c, true);
	ck_assert_str_eq(a.body.ptr, "hello\n");
	answer_finish(&a);
	ck_assert_int_eq(write_rc, ERR_CANCELLED);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_length_that_is_known_is_told)
{
	static const char *const versions[] = {"1.1", "1.0"};
	struct client c;
	struct answer a;

	start();
	for (size_t i = 0; i < COUNT(versions); i++) {
		c = client_connect(port);
		for (int again = 0; again < 2; again++) { /* the connection lives on */
			char text[128];

			snprintf(text, sizeof(text), "GET /known HTTP/%s\r\n" HOST "Connection: keep-alive\r\n\r\n", versions[i]);
			client_say(&c, text);
			a = client_answer(&c, true);
			ck_assert_int_eq(a.status, 206);
			ck_assert_str_eq(a.body.ptr, "a,b\n1,2\n");
			ck_assert(memmem(a.head.ptr, a.head.len, "Content-Length: 8\r\n", 19) != NULL);
			ck_assert(memmem(a.head.ptr, a.head.len, "chunked", 7) == NULL);
			answer_finish(&a);
		}
		client_close(&c);
	}
	c = client_connect(port);
	client_say(&c, "HEAD /known HTTP/1.1\r\n" HOST "\r\n");
	a = client_answer(&c, false);
	ck_assert_int_eq(a.status, 206);
	ck_assert(memmem(a.head.ptr, a.head.len, "Content-Length: 8\r\n", 19) != NULL);
	answer_finish(&a);
	client_say(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	a = client_answer(&c, true);
	ck_assert_str_eq(a.body.ptr, "hello\n");
	answer_finish(&a);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(less_than_was_told_breaks_the_connection)
{
	struct client c;

	start();
	c = client_connect(port);
	client_say(&c, "GET /short HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
	while (client_read(&c))
		;
	ck_assert(c.in.len == 0 || memmem(c.in.ptr, c.in.len, "hello", 5) == NULL);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_stream_cut_short_can_be_told)
{
	struct client c;

	start();
	c = client_connect(port);
	client_say(&c, "GET /cut HTTP/1.1\r\n" HOST "\r\n");
	while (client_read(&c))
		;
	ck_assert(c.in.len == 0 || memmem(c.in.ptr, c.in.len, "0\r\n\r\n", 5) == NULL);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_piece_over_the_buffer_is_refused)
{
	struct answer a;

	start();
	a = ask(port, "GET /too-big HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(write_rc, ERR_TOO_BIG);
	ck_assert_uint_eq(a.body.len, 0);
	answer_finish(&a);
	stop();
}
END_TEST

START_TEST(a_full_buffer_pushes_back_and_loses_nothing)
{
	struct client c;
	struct answer a;

	start();
	c = client_connect(port);
	client_say(&c, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
	wait_until(n_busy > 0); /* before we read a byte */
	a = client_answer(&c, true);
	ck_assert_uint_eq(a.body.len, FLOOD_PIECES * FLOOD_PIECE);
	for (size_t i = 0; i < FLOOD_PIECES; i++)
		ck_assert_int_eq(a.body.ptr[i * FLOOD_PIECE], 'a' + (int)(i % 26));
	answer_finish(&a);
	ck_assert_uint_eq(n_ended, 1);
	ck_assert_uint_eq(n_closed, 0);
	ck_assert_uint_eq(n_drained, n_busy);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_reader_that_leaves_is_told)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	struct client c;

	start();
	c = client_connect(port);
	client_say(&c, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
	wait_until(n_busy > 0);
	setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_close(&c);
	wait_until(n_closed == 1);
	wait_until(stats().connections_open == 0);
	ck_assert_uint_eq(stats().streams_open, 0);
	ck_assert_uint_eq(n_ended, 0);
	stop();
}
END_TEST

START_TEST(a_reader_that_stalls_is_cut_off)
{
	struct client c;

	start();
	c = client_connect(port);
	client_say(&c, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
	wait_until(n_busy > 0);
	for (int i = 0; i < 25 && n_closed == 0; i++) {
		clock_manual_advance(&hands, 1000000);
		http_server_tick(server);
		ck_assert_int_eq(ask_status(port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
	}
	wait_until(n_closed == 1);
	client_close(&c);
	stop();
}
END_TEST

static void need_text(struct client *c, const char *text)
{
	client_need(c, strlen(text));
	ck_assert_slice_eq(slice_of(c->in.ptr, strlen(text)), slice_str(text));
	buf_consume(&c->in, strlen(text));
}

START_TEST(events_and_heartbeats)
{
	struct client c;
	struct answer a;

	start();
	c = client_connect(port);
	client_say(&c, "GET /events HTTP/1.1\r\n" HOST "Last-Event-ID: 7\r\n\r\n");
	a = client_head(&c);
	ck_assert_slice_eq(answer_value(&a, "content-type"), SLICE("text/event-stream; charset=utf-8"));
	ck_assert_slice_eq(answer_value(&a, "cache-control"), SLICE("no-store"));
	answer_finish(&a);
	need_text(&c, "2c\r\nid: 8\nevent: meeting.started\ndata: {\"a\":1}\n\n\r\n");
	need_text(&c, "17\r\ndata: two\ndata: lines\n\n\r\n");
	for (int i = 0; i < 3; i++) {
		/* A loop looks at its streams every second. */
		for (int s = 0; s < 15; s++) {
			clock_manual_advance(&hands, 1000000);
			http_server_tick(server);
			ck_assert_int_eq(ask_status(port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
		}
		need_text(&c, "3\r\n:\n\n\r\n");
	}
	client_close(&c);
	wait_until(n_closed == 1);
	wait_until(stats().streams_open == 0);
	stop();
}
END_TEST

START_TEST(events_end_when_the_server_stops)
{
	struct client c;
	struct answer a;

	start();
	c = client_connect(port);
	client_say(&c, "GET /events HTTP/1.1\r\n" HOST "\r\n");
	a = client_head(&c);
	answer_finish(&a);
	wait_until(stats().streams_open == 1);
	http_server_stop(server, 60000);
	while (client_read(&c))
		;
	ck_assert(c.in.len > 5 && memcmp(c.in.ptr + c.in.len - 5, "0\r\n\r\n", 5) == 0);
	ck_assert_uint_eq(n_closed, 1);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(an_export_is_finished_when_the_server_stops)
{
	struct client c;
	struct answer a;

	start();
	c = client_connect(port);
	client_say(&c, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
	wait_until(n_busy > 0);
	http_server_stop(server, 60000);
	a = client_answer(&c, true);
	ck_assert_uint_eq(a.body.len, FLOOD_PIECES * FLOOD_PIECE);
	ck_assert_uint_eq(n_closed, 0);
	answer_finish(&a);
	ck_assert(client_at_end(&c));
	client_close(&c);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_stream");
	TCase *tc = tcase_create("stream");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, pieces_are_chunks);
	tcase_add_test(tc, old_clients_read_until_the_end);
	tcase_add_test(tc, head_has_no_body);
	tcase_add_test(tc, a_length_that_is_known_is_told);
	tcase_add_test(tc, less_than_was_told_breaks_the_connection);
	tcase_add_test(tc, a_stream_cut_short_can_be_told);
	tcase_add_test(tc, a_piece_over_the_buffer_is_refused);
	tcase_add_test(tc, a_full_buffer_pushes_back_and_loses_nothing);
	tcase_add_test(tc, a_reader_that_leaves_is_told);
	tcase_add_test(tc, a_reader_that_stalls_is_cut_off);
	tcase_add_test(tc, events_and_heartbeats);
	tcase_add_test(tc, events_end_when_the_server_stops);
	tcase_add_test(tc, an_export_is_finished_when_the_server_stops);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
