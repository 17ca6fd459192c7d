/* The event log by its header: what an append checks, what a reader finds, what a restart keeps. */
#include "log_fixture.h"

static struct log_fixture f;

static void setup(void)
{
	log_fixture_init(&f);
	log_fixture_open(&f);
}

static void teardown(void)
{
	log_fixture_finish(&f);
}

static void reopen(void)
{
	log_fixture_close(&f);
	log_fixture_open(&f);
}

/* ---- conditions: given these events, when this is asked, then this answer --- */

struct question {
	const char *says;
	struct test_event given[4];
	struct test_event asked[4];
	int rc;
	uint64_t position; /* on success */
	uint64_t size;     /* afterwards */
	const char *taken;
	uint64_t version; /* ERR_CONFLICT */
};

static const struct question questions[] = {
    {"the first event is at 0", {{0}}, {{.stream = "a"}}, 0, 0, 1, NULL, 0},
    {"positions go on", {{.stream = "a"}}, {{.stream = "b"}, {.stream = "c"}}, 0, 1, 3, NULL, 0},
    {"expect none of a new stream", {{.stream = "a"}}, {{.stream = "b", .has_expect = true, .expect = EXPECT_NONE}},
	0, 1, 2, NULL, 0},
    {"expect the right version", {{.stream = "a"}, {.stream = "a"}},
	{{.stream = "a", .has_expect = true, .expect = 2}}, 0, 2, 3, NULL, 0},
    {"a wrong version is a conflict that names the right one", {{.stream = "a"}, {.stream = "a"}},
	{{.stream = "a", .has_expect = true, .expect = 1}}, ERR_CONFLICT, 0, 2, NULL, 2},
    {"earlier events of the batch count", {{.stream = "a"}},
	{{.stream = "a", .has_expect = true, .expect = 1}, {.stream = "a", .has_expect = true, .expect = 2}}, 0, 1,
	3, NULL, 0},
    {"one conflict refuses the whole batch", {{.stream = "a"}},
	{{.stream = "b"}, {.stream = "a", .has_expect = true, .expect = 0}, {.stream = "c"}}, ERR_CONFLICT, 0, 1,
	NULL, 1},
    {"a known once key is a success at the first position", {{.stream = "a", .once = "k"}, {.stream = "b"}},
	{{.stream = "a", .once = "k"}}, 0, 0, 2, NULL, 0},
    {"also when the stream has moved since", {{.stream = "a", .once = "k"}, {.stream = "a"}},
	{{.stream = "a", .once = "k", .has_expect = true, .expect = 0}}, 0, 0, 2, NULL, 0},
    {"twice in one batch is once", {{.stream = "x"}},
	{{.stream = "a", .once = "k"}, {.stream = "a", .once = "k"}}, 0, 1, 2, NULL, 0},
    {"known ones are left out, the others taken", {{.stream = "a", .once = "k"}},
	{{.stream = "a", .once = "k"}, {.stream = "a", .once = "l"}}, 0, 0, 2, NULL, 0},
    {"a free name is taken", {{.stream = "a"}}, {{.stream = "b", .claims = {"email:1"}}}, 0, 1, 2, NULL, 0},
    {"a held one is not", {{.stream = "a", .claims = {"email:1"}}},
	{{.stream = "b", .claims = {"phone:2", "email:1"}}}, ERR_TAKEN, 0, 1, "email:1", 0},
    {"and refuses the whole batch", {{.stream = "a", .claims = {"email:1"}}},
	{{.stream = "b", .claims = {"phone:2"}}, {.stream = "c", .claims = {"email:1"}}}, ERR_TAKEN, 0, 1,
	"email:1", 0},
    {"a name given back is free", {{.stream = "a", .claims = {"email:1"}}, {.stream = "a", .releases = {"email:1"}}},
	{{.stream = "b", .claims = {"email:1"}}}, 0, 2, 3, NULL, 0},
    {"also within a batch", {{.stream = "a", .claims = {"email:1"}}},
	{{.stream = "a", .releases = {"email:1"}}, {.stream = "b", .claims = {"email:1"}}}, 0, 1, 3, NULL, 0},
    {"also within an event", {{.stream = "a", .claims = {"email:1"}}},
	{{.stream = "b", .releases = {"email:1"}, .claims = {"email:1"}}}, 0, 1, 2, NULL, 0},
    {"twice in a batch is taken", {{.stream = "x"}},
	{{.stream = "a", .claims = {"email:1"}}, {.stream = "b", .claims = {"email:1"}}}, ERR_TAKEN, 0, 1,
	"email:1", 0},
    {"giving back what nobody holds changes nothing", {{.stream = "a"}},
	{{.stream = "a", .releases = {"email:1"}}}, 0, 1, 2, NULL, 0},
};
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static size_t count(const struct test_event events[4])
{
	size_t n = 0;

	while (n < 4 && events[n].stream != NULL)
		n++;
	return n;
}

