/*
 * Random batches against a model in memory, with restarts, a small index batch
 * so that answers come from tail and index in turn, and a reindex at the end
 * that finds everything equal.
 */
#include "log_fixture.h"

#define STREAMS 6
#define ONCES 200
#define CLAIMS 8
#define BATCHES 400
#define SIZE_MAX_MODEL (BATCHES * 3)

struct model {
	uint64_t size;
	uint64_t versions[STREAMS];
	int64_t onces[ONCES];   /* position or -1 */
	int64_t claims[CLAIMS]; /* holder or -1 */
	unsigned streams[SIZE_MAX_MODEL];
};

struct plan {
	unsigned stream, once, claim, release; /* 0: none; else number + 1 (stream: number) */
	int64_t expect;
};

static int model_apply(struct model *m, const struct plan *plans, size_t n, uint64_t *ret_position)
{
	struct model next = *m;

	for (size_t i = 0; i < n; i++) {
		const struct plan *p = &plans[i];

		if (p->once != 0 && next.onces[p->once - 1] >= 0) {
			if (i == 0)
				*ret_position = (uint64_t)next.onces[p->once - 1];
			continue;
		}
		if (p->expect != EXPECT_ANY && (uint64_t)p->expect != next.versions[p->stream])
			return ERR_CONFLICT;
		if (p->claim != 0 && p->claim != p->release && next.claims[p->claim - 1] >= 0)
			return ERR_TAKEN;
		if (p->release != 0)
			next.claims[p->release - 1] = -1;
		if (p->claim != 0)
			next.claims[p->claim - 1] = (int64_t)next.size;
		if (p->once != 0)
			next.onces[p->once - 1] = (int64_t)next.size;
		if (i == 0)
			*ret_position = next.size;
		next.streams[next.size] = p->stream;
		next.versions[p->stream]++;
		next.size++;
	}
	*m = next;
	return 0;
}

static struct plan plan_make(const struct rng *rng, const struct model *m)
{
	struct plan p = {.stream = (unsigned)rng_below(rng, STREAMS), .expect = EXPECT_ANY};

	if (rng_below(rng, 2) == 0)
		p.once = 1 + (unsigned)rng_below(rng, ONCES);
	if (rng_below(rng, 5) == 0)
		p.claim = 1 + (unsigned)rng_below(rng, CLAIMS);
	if (rng_below(rng, 4) == 0)
		p.release = 1 + (unsigned)rng_below(rng, CLAIMS);
	if (rng_below(rng, 4) == 0)
		p.expect = (int64_t)m->versions[p.stream] + (rng_below(rng, 4) == 0);
	return p;
}

struct names {
	char stream[16], once[16], claim[16], release[16];
};

static void event_of(struct test_event *e, struct names *n, const struct plan *p)
{
	*e = (struct test_event){.stream = n->stream, .has_expect = p->expect != EXPECT_ANY, .expect = p->expect};
	snprintf(n->stream, sizeof(n->stream), "stream/%u", p->stream);
	snprintf(n->once, sizeof(n->once), "once-%u", p->once);
	snprintf(n->claim, sizeof(n->claim), "name:%u", p->claim);
	snprintf(n->release, sizeof(n->release), "name:%u", p->release);
	if (p->once != 0)
		e->once = n->once;
	if (p->claim != 0)
		e->claims[0] = n->claim;
	if (p->release != 0)
		e->releases[0] = n->release;
}

static void check_everything(struct log_fixture *f, const struct model *m)
{
	uint64_t position, version;
	uint8_t once[32];
	char text[16];

	ck_assert_uint_eq(eventlog_size(f->log), m->size);
	for (unsigned i = 0; i < ONCES; i++) {
		int len = snprintf(text, sizeof(text), "once-%u", i + 1);
		int rc;

		sha256(once, (struct slice[]){slice_of(text, (size_t)len)}, 1);
		rc = eventlog_find_once(f->log, once, &position);
		ck_assert_int_eq(rc, m->onces[i] < 0 ? ERR_NOT_FOUND : 0);
		if (rc == 0)
			ck_assert_int_eq((int64_t)position, m->onces[i]);
	}
	for (unsigned i = 0; i < CLAIMS; i++) {
		int len = snprintf(text, sizeof(text), "name:%u", i + 1);
		int rc = eventlog_find_claim(f->log, slice_of(text, (size_t)len), &position);

		ck_assert_int_eq(rc, m->claims[i] < 0 ? ERR_NOT_FOUND : 0);
		if (rc == 0)
			ck_assert_int_eq((int64_t)position, m->claims[i]);
	}
	for (unsigned s = 0; s < STREAMS; s++) {
		int len = snprintf(text, sizeof(text), "stream/%u", s);
		struct log_filter filter = {.stream = slice_of(text, (size_t)len)};
		struct eventlog_cursor c;
		struct log_record r;
		uint64_t i = 0;

		ck_assert_int_eq(eventlog_stream_version(f->log, filter.stream, &version), 0);
		ck_assert_uint_eq(version, m->versions[s]);
		version = 0;
		eventlog_cursor_init(&c, f->log, 0, &filter);
		while (eventlog_cursor_next(&c, &r) == 0) {
			while (i < m->size && m->streams[i] != s)
				i++;
			ck_assert_uint_eq(r.position, i);
			ck_assert_uint_eq(r.stream_version, ++version);
			i++;
		}
		eventlog_cursor_finish(&c);
		ck_assert_uint_eq(version, m->versions[s]);
	}
}

static void check_reindex(struct log_fixture *f, const struct model *m)
{
	struct reindex_report report;

	log_fixture_close(f);
	ck_assert_int_eq(eventlog_reindex(&f->options, &report, NULL, NULL), 0);
	ck_assert_uint_eq(report.size, m->size);
	ck_assert(report.had_old);
	ck_assert_uint_eq(report.old_position, m->size);
	ck_assert_msg(report.differences == 0, "%s", report.first);
	ck_assert_msg(report.headers == 0, "%s", report.first);
	log_fixture_open(f);
}

START_TEST(behaves_as_the_model)
{
	static struct model m;
	struct log_fixture f;
	struct rng_test rng;

	rng_test_init(&rng, (uint64_t)_i + 11);
	m = (struct model){0};
	memset(m.onces, 0xff, sizeof(m.onces));
	memset(m.claims, 0xff, sizeof(m.claims));
	log_fixture_init(&f);
	f.options.index_batch = 16;
	log_fixture_open(&f);
	for (int b = 0; b < BATCHES; b++) {
		struct plan plans[3];
		struct test_event events[3];
		struct names names[3];
		struct append answer = {0};
		uint64_t position = 0;
		size_t n = 1 + rng_below(&rng.rng, 3);
		int rc;

		for (size_t i = 0; i < n; i++) {
			plans[i] = plan_make(&rng.rng, &m);
			event_of(&events[i], &names[i], &plans[i]);
		}
		rc = model_apply(&m, plans, n, &position);
		ck_assert_int_eq(append_events(f.log, events, n, &answer), rc);
		if (rc == 0)
			ck_assert_uint_eq(answer.position, position);
		if (rng_below(&rng.rng, 60) == 0) {
			log_fixture_close(&f);
			log_fixture_open(&f);
		}
	}
	check_everything(&f, &m);
	check_reindex(&f, &m);
	check_everything(&f, &m);
	log_fixture_finish(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("eventlog_model");
	TCase *t = tcase_create("model");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, behaves_as_the_model, 0, 5);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
