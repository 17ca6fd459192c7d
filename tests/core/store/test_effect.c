/* The engine with a neighbour made up by the test: what is tried, in which order, and what the log says of it. */
#include "store/effect.h"

#include <pthread.h>
#include <stdatomic.h>

#include "lib/run.h"
#include "projection_fixture.h"

static struct projection_fixture f;
static struct projector *projector;
static struct query_pool *pool;
static struct effects *engine;

/* ---- the neighbour ----------------------------------------------------------------- */

#define SEEN_MAX 512

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool held;               /* runs wait */
	unsigned n, n_running, n_running_max, n_batches;
	uint64_t causes[SEEN_MAX];
	bool after_unknown[SEEN_MAX];
	char first_key[EFFECT_KEY_MAX + 1];
	enum effect_outcome next[8]; /* of the first runs; then EFFECT_DONE */
	unsigned n_next;
	bool host_failed;
	bool erased;
} peer = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void run(struct effect_call *calls, size_t n)
{
	pthread_mutex_lock(&peer.lock);
	if (peer.n_batches++ == 0)
		snprintf(peer.first_key, sizeof(peer.first_key), "%s", calls[0].key);
	peer.n_running++;
	peer.n_running_max = peer.n_running > peer.n_running_max ? peer.n_running : peer.n_running_max;
	for (size_t i = 0; i < n; i++) {
		peer.causes[peer.n % SEEN_MAX] = calls[i].cause_position;
		peer.after_unknown[peer.n % SEEN_MAX] = calls[i].after_unknown;
		calls[i].outcome = peer.n < peer.n_next ? peer.next[peer.n] : EFFECT_DONE;
		calls[i].host_failed = peer.n < peer.n_next && peer.host_failed;
		calls[i].class = calls[i].outcome == EFFECT_DONE ? NULL : "made_up";
		effect_progress_tell(calls[i].progress, 7, 9);
		peer.n++;
	}
	pthread_cond_broadcast(&peer.changed);
	while (peer.held && !atomic_load(calls[0].stopping)) { /* of which nobody tells */
		pthread_mutex_unlock(&peer.lock);
		usleep(1000);
		pthread_mutex_lock(&peer.lock);
	}
	peer.n_running--;
	pthread_mutex_unlock(&peer.lock);
}

static void until_seen(unsigned n)
{
	pthread_mutex_lock(&peer.lock);
	while (peer.n < n)
		pthread_cond_wait(&peer.changed, &peer.lock);
	pthread_mutex_unlock(&peer.lock);
}

static void hold(bool held)
{
	pthread_mutex_lock(&peer.lock);
	peer.held = held;
	pthread_cond_broadcast(&peer.changed);
	pthread_mutex_unlock(&peer.lock);
}

static bool wanted(const struct effect_call *call)
{
	(void)call;
	return !peer.erased;
}

/* ---- the service ---------------------------------------------------------------------- */

static struct effect_lane lane;
static struct effect effect;
static int64_t batch_wait_max_ms; /* a setting */
static const struct clock *engine_clock = &clock_system;

static void start_engine(void)
{
	struct effect_entry entry = {.effect = &effect, .enabled = true};
	struct effects_options o = {.log = f.log, .queries = pool, .sealer = f.sealer, .clock = engine_clock,
	    .rng = &rng_system, .entries = &entry, .n_entries = 1, .base_max_ms = 5, .breaker_ms = 20,
	    .batch_wait_max_ms = batch_wait_max_ms};

	ck_assert_int_eq(effects_start(&engine, &o), 0);
}

static void stop_engine(void)
{
	hold(false);
	effects_stop(engine);
	engine = NULL;
}