static void ask(const struct question *q)
{
	struct append answer = {0};
	uint64_t version;

	ck_assert_msg(append_events(f.log, q->asked, count(q->asked), &answer) == q->rc, "%s: %s", q->says,
	    err_name(answer.rc));
	ck_assert_msg(eventlog_size(f.log) == q->size, "%s: size %llu", q->says,
	    (unsigned long long)eventlog_size(f.log));
	if (q->rc == 0)
		ck_assert_msg(answer.position == q->position, "%s", q->says);
	if (q->taken != NULL)
		ck_assert_msg(slice_is(answer.claim_taken, q->taken), "%s", q->says);
	if (q->rc == ERR_CONFLICT)
		ck_assert_msg(answer.stream_version == q->version, "%s", q->says);
	/* What was refused left nothing behind. */
	if (q->rc != 0) {
		ck_assert_int_eq(eventlog_stream_version(f.log, SLICE("c"), &version), 0);
		ck_assert_uint_eq(version, 0);
		ck_assert_int_eq(eventlog_find_claim(f.log, SLICE("phone:2"), &version), ERR_NOT_FOUND);
	}
}

/* The same from the tail in memory, and from the index on disk after a restart. */
START_TEST(conditions_in_the_tail)
{
	for (size_t i = 0; i < count(questions[_i].given); i++)
		ck_assert_int_eq(append_one(f.log, &questions[_i].given[i]), 0);
	ask(&questions[_i]);
}
END_TEST

START_TEST(conditions_in_the_index)
{
	for (size_t i = 0; i < count(questions[_i].given); i++)
		ck_assert_int_eq(append_one(f.log, &questions[_i].given[i]), 0);
	reopen();
	ask(&questions[_i]);
}
END_TEST

START_TEST(positions_of_a_batch)
{
	uint64_t positions[3];
	struct append answer = {.positions = positions};
	const struct test_event known = {.stream = "a", .once = "k"};
	const struct test_event batch[3] = {{.stream = "a", .once = "j"}, known, {.stream = "a"}};

	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "z"}), 0);
	ck_assert_int_eq(append_one(f.log, &known), 0);
	ck_assert_int_eq(append_events(f.log, batch, 3, &answer), 0);
	ck_assert_uint_eq(positions[0], 2);
	ck_assert_uint_eq(positions[1], 1);
	ck_assert_uint_eq(positions[2], 3);
	ck_assert_uint_eq(answer.n_appended, 2);
	ck_assert(!answer.duplicate);
	ck_assert_int_eq(append_events(f.log, &known, 1, &answer), 0);
	ck_assert(answer.duplicate);
	ck_assert_uint_eq(answer.n_appended, 0);
}
END_TEST

/* ---- drafts that are not what they say ------------------------------------- */

