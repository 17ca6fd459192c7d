/*
 * The states of an effect: random events, legal and not, against a small model
 * of integrity.md 15. What the model says is what the rows say.
 */
#include "lib/run.h"
#include "projection_fixture.h"
#include "domain/effect_id.h"
#include "store/effect_replay.h"

#define EFFECTS 6
#define KEYS 2
#define STEPS 1500

enum state { WANTED, TRYING, WAITING, DONE, FAILED, UNKNOWN, DEAD, CANCELLED };
static const char *const names[] = {"WANTED", "TRYING", "WAITING", "DONE", "FAILED", "UNKNOWN", "DEAD", "CANCELLED"};

struct model {
	char id[EFFECT_ID_LEN + 1];
	enum state state;
	bool repeat; /* of UNKNOWN */
	int attempt, tries, key;
	unsigned turn;
};

static struct projection_fixture f;
static struct model effects[EFFECTS];
static unsigned turns;

static bool is_open(const struct model *m)
{
	return m->state == WANTED || m->state == TRYING || m->state == WAITING || (m->state == UNKNOWN && m->repeat);
}

static bool is_head(const struct model *m)
{
	if (!is_open(m))
		return false;
	for (int i = 0; i < EFFECTS; i++)
		if (effects[i].key == m->key && is_open(&effects[i]) && effects[i].turn < m->turn)
			return false;
	return true;
}

/* ---- events, and what they mean --------------------------------------------------- */

enum kind { ATTEMPTED, TOLD_DONE, TOLD_FAILED, TOLD_WAITING, TOLD_UNKNOWN, TOLD_DEAD, REDRIVEN, TOLD_CANCELLED, CLOSED, KINDS };
static const char *const types[] = {"effect.attempted", "effect.done", "effect.failed", "effect.waiting", "effect.unknown",
    "effect.dead", "effect.redriven", "effect.cancelled", "effect.closed"};

static void apply(struct model *m, enum kind kind, int attempt, bool repeat)
{
	bool current = m->state == TRYING && attempt == m->attempt;

	switch (kind) {
	case ATTEMPTED:
		if (is_open(m) && m->state != TRYING && attempt == m->attempt + 1) {
			m->state = TRYING;
			m->attempt++;
			m->tries++;
		}
		break;
	case TOLD_DONE:
		m->state = current ? DONE : m->state;
		break;
	case TOLD_FAILED:
		m->state = current ? FAILED : m->state;
		break;
	case TOLD_WAITING:
		m->state = current ? WAITING : m->state;
		m->tries -= current && !repeat; /* then it was not tried */
		break;
	case TOLD_UNKNOWN:
		m->state = current ? UNKNOWN : m->state;
		m->repeat = current ? repeat : m->repeat;
		break;
	case TOLD_DEAD:
		if ((m->state == WANTED || m->state == WAITING || m->state == UNKNOWN) && attempt == m->attempt)
			m->state = DEAD;
		break;
	case REDRIVEN:
		if (m->state == DEAD) {
			m->state = WANTED;
			m->tries = 0;
			m->turn = ++turns;
		}
		break;
	case TOLD_CANCELLED:
		if (m->state == WANTED || m->state == WAITING)
			m->state = CANCELLED;
		break;
	case CLOSED:
	case KINDS:
		break;
	}
}

static void tell(const struct model *m, enum kind kind, int attempt, bool repeat)
{
	static const char *const more[] = {"", "", ",\"class\":\"c\"", ",\"class\":\"c\",\"retry_at_ms\":1",
	    ",\"class\":\"c\",\"retry_at_ms\":1", ",\"reason\":\"TRIES\"", ",\"ready_at_ms\":1", ",\"reason\":\"PERSON\"",
	    ",\"reason\":\"r\""};
	char data[512];

	snprintf(data, sizeof(data), "{\"effect_id\":\"%s\",\"effect\":\"mail.code\",\"lane\":\"mail\",\"attempt\":%d%s%s}", m->id,
	    attempt, more[kind], kind == TOLD_UNKNOWN ? repeat ? ",\"repeat\":true" : ",\"repeat\":false" : kind == TOLD_WAITING && !repeat ? ",\"tried\":false" : "");
	give(&f, types[kind], data);
}

/* ---- the rows ------------------------------------------------------------------------ */