static void setup(void)
{
	struct query_pool_options options = {.clock = &clock_system};

	fixture_init(&f);
	ck_assert_int_eq(projector_start(&projector, &f.options), 0);
	await_live(projector);
	options.projector = projector;
	ck_assert_int_eq(query_pool_open(&pool, &options), 0);
	lane = (struct effect_lane){.name = "mail", .class = EFFECT_MAIL, .concurrency = 2, .base_ms = 5, .cap_ms = 40,
	    .tries_max = 4, .age_max_ms = INT64_C(1) << 50};
	effect = (struct effect){.name = "mail.code", .lane = &lane, .run = run, .wanted = wanted};
	memset(peer.causes, 0, sizeof(peer.causes));
	peer.n = peer.n_running = peer.n_running_max = peer.n_batches = peer.n_next = 0;
	peer.held = peer.host_failed = peer.erased = false;
	batch_wait_max_ms = 0;
}

static void teardown(void)
{
	stop_engine();
	query_pool_close(pool);
	projector_stop(projector);
	fixture_finish(&f);
}

#define NEVER "9999999999999"

static uint64_t want_until(const char *key, const char *expires)
{
	static int n;
	char data[512];

	snprintf(data, sizeof(data), "{\"request_id\":\"%032d\",\"purpose\":\"LOGIN\",\"channel\":\"EMAIL\","
	    "\"target_digest\":\"%sAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
	    "\"address_digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"deliver\":true,\"expires_at_ms\":%s,"
	    "\"sealed_code\":\"x\"}", n++, key, expires);
	return give(&f, "verification.requested", data);
}

static uint64_t want(const char *key)
{
	return want_until(key, NEVER);
}

static uint64_t count(const char *type)
{
	return count_events(&f, type);
}

/* Until the log has so many of them; the test's own time limit says when that was never. */
static void until_told(const char *type, uint64_t n)
{
	while (count(type) < n)
		ck_assert_int_ne(eventlog_wait(f.log, eventlog_size(f.log), 50), ERR_CANCELLED);
}

static void states_are(const char *json)
{
	wait_all(&f, projector);
	rows_are(pool, "effects", "fields=state,reason,attempt&sort=createdAt", json);
}

/* ---- one effect --------------------------------------------------------------------------- */

START_TEST(an_attempt_is_in_the_log_before_it_is_made)
{
	start_engine();
	hold(true);
	want("AA");
	until_seen(1);
	ck_assert_uint_eq(count("effect.attempted"), 1);
	ck_assert_uint_eq(count("effect.done"), 0);
	hold(false);
	until_told("effect.done", 1);
	states_are("[{\"state\":\"DONE\",\"reason\":null,\"attempt\":1}]");
}
END_TEST

START_TEST(what_is_under_way_can_be_looked_at)
{
	struct effect_under_way seen[4];

	start_engine();
	ck_assert_uint_eq(effects_under_way(engine, seen, 4), 0);
	hold(true);
	want("AA");
	want("BB");
	until_seen(2);
	ck_assert_uint_eq(effects_under_way(engine, seen, 1), 1);
	ck_assert_uint_eq(effects_under_way(engine, seen, 4), 2);
	ck_assert_str_eq(seen[0].effect, "mail.code");
	ck_assert_str_eq(seen[0].lane, "mail");
	ck_assert_uint_eq(strlen(seen[0].id), ID_TEXT_LEN);
	ck_assert_uint_eq(seen[0].attempt, 1);
	ck_assert_uint_eq(seen[0].done, 7);
	ck_assert_uint_eq(seen[0].total, 9);
	hold(false);
	until_told("effect.done", 2);
	while (effects_under_way(engine, seen, 4) > 0)
		usleep(1000);
}
END_TEST