static const struct {
	const char *says;
	int what, rc;
} lies[] = {
    {"an entry cut short", 0, ERR_INVALID},
    {"another stream than the subject", 1, ERR_INVALID},
    {"a once key the entry does not carry", 2, ERR_INVALID},
    {"another once key", 3, ERR_INVALID},
    {"a claim the entry does not carry", 4, ERR_INVALID},
    {"a claim only the entry carries", 5, ERR_INVALID},
    {"a subject the entry does not carry", 6, ERR_INVALID},
    {"sequence somewhere else", 7, ERR_INVALID},
    {"time somewhere else", 8, ERR_INVALID},
    {"no type", 9, ERR_INVALID},
    {"a blob the entry does not name", 10, ERR_INVALID},
    {"a stream name too long", 11, ERR_INVALID},
    {"an entry too long", 12, ERR_TOO_BIG},
    {"expecting less than nothing", 13, ERR_INVALID},
    {"bytes after the object", 14, ERR_INVALID},
};

START_TEST(lies_are_refused)
{
	const struct test_event e = {.stream = "a", .once = "k", .claims = {"n:1"}, .subjects = {"x"}, .blob = "raw"};
	struct arena arena = ARENA_INIT(1 << 20);
	struct subject_ref subjects[2];
	struct slice other[2] = {SLICE_INIT("n:1"), SLICE_INIT("n:2")};
	struct event_draft d;
	struct append a = {.events = &d, .n_events = 1};
	static char long_name[STREAM_LEN_MAX + 1];

	draft_make(&d, &arena, &e);
	switch (lies[_i].what) {
	case 0: d.entry_len--; break;
	case 1: d.stream = SLICE("b"); break;
	case 2: d.has_once = false; break;
	case 3: d.once[0] ^= 1; break;
	case 4: d.claims = other; d.n_claims = 2; break;
	case 5: d.n_claims = 0; break;
	case 6:
		subject_of(&subjects[0], "x");
		subject_of(&subjects[1], "y");
		d.subjects = subjects;
		d.n_subjects = 2;
		break;
	case 7: d.sequence_at++; break;
	case 8: d.time_at--; break;
	case 9: d.type = 0; break;
	case 10: ((struct blob_draft *)(uintptr_t)d.blobs)->sha256[5] ^= 1; break;
	case 11:
		memset(long_name, 'x', sizeof(long_name));
		d.stream = slice_of(long_name, sizeof(long_name));
		break;
	case 12: d.entry_len = ENTRY_LEN_MAX + 1; break;
	case 13: d.expect = -2; break;
	case 14: d.entry[d.entry_len++] = ' '; break; /* arena copies are followed by a byte of their own */
	}
	ck_assert_msg(eventlog_append_wait(f.log, &a) == lies[_i].rc, "%s: %s", lies[_i].says, err_name(a.rc));
	ck_assert_uint_eq(eventlog_size(f.log), 0);
	arena_finish(&arena);
}
END_TEST

START_TEST(limits_of_an_append)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct event_draft d;
	struct append a = {.events = &d, .n_events = 0};

	draft_make(&d, &arena, &(struct test_event){.stream = "a"});
	ck_assert_int_eq(eventlog_append_wait(f.log, &a), ERR_INVALID);
	a.n_events = APPEND_EVENTS_MAX + 1;
	ck_assert_int_eq(eventlog_append_wait(f.log, &a), ERR_TOO_BIG);
	arena_finish(&arena);
}
END_TEST

/* ---- reading ------------------------------------------------------------------ */

START_TEST(what_was_appended_is_read)
{
	const struct test_event e = {.stream = "meeting/1", .once = "k", .filler = "\xe4\xbc\x9a\xe8\xae\xae"};
	struct arena arena = ARENA_INIT(1 << 20);
	struct envelope envelope;
	struct log_record r;
	struct log_read read;

	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "x"}), 0);
	clock_manual_advance(&f.clock, 1234567);
	ck_assert_int_eq(append_one(f.log, &e), 0);
	reopen();
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_read_one(&read, 1, &r), 0);
	ck_assert_uint_eq(r.position, 1);
	ck_assert_uint_eq(r.type, TEST_EVENT);
	ck_assert_uint_eq(r.stream_version, 1);
	ck_assert_uint_eq(r.stream, 1);
	ck_assert_int_eq(r.time_us, FIXTURE_TIME_US + 1234567);
	ck_assert_int_eq(envelope_decode(r.entry, 1, &arena, &envelope), 0);
	ck_assert_int_eq(envelope.time_us, r.time_us);
	ck_assert_uint_eq(envelope.sequence, 1);
	ck_assert(slice_is(envelope.subject, "meeting/1"));
	ck_assert_int_eq(eventlog_read_one(&read, 2, &r), ERR_NOT_FOUND);
	log_read_stop(&read);
	arena_finish(&arena);
}
END_TEST

