/* What `lulab bench` measures with: times, webhooks, the load generator against the ceiling program. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/err.h"
#include "base/io.h"
#include "base/thread.h"
#include "bench.h"
#include "bench_ceiling.h"
#include "bench_floor.h"
#include "bench_load.h"
#include "bench_raw.h"
#include "bench_webhook.h"
#include "crypto/crypto.h"
#include "lib/run.h"
#include "store/projection_file.h"

START_TEST(histogram_percentiles_are_close)
{
	static struct bench_histogram h;

	memset(&h, 0, sizeof(h));
	ck_assert_uint_eq(bench_histogram_at(&h, 0.5), 0);
	for (int64_t us = 1; us <= 100000; us++)
		bench_histogram_add(&h, us);
	bench_histogram_add(&h, -5);
	ck_assert_uint_eq(h.n, 100001);
	ck_assert_uint_eq(h.max, 100000);
	for (double share = 0.01; share < 1; share += 0.01) {
		uint64_t at = bench_histogram_at(&h, share);

		ck_assert_double_ge((double)at, share * 100000 * 0.999 - 1);
		ck_assert_double_le((double)at, share * 100000 * 1.017 + 1);
	}
	ck_assert_uint_eq(bench_histogram_at(&h, 1), 100000);
	bench_histogram_add(&h, INT64_MAX);
	ck_assert_uint_le(bench_histogram_at(&h, 1), (uint64_t)INT64_MAX);
}
END_TEST

START_TEST(histogram_small_values_are_exact)
{
	static struct bench_histogram h;

	memset(&h, 0, sizeof(h));
	for (int i = 0; i < 9; i++)
		bench_histogram_add(&h, 3);
	bench_histogram_add(&h, 120);
	ck_assert_uint_eq(bench_histogram_at(&h, 0.5), 3);
	ck_assert_uint_eq(bench_histogram_at(&h, 0.9), 3);
	ck_assert_uint_eq(bench_histogram_at(&h, 0.99), 120);
}
END_TEST

/* Head fields of a request we made ourselves. */
static struct slice field_of(struct slice request, const char *name)
{
	const char *at = memmem(request.ptr, request.len, name, strlen(name));
	struct slice value, rest;

	ck_assert_ptr_nonnull(at);
	at += strlen(name);
	slice_cut(slice_of(at, (size_t)(request.ptr + request.len - at)), '\r', &value, &rest);
	return slice_trim(value);
}

static void check_has(struct slice plain, const char *before, const char *value)
{
	char text[2 * WEBHOOK_TEXT_MAX];
	int len = snprintf(text, sizeof(text), "%s\"%s\"", before, value);

	ck_assert_msg(memmem(plain.ptr, plain.len, text, (size_t)len) != NULL, "no %s", text);
}

/* What makes rows without reading it (bench_floor_models.h) knows what is in it; a meeting keeps its title and creator. */
static void check_texts(uint64_t i, struct slice plain, const struct tencent_envelope *e)
{
	unsigned kind = (unsigned)(i % WEBHOOK_EVENTS_PER_MEETING);
	bool by_guest = kind == WEBHOOK_GUEST_JOINED || kind == WEBHOOK_GUEST_LEFT;
	char text[WEBHOOK_TEXT_MAX], id[WEBHOOK_TEXT_MAX];
	uint64_t number;

	ck_assert_int_eq(webhook_number(e->trace_id, &number), 0);
	ck_assert_uint_eq(number, i);
	ck_assert_int_eq(webhook_number(SLICE("of others"), &number), ERR_MALFORMED);
	ck_assert(slice_is(e->event, webhook_event(i)));
	webhook_title(text, webhook_host(i));
	check_has(plain, "\"subject\":", text);
	snprintf(id, sizeof(id), "bench_user_%u", webhook_host(i));
	check_has(plain, "\"creator\":{\"userid\":", id);
	snprintf(id, sizeof(id), "bench_user_%u", by_guest ? webhook_guest(i) : webhook_host(i));
	check_has(plain, "\"operator\":{\"userid\":", id);
	webhook_name(text, by_guest ? webhook_guest(i) : webhook_host(i));
	check_has(plain, "\"user_name\":", text);
}