static const struct {
	const char *says;
	enum effect_outcome next[4];
	unsigned n_next;
	enum effect_class class;
	const char *last, *states;
	unsigned n_runs;
} outcomes[] = {
	{"what may work later is tried again", {EFFECT_RETRY, EFFECT_RETRY}, 2, EFFECT_MAIL, "effect.done",
	    "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":3}]", 3},
	{"what is not ready yet is asked for again", {EFFECT_NOT_YET, EFFECT_NOT_YET}, 2, EFFECT_HARMLESS, "effect.done",
	    "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":3}]", 3},
	{"but not for ever", {EFFECT_RETRY, EFFECT_RETRY, EFFECT_RETRY, EFFECT_RETRY}, 4, EFFECT_MAIL, "effect.dead",
	    "[{\"state\":\"DEAD\",\"reason\":\"TRIES\",\"attempt\":4}]", 4},
	{"what nobody asked the neighbour for costs no try", {EFFECT_NOT_TRIED, EFFECT_RETRY, EFFECT_NOT_TRIED, EFFECT_NOT_TRIED}, 4,
	    EFFECT_MAIL, "effect.done", "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":5}]", 5},
	{"what is refused for good is dead at once", {EFFECT_REFUSED}, 1, EFFECT_MAIL, "effect.dead",
	    "[{\"state\":\"DEAD\",\"reason\":\"REFUSED\",\"attempt\":1}]", 1},
	{"what cannot work is no dead letter", {EFFECT_FAILED}, 1, EFFECT_MAIL, "effect.failed",
	    "[{\"state\":\"FAILED\",\"reason\":null,\"attempt\":1}]", 1},
	{"an unknown mail goes again", {EFFECT_IS_UNKNOWN}, 1, EFFECT_MAIL, "effect.done",
	    "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":2}]", 2},
	{"an unknown call is left to a person", {EFFECT_IS_UNKNOWN}, 1, EFFECT_ONCE, "effect.unknown",
	    "[{\"state\":\"UNKNOWN\",\"reason\":null,\"attempt\":1}]", 1},
	{"a run that says nothing is unknown", {EFFECT_NOT_SET}, 1, EFFECT_ONCE, "effect.unknown",
	    "[{\"state\":\"UNKNOWN\",\"reason\":null,\"attempt\":1}]", 1},
};

START_TEST(outcomes_lead_where_they_should)
{
	lane.class = outcomes[_i].class;
	memcpy(peer.next, outcomes[_i].next, sizeof(outcomes[_i].next));
	peer.n_next = outcomes[_i].n_next;
	start_engine();
	want("AA");
	until_told(outcomes[_i].last, 1);
	states_are(outcomes[_i].states);
	ck_assert_msg(peer.n == outcomes[_i].n_runs, "%s: %u", outcomes[_i].says, peer.n);
	for (unsigned i = 1; i < peer.n; i++)
		ck_assert(peer.after_unknown[i] == (peer.next[i - 1] == EFFECT_IS_UNKNOWN));
}
END_TEST

START_TEST(what_is_too_late_is_not_tried)
{
	start_engine();
	want_until("AA", "1000");
	until_told("effect.dead", 1);
	states_are("[{\"state\":\"DEAD\",\"reason\":\"EXPIRED\",\"attempt\":0}]");
	ck_assert_uint_eq(peer.n, 0);
}
END_TEST

START_TEST(what_was_erased_is_cancelled)
{
	peer.erased = true;
	start_engine();
	want("AA");
	until_told("effect.cancelled", 1);
	states_are("[{\"state\":\"CANCELLED\",\"reason\":\"ERASED\",\"attempt\":0}]");
	ck_assert_uint_eq(peer.n, 0);
}
END_TEST

/* ---- many ------------------------------------------------------------------------------------ */

START_TEST(a_key_has_its_order_and_others_go_beside_it)
{
	uint64_t first[3], second;

	lane.concurrency = 4;
	start_engine();
	hold(true);
	for (int i = 0; i < 3; i++)
		first[i] = want("AA");
	second = want("BB");
	until_seen(2); /* one of each */
	wait_all(&f, projector);
	ck_assert_uint_eq(peer.n, 2);
	hold(false);
	until_told("effect.done", 4);
	/* The first two are on their way together, in either order. */
	ck_assert(peer.causes[0] == first[0] || peer.causes[0] == second);
	ck_assert_uint_eq(peer.causes[0] + peer.causes[1], first[0] + second);
	ck_assert_uint_eq(peer.causes[2], first[1]);
	ck_assert_uint_eq(peer.causes[3], first[2]);
}
END_TEST