START_TEST(time_never_goes_backwards)
{
	struct log_read read;
	struct log_record r;

	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	clock_manual_set_wall(&f.clock, FIXTURE_TIME_US - 5000000);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	reopen();
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	for (uint64_t i = 0; i < 3; i++) {
		ck_assert_int_eq(eventlog_read_one(&read, i, &r), 0);
		ck_assert_int_eq(r.time_us, FIXTURE_TIME_US);
	}
	log_read_stop(&read);
}
END_TEST

START_TEST(blobs_come_back)
{
	struct log_read read;
	struct slice bytes;

	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a", .blob = "sealed bytes"}), 0);
	reopen();
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_blob(&read, 1, 0, &bytes), 0);
	ck_assert(slice_is(bytes, "sealed bytes"));
	ck_assert_int_eq(eventlog_blob(&read, 1, 1, &bytes), ERR_NOT_FOUND);
	ck_assert_int_eq(eventlog_blob(&read, 0, 0, &bytes), ERR_NOT_FOUND);
	log_read_stop(&read);
}
END_TEST

/* Positions a cursor gives, as text: "0 2 5". The log counts as many. */
static const char *walk(uint64_t from, const char *stream, uint16_t type)
{
	static char text[256];
	struct log_filter filter = {.type = type, .stream = slice_str(stream)};
	struct eventlog_cursor c;
	struct log_record r;
	uint64_t n = 0, counted;
	size_t len = 0;
	int rc;

	text[0] = '\0';
	eventlog_cursor_init(&c, f.log, from, &filter);
	for (; (rc = eventlog_cursor_next(&c, &r)) == 0; n++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu", len == 0 ? "" : " ",
		    (unsigned long long)r.position);
	ck_assert_int_eq(rc, ERR_END);
	eventlog_cursor_finish(&c);
	ck_assert_int_eq(eventlog_count(f.log, &filter, from, &counted), 0);
	ck_assert_uint_eq(counted, n);
	return text;
}

static void check_walks(void)
{
	ck_assert_str_eq(walk(0, NULL, 0), "0 1 2 3 4 5");
	ck_assert_str_eq(walk(4, NULL, 0), "4 5");
	ck_assert_str_eq(walk(6, NULL, 0), "");
	ck_assert_str_eq(walk(0, "a", 0), "0 2 5");
	ck_assert_str_eq(walk(1, "a", 0), "2 5");
	ck_assert_str_eq(walk(2, "a", 0), "2 5");
	ck_assert_str_eq(walk(0, "b", 0), "1 3 4");
	ck_assert_str_eq(walk(0, "c", 0), "");
	ck_assert_str_eq(walk(0, NULL, TEST_EVENT), "0 1 2 3 4 5");
	ck_assert_str_eq(walk(3, NULL, TEST_EVENT), "3 4 5");
	ck_assert_str_eq(walk(0, NULL, TEST_EVENT + 1), "");
	ck_assert_str_eq(walk(0, "b", TEST_EVENT), "1 3 4");
	ck_assert_str_eq(walk(0, "b", TEST_EVENT + 1), "");
}

START_TEST(filters_in_tail_and_index)
{
	const char *const order[] = {"a", "b", "a", "b", "b", "a"};

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = order[i]}), 0);
	if (_i == 1)
		reopen(); /* half in the index, half in the tail */
	for (int i = 3; i < 6; i++)
		ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = order[i]}), 0);
	if (_i == 2)
		reopen();
	check_walks();
}
END_TEST

