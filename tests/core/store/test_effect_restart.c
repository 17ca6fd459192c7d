/* What the engine finds when it starts: attempts without an outcome, delays, lanes that are held. */
#include "effect_rig.h"

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
	Suite *s = suite_create("effect_restart");
	TCase *t = tcase_create("engine");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nothing_is_done_twice_after_a_restart);
	tcase_add_test(t, what_ends_the_process_three_times_is_poison);
	tcase_add_loop_test(t, what_ended_the_process_twice_goes_alone, 1, 3);
	tcase_add_test(t, what_was_under_way_is_unknown_and_goes_again);
	tcase_add_loop_test(t, a_delay_is_no_longer_for_a_clock_that_is_put_back, 0, 2);
	tcase_add_test(t, a_paused_lane_does_nothing_until_it_is_resumed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
