/* The tail against a model that keeps everything in a list. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "store/log_tail.h"

#define KEYS 40
#define STEPS 20000

struct known {
	enum fact_kind kind;
	unsigned key;
	uint64_t position;
};

static struct known *list;
static size_t n_list, n_committed, cap;
static uint64_t dropped; /* positions before this one */

static struct slice key_of(unsigned key, char buf[64])
{
	/* Lengths from 1 to 60, so that nodes and fillers of all sizes occur. */
	int len = snprintf(buf, 64, "%u-%.*s", key, (int)(key * 13 % 58), "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdef");

	return slice_of(buf, (size_t)len);
}

static void add(struct log_tail *t, enum fact_kind kind, unsigned key, uint64_t position)
{
	char buf[64];

	ck_assert_int_eq(log_tail_add(t, &(struct log_fact){.kind = kind, .position = position, .key = key_of(key, buf)}), 0);
	if (n_list == cap) {
		cap = cap == 0 ? 1024 : cap * 2;
		list = realloc(list, cap * sizeof(*list));
		ck_assert_ptr_nonnull(list);
	}
	list[n_list++] = (struct known){kind, key, position};
}

static const struct known *expected(enum fact_kind kind, unsigned key, bool all)
{
	for (size_t i = all ? n_list : n_committed; i-- > 0;) {
		bool same = list[i].kind == kind || (kind == FACT_CLAIM && list[i].kind == FACT_RELEASE);

		if (list[i].position < dropped)
			return NULL;
		if (same && list[i].key == key)
			return &list[i];
	}
	return NULL;
}

static void check_key(struct log_tail *t, enum fact_kind kind, unsigned key, bool all)
{
	const struct known *want = expected(kind, key, all);
	struct log_fact got;
	char buf[64];
	bool found = log_tail_find(t, kind, key_of(key, buf), all, &got);

	ck_assert_int_eq(found, want != NULL);
	if (found) {
		ck_assert_uint_eq(got.position, want->position);
		ck_assert_int_eq((int)got.kind, (int)want->kind);
	}
}

/* A copy gives the durable facts in order, none twice, none left out. */
static void check_copy(struct log_tail *t)
{
	static uint64_t copy[TAIL_COPY_MIN / 8];
	uint64_t at = 0;
	size_t n, i = 0;

	while (i < n_committed && list[i].position < dropped)
		i++;
	while ((n = log_tail_copy(t, &at, (uint8_t *)copy, sizeof(copy))) > 0) {
		const uint8_t *next = (const uint8_t *)copy;
		struct log_fact fact;
		char buf[64];

		while (log_tail_take(&next, &n, &fact)) {
			ck_assert_uint_lt(i, n_committed);
			ck_assert_uint_eq(fact.position, list[i].position);
			ck_assert(slice_eq(fact.key, key_of(list[i].key, buf)));
			i++;
		}
	}
	ck_assert_uint_eq(i, n_committed);
}

START_TEST(behaves_as_a_list)
{
	static const enum fact_kind kinds[] = {FACT_EVENT, FACT_ONCE, FACT_CLAIM, FACT_RELEASE, FACT_SUBJECT};
	struct log_tail t;
	struct rng_test rng;
	uint64_t position = 0;

	rng_test_init(&rng, (uint64_t)_i + 1);
	n_list = n_committed = 0;
	dropped = 0;
	ck_assert_int_eq(log_tail_init(&t), 0);
	for (int step = 0; step < STEPS; step++) {
		uint64_t dice = rng_below(&rng.rng, 100);

		if (dice < 60) { /* an append of some events that succeeds */
			for (uint64_t n = rng_below(&rng.rng, 8) + 1; n > 0; n--, position++) {
				for (uint64_t k = rng_below(&rng.rng, 4) + 1; k > 0; k--)
					add(&t, kinds[rng_below(&rng.rng, 5)], (unsigned)rng_below(&rng.rng, KEYS), position);
			}
		} else if (dice < 75) { /* one that is refused half-way */
			uint64_t mark = log_tail_mark(&t);
			size_t before = n_list;

			for (uint64_t n = rng_below(&rng.rng, 12); n > 0; n--)
				add(&t, kinds[rng_below(&rng.rng, 5)], (unsigned)rng_below(&rng.rng, KEYS), position);
			log_tail_undo(&t, mark);
			n_list = before;
		} else if (dice < 90) {
			log_tail_commit(&t);
			n_committed = n_list;
		} else if (dice < 92 && n_committed > 0) { /* the index has come somewhere */
			uint64_t low = dropped, high = list[n_committed - 1].position + 1;

			if (high > low)
				dropped = low + rng_below(&rng.rng, high - low + 1);
			log_tail_drop(&t, dropped);
		}
		check_key(&t, kinds[rng_below(&rng.rng, 3)], (unsigned)rng_below(&rng.rng, KEYS), TAIL_ALL);
		check_key(&t, kinds[rng_below(&rng.rng, 3)], (unsigned)rng_below(&rng.rng, KEYS), TAIL_DURABLE);
		if (step % 1000 == 0)
			check_copy(&t);
	}
	check_copy(&t);
	log_tail_finish(&t);
	free(list);
	list = NULL;
	cap = 0;
}
END_TEST

/* Far more than fits at first: the ring doubles, and what was found before is found after. */
START_TEST(grows_and_wraps)
{
	struct log_tail t;
	char buf[64];
	struct log_fact fact;
	uint64_t bytes;

	ck_assert_int_eq(log_tail_init(&t), 0);
	bytes = log_tail_bytes(&t);
	for (unsigned i = 0; i < 60000; i++)
		ck_assert_int_eq(log_tail_add(&t, &(struct log_fact){.kind = FACT_ONCE, .position = i, .key = key_of(i, buf)}), 0);
	log_tail_commit(&t);
	ck_assert_uint_gt(log_tail_bytes(&t), bytes);
	bytes = log_tail_bytes(&t);
	for (unsigned round = 1; round < 8; round++) { /* steady state: no more memory */
		log_tail_drop(&t, round * 10000);
		for (unsigned i = 0; i < 10000; i++) {
			unsigned key = 50000 + round * 10000 + i;

			ck_assert_int_eq(log_tail_add(&t, &(struct log_fact){.kind = FACT_ONCE, .position = key, .key = key_of(key, buf)}), 0);
		}
		log_tail_commit(&t);
		ck_assert(!log_tail_find(&t, FACT_ONCE, key_of(round * 10000 - 1, buf), TAIL_ALL, &fact));
		ck_assert(log_tail_find(&t, FACT_ONCE, key_of(round * 10000, buf), TAIL_DURABLE, &fact));
		ck_assert_uint_eq(fact.position, round * 10000);
	}
	ck_assert_uint_eq(log_tail_bytes(&t), bytes);
	log_tail_finish(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_tail");
	TCase *t = tcase_create("tail");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, behaves_as_a_list, 0, 4);
	tcase_add_test(t, grows_and_wraps);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
