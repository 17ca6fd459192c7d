/*
 * The way of an append over several loops at once: every one is answered once,
 * on its loop, with a position of its own; followers and waiters are woken.
 * Also run under the thread sanitizer.
 */
#include "log_fixture.h"

#include <pthread.h>

#define LOOPS 3
#define IN_FLIGHT 16
#define APPENDS 200 /* a loop */

static struct log_fixture f;

static void setup(void)
{
	log_fixture_init(&f);
	f.options.index_batch = 64; /* the index moves while the writer looks into it */
	log_fixture_open(&f);
}

static void teardown(void)
{
	log_fixture_finish(&f);
}

struct flight {
	struct append append;
	struct loop *loop;
	struct arena arena;
	struct event_draft draft;
};

struct loop {
	unsigned number;
	pthread_t thread;
	uv_loop_t uv;
	struct log_port *port;
	struct log_follower follower;
	struct flight flights[IN_FLIGHT];
	unsigned started, answered, duplicates;
	unsigned told; /* how often the follower was */
	uint64_t positions[APPENDS];
	bool stopping;
};

static append_cb on_appended;

static void launch(struct flight *fl)
{
	struct loop *l = fl->loop;
	char once[32], stream[32];
	/* Every once key is used by all the loops: one of them wins each. */
	struct test_event e = {.stream = stream, .once = once, .subjects = {once}};

	snprintf(once, sizeof(once), "once-%u", l->started);
	snprintf(stream, sizeof(stream), "stream/%u", l->started % 10);
	l->started++;
	arena_reset(&fl->arena);
	draft_make(&fl->draft, &fl->arena, &e);
	fl->append = (struct append){.events = &fl->draft, .n_events = 1, .cb = on_appended, .port = l->port, .arg = fl};
	eventlog_append(f.log, &fl->append);
}

static void maybe_stop(struct loop *l)
{
	if (l->answered < APPENDS || l->stopping)
		return;
	l->stopping = true;
	log_follower_stop(&l->follower);
	log_port_close(l->port);
}

static void on_appended(struct append *a)
{
	struct flight *fl = a->arg;
	struct loop *l = fl->loop;

	ck_assert_msg(a->rc == 0, "%s", err_name(a->rc));
	ck_assert_uint_lt(a->position, eventlog_size(f.log));
	l->positions[l->answered++] = a->position;
	l->duplicates += a->duplicate;
	if (l->started < APPENDS)
		launch(fl);
	maybe_stop(l);
}

static void on_grown(struct log_follower *follower)
{
	struct loop *l = follower->arg;

	l->told++;
}

static void *run_loop(void *arg)
{
	struct loop *l = arg;

	ck_assert_int_eq(uv_loop_init(&l->uv), 0);
	ck_assert_int_eq(log_port_open(&l->port, f.log, &l->uv), 0);
	l->follower.arg = l;
	log_follower_start(&l->follower, l->port, on_grown);
	for (int i = 0; i < IN_FLIGHT; i++) {
		l->flights[i].loop = l;
		l->flights[i].arena = (struct arena)ARENA_INIT(1 << 20);
		launch(&l->flights[i]);
	}
	ck_assert_uint_eq(l->answered, 0); /* never before eventlog_append() returned */
	uv_run(&l->uv, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&l->uv), 0);
	for (int i = 0; i < IN_FLIGHT; i++)
		arena_finish(&l->flights[i].arena);
	return NULL;
}

struct waiter {
	pthread_t thread;
	uint64_t seen;
};

/* Reads everything in order as it comes, as a projector does. */
static void *run_waiter(void *arg)
{
	struct waiter *w = arg;
	struct eventlog_cursor c;
	struct log_record r;
	int rc = 0;

	eventlog_cursor_init(&c, f.log, 0, NULL);
	while (rc == 0 && w->seen < APPENDS) {
		rc = eventlog_cursor_next(&c, &r);
		if (rc == 0) {
			ck_assert_uint_eq(r.position, w->seen);
			w->seen++;
		} else if (rc == ERR_END) {
			rc = eventlog_wait(f.log, w->seen, 10000);
		}
	}
	ck_assert_int_eq(rc, 0);
	eventlog_cursor_finish(&c);
	return NULL;
}

START_TEST(every_append_is_answered_once)
{
	static struct loop loops[LOOPS];
	struct waiter waiter = {0};
	unsigned duplicates = 0, told = 0;

	memset(loops, 0, sizeof(loops));
	ck_assert_int_eq(pthread_create(&waiter.thread, NULL, run_waiter, &waiter), 0);
	for (unsigned i = 0; i < LOOPS; i++) {
		loops[i].number = i;
		ck_assert_int_eq(pthread_create(&loops[i].thread, NULL, run_loop, &loops[i]), 0);
	}
	for (unsigned i = 0; i < LOOPS; i++) {
		pthread_join(loops[i].thread, NULL);
		ck_assert_uint_eq(loops[i].answered, APPENDS);
		told += loops[i].told;
		duplicates += loops[i].duplicates;
	}
	/* A loop that was late found everything stored already and had no growth to be told of; not so all of them. */
	ck_assert_uint_gt(told, 0);
	/* Each key was stored once, whoever came first. */
	ck_assert_uint_eq(eventlog_size(f.log), APPENDS);
	ck_assert_uint_eq(duplicates, APPENDS * (LOOPS - 1));
	pthread_join(waiter.thread, NULL);
	ck_assert_uint_eq(waiter.seen, APPENDS);
	for (unsigned i = 0; i < APPENDS; i++) {
		struct subject_ref s;
		struct id id;
		char once[32];

		snprintf(once, sizeof(once), "once-%u", i);
		subject_of(&s, once);
		ck_assert_int_eq(eventlog_find_subject(f.log, s.ref, &id), 0);
		ck_assert_mem_eq(&id, &s.id, sizeof(id));
	}
}
END_TEST