START_TEST(a_failing_one_holds_its_key_alone)
{
	uint64_t a, b;

	peer.next[0] = EFFECT_RETRY;
	peer.n_next = 1;
	lane.concurrency = 1;
	start_engine();
	a = want("AA");
	b = want("AA");
	want("BB");
	until_told("effect.done", 3);
	/* The second of the key came after the first had worked. */
	for (unsigned i = 0, done_a = 0; i < peer.n; i++) {
		done_a += peer.causes[i] == a;
		if (peer.causes[i] == b)
			ck_assert_uint_eq(done_a, 2);
	}
}
END_TEST

START_TEST(no_more_at_a_time_than_the_lane_has)
{
	char key[8];

	start_engine();
	hold(true);
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		want(key);
	}
	until_seen(2);
	wait_all(&f, projector);
	hold(false);
	until_told("effect.done", 20);
	ck_assert_uint_eq(peer.n_running_max, 2);
	ck_assert_uint_eq(peer.n, 20);
}
END_TEST

START_TEST(a_batch_gathers_up_to_its_size)
{
	char key[8];

	lane.batch_max = 8;
	lane.batch_wait_ms = 600000; /* only full ones */
	lane.concurrency = 1;
	start_engine();
	for (int i = 0; i < 24; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system)); /* they have not waited yet */
		want(key);
	}
	until_told("effect.done", 24);
	ck_assert_uint_eq(peer.n, 24);
	ck_assert_uint_eq(peer.n_batches, 3);
}
END_TEST

START_TEST(a_batch_that_does_not_fill_goes_when_it_has_waited)
{
	lane.batch_max = 8;
	lane.batch_wait_ms = 600000;
	batch_wait_max_ms = 20;
	lane.concurrency = 1;
	start_engine();
	clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system));
	want("AA");
	want("BB");
	until_told("effect.done", 2);
	ck_assert_uint_le(peer.n_batches, 2);
	ck_assert_str_eq(peer.first_key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
}
END_TEST

START_TEST(what_is_ready_at_once_waits_for_no_clock)
{
	lane.batch_max = (unsigned)_i;
	lane.batch_wait_ms = 20;
	start_engine();
	/* The log's time is what it was before the clock was put back by an hour. */
	clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system) + INT64_C(3600000000));
	want("AA");
	until_told("effect.done", 1);
	ck_assert_uint_eq(peer.n, 1);
}
END_TEST

START_TEST(a_batch_that_opens_the_breaker_may_end_well)
{
	char key[8];

	peer.next[0] = EFFECT_STOP;
	peer.n_next = 1;
	lane.batch_max = 6;
	lane.batch_wait_ms = 600000; /* the six, and then those that have waited so long */
	batch_wait_max_ms = 200;
	lane.concurrency = 1;
	start_engine();
	for (int i = 0; i < 6; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system));
		want(key);
	}
	until_told("effect.done", 6);
	ck_assert_uint_ge(count("breaker.opened"), 1);
}
END_TEST

/* However many go together: one request failed. And one that was done among them says that the neighbour works. */
START_TEST(a_batch_is_one_call_of_the_neighbour)
{
	char key[8];

	for (int i = 0; i < 5; i++)
		peer.next[i] = EFFECT_RETRY;
	peer.n_next = 5;
	peer.host_failed = true;
	lane.batch_max = _i == 0 ? 5 : 1;
	lane.batch_wait_ms = 600000;
	batch_wait_max_ms = 200;
	lane.concurrency = 1;
	lane.tries_max = 100;
	start_engine();
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system));
		want(key);
	}
	until_told("effect.done", 5);
	ck_assert_uint_eq(count("breaker.opened"), _i == 0 ? 0 : 1);
}
END_TEST

START_TEST(a_neighbour_that_fails_is_left_alone_and_tried_again)
{
	char key[8];

	lane.tries_max = 100;
	lane.concurrency = 1;
	peer.host_failed = true;
	peer.n_next = 5;
	for (int i = 0; i < 5; i++)
		peer.next[i] = EFFECT_RETRY;
	start_engine();
	for (int i = 0; i < 8; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		want(key);
	}
	until_told("effect.done", 8);
	ck_assert_uint_eq(count("breaker.opened"), 1);
	ck_assert_uint_eq(count("breaker.probing"), 1);
	ck_assert_uint_eq(count("breaker.closed"), 1);
}
END_TEST