START_TEST(a_cursor_goes_on_after_the_end)
{
	struct log_filter filter = {.stream = SLICE_INIT("new")};
	struct eventlog_cursor c;
	struct log_record r;

	eventlog_cursor_init(&c, f.log, 0, &filter);
	ck_assert_int_eq(eventlog_cursor_next(&c, &r), ERR_END);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "other"}), 0);
	ck_assert_int_eq(eventlog_cursor_next(&c, &r), ERR_END);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "new"}), 0);
	ck_assert_int_eq(eventlog_cursor_next(&c, &r), 0);
	ck_assert_uint_eq(r.position, 1);
	ck_assert_int_eq(eventlog_cursor_next(&c, &r), ERR_END);
	eventlog_cursor_finish(&c);
}
END_TEST

START_TEST(subjects_are_found_newest_first)
{
	struct subject_ref s, t;
	struct id id;

	subject_of(&s, "person");
	subject_of(&t, "nobody");
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a", .subjects = {"person", "other"}}), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(eventlog_find_subject(f.log, s.ref, &id), 0);
		ck_assert_mem_eq(&id, &s.id, sizeof(id));
		ck_assert_int_eq(eventlog_find_subject(f.log, t.ref, &id), ERR_NOT_FOUND);
		reopen();
	}
}
END_TEST

/* ---- the tree and the notes ------------------------------------------------- */

START_TEST(the_tree_is_over_the_entries)
{
	struct merkle_edge edge = {0};
	struct merkle_hash leaf, root, expected;
	struct tile_reader tiles;
	struct eventlog_cursor c;
	struct log_record r;
	uint64_t size;

	for (int i = 0; i < 300; i += 3)
		ck_assert_int_eq(append_events(f.log, (struct test_event[]){{.stream = "a"}, {.stream = "b"},
		    {.stream = "c"}}, 3, NULL), 0);
	for (int round = 0; round < 2; round++) {
		edge = (struct merkle_edge){0};
		eventlog_cursor_init(&c, f.log, 0, NULL);
		while (eventlog_cursor_next(&c, &r) == 0) {
			merkle_leaf(&leaf, r.entry);
			merkle_edge_add(&edge, &leaf, NULL);
		}
		eventlog_cursor_finish(&c);
		merkle_edge_root(&expected, &edge);
		eventlog_root(f.log, &size, &root);
		ck_assert_uint_eq(size, 300u + (unsigned)round);
		ck_assert(merkle_hash_eq(&root, &expected));
		tiles = eventlog_tiles(f.log);
		ck_assert_int_eq(merkle_root(&root, size, &tiles), 0);
		ck_assert(merkle_hash_eq(&root, &expected));
		reopen();
		ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "d"}), 0);
	}
}
END_TEST

START_TEST(notes_are_kept_by_size)
{
	struct buf note = BUF_INIT(1000);
	uint64_t size = 99;

	ck_assert_int_eq(eventlog_last_note(f.log, &size, &note), ERR_NOT_FOUND);
	ck_assert_int_eq(eventlog_put_note(f.log, 5, SLICE("five")), 0);
	ck_assert_int_eq(eventlog_put_note(f.log, 300, SLICE("three hundred")), 0);
	ck_assert_int_eq(eventlog_put_note(f.log, 5, SLICE("five, twice signed")), 0);
	ck_assert_int_eq(eventlog_put_note(f.log, 6, SLICE("")), ERR_INVALID);
	ck_assert_int_eq(eventlog_next_note(f.log, 0, &size, &note), 0);
	ck_assert_uint_eq(size, 5);
	ck_assert(slice_is(buf_slice(&note), "five, twice signed"));
	buf_clear(&note);
	ck_assert_int_eq(eventlog_next_note(f.log, 6, &size, &note), 0);
	ck_assert_uint_eq(size, 300);
	ck_assert_int_eq(eventlog_next_note(f.log, 301, &size, &note), ERR_NOT_FOUND);
	buf_clear(&note);
	ck_assert_int_eq(eventlog_last_note(f.log, &size, &note), 0);
	ck_assert_uint_eq(size, 300);
	buf_finish(&note);
}
END_TEST