static void ask(struct model *m, const char *digest)
{
	struct log_read read = {0};
	struct log_record record;
	struct envelope envelope;
	struct arena a = ARENA_INIT(1 << 20);
	char data[512];
	uint64_t position;

	snprintf(data, sizeof(data), "{\"request_id\":\"%032d\",\"purpose\":\"REGISTER\",\"channel\":\"EMAIL\","
	    "\"target_digest\":\"%s\",\"address_digest\":\"%s\",\"deliver\":true,\"expires_at_ms\":99,\"sealed_code\":\"x\"}",
	    (int)(m - effects), digest, digest);
	position = give(&f, "verification.requested", data);
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_read_one(&read, position, &record), 0);
	ck_assert_int_eq(envelope_decode(record.entry, position, &a, &envelope), 0);
	effect_id_make(m->id, envelope.id, SLICE("mail.code"), SLICE(""));
	log_read_stop(&read);
	arena_finish(&a);
	m->turn = ++turns;
}

static void expected_row(struct buf *out, const struct model *m)
{
	buf_printf(out, "%s|%s|%d|%d|%d|%d\n", m->id, names[m->state], m->attempt, m->tries, is_open(m), is_head(m));
}

static void rows(struct buf *out)
{
	struct buf path = BUF_INIT(4096), sql = BUF_INIT(4096);
	FILE *p;
	char line[256];

	ck_assert_int_eq(projection_path(&path, f.dir, projection_find("effects")), 0);
	buf_printf(&sql, "python3 -c \"import sqlite3,sys\nfor r in sqlite3.connect('%s').execute('select id, state, attempt, "
	    "tries, is_open, is_head from effects order by cause'): print(*r, sep='|')\"", path.ptr);
	p = popen(sql.ptr, "r");
	ck_assert_ptr_nonnull(p);
	while (fgets(line, sizeof(line), p) != NULL)
		buf_append_str(out, line);
	ck_assert_int_eq(pclose(p), 0);
	buf_finish(&path);
	buf_finish(&sql);
}

static void compare(void)
{
	struct buf want = BUF_INIT(65536), got = BUF_INIT(65536), problem = BUF_INIT(1024);
	struct projector_options options = f.options;
	struct buf path = BUF_INIT(4096);

	projection_path(&path, f.dir, projection_find("effects"));
	unlink(path.ptr);
	ck_assert_msg(projection_build(&options, projection_find("effects"), path.ptr, UINT64_MAX, NULL, NULL, &problem) == 0,
	    "%s", problem.len > 0 ? problem.ptr : "");
	for (int i = 0; i < EFFECTS; i++)
		expected_row(&want, &effects[i]);
	rows(&got);
	ck_assert_str_eq(got.ptr, want.ptr);
	buf_finish(&want);
	buf_finish(&got);
	buf_finish(&problem);
	buf_finish(&path);
}