/* ---- a refusal takes the same way as an answer --------------------------------- */

static int refused_rc;

static void on_refused(struct append *a)
{
	refused_rc = a->rc;
	log_port_close(a->port);
}

static int refusal(struct append *a)
{
	uv_loop_t uv;

	refused_rc = 1;
	ck_assert_int_eq(uv_loop_init(&uv), 0);
	ck_assert_int_eq(log_port_open(&a->port, f.log, &uv), 0);
	a->cb = on_refused;
	eventlog_append(f.log, a);
	ck_assert_int_eq(refused_rc, 1);
	uv_run(&uv, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&uv), 0);
	return refused_rc;
}

START_TEST(refusals_come_by_the_callback)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct event_draft d;
	struct append a = {.events = &d, .n_events = 1};

	draft_make(&d, &arena, &(struct test_event){.stream = "a"});
	d.type = 0;
	ck_assert_int_eq(refusal(&a), ERR_INVALID);
	d.type = TEST_EVENT;
	d.expect = 7;
	ck_assert_int_eq(refusal(&a), ERR_CONFLICT);
	ck_assert_uint_eq(a.stream_version, 0);
	eventlog_refuse(f.log, "a witness saw more");
	d.expect = EXPECT_ANY;
	ck_assert_int_eq(refusal(&a), ERR_UNAVAILABLE);
	ck_assert_str_eq(eventlog_refusal(f.log), "a witness saw more");
	/* Signing what is there goes on. */
	ck_assert_int_eq(eventlog_put_note(f.log, 0, SLICE("note")), 0);
	arena_finish(&arena);
}
END_TEST

/* ---- a round's appends go together ---------------------------------------------- */

#define TOGETHER 16

struct round {
	struct log_port *port;
	struct append appends[TOGETHER];
	struct event_draft drafts[TOGETHER];
	struct arena arenas[TOGETHER];
	unsigned answered;
};

static void on_round_answered(struct append *a)
{
	struct round *r = a->arg;

	ck_assert_int_eq(a->rc, 0);
	if (++r->answered == TOGETHER)
		log_port_close(r->port);
}

/* As the callback of a socket does: several appends before the loop is back. */
static void append_round(uv_timer_t *timer)
{
	struct round *r = timer->data;

	for (unsigned i = 0; i < TOGETHER; i++) {
		r->appends[i] = (struct append){.events = &r->drafts[i], .n_events = 1, .cb = on_round_answered,
		    .port = r->port, .arg = r};
		eventlog_append(f.log, &r->appends[i]);
	}
	uv_close((uv_handle_t *)timer, NULL);
}

START_TEST(appends_of_a_round_are_committed_together)
{
	static struct round r;
	struct eventlog_stats before, after;
	uv_timer_t timer;
	uv_loop_t uv;

	for (unsigned i = 0; i < TOGETHER; i++) {
		r.arenas[i] = (struct arena)ARENA_INIT(1 << 20);
		draft_make(&r.drafts[i], &r.arenas[i], &(struct test_event){.stream = "a"});
	}
	eventlog_stats(f.log, &before);
	ck_assert_int_eq(uv_loop_init(&uv), 0);
	ck_assert_int_eq(log_port_open(&r.port, f.log, &uv), 0);
	uv_timer_init(&uv, &timer);
	timer.data = &r;
	uv_timer_start(&timer, append_round, 0, 0);
	uv_run(&uv, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&uv), 0);
	eventlog_stats(f.log, &after);
	ck_assert_uint_eq(r.answered, TOGETHER);
	ck_assert_uint_eq(after.appended - before.appended, TOGETHER);
	ck_assert_uint_eq(after.commits - before.commits, 1);
	for (unsigned i = 0; i < TOGETHER; i++)
		arena_finish(&r.arenas[i]);
}
END_TEST

START_TEST(waiting_ends)
{
	ck_assert_int_eq(eventlog_wait(f.log, 0, 1), ERR_TIMEOUT);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	ck_assert_int_eq(eventlog_wait(f.log, 0, 0), 0);
	eventlog_wake(f.log);
	ck_assert_int_eq(eventlog_wait(f.log, 1, 10000), ERR_CANCELLED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("eventlog_port");
	TCase *t = tcase_create("port");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_append_is_answered_once);
	tcase_add_test(t, refusals_come_by_the_callback);
	tcase_add_test(t, appends_of_a_round_are_committed_together);
	tcase_add_test(t, waiting_ends);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