/* ---- what it says of itself ------------------------------------------------ */

START_TEST(the_default_map_is_reserved)
{
	struct eventlog_stats stats;

	log_fixture_close(&f);
	f.options.map_bytes = 0;
	log_fixture_open(&f);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	eventlog_stats(f.log, &stats);
	ck_assert_uint_ge(stats.map_bytes, (uint64_t)16 << 30); /* 1 TiB, but for the thread sanitizer */
	ck_assert_uint_le(stats.map_bytes, (uint64_t)1 << 40);
}
END_TEST

START_TEST(figures_add_up)
{
	const struct test_event batch[3] = {{.stream = "a", .once = "k"}, {.stream = "a"}, {.stream = "a"}};
	struct eventlog_stats s;
	uint64_t counted = 0;

	ck_assert_int_eq(append_events(f.log, batch, 3, NULL), 0);
	ck_assert_int_eq(append_events(f.log, batch, 1, NULL), 0);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a", .has_expect = true, .expect = 9}),
	    ERR_CONFLICT);
	eventlog_stats(f.log, &s);
	ck_assert_uint_eq(s.size, 3);
	ck_assert_uint_eq(s.appended, 3);
	ck_assert_uint_eq(s.commits, 1); /* a duplicate and a refusal need none */
	ck_assert_uint_eq(s.duplicates, 1);
	ck_assert_uint_eq(s.conflicts, 1);
	ck_assert_uint_eq(s.commit_events.n, 1);
	ck_assert_uint_eq(s.commit_events.sum, 3);
	for (int i = 0; i < LOG_BUCKETS; i++)
		counted += s.commit_events.counts[i];
	ck_assert_uint_eq(counted, 1);
	ck_assert_uint_eq(s.commit_events.counts[2], 1); /* <= 4 */
	ck_assert_int_eq(s.last_time_us, FIXTURE_TIME_US);
	ck_assert_uint_eq(s.queue_appends, 0);
	ck_assert(!s.read_only);
}
END_TEST

/* What the index lacks is in memory: there is an end to it. */
START_TEST(an_index_too_far_behind_is_busy)
{
	const struct test_event e = {.stream = "a"};
	int rc = 0, n = 0;

	log_fixture_close(&f);
	f.options.index_batch = 1000000;
	f.options.index_delay_ms = 3600000;
	f.options.index_lag_max = 10;
	log_fixture_open(&f);
	while (rc == 0 && n < 100) {
		rc = append_one(f.log, &e);
		n++;
	}
	ck_assert_int_eq(rc, ERR_BUSY);
	ck_assert_int_eq(n, 12);
	reopen(); /* closing brought the index forward */
	ck_assert_int_eq(append_one(f.log, &e), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("eventlog");
	TCase *t = tcase_create("log");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, conditions_in_the_tail, 0, QUESTIONS);
	tcase_add_loop_test(t, conditions_in_the_index, 0, QUESTIONS);
	tcase_add_test(t, positions_of_a_batch);
	tcase_add_loop_test(t, lies_are_refused, 0, sizeof(lies) / sizeof(lies[0]));
	tcase_add_test(t, limits_of_an_append);
	tcase_add_test(t, what_was_appended_is_read);
	tcase_add_test(t, time_never_goes_backwards);
	tcase_add_test(t, blobs_come_back);
	tcase_add_loop_test(t, filters_in_tail_and_index, 0, 3);
	tcase_add_test(t, a_cursor_goes_on_after_the_end);
	tcase_add_test(t, subjects_are_found_newest_first);
	tcase_add_test(t, the_tree_is_over_the_entries);
	tcase_add_test(t, notes_are_kept_by_size);
	tcase_add_test(t, the_default_map_is_reserved);
	tcase_add_test(t, figures_add_up);
	tcase_add_test(t, an_index_too_far_behind_is_busy);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
