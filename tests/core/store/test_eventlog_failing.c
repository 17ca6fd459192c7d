/*
 * The event log while every call it makes fails once (lib/failing.h): nothing acknowledged is lost, what succeeds
 * says what it says on a good day, and the next open finds a whole log.
 */
#include "core/store/log_fixture.h"
#include "lib/failing.h"
#include "lib/run.h"
#include "store/checkpoint.h"
#include "base/log.h"

#define N_OLD 6u
#define N_NEW 4u

static const struct test_event events[N_OLD + N_NEW] = {
	{.stream = "a", .once = "0", .claims = {"n:0"}},
	{.stream = "b", .once = "1", .subjects = {"someone"}},
	{.stream = "a", .once = "2", .blob = "bytes of a blob"},
	{.stream = "c", .once = "3", .claims = {"n:3"}, .releases = {"n:0"}},
	{.stream = "a", .once = "4"},
	{.stream = "b", .once = "5"},
	{.stream = "d", .once = "6", .claims = {"n:6"}, .subjects = {"another"}},
	{.stream = "a", .once = "7", .blob = "bytes of another blob"},
	{.stream = "b", .once = "8", .has_expect = true, .expect = 2},
	{.stream = "d", .once = "9", .releases = {"n:6"}},
};

static struct log_fixture f;
static struct arena arena;
static struct event_draft drafts[COUNT(events)];
static unsigned n_acknowledged; /* the first so many of the events */
static struct buf outcome, good_outcome; /* what act() saw; and what it saw when nothing failed */
static unsigned index_delay_ms;

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static int append_nth(struct eventlog *log, unsigned n)
{
	struct append append = {.events = &drafts[n], .n_events = 1};
	int rc = eventlog_append_wait(log, &append);

	if (rc == 0)
		n_acknowledged = n + 1;
	return rc;
}

static int sign(struct eventlog *log)
{
	struct buf note = BUF_INIT(4000);
	struct merkle_hash root;
	uint64_t size;
	int rc;

	eventlog_root(log, &size, &root);
	failing_pause();
	checkpoint_make(&note, size, &root);
	failing_go_on();
	rc = eventlog_put_note(log, size, buf_slice(&note));
	buf_finish(&note);
	return rc;
}

static int see(const char *what, uint64_t n)
{
	int rc;

	failing_pause();
	rc = buf_printf(&outcome, "%s %llu\n", what, (unsigned long long)n);
	failing_go_on();
	return rc;
}

static void fresh(void)
{
	static const char *const parts[] = {"log", "index", "copy"};
	char path[96];

	for (unsigned i = 0; i < COUNT(parts); i++) {
		snprintf(path, sizeof(path), "%s/%s", f.dir, parts[i]);
		ck_assert_int_eq(tree_remove(path), 0);
	}
	snprintf(path, sizeof(path), "%s/copy", f.dir);
	ck_assert_int_eq(dir_create(path, 0700), 0);
	buf_clear(&f.problem);
	buf_clear(&outcome);
	n_acknowledged = 0;
	f.options.index_delay_ms = index_delay_ms;
}

static void with_old_events(void)
{
	fresh();
	log_fixture_open(&f);
	for (unsigned i = 0; i < N_OLD; i++)
		ck_assert_int_eq(append_nth(f.log, i), 0);
	sign(f.log);
	log_fixture_close(&f);
}

/* Entries without an index. */
static void without_index(void)
{
	char path[96];

	with_old_events();
	snprintf(path, sizeof(path), "%s/index", f.dir);
	ck_assert_int_eq(tree_remove(path), 0);
}

static int open_and_append(void)
{
	struct eventlog *log = NULL;
	int rc = eventlog_open(&log, &f.options);

	for (unsigned i = n_acknowledged; rc == 0 && i < COUNT(events); i++)
		rc = append_nth(log, i);
	if (rc == 0)
		rc = sign(log);
	eventlog_close(log);
	return rc;
}

static int walk_cursor(struct eventlog *log, const char *what, uint64_t from, const struct log_filter *filter)
{
	struct eventlog_cursor c;
	struct log_record r;
	uint64_t n = 0;
	int rc;

	eventlog_cursor_init(&c, log, from, filter);
	while ((rc = eventlog_cursor_next(&c, &r)) == 0) {
		n += r.position + 1;
		eventlog_cursor_pause(&c);
	}
	eventlog_cursor_finish(&c);
	return rc == ERR_END ? see(what, n) : rc;
}