START_TEST(rows_are_what_the_model_says)
{
	static const char *const digests[KEYS] = {
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"};
	struct rng_test rng;
	unsigned moved = 0;
	char dir[128];

	rng_test_init(&rng, 100 + (uint64_t)_i);
	memset(effects, 0, sizeof(effects));
	turns = 0;
	fixture_init(&f);
	snprintf(dir, sizeof(dir), "%s/read", f.dir);
	ck_assert_int_eq(dir_create(dir, 0700), 0);
	give(&f, "effect.enabled", "{\"effect\":\"mail.code\"}");
	for (int i = 0; i < EFFECTS; i++) {
		effects[i].key = i % KEYS;
		ask(&effects[i], digests[i % KEYS]);
	}
	for (int step = 0; step < STEPS; step++) {
		struct model *m = &effects[rng_below(&rng.rng, EFFECTS)], was = *m;
		enum kind kind = (enum kind)rng_below(&rng.rng, KINDS);
		int attempt = m->attempt + (kind == ATTEMPTED) + (int)(rng_below(&rng.rng, 10) == 0 ? rng_below(&rng.rng, 3) - 1 : 0);
		bool repeat = rng_below(&rng.rng, 2) == 0;

		/* Ends come seldom, so that the ways to them are long. */
		if ((kind == TOLD_DONE || kind == TOLD_FAILED || kind == TOLD_CANCELLED) && rng_below(&rng.rng, 40) != 0)
			continue;
		attempt = attempt < 0 ? 0 : attempt;
		tell(m, kind, attempt, repeat);
		apply(m, kind, attempt, repeat);
		moved += was.state != m->state;
		if (step % (STEPS / 4) == STEPS / 4 - 1)
			compare();
	}
	ck_assert_uint_gt(moved, 40);
	fixture_finish(&f);
}
END_TEST

/* ---- what is wanted -------------------------------------------------------------------- */

static void ask_one(int n, const char *channel, bool deliver)
{
	char data[512];

	snprintf(data, sizeof(data), "{\"request_id\":\"%032d\",\"purpose\":\"LOGIN\",\"channel\":\"%s\","
	    "\"target_digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
	    "\"address_digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"deliver\":%s,\"expires_at_ms\":99,"
	    "\"sealed_code\":\"x\"}", n, channel, deliver ? "true" : "false");
	give(&f, "verification.requested", data);
}

static struct projector *projector;
static struct query_pool *pool;

static void start(void)
{
	struct query_pool_options options = {.clock = &clock_system};

	ck_assert_int_eq(projector_start(&projector, &f.options), 0);
	options.projector = projector;
	ck_assert_int_eq(query_pool_open(&pool, &options), 0);
}

static void finish(void)
{
	query_pool_close(pool);
	projector_stop(projector);
	fixture_finish(&f);
}

START_TEST(wanted_is_what_comes_while_it_is_switched_on)
{
	fixture_init(&f);
	ask_one(1, "EMAIL", true); /* history */
	give(&f, "effect.enabled", "{\"effect\":\"mail.code\"}");
	ask_one(2, "EMAIL", true);
	ask_one(3, "SMS", true);
	ask_one(4, "EMAIL", false);
	give(&f, "effect.disabled", "{\"effect\":\"mail.code\",\"reason\":\"no server\"}");
	ask_one(5, "EMAIL", true);
	give(&f, "effect.enabled", "{\"effect\":\"mail.code\"}");
	ask_one(6, "EMAIL", true);
	start();
	wait_all(&f, projector);
	rows_are(pool, "effects", "fields=cause,state&sort=createdAt",
	    "[{\"state\":\"WANTED\",\"cause\":2},{\"state\":\"WANTED\",\"cause\":8}]");
	finish();
}
END_TEST

/* What is in the way of nothing else: its statements do not run while nothing of its vendor is on. */
START_TEST(of_a_vendor_is_wanted_what_comes_while_it_is_on)
{
	fixture_init(&f);
	give(&f, "meeting.ended", "{\"meeting_id\":\"m0\",\"operator\":{\"uuid\":\"u0\"}}");
	give(&f, "effect.enabled", "{\"effect\":\"lark.user\"}");
	give(&f, "meeting.ended", "{\"meeting_id\":\"m1\",\"operator\":{\"uuid\":\"u1\"}}");
	give(&f, "effect.disabled", "{\"effect\":\"lark.user\",\"reason\":\"a test\"}");
	give(&f, "meeting.ended", "{\"meeting_id\":\"m2\",\"operator\":{\"uuid\":\"u2\"}}");
	give(&f, "effect.enabled", "{\"effect\":\"tencent.participants\"}");
	give(&f, "meeting.ended", "{\"meeting_id\":\"m3\",\"operator\":{\"uuid\":\"u3\"}}");
	give(&f, "effect.enabled", "{\"effect\":\"lark.meeting\"}");
	give(&f, "meeting.ended", "{\"meeting_id\":\"m4\",\"operator\":{\"uuid\":\"u4\"}}");
	start();
	wait_all(&f, projector);
	rows_are(pool, "effects", "fields=cause,effect&sort=createdAt",
	    "[{\"effect\":\"lark.user\",\"cause\":2},{\"effect\":\"tencent.participants\",\"cause\":6},"
	    "{\"effect\":\"tencent.participants\",\"cause\":8},{\"effect\":\"lark.meeting\",\"cause\":8}]");
	finish();
}
END_TEST

/* ---- what would have been wanted -------------------------------------------------------- */

/* "cause" of each wish, "!" behind those that have expired. */
static void wishes_are(const char *effect, uint64_t from, uint64_t until, int64_t now_ms, const char *want)
{
	const _Atomic bool stopping = false;
	struct effect_replay_options o = {.log = f.log, .sealer = f.sealer, .dir = f.dir, .effect = slice_str(effect), .from = from,
	    .until = until, .now_ms = now_ms, .stopping = &stopping};
	struct buf problem = BUF_INIT(1024), got = BUF_INIT(4096);
	struct effect_replay *replay;
	struct effect_wish wish;
	int rc = effect_replay_open(&replay, &o, &problem);

	ck_assert_msg(rc == 0, "%s: %s", err_name(rc), problem.len > 0 ? problem.ptr : "");
	while ((rc = effect_replay_next(replay, &wish)) == 0) {
		ck_assert_uint_eq(wish.id.len, EFFECT_ID_LEN);
		ck_assert_int_ge(wish.ready_at_ms, now_ms);
		buf_printf(&got, "%llu%s ", (unsigned long long)wish.cause, wish.expired ? "!" : "");
	}
	ck_assert_int_eq(rc, ERR_END);
	ck_assert_str_eq(got.len > 0 ? got.ptr : "", want);
	effect_replay_close(replay);
	buf_finish(&problem);
	buf_finish(&got);
}

static void make_read_dir(void)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "%s/read", f.dir);
	ck_assert_int_eq(dir_create(dir, 0700), 0);
}