/* ---- ahead ----------------------------------------------------------------------------------- */

static void want_nth(unsigned n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	want((char[]){digits[n / (sizeof(digits) - 1) % (sizeof(digits) - 1)], digits[n % (sizeof(digits) - 1)], '\0'});
}

static bool is_told_ahead(void)
{
	for (int i = 0; i < 100 && count("effect.attempted") == peer.n; i++)
		usleep(2000);
	return count("effect.attempted") > peer.n;
}

/* Until one that runs is held, and others wait with their attempts in the log: the neighbour is known to be quick. Gives how many are wanted. */
static unsigned until_told_ahead(void)
{
	unsigned n = 0;

	do {
		hold(false);
		for (int i = 0; i < 10; i++)
			want_nth(n++);
		until_told("effect.done", n);
		hold(true);
		for (int i = 0; i < 3; i++)
			want_nth(n++);
		until_seen(n - 2);
	} while (!is_told_ahead());
	return n;
}

static void await_pause(void)
{
	struct effect_lane_status status;

	while (effects_status(engine, 0, &status) && !status.paused)
		usleep(1000);
}

START_TEST(what_was_told_ahead_and_not_begun_is_not_lost)
{
	unsigned n;

	lane.concurrency = 1;
	start_engine();
	n = until_told_ahead();
	effects_stop(engine);
	hold(false);
	ck_assert_uint_eq(count("effect.attempted"), count("effect.done") + count("effect.waiting"));
	ck_assert_uint_ge(count("effect.waiting"), 1);
	ck_assert_uint_eq(count("effect.unknown"), 0);
	start_engine();
	until_told("effect.done", n);
	ck_assert_uint_eq(peer.n, n);
}
END_TEST

START_TEST(what_was_told_ahead_heeds_a_pause)
{
	unsigned n, n_seen;

	lane.concurrency = 1;
	start_engine();
	n = until_told_ahead();
	n_seen = peer.n;
	give(&f, "lane.paused", "{\"lane\":\"mail\",\"reason\":\"test\"}");
	await_pause();
	hold(false);
	until_told("effect.waiting", 1);
	ck_assert_uint_eq(peer.n, n_seen);
	give(&f, "lane.resumed", "{\"lane\":\"mail\"}");
	until_told("effect.done", n);
	ck_assert_uint_eq(peer.n, n);
}
END_TEST

START_TEST(what_may_not_be_repeated_is_not_told_ahead)
{
	lane.class = EFFECT_ONCE;
	lane.concurrency = 1;
	start_engine();
	for (unsigned i = 0; i < 20; i++)
		want_nth(i);
	until_told("effect.done", 20);
	hold(true);
	for (unsigned i = 20; i < 23; i++)
		want_nth(i);
	until_seen(21);
	wait_all(&f, projector);
	ck_assert_uint_eq(count("effect.attempted"), 21);
}
END_TEST

/* They are told together with others, of which each must have its own way. */
START_TEST(what_somebody_else_decided_holds_up_no_other)
{
	char data[256], *id;
	unsigned n;

	lane.concurrency = 1;
	start_engine();
	n = until_told_ahead();
	/* More than are ever told ahead, so that the newest is not. */
	for (unsigned i = 0; i < 140; i++)
		want_nth(n++);
	wait_all(&f, projector);
	id = ask_list(pool, "effects", "fields=id&state=WANTED&limit=1", NULL);
	snprintf(data, sizeof(data),
	    "{\"effect_id\":\"%.32s\",\"effect\":\"mail.code\",\"lane\":\"mail\",\"attempt\":0,\"reason\":\"PERSON\"}",
	    strchr(id, ':') + 2);
	give(&f, "effect.cancelled", data);
	hold(false);
	until_told("effect.done", n - 1);
	wait_all(&f, projector);
	rows_are(pool, "effects", "fields=id&state=CANCELLED", id);
	ck_assert_uint_eq(peer.n, n - 1);
	free(id);
}
END_TEST