/* Each webhook must be what the vendor would send: signed, encrypted, an event, and no two alike. */
START_TEST(webhooks_are_genuine_and_unique)
{
	struct webhook_maker *m = NULL;
	struct slice last_id = {0};
	struct arena keep = ARENA_INIT(1 << 20);

	ck_assert_int_eq(webhook_maker_create(&m, 42, &clock_system), 0);
	for (uint64_t i = 0; i < 40; i++) {
		struct buf request = BUF_INIT(1 << 16), expected = BUF_INIT(1 << 16);
		struct arena a = ARENA_INIT(1 << 20);
		struct tencent_signed s;
		struct tencent_envelope e;
		struct slice all, plain;
		const char *body, *reason;

		ck_assert_int_eq(webhook_make(m, i, &request), 0);
		all = buf_slice(&request);
		body = memmem(all.ptr, all.len, "\r\n\r\n", 4);
		ck_assert_ptr_nonnull(body);
		s.timestamp = field_of(all, "timestamp:");
		s.nonce = field_of(all, "nonce:");
		s.signature = field_of(all, "signature:");
		ck_assert_int_eq(tencent_body_data(slice_str(body + 4), &a, &s.data), 0);
		ck_assert(tencent_verify(webhook_maker_keys(m), &s));
		ck_assert_int_eq(tencent_decrypt(webhook_maker_keys(m), s.data, &a, &plain), 0);
		ck_assert_int_eq(webhook_make_plain(m, i, &expected), 0);
		ck_assert_slice_eq(plain, buf_slice(&expected));
		ck_assert_int_eq(tencent_parse(plain, &a, &e, &reason), 0);
		ck_assert_uint_eq(e.n_items, 1);
		check_texts(i, plain, &e);
		ck_assert(!slice_eq(e.trace_id, last_id));
		last_id = arena_dup(&keep, e.trace_id);
		ck_assert_uint_gt(request.len, 1800);
		ck_assert_uint_lt(request.len, 3000);
		arena_finish(&a);
		buf_finish(&request);
		buf_finish(&expected);
	}
	arena_finish(&keep);
	webhook_maker_destroy(m);
}
END_TEST

static int64_t operate_time_of(struct webhook_maker *m, uint64_t i, struct buf *plain)
{
	static const char name[] = "\"operate_time\":";
	const char *at;

	ck_assert_int_eq(webhook_make_plain(m, i, plain), 0);
	at = memmem(plain->ptr, plain->len, name, sizeof(name) - 1);
	ck_assert_ptr_nonnull(at);
	return strtoll(at + sizeof(name) - 1, NULL, 10);
}

/* The times in it go on as those of a platform do; sent again later, it is still the same. */
START_TEST(webhooks_tell_of_times_that_go_on)
{
	static const int64_t start_ms = INT64_C(1796000000123);
	struct buf before = BUF_INIT(1 << 16), after = BUF_INIT(1 << 16);
	struct webhook_maker *m = NULL;
	struct clock_manual clock;
	int64_t last = start_ms;

	clock_manual_init(&clock, start_ms * 1000);
	ck_assert_int_eq(webhook_maker_create(&m, 42, &clock.clock), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		struct buf plain = BUF_INIT(1 << 16);
		int64_t at = operate_time_of(m, i, &plain);

		ck_assert_int_ge(at, last);
		ck_assert_int_le(at, last + 1);
		last = at;
		buf_finish(&plain);
	}
	ck_assert_int_gt(last, start_ms + 10);
	operate_time_of(m, 77, &before);
	clock_manual_advance(&clock, 60000000);
	operate_time_of(m, 77, &after);
	ck_assert_slice_eq(buf_slice(&before), buf_slice(&after));
	buf_finish(&before);
	buf_finish(&after);
	webhook_maker_destroy(m);
}
END_TEST

static int make_webhook(void *arg, uint64_t i, struct buf *request)
{
	return webhook_make(arg, i, request);
}