START_TEST(history_says_what_would_have_been_wanted)
{
	fixture_init(&f);
	make_read_dir();
	ask_one(1, "EMAIL", true); /* at 0 */
	give(&f, "effect.enabled", "{\"effect\":\"mail.code\"}");
	ask_one(2, "EMAIL", true);
	ask_one(3, "SMS", true);
	give(&f, "effect.disabled", "{\"effect\":\"mail.code\",\"reason\":\"no server\"}");
	ask_one(5, "EMAIL", true);
	ask_one(6, "EMAIL", true);
	wishes_are("mail.code", 0, eventlog_size(f.log), 98, "0 2 5 6 ");
	wishes_are("mail.code", 1, 6, 98, "2 5 ");
	wishes_are("mail.code", 1, 6, 99, "2! 5! ");
	wishes_are("mail.code", 3, 3, 98, "");
	wishes_are("sms.code", 0, 7, 98, "3 ");
	wishes_are("mail.welcome", 0, 7, 98, "");
	fixture_finish(&f);
}
END_TEST

#define MEETING(subject) "{\"meeting_id\":\"m1\",\"meeting_code\":\"1\",\"subject\":\"" subject "\"}"

/* A row of Feishu's tables is wanted once for all that came meanwhile: within the range, not before it. */
START_TEST(what_came_before_the_range_stands_for_nothing_in_it)
{
	fixture_init(&f);
	make_read_dir();
	for (int i = 0; i < 3; i++)
		give(&f, "meeting.started", MEETING("a"));
	wishes_are("lark.meeting", 0, 3, 1, "0 ");
	wishes_are("lark.meeting", 1, 3, 1, "1 ");
	fixture_finish(&f);
}
END_TEST

START_TEST(times_become_places)
{
	static const struct {
		int64_t after_us;
		uint64_t place;
	} cases[] = {{-1, 0}, {0, 0}, {1, 1}, {1000, 1}, {3000, 3}, {3001, 4}, {INT64_C(1) << 40, 4}};
	uint64_t place;

	fixture_init(&f);
	ck_assert_int_eq(effect_replay_at(f.log, FIXTURE_TIME_US, &place), 0);
	ck_assert_uint_eq(place, 0);
	for (int i = 0; i < 4; i++)
		ask_one(i, "EMAIL", true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(effect_replay_at(f.log, FIXTURE_TIME_US + cases[i].after_us, &place), 0);
		ck_assert_uint_eq(place, cases[i].place);
	}
	fixture_finish(&f);
}
END_TEST

#define REPLAYED(cause) "{\"effect_id\":\"00000000000000000000000000000001\",\"effect\":\"mail.code\",\"lane\":\"mail\"," \
	"\"key\":\"k\",\"cause\":" cause ",\"cause_type\":\"verification.requested\",\"cause_stream\":\"s\"," \
	"\"priority\":10,\"ready_at_ms\":5,\"not_after_ms\":99}"

