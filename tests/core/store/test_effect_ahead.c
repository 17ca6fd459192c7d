/*
 * Attempts that are told while no worker is free for them, as they are of a neighbour known to be quick: what becomes of
 * them when they are not begun.
 */
#include "effect_rig.h"

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

int main(void)
{
	Suite *s = suite_create("effect_ahead");
	TCase *t = tcase_create("engine");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_was_told_ahead_and_not_begun_is_not_lost);
	tcase_add_test(t, what_was_told_ahead_heeds_a_pause);
	tcase_add_test(t, what_may_not_be_repeated_is_not_told_ahead);
	tcase_add_test(t, what_somebody_else_decided_holds_up_no_other);
	suite_add_tcase(s, t);
	return run_suite(s);
}