static int make_get(void *arg, uint64_t i, struct buf *request)
{
	(void)arg;
	(void)i;
	return buf_append_str(request, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
}

static size_t entries_of(const char *dir, const char *table)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_stat stat;
	MDB_dbi dbi;

	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(env, FLOOR_TABLES), 0);
	ck_assert_int_eq(mdb_env_open(env, dir, MDB_RDONLY, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, table, 0, &dbi), 0);
	ck_assert_int_eq(mdb_stat(txn, dbi, &stat), 0);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return stat.ms_entries;
}

/* What the design demands was done to every one of them, and not only to some. */
static void check_floor(const struct bench *b)
{
	char index[BENCH_PATH_MAX];

	bench_path(b, index, "index");
	ck_assert_uint_eq(entries_of(b->dir, "records"), 500);
	ck_assert_uint_eq(entries_of(b->dir, "blobs"), 500);
	ck_assert_uint_eq(entries_of(b->dir, "tiles"), 32 + 1); /* of 500 leaves: 32 chunks, and the first tile's root */
	ck_assert_uint_eq(entries_of(index, "once"), 500);
	ck_assert_uint_eq(entries_of(index, "stream_events"), 500);
}

static sqlite3 *rows_of(const struct bench *b, const char *model)
{
	char name[64], path[BENCH_PATH_MAX];
	sqlite3 *db = NULL;

	snprintf(name, sizeof(name), "%s.db", model);
	bench_path(b, path, name);
	ck_assert_int_eq(projection_open_readonly(&db, path), 0);
	return db;
}

static int64_t ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value;

	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static int64_t ask_model(const struct bench *b, const char *model, const char *sql)
{
	sqlite3 *db = rows_of(b, model);
	int64_t value = ask(db, sql);

	projection_close_readonly(db);
	return value;
}

/* The rows that our read models have of the same: 500 webhooks are 62 meetings and one that two people have come to. */
static void check_rows(const struct bench *b)
{
	sqlite3 *db = rows_of(b, "meetings");

	ck_assert_int_eq(ask(db, "select count(*) from meetings"), 63);
	ck_assert_int_eq(ask(db, "select count(*) from meetings where participant_count = 2 and first_started_at is not null"), 63);
	ck_assert_int_eq(ask(db, "select count(*) from meetings where recording_rank = 3 and last_ended_at is not null"), 62);
	ck_assert_int_eq(ask(db, "select count(*) from meeting_people where joined"), 126);
	ck_assert_int_eq(ask(db, "select count(*) from recording_files"), 1);
	ck_assert_int_eq(ask(db, "select count(*) from meetings_search"), 63 + 126);
	ck_assert_int_eq(ask(db, "select count(distinct row) from meetings_search where meetings_search match '\"weekly\"'"), 63);
	ck_assert_int_eq(ask(db, "select position from place"), 500);
	projection_close_readonly(db);
	db = rows_of(b, "attendance");
	ck_assert_int_eq(ask(db, "select count(*) from meetings"), 63);
	ck_assert_int_eq(ask(db, "select count(*) from marks"), 62 * 4 + 2);
	ck_assert_int_eq(ask(db, "select count(*) from stays"), 126);
	ck_assert_int_eq(ask(db, "select count(*) from stays where left_at is null"), 2);
	ck_assert_int_eq(ask(db, "select count(*) from people"), 126);
	ck_assert_int_eq(ask(db, "select count(*) from meeting_ends"), 62);
	projection_close_readonly(db);
	ck_assert_int_eq(ask_model(b, "webhooks", "select count(distinct position) from inbox where position < 500"), 500);
	ck_assert_int_eq(ask_model(b, "platform_identities", "select count(*) from identities"), 64);
	ck_assert_int_eq(ask_model(b, "recordings", "select count(*) from recordings"), 1);
	ck_assert_int_eq(ask_model(b, "lark", "select count(*) from recordings"), 1);
}