/* ---- over a restart --------------------------------------------------------------------------- */

START_TEST(nothing_is_done_twice_after_a_restart)
{
	start_engine();
	want("AA");
	until_told("effect.done", 1);
	stop_engine();
	start_engine();
	want("BB");
	until_told("effect.done", 2);
	ck_assert_uint_eq(peer.n, 2);
	ck_assert_uint_eq(count("effect.enabled"), 1);
}
END_TEST

static void give_attempted(const char *id, int attempt)
{
	char data[256];

	snprintf(data, sizeof(data), "{\"effect_id\":\"%s\",\"effect\":\"mail.code\",\"lane\":\"mail\",\"attempt\":%d}", id, attempt);
	give(&f, "effect.attempted", data);
}

static void id_of_first(char ret_id[33])
{
	char *text;

	wait_all(&f, projector);
	text = ask_list(pool, "effects", "fields=id", NULL);
	memcpy(ret_id, strchr(text, ':') + 2, 32);
	ret_id[32] = '\0';
	free(text);
}

/* An attempt without an outcome is what a process leaves that was killed. */
START_TEST(what_ends_the_process_three_times_is_poison)
{
	char id[33];

	give(&f, "effect.enabled", "{\"effect\":\"mail.code\"}");
	want("AA");
	give(&f, "lane.paused", "{\"lane\":\"mail\",\"reason\":\"so that nothing else happens\"}");
	id_of_first(id);
	for (int i = 1; i <= 3; i++) {
		give_attempted(id, i);
		start_engine();
		until_told("effect.unknown", (uint64_t)i);
		stop_engine();
	}
	states_are("[{\"state\":\"DEAD\",\"reason\":\"POISON\",\"attempt\":3}]");
	ck_assert_uint_eq(peer.n, 0);
}
END_TEST

/* Once more and it would be poison, and what it goes with, too. Of those that ended it once few go together. */
START_TEST(what_ended_the_process_twice_goes_alone)
{
	char id[33];

	lane.batch_max = 16;
	lane.batch_wait_ms = 20;
	give(&f, "effect.enabled", "{\"effect\":\"mail.code\"}");
	want("AA");
	give(&f, "lane.paused", "{\"lane\":\"mail\",\"reason\":\"so that nothing else happens\"}");
	id_of_first(id);
	for (int i = 1; i <= _i; i++) {
		give_attempted(id, i);
		start_engine();
		until_told("effect.unknown", (uint64_t)i);
		stop_engine();
	}
	want("BB");
	give(&f, "lane.resumed", "{\"lane\":\"mail\"}");
	wait_all(&f, projector);
	start_engine();
	until_told("effect.done", 2);
	ck_assert_uint_eq(peer.n_batches, _i == 2 ? 2 : 1);
}
END_TEST

START_TEST(what_was_under_way_is_unknown_and_goes_again)
{
	char id[33];

	give(&f, "effect.enabled", "{\"effect\":\"mail.code\"}");
	want("AA");
	id_of_first(id);
	give_attempted(id, 1);
	start_engine();
	until_told("effect.done", 1);
	states_are("[{\"state\":\"DONE\",\"reason\":null,\"attempt\":2}]");
	ck_assert(peer.after_unknown[0]);
}
END_TEST

static _Atomic int64_t put_back_us;

static int64_t wall_put_back(void *arg)
{
	(void)arg;
	return clock_wall_us(&clock_system) - atomic_load(&put_back_us);
}

static int64_t monotonic_as_it_is(void *arg)
{
	(void)arg;
	return clock_monotonic_us(&clock_system);
}

