/*
 * The read models while every call they make fails once: an answer is an error or the right one, and afterwards
 * the rows are those of a good day.
 */
#include "base/log.h"
#include "lib/failing.h"
#include "lib/run.h"
#include "projection_fixture.h"

static struct projection_fixture f;
static const struct projection *model;
static const struct projection *models[2];
static struct buf outcome, good_outcome; /* what was answered; and what was when nothing failed */

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static void without_rows(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/read", f.dir);
	ck_assert_int_eq(tree_remove(path), 0);
	buf_clear(&outcome);
}

/* Until it has folded everything, or has come to a state it does not leave by itself at once. */
static int wait_for_rows(struct projector *p)
{
	struct projection_status s;
	int rc = ERR_TIMEOUT;

	for (unsigned i = 0; rc == ERR_TIMEOUT && i < 10000; i++) {
		rc = projector_wait(p, model->name, eventlog_size(f.log) - 1, 2);
		if (rc != 0 && projector_status_of(p, model->name, &s) == 0 && (s.state == PROJECTION_FAILED || s.state == PROJECTION_STOPPED))
			return s.err;
	}
	return rc;
}

static int build(void)
{
	struct projector *p = NULL;
	int rc = projector_start(&p, &f.options);

	if (rc == 0)
		rc = wait_for_rows(p);
	projector_stop(p);
	return rc;
}

static void with_rows(void)
{
	without_rows();
	ck_assert_int_eq(build(), 0);
}

static int keep(const struct query *q)
{
	int rc;

	failing_pause();
	rc = buf_append(&outcome, buf_slice(&q->out));
	buf_append_char(&outcome, '\n');
	if (q->list != NULL && q->list->want_total)
		buf_printf(&outcome, "of %llu\n", (unsigned long long)q->total);
	failing_go_on();
	return rc;
}

static int ask(struct query_pool *pool, const char *params, enum query_format format)
{
	struct list_param pairs[8];
	struct list_problem problems[LIST_PROBLEMS_MAX];
	struct list_request request;
	struct slice rest = slice_str(params), pair;
	struct arena a = ARENA_INIT(1u << 20);
	struct query q = {.list = &request, .format = format};
	size_t n = 0, n_problems;
	int rc;

	while (rest.len > 0) {
		slice_cut(rest, '&', &pair, &rest);
		slice_cut(pair, '=', &pairs[n].name, &pairs[n].value);
		n++;
	}
	rc = list_request_parse(&request, list_find("meetings"), pairs, n, LIST_LIMIT_MAX, &a, problems, &n_problems);
	request.want_total = format == QUERY_JSON;
	if (rc == 0)
		rc = query_run(pool, &q);
	if (rc == 0)
		rc = keep(&q);
	query_finish(&q);
	arena_finish(&a);
	return rc;
}

static int ask_by_id(struct query_pool *pool, const char *id)
{
	struct query q = {.def = query_find("meeting_totals")};
	int rc = query_run(pool, &q);

	if (rc == 0)
		rc = keep(&q);
	query_finish(&q);
	if (rc != 0)
		return rc;
	q = (struct query){.def = query_find("meeting_by_id"), .single = true, .n_params = 1};
	q.params[0] = (struct query_param){.name = "id", .text = slice_str(id)};
	rc = query_run(pool, &q);
	query_finish(&q);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int ask_all(struct query_pool *pool)
{
	static const struct { const char *params; enum query_format format; } asked[] = {
		{"", QUERY_JSON}, {"limit=1&sort=-createdAt&type=ONE_TIME", QUERY_JSON},
		{"search=预算&startDate=2025-12-01&endDate=2027-01-01", QUERY_NDJSON}, {"page=2&limit=1", QUERY_CSV},
	};
	int rc = ask_by_id(pool, "nobody");

	for (unsigned i = 0; rc == 0 && i < COUNT(asked); i++)
		rc = ask(pool, asked[i].params, asked[i].format);
	return rc;
}

static int serve(void)
{
	struct query_pool_options options = {.clock = &clock_system, .n_threads = 1};
	struct query_pool *pool = NULL;
	struct projector *p = NULL;
	int rc = projector_start(&p, &f.options);

	options.projector = p;
	if (rc == 0)
		rc = wait_for_rows(p);
	if (rc == 0)
		rc = query_pool_open(&pool, &options);
	if (rc == 0)
		rc = ask_all(pool);
	query_pool_close(pool);
	projector_stop(p);
	return rc;
}

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	return done <= total;
}