START_TEST(what_is_replayed_has_a_row)
{
	fixture_init(&f);
	ask_one(1, "EMAIL", true);
	give(&f, "effect.replayed", REPLAYED("0"));
	give(&f, "effect.replayed", REPLAYED("7"));
	give(&f, "effect.attempted", "{\"effect_id\":\"00000000000000000000000000000001\",\"effect\":\"mail.code\","
	    "\"lane\":\"mail\",\"attempt\":1}");
	start();
	wait_all(&f, projector);
	rows_are(pool, "effects", "fields=id,cause,causeType,state,attempt",
	    "[{\"id\":\"00000000000000000000000000000001\",\"state\":\"TRYING\",\"attempt\":1,\"cause\":0,"
	    "\"causeType\":\"verification.requested\"}]");
	finish();
}
END_TEST

#define CONTENT "\"content\":{\"$blob\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"size\":1}"

/* How many are ready in the lane of mails at that time, and from when their age counts. */
static void ready_are(int64_t now_ms, uint64_t n, const char *asked_at)
{
	struct query q = {.def = query_find("effects_ready"), .n_params = 3, .has_min_position = true,
	    .min_position = eventlog_size(f.log) - 1, .wait_ms = 20000};

	q.params[0] = (struct query_param){.name = "lane", .text = SLICE("mail")};
	q.params[1] = (struct query_param){.name = "now", .integer = now_ms, .is_integer = true};
	q.params[2] = (struct query_param){.name = "behind", .integer = INT64_C(3600000), .is_integer = true};
	ck_assert_int_eq(query_run(pool, &q), 0);
	ck_assert_uint_eq(q.rows, n);
	if (n > 0)
		ck_assert_ptr_nonnull(strstr(q.out.ptr, asked_at));
	query_finish(&q);
}

/* Wanted for a time further away than the age at which one is given up, and not given up for that. */
START_TEST(what_may_begin_later_is_as_old_as_that)
{
	fixture_init(&f);
	give(&f, "effect.enabled", "{\"effect\":\"mail.message\"}");
	give(&f, "mail.requested", "{\"mail_id\":\"00000000000000000000000000000001\",\"recipients\":1,"
	    CONTENT ",\"send_at_ms\":9000000000000}");
	start();
	ready_are(8999999999999, 0, NULL);
	ready_are(9000000000000, 1, "\"askedAt\":9000000000000");
	/* What needs no time to come is ready for a clock that was put back, too. */
	give(&f, "mail.requested", "{\"mail_id\":\"00000000000000000000000000000002\",\"recipients\":1," CONTENT "}");
	ready_are(0, 1, "\"askedAt\":");
	finish();
}
END_TEST

START_TEST(an_id_is_what_the_rule_says)
{
	char id[EFFECT_ID_LEN + 1], other[EFFECT_ID_LEN + 1];

	/* hashlib.blake2b(b"effect/v1\0" + b"0"*32 + b"mail.code" + b"\0", digest_size=32).hexdigest()[:32] */
	ck_assert_int_eq(crypto_init(), 0);
	effect_id_make(id, SLICE("00000000000000000000000000000000"), SLICE("mail.code"), SLICE(""));
	ck_assert_str_eq(id, "dc9fd4cf57ad3aa3c77ff9f4201e5d60");
	effect_id_make(other, SLICE("00000000000000000000000000000000"), SLICE("mail"), SLICE(".code"));
	ck_assert_str_ne(id, other);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("effect_fold");
	TCase *t = tcase_create("states");

	tcase_add_loop_test(t, rows_are_what_the_model_says, 0, 3);
	tcase_add_test(t, wanted_is_what_comes_while_it_is_switched_on);
	tcase_add_test(t, of_a_vendor_is_wanted_what_comes_while_it_is_on);
	tcase_add_test(t, history_says_what_would_have_been_wanted);
	tcase_add_test(t, what_came_before_the_range_stands_for_nothing_in_it);
	tcase_add_test(t, times_become_places);
	tcase_add_test(t, what_is_replayed_has_a_row);
	tcase_add_test(t, what_may_begin_later_is_as_old_as_that);
	tcase_add_test(t, an_id_is_what_the_rule_says);
	suite_add_tcase(s, t);
	return run_suite(s);
}