static int count(struct eventlog *log, const char *what, uint64_t from, const struct log_filter *filter)
{
	uint64_t n;
	int rc = eventlog_count(log, filter, from, &n);

	return rc == 0 ? see(what, n) : rc;
}

static int walk_all(struct eventlog *log)
{
	static const struct log_filter filters[] = {
		{0}, {.stream = SLICE_INIT("a")}, {.type = TEST_EVENT}, {.stream = SLICE_INIT("b"), .type = TEST_EVENT},
		{.stream = SLICE_INIT("nobody")}, {.type = TEST_EVENT + 1},
	};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < COUNT(filters); i++) {
		rc = walk_cursor(log, "walked", 0, &filters[i]);
		if (rc == 0)
			rc = walk_cursor(log, "walked on", 3, &filters[i]);
		if (rc == 0)
			rc = count(log, "counted", 0, &filters[i]);
		if (rc == 0)
			rc = count(log, "counted on", 3, &filters[i]);
	}
	return rc;
}

static int look_up(struct eventlog *log)
{
	struct subject_ref subject;
	uint64_t at;
	struct id id;
	int rc = eventlog_find_once(log, drafts[2].once, &at);

	if (rc == 0)
		rc = see("once", at);
	if (rc == 0)
		rc = eventlog_find_claim(log, SLICE("n:3"), &at);
	if (rc == 0)
		rc = see("claim", at);
	if (rc == 0 && (rc = eventlog_find_claim(log, SLICE("n:0"), &at)) == ERR_NOT_FOUND)
		rc = see("released", 1);
	if (rc == 0 && (rc = eventlog_find_once(log, (const uint8_t[ONCE_KEY_LEN]){9}, &at)) == ERR_NOT_FOUND)
		rc = see("unknown", 1);
	if (rc == 0)
		rc = eventlog_stream_version(log, SLICE("a"), &at);
	if (rc == 0)
		rc = see("version", at);
	subject_of(&subject, "someone");
	if (rc == 0)
		rc = eventlog_find_subject(log, subject.ref, &id);
	if (rc == 0)
		rc = see("subject", memcmp(&id, &subject.id, sizeof(id)) == 0);
	return rc;
}

static int read_ones(struct eventlog *log)
{
	struct log_read read = {0};
	struct log_record r;
	struct slice blob;
	int rc = log_read_start(&read, log);

	if (rc == 0)
		rc = eventlog_read_one(&read, 2, &r);
	if (rc == 0)
		rc = see("version of one", r.stream_version);
	if (rc == 0)
		rc = eventlog_blob(&read, 2, 0, &blob);
	if (rc == 0)
		rc = see("blob", blob.len);
	if (rc == 0 && (rc = eventlog_blob(&read, 2, 1, &blob)) == ERR_NOT_FOUND)
		rc = see("no blob", 1);
	log_read_stop(&read);
	return rc;
}

static int read_notes(struct eventlog *log)
{
	struct buf text = BUF_INIT(1000);
	uint64_t size;
	int rc = eventlog_next_note(log, 0, &size, &text);

	if (rc == 0)
		rc = see("note", size);
	if (rc == 0 && (rc = eventlog_next_note(log, size + 1, &size, &text)) == ERR_NOT_FOUND)
		rc = see("no more notes", 1);
	if (rc == 0)
		rc = eventlog_last_note(log, &size, &text);
	if (rc == 0)
		rc = see("last note", size);
	buf_finish(&text);
	return rc;
}

static int read_tree(struct eventlog *log)
{
	struct tile_reader tiles = eventlog_tiles(log);
	struct merkle_proof proof;
	struct merkle_hash root, now;
	uint64_t size;
	int rc;

	eventlog_root(log, &size, &now);
	rc = merkle_root(&root, size, &tiles);
	if (rc == 0)
		rc = see("root", memcmp(&root, &now, sizeof(root)) == 0);
	if (rc == 0)
		rc = merkle_inclusion_make(&proof, 2, size, &tiles);
	return rc == 0 ? see("proof", proof.n) : rc;
}

