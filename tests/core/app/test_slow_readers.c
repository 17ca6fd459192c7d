/*
 * Who reads long lists and streams slowly, or not to their end: everything comes, in its order and once, however often the
 * server had to wait for the reader; and it is rid of one who leaves.
 */
#include "app/summary.h"
#include "core/app/app_rig.h"
#include "lib/run.h"

/* Together far more than sockets hold. */
#define N_TEXTS 240
#define TEXT_LEN ((size_t)30000)
#define HEARD_LEN 4096u /* that come before the server is looked at */

static struct app_rig r;

static void keep_summary(unsigned n, struct arena *a)
{
	const struct summary_of of = {.platform = SLICE("TENCENT_MEETING"), .record_file_id = SLICE("2001"),
	    .meeting_id = SLICE("1001"), .kind = SLICE("MINUTES"), .source = SLICE("tencent-meeting-ai")};
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	char text[TEXT_LEN + 1];

	snprintf(text, sizeof(text), "text %05u ", n);
	memset(text + strlen(text), 'x', TEXT_LEN - strlen(text));
	ck_assert_int_eq(summary_draft(&r.app, &of, slice_of(text, TEXT_LEN), a, &draft), 0);
	ck_assert_int_eq(eventlog_append_wait(r.app.log, &append), 0);
	arena_reset(a);
}

static void setup(void)
{
	struct arena a = ARENA_INIT(1u << 20);

	app_rig_init(&r);
	app_rig_configure(&r, NULL, NULL);
	app_rig_open(&r, NULL);
	for (unsigned i = 0; i < N_TEXTS; i++)
		keep_summary(i, &a);
	arena_finish(&a);
	wait_all(&r.f, r.app.projector);
}

static void teardown(void)
{
	app_stop(&r.app);
	app_rig_finish(&r);
}

static struct client ask_for(const char *target, const char *field)
{
	struct client c = client_connect(http_server_port(r.app.server));
	struct buf text = BUF_INIT(1024);

	buf_printf(&text, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n%s\r\n", target, r.token, field);
	client_send(&c, buf_slice(&text));
	buf_finish(&text);
	return c;
}

/* Until it has given what it can, and waits for us to read. */
static void let_it_wait(struct client *c)
{
	uint64_t n = 0, before;
	struct http_stats stats;

	client_need(c, HEARD_LEN);
	do {
		before = n;
		usleep(20000);
		http_server_stats(r.app.server, &stats);
		n = stats.bytes_out;
	} while (n != before);
}

static unsigned number_at(const char *line)
{
	unsigned n = 0;

	ck_assert_int_eq(sscanf(line, "text %5u ", &n), 1);
	return n;
}

/* Each text stands there once. */
static void each_is_there(struct slice body)
{
	bool seen[N_TEXTS] = {false};
	unsigned n = 0;

	for (const char *at = body.ptr; (at = memmem(at, body.len - (size_t)(at - body.ptr), "text 0", 6)) != NULL; at += 6, n++) {
		unsigned number = number_at(at);

		ck_assert_uint_lt(number, N_TEXTS);
		ck_assert_msg(!seen[number], "text %u comes twice", number);
		seen[number] = true;
	}
	ck_assert_uint_eq(n, N_TEXTS);
}

START_TEST(a_list_comes_whole_to_who_reads_slowly)
{
	struct client c = ask_for("/api/v1/summaries", _i == 0 ? "Accept: application/x-ndjson\r\n" : "Accept: text/csv\r\n");
	struct answer a;

	let_it_wait(&c);
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 200);
	ck_assert_uint_gt(a.body.len, N_TEXTS * TEXT_LEN);
	each_is_there(buf_slice(&a.body));
	answer_finish(&a);
	client_close(&c);
}
END_TEST

#define STREAM "/api/v1/events/stream?from=0&type=summary.stored"

START_TEST(events_come_in_order_to_who_reads_slowly)
{
	struct client c = ask_for(STREAM, "");
	const char *at;
	unsigned n = 0;

	let_it_wait(&c);
	while (n < N_TEXTS) {
		ck_assert(client_read(&c));
		for (n = 0, at = c.in.ptr; (at = memmem(at, c.in.len - (size_t)(at - c.in.ptr), "\ndata:", 6)) != NULL; at += 6)
			n++;
	}
	n = 0;
	for (at = c.in.ptr; (at = memmem(at, c.in.len - (size_t)(at - c.in.ptr), "\"text\":\"text 0", 14)) != NULL; at += 14)
		ck_assert_uint_eq(number_at(at + 8), n++);
	client_close(&c);
}
END_TEST

static uint64_t n_open(void)
{
	struct http_stats stats;

	http_server_stats(r.app.server, &stats);
	return stats.connections_open;
}

START_TEST(who_leaves_is_gone)
{
	const char *target = _i == 0 ? "/api/v1/summaries" : STREAM;
	const char *field = _i == 0 ? "Accept: application/x-ndjson\r\n" : "";
	struct client c = ask_for(target, field);
	struct answer a;

	let_it_wait(&c);
	client_close(&c);
	wait_until(n_open() == 0);
	a = app_rig_ask(&r, "GET", "/api/v1/summaries?limit=1&fields=id", "");
	ck_assert_int_eq(a.status, 200);
	answer_finish(&a);
}
END_TEST

/* Who reads nothing more when the service stops does not hold it up for ever. */
START_TEST(a_stop_waits_for_no_slow_reader)
{
	struct client c = ask_for(STREAM, "");

	let_it_wait(&c);
	app_stop(&r.app);
	while (client_read(&c))
		;
	client_close(&c);
	app_rig_open(&r, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slow_readers");
	TCase *t = tcase_create("slow readers");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_list_comes_whole_to_who_reads_slowly, 0, 2);
	tcase_add_test(t, events_come_in_order_to_who_reads_slowly);
	tcase_add_loop_test(t, who_leaves_is_gone, 0, 2);
	tcase_add_test(t, a_stop_waits_for_no_slow_reader);
	suite_add_tcase(s, t);
	return run_suite(s);
}