/* Every request made is answered, and every webhook answered is a record; with rows, in the read models. */
START_TEST(ceiling_stores_what_it_acknowledges)
{
	static struct floor_rows_result rows;
	bool demanded = _i >= 1, with_rows = _i == 2;
	struct webhook_maker *m = NULL;
	struct ceiling *c = NULL;
	static struct load_result r;
	uint64_t records, commits;
	struct bench b;

	ck_assert_int_eq(bench_init(&b, "/var/tmp", 1), 0);
	ck_assert_int_eq(webhook_maker_create(&m, 1, &clock_system), 0);
	ck_assert_int_eq(ceiling_start(&c, &(struct ceiling_options){
	    .loops = 2, .keys = webhook_maker_keys(m), .dir = b.dir, .demanded = demanded, .rows = with_rows,
	    .clock = &clock_system}), 0);
	ck_assert_int_eq(load_run(&(struct load_options){.clock = &clock_system, .port = ceiling_port(c),
	    .connections = 8, .seconds = 60, .requests_max = 500, .make = make_webhook, .arg = m, .expect = 200}, &r), 0);
	ceiling_counts(c, &records, &commits);
	ck_assert_uint_eq(r.sent, 500);
	ck_assert_uint_eq(r.ok_all, 500);
	ck_assert_uint_eq(r.wrong + r.broken + r.refused, 0);
	ck_assert_uint_eq(records, 500);
	ck_assert_uint_le(commits, 500);
	ck_assert_uint_eq(r.latency.n, r.ok);
	if (with_rows) {
		ck_assert_int_eq(ceiling_finish_rows(c, &rows), 0);
		ck_assert_uint_le(rows.behind, 500);
		ck_assert_uint_gt(rows.delays.n, 0);
		ck_assert_ptr_nonnull(projection_find(rows.latest));
	}
	ceiling_stop(c);
	ceiling_stop(NULL);
	if (demanded)
		check_floor(&b);
	if (with_rows)
		check_rows(&b);
	webhook_maker_destroy(m);
	bench_finish(&b);
	ck_assert(!file_exists(b.dir[0] == '\0' ? "/nonexistent" : b.dir));
}
END_TEST

/* In many transactions, in one, from the last to the first: what is in them is the same in the end. */
START_TEST(rows_come_of_webhooks_in_any_order)
{
	static struct floor_rows_result result;
	struct floor_rows *r = NULL;
	struct bench b;

	ck_assert_int_eq(bench_init(&b, "/var/tmp", 1), 0);
	ck_assert_int_eq(floor_rows_open(&r, b.dir, &clock_system), 0);
	for (uint64_t i = 0; i < 500; i++) {
		floor_rows_tell(r, _i == 2 ? 499 - i : i);
		if (_i != 1)
			floor_rows_committed(r);
		if (_i != 1 && i % 50 == 3)
			thread_pause(25, NULL); /* longer than the pace: the meeting at hand is split */
	}
	floor_rows_committed(r);
	ck_assert_int_eq(floor_rows_finish(r, &result), 0);
	floor_rows_close(r);
	floor_rows_close(NULL);
	check_rows(&b);
	bench_finish(&b);
}
END_TEST