/* 0: while it waits. 1: while there was no process, which has the log's own time to tell it by. */
START_TEST(a_delay_is_no_longer_for_a_clock_that_is_put_back)
{
	static const struct clock clock = {wall_put_back, monotonic_as_it_is, NULL};
	int64_t now_us = clock_wall_us(&clock_system);
	char id[33], data[512];

	atomic_store(&put_back_us, _i == 0 ? 0 : INT64_C(3600000000));
	clock_manual_set_wall(&f.clock, now_us);
	give(&f, "effect.enabled", "{\"effect\":\"mail.code\"}");
	want("AA");
	id_of_first(id);
	give_attempted(id, 1);
	snprintf(data, sizeof(data), "{\"effect_id\":\"%s\",\"effect\":\"mail.code\",\"lane\":\"mail\",\"attempt\":1,"
	    "\"class\":\"made_up\",\"retry_at_ms\":%lld}", id, (long long)(now_us / 1000 + 300));
	give(&f, "effect.waiting", data);
	engine_clock = &clock;
	start_engine();
	atomic_store(&put_back_us, INT64_C(3600000000));
	until_told("effect.done", 1);
	ck_assert_int_ge(clock_wall_us(&clock_system) - now_us, 300000);
}
END_TEST

static uint64_t position_of(const char *type)
{
	struct log_filter filter = {.type = event_type_number(slice_str(type))};
	struct eventlog_cursor cursor;
	struct log_record record;

	eventlog_cursor_init(&cursor, f.log, 0, &filter);
	ck_assert_int_eq(eventlog_cursor_next(&cursor, &record), 0);
	eventlog_cursor_finish(&cursor);
	return record.position;
}

START_TEST(a_paused_lane_does_nothing_until_it_is_resumed)
{
	start_engine();
	give(&f, "lane.paused", "{\"lane\":\"*\",\"reason\":\"test\"}");
	want("AA");
	wait_all(&f, projector);
	stop_engine();
	start_engine();
	give(&f, "lane.resumed", "{\"lane\":\"*\"}");
	until_told("effect.done", 1);
	ck_assert_uint_eq(peer.n, 1);
	ck_assert_uint_gt(position_of("effect.attempted"), position_of("lane.resumed"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("effect");
	TCase *t = tcase_create("engine");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_attempt_is_in_the_log_before_it_is_made);
	tcase_add_test(t, what_is_under_way_can_be_looked_at);
	tcase_add_loop_test(t, outcomes_lead_where_they_should, 0, (int)COUNT(outcomes));
	tcase_add_test(t, what_is_too_late_is_not_tried);
	tcase_add_test(t, what_was_erased_is_cancelled);
	tcase_add_test(t, a_key_has_its_order_and_others_go_beside_it);
	tcase_add_test(t, a_failing_one_holds_its_key_alone);
	tcase_add_test(t, no_more_at_a_time_than_the_lane_has);
	tcase_add_test(t, a_batch_gathers_up_to_its_size);
	tcase_add_test(t, a_batch_that_opens_the_breaker_may_end_well);
	tcase_add_loop_test(t, a_batch_is_one_call_of_the_neighbour, 0, 2);
	tcase_add_test(t, a_batch_that_does_not_fill_goes_when_it_has_waited);
	tcase_add_loop_test(t, what_is_ready_at_once_waits_for_no_clock, 0, 3);
	tcase_add_test(t, a_neighbour_that_fails_is_left_alone_and_tried_again);
	tcase_add_test(t, what_was_told_ahead_and_not_begun_is_not_lost);
	tcase_add_test(t, what_was_told_ahead_heeds_a_pause);
	tcase_add_test(t, what_may_not_be_repeated_is_not_told_ahead);
	tcase_add_test(t, what_somebody_else_decided_holds_up_no_other);
	tcase_add_test(t, nothing_is_done_twice_after_a_restart);
	tcase_add_test(t, what_ends_the_process_three_times_is_poison);
	tcase_add_test(t, what_was_under_way_is_unknown_and_goes_again);
	tcase_add_loop_test(t, a_delay_is_no_longer_for_a_clock_that_is_put_back, 0, 2);
	tcase_add_loop_test(t, what_ended_the_process_twice_goes_alone, 1, 3);
	tcase_add_test(t, a_paused_lane_does_nothing_until_it_is_resumed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