static int read_everything(struct eventlog *log)
{
	int rc = walk_all(log);

	if (rc == 0)
		rc = look_up(log);
	if (rc == 0)
		rc = read_ones(log);
	if (rc == 0)
		rc = read_notes(log);
	return rc == 0 ? read_tree(log) : rc;
}

static int open_and_read(void)
{
	struct eventlog_stats stats;
	struct eventlog *log = NULL;
	char copy[96];
	int rc = eventlog_open(&log, &f.options);

	snprintf(copy, sizeof(copy), "%s/copy", f.dir);
	if (rc == 0)
		rc = read_everything(log);
	if (rc == 0)
		rc = eventlog_copy(log, copy);
	if (rc == 0)
		eventlog_stats(log, &stats);
	eventlog_close(log);
	return rc;
}

static int open_readonly_and_read(void)
{
	struct eventlog *log = NULL;
	int rc = eventlog_open_readonly(&log, &f.options);

	if (rc == 0)
		rc = read_everything(log);
	eventlog_close(log);
	return rc;
}

static int make_index_again(void)
{
	struct reindex_report report;
	int rc = eventlog_reindex(&f.options, &report, NULL, NULL);

	return rc == 0 ? see("keys", report.once + report.claims + report.streams + report.types + report.subjects) : rc;
}

/* Whatever happened, the next open finds what was acknowledged, looks it up, and takes the rest. */
static void still_whole(int rc, const char *what)
{
	uint64_t at;

	if (what == NULL) {
		ck_assert_msg(rc == 0, "%s: %s", err_name(rc), f.problem.ptr == NULL ? "" : f.problem.ptr);
		buf_clear(&good_outcome);
		buf_append(&good_outcome, buf_slice(&outcome));
	} else if (rc == 0) {
		ck_assert_msg(slice_eq(buf_slice(&outcome), buf_slice(&good_outcome)), "after %s failed it gave\n%s\nnot\n%s",
		    what, outcome.ptr, good_outcome.ptr);
	}
	buf_clear(&f.problem);
	log_fixture_open(&f);
	ck_assert_uint_ge(eventlog_size(f.log), n_acknowledged);
	for (unsigned i = 0; i < n_acknowledged; i++) {
		ck_assert_msg(eventlog_find_once(f.log, drafts[i].once, &at) == 0, "event %u is lost after %s failed", i, what);
		ck_assert_uint_eq(at, i);
	}
	for (unsigned i = 0; i < COUNT(events); i++) /* those there already are known again */
		ck_assert_int_eq(append_nth(f.log, i), 0);
	ck_assert_uint_eq(eventlog_size(f.log), COUNT(events));
	log_fixture_close(&f);
}

static const struct {
	const char *says;
	void (*before)(void);
	int (*act)(void);
	unsigned n_min; /* so many calls at least: that is far fewer than there are, for threads come in another order each time */
} walks[] = {
	{"a new log takes events", fresh, open_and_append, 33},
	{"a log that is there takes more", with_old_events, open_and_append, 33},
	{"a log that is there is read", with_old_events, open_and_read, 50},
	{"a log whose index was lost is read", without_index, open_and_read, 50},
	{"a tool reads a log", with_old_events, open_readonly_and_read, 26},
	{"a tool reads a log without index", without_index, open_readonly_and_read, 26},
	{"an index is made again", with_old_events, make_index_again, 26},
	{"a lost index is made again", without_index, make_index_again, 26},
};

static void setup(void)
{
	log_set_sink(quiet, NULL);
	log_fixture_init(&f);
	arena = (struct arena)ARENA_INIT(4u << 20);
	outcome = good_outcome = (struct buf)BUF_INIT(1u << 16);
	for (unsigned i = 0; i < COUNT(events); i++)
		draft_make(&drafts[i], &arena, &events[i]);
}

static void teardown(void)
{
	arena_finish(&arena);
	buf_finish(&outcome);
	buf_finish(&good_outcome);
	log_fixture_finish(&f);
	log_set_sink(NULL, NULL);
}

START_TEST(every_call_fails_once)
{
	struct failing_walk walk = {.kinds = FAILING_ALL, .before = walks[_i].before, .act = walks[_i].act,
	    .after = still_whole};
	unsigned n;

	n = failing_walk(&walk);
	ck_assert_msg(n >= walks[_i].n_min, "%s: only %u calls failed", walks[_i].says, n);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("eventlog_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, every_call_fails_once, 0, COUNT(walks));
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