static int use_tools(void)
{
	struct buf problem = BUF_INIT(1024), path = BUF_INIT(200);
	struct projection_verdict verdict = {0};
	struct projection_status status;
	uint8_t digest[SHA256_LEN];
	uint64_t position;
	int rc = projection_rebuild(&f.options, model, go_on, NULL, &problem);

	if (rc == 0)
		rc = projection_verify(&f.options, model, &verdict, go_on, NULL, &problem);
	if (rc == 0 && !verdict.equal)
		rc = ERR_CONFLICT;
	if (rc == 0)
		rc = projection_inspect(f.dir, model, &status);
	if (rc == 0)
		rc = projection_path(&path, f.dir, model);
	if (rc == 0)
		rc = projection_digest(path.ptr, model, digest, &position);
	if (rc == 0 && memcmp(digest, verdict.stored, sizeof(digest)) != 0)
		rc = ERR_CONFLICT;
	buf_finish(&problem);
	buf_finish(&path);
	return rc;
}

static void rows_are_right(int rc, const char *what)
{
	struct buf now = outcome;

	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	ck_assert_msg(rc != ERR_CONFLICT, "the rows differ after %s failed", what);
	outcome = (struct buf)BUF_INIT(1u << 20);
	ck_assert_int_eq(serve(), 0);
	if (good_outcome.len == 0)
		buf_append(&good_outcome, buf_slice(&outcome));
	ck_assert_slice_eq(buf_slice(&outcome), buf_slice(&good_outcome));
	buf_finish(&outcome);
	outcome = now;
	if (rc == 0 && outcome.len > 0)
		ck_assert_slice_eq(buf_slice(&outcome), buf_slice(&good_outcome));
}

static const struct {
	const char *says;
	void (*before)(void);
	int (*act)(void);
	unsigned n_min; /* so many calls at least: that is far fewer than there are, for threads come in another order each time */
} walks[] = {
	{"rows are made", without_rows, build, 16},
	{"rows are asked for", with_rows, serve, 16},
	{"tools make and compare rows", with_rows, use_tools, 16},
};

static void setup(void)
{
	log_set_sink(quiet, NULL);
	outcome = good_outcome = (struct buf)BUF_INIT(1u << 20);
	fixture_init(&f);
	for (const struct projection *const *m = projections; *m != NULL; m++)
		if (strcmp((*m)->name, "meetings") == 0)
			models[0] = model = *m;
	f.options.models = models;
	give(&f, "meeting.created", "{\"meeting_id\":\"m1\",\"title\":\"季度预算评审会\",\"meeting_type\":0,\"operate_at_ms\":1000,"
	    "\"start_at_ms\":1767052800000,\"operator\":{\"uuid\":\"u1\",\"user_name\":\"王芳\"}}");
	give(&f, "meeting.started", "{\"meeting_id\":\"m1\",\"operate_at_ms\":2000,\"start_at_ms\":1767052800000}");
	give(&f, "participant.joined", "{\"meeting_id\":\"m1\",\"operate_at_ms\":3000,\"operator\":{\"uuid\":\"u1\"}}");
	give(&f, "meeting.ended", "{\"meeting_id\":\"m1\",\"operate_at_ms\":4000,\"meeting_end_type\":1}");
	give(&f, "meeting.created", "{\"meeting_id\":\"m2\",\"title\":\"say \\\"twice\\\"\",\"operate_at_ms\":1000}");
	eventlog_wake(f.log); /* there will be no more, and nobody waits for them where stopping does not wake */
}

static void teardown(void)
{
	buf_finish(&outcome);
	buf_finish(&good_outcome);
	fixture_finish(&f);
	log_set_sink(NULL, NULL);
}

START_TEST(every_call_fails_once)
{
	struct failing_walk walk = {.kinds = FAILING_ALL, .before = walks[_i].before, .act = walks[_i].act,
	    .after = rows_are_right};
	unsigned n = failing_walk(&walk);

	ck_assert_msg(n >= walks[_i].n_min, "%s: only %u calls failed", walks[_i].says, n);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("projector_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, every_call_fails_once, 0, COUNT(walks));
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