/* Files that cannot be made are no rows, and a table that is gone is no fast one. */
START_TEST(rows_that_cannot_be_made_are_told)
{
	static struct floor_rows_result result;
	struct floor_rows *r = NULL;
	char path[BENCH_PATH_MAX];
	sqlite3 *db = NULL;
	struct bench b;

	ck_assert_int_ne(floor_rows_open(&r, "/nonexistent", &clock_system), 0);
	ck_assert_ptr_null(r);
	ck_assert_int_eq(bench_init(&b, "/var/tmp", 1), 0);
	ck_assert_int_eq(floor_rows_open(&r, b.dir, &clock_system), 0);
	bench_path(&b, path, "webhooks.db");
	ck_assert_int_eq(projection_connect_writer(&db, path, NULL), 0);
	ck_assert_int_eq(sqlite3_exec(db, "drop table inbox", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	for (uint64_t i = 0; i < 16; i++)
		floor_rows_tell(r, i);
	floor_rows_committed(r);
	ck_assert_int_eq(floor_rows_finish(r, &result), ERR_IO);
	floor_rows_close(r);
	bench_finish(&b);
}
END_TEST

START_TEST(load_counts_what_is_wrong)
{
	struct ceiling *c = NULL;
	static struct load_result r;
	struct load_options o = {.clock = &clock_system, .connections = 4, .seconds = 60, .requests_max = 100,
	    .make = make_get, .expect = 201};

	ck_assert_int_eq(ceiling_start(&c, &(struct ceiling_options){.loops = 1, .body_len = 20000}), 0);
	o.port = ceiling_port(c);
	ck_assert_int_eq(load_run(&o, &r), 0);
	ck_assert_uint_eq(r.wrong, 100);
	ck_assert_int_eq(r.wrong_status, 200);
	ck_assert_uint_eq(r.ok_all, 0);
	/* An open loop sends what is due and no more. */
	o.expect = 200;
	o.rate = 1000;
	o.seconds = 0.2;
	o.requests_max = 0;
	ck_assert_int_eq(load_run(&o, &r), 0);
	ck_assert_uint_le(r.sent, 201);
	ck_assert_uint_ge(r.sent + r.backlog, 195);
	ck_assert_uint_eq(r.ok_all, r.sent);
	ceiling_stop(c);
	ck_assert_int_eq(load_run(&o, &r), ERR_NETWORK);
}
END_TEST

/* Its rates are worth something only when every record is there and every read finds one. */
START_TEST(raw_store_holds_what_it_measures)
{
	static struct bench b;
	struct raw_store s;
	struct bench_row *row;
	uint64_t written;
	int rc;

	ck_assert_int_eq(bench_init(&b, "/tmp", 1), 0);
	ck_assert_int_eq(raw_open(&s, &b, "raw", 700), 0);
	written = bench_bytes_written();
	row = raw_measure_append(&b, &s, "new", 32, 1000, &rc);
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(row->n, 1024); /* whole commits */
	ck_assert_uint_eq(s.n, 1024);
	ck_assert_uint_ge(bench_bytes_written() - written, row->n * 700);
	row = raw_measure_reads(&b, &s, "new", 5000, &rc);
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(row->n, 5000);
	/* Records that are not there, or are not what was written, are no reads. */
	s.n = 1000000;
	raw_measure_reads(&b, &s, "too many", 5000, &rc);
	ck_assert_int_eq(rc, ERR_IO);
	s.n = 1024;
	s.record[699] ^= 1;
	raw_measure_reads(&b, &s, "others", 5000, &rc);
	ck_assert_int_eq(rc, ERR_IO);
	raw_close(&s);
	bench_finish(&b);
}
END_TEST

START_TEST(what_is_drawn_is_below_its_bound)
{
	uint64_t *numbers = bench_draw(1000, 7);
	unsigned seen[7] = {0};

	ck_assert_ptr_nonnull(numbers);
	for (size_t i = 0; i < 1000; i++) {
		ck_assert_uint_lt(numbers[i], 7);
		seen[numbers[i]]++;
	}
	for (size_t i = 0; i < 7; i++)
		ck_assert_uint_gt(seen[i], 0);
	free(numbers);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bench");
	TCase *t = tcase_create("bench");

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_test(t, histogram_percentiles_are_close);
	tcase_add_test(t, histogram_small_values_are_exact);
	tcase_add_test(t, webhooks_are_genuine_and_unique);
	tcase_add_test(t, webhooks_tell_of_times_that_go_on);
	tcase_add_loop_test(t, ceiling_stores_what_it_acknowledges, 0, 3);
	tcase_add_loop_test(t, rows_come_of_webhooks_in_any_order, 0, 3);
	tcase_add_test(t, rows_that_cannot_be_made_are_told);
	tcase_add_test(t, load_counts_what_is_wrong);
	tcase_add_test(t, raw_store_holds_what_it_measures);
	tcase_add_test(t, what_is_drawn_is_below_its_bound);
	suite_add_tcase(s, t);
	return run_suite(s);
}
