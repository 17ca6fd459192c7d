/* job_pool.c: every job runs once, on a thread, and comes back to its own loop. */
#include <pthread.h>
#include <stdatomic.h>

#include "app/job_pool.h"
#include "base/err.h"
#include "lib/run.h"

#define N_LOOPS 3
#define N_JOBS 400

struct rig {
	uv_loop_t loop;
	struct job_port *port;
	pthread_t thread, self;
	unsigned n_started, n_done, n_wrong;
};

struct counted {
	struct job job;
	struct rig *rig;
	pthread_t ran_on;
	unsigned n_runs;
};

static struct job_pool *pool;
static struct counted jobs[N_LOOPS][N_JOBS];

static void run(struct job *job)
{
	struct counted *c = container_of(job, struct counted, job);

	c->ran_on = pthread_self();
	c->n_runs++;
}

static void done(struct job *job)
{
	struct counted *c = container_of(job, struct counted, job);

	c->rig->n_wrong += c->n_runs != 1 || pthread_equal(c->ran_on, pthread_self()) ||
	    !pthread_equal(c->rig->self, pthread_self());
	if (++c->rig->n_done == c->rig->n_started) {
		job_port_close(c->rig->port);
		c->rig->port = NULL;
	}
}

static void *run_loop(void *arg)
{
	struct rig *rig = arg;
	size_t nth = (size_t)(rig->n_started), n = 0;

	rig->self = pthread_self();
	rig->n_started = 0;
	rig->n_wrong += job_port_open(&rig->port, pool, &rig->loop) != 0;
	for (; n < N_JOBS; n++) {
		struct counted *c = &jobs[nth][n];

		*c = (struct counted){.job = {.run = run, .done = done, .port = rig->port}, .rig = rig};
		rig->n_wrong += job_start(&c->job) != 0;
		rig->n_started++;
	}
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	return NULL;
}

START_TEST(jobs_come_back_to_their_loops)
{
	struct rig rigs[N_LOOPS] = {{.n_started = 0}, {.n_started = 1}, {.n_started = 2}};
	struct job_pool_stats stats;

	ck_assert_int_eq(job_pool_open(&pool, "test-jobs", 4, N_LOOPS * N_JOBS), 0);
	/* Loops begin and end here: libuv closes descriptors unseen by the thread sanitizer, which then sees two
	 * threads write to one. */
	for (size_t i = 0; i < N_LOOPS; i++)
		ck_assert_int_eq(uv_loop_init(&rigs[i].loop), 0);
	for (size_t i = 0; i < N_LOOPS; i++)
		ck_assert_int_eq(pthread_create(&rigs[i].thread, NULL, run_loop, &rigs[i]), 0);
	for (size_t i = 0; i < N_LOOPS; i++) {
		pthread_join(rigs[i].thread, NULL);
		ck_assert_int_eq(uv_loop_close(&rigs[i].loop), 0);
		ck_assert_uint_eq(rigs[i].n_done, N_JOBS);
		ck_assert_uint_eq(rigs[i].n_wrong, 0);
	}
	job_pool_stats(pool, &stats);
	ck_assert_uint_eq(stats.done, N_LOOPS * N_JOBS);
	ck_assert_uint_eq(stats.waiting + stats.running, 0);
	job_pool_close(pool);
}
END_TEST

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint n_entered;

static void run_at_gate(struct job *job)
{
	atomic_fetch_add(&n_entered, 1);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	run(job);
}

/* One runs, two wait, the fourth is told to come again; and a closing pool still runs what waits. */
START_TEST(a_full_queue_refuses)
{
	struct rig rig = {.self = pthread_self()};
	struct counted some[4];
	struct job_pool_stats stats;

	ck_assert_int_eq(job_pool_open(&pool, "test-jobs", 1, 2), 0);
	ck_assert_int_eq(uv_loop_init(&rig.loop), 0);
	ck_assert_int_eq(job_port_open(&rig.port, pool, &rig.loop), 0);
	pthread_mutex_lock(&gate);
	for (size_t i = 0; i < 4; i++) {
		some[i] = (struct counted){.job = {.run = run_at_gate, .done = done, .port = rig.port}, .rig = &rig};
		ck_assert_int_eq(job_start(&some[i].job), i < 3 ? 0 : ERR_BUSY);
		rig.n_started += i < 3;
		while (i == 0 && atomic_load(&n_entered) == 0)
			sched_yield();
	}
	job_pool_stats(pool, &stats);
	ck_assert_uint_eq(stats.running, 1);
	ck_assert_uint_eq(stats.waiting, 2);
	ck_assert_uint_eq(stats.refused, 1);
	pthread_mutex_unlock(&gate);
	uv_run(&rig.loop, UV_RUN_DEFAULT);
	ck_assert_uint_eq(rig.n_done, 3);
	ck_assert_uint_eq(rig.n_wrong, 0);
	ck_assert_int_eq(uv_loop_close(&rig.loop), 0);
	job_pool_close(pool);
	job_pool_close(NULL);
	job_port_close(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("job_pool");
	TCase *t = tcase_create("job_pool");

	tcase_add_test(t, jobs_come_back_to_their_loops);
	tcase_add_test(t, a_full_queue_refuses);
	suite_add_tcase(s, t);
	return run_suite(s);
}
