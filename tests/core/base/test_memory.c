/* arena.c, buf.c, pool.c, list.h: who holds memory, and where growing ends. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/thread.h"
#include "lib/run.h"

static bool all_zero(const unsigned char *p, size_t size)
{
	while (size > 0 && p[size - 1] == 0)
		size--;
	return size == 0;
}

START_TEST(arena_gives_zeroed_aligned_memory)
{
	struct arena a = ARENA_INIT(1 << 20);

	for (size_t size = 0; size < 3000; size += 7) {
		unsigned char *p = arena_alloc(&a, size);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
		ck_assert(all_zero(p, size));
		memset(p, 0xff, size);
	}
	arena_reset(&a);
	for (size_t i = 0; i < 100; i++) {
		unsigned char *p = arena_alloc(&a, 50);

		ck_assert_uint_eq(p[0] | p[49], 0);
		memset(p, 0xff, 50);
	}
	arena_finish(&a);
	ck_assert_ptr_null(a.head);
	arena_finish(&a);
}
END_TEST

START_TEST(arena_stops_at_its_ceiling)
{
	struct arena a = ARENA_INIT(10000);
	size_t n = 0;

	while (arena_alloc(&a, 100) != NULL)
		n++;
	ck_assert_uint_ge(n, 80);
	ck_assert_uint_le(n, 100);
	ck_assert_uint_le(a.total, 10000);
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
	ck_assert_ptr_null(arena_calloc(&a, SIZE_MAX / 2, 3));
	ck_assert_ptr_null(arena_dup(&a, slice_of("", (size_t)1 << 40)).ptr);
	arena_finish(&a);
	ck_assert_ptr_nonnull(arena_alloc(&a, 10000));
	ck_assert_ptr_null(arena_alloc(&a, 1));
	ck_assert_ptr_null(arena_printf(&a, "%s", "full"));
	arena_finish(&a);
}
END_TEST

START_TEST(arena_copies_end_in_nul)
{
	struct arena a = ARENA_INIT(1000);
	struct slice copy = arena_dup(&a, SLICE("abc"));

	ck_assert_slice_eq(copy, SLICE("abc"));
	ck_assert_int_eq(copy.ptr[3], '\0');
	ck_assert_str_eq(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
	copy = arena_dup(&a, (struct slice){0});
	ck_assert_uint_eq(copy.len, 0);
	ck_assert_str_eq(copy.ptr, "");
	ck_assert_ptr_nonnull(arena_calloc(&a, 3, 5));
	arena_finish(&a);
}
END_TEST

START_TEST(buf_grows_to_its_ceiling_and_no_further)
{
	struct buf b = BUF_INIT(1000);

	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(buf_append_char(&b, (char)('a' + i % 26)), 0);
	ck_assert_uint_eq(b.len, 1000);
	ck_assert_int_eq(b.ptr[1000], '\0');
	ck_assert_int_eq(b.ptr[27], 'b');
	ck_assert_uint_le(b.cap, 1001);
	ck_assert_int_eq(buf_append_char(&b, 'x'), ERR_TOO_BIG);
	/* The failure sticks, even for what would fit. */
	ck_assert_int_eq(buf_append(&b, (struct slice){0}), ERR_TOO_BIG);
	ck_assert_ptr_null(buf_reserve(&b, 0));
	ck_assert_uint_eq(b.len, 1000);
	buf_clear(&b);
	ck_assert_int_eq(buf_append_str(&b, "again"), 0);
	ck_assert_str_eq(b.ptr, "again");
	buf_finish(&b);
	ck_assert_uint_eq(b.max, 1000);
	ck_assert_ptr_null(b.ptr);
}
END_TEST

START_TEST(buf_over_an_array_fills_it_and_no_more)
{
	char guarded[3 + 10 + 1 + 3], bytes[11];
	struct buf b = BUF_OVER(bytes);

	ck_assert_int_eq(buf_append_str(&b, "01234"), 0);
	ck_assert_int_eq(buf_printf(&b, "%d", 56789), 0);
	ck_assert_ptr_eq(b.ptr, bytes);
	ck_assert_str_eq(bytes, "0123456789");
	ck_assert_int_eq(buf_append_char(&b, 'x'), ERR_TOO_BIG);
	buf_clear(&b);
	ck_assert_ptr_eq(buf_reserve(&b, 10), bytes);
	ck_assert_ptr_null(buf_reserve(&b, 11));
	buf_clear(&b);
	ck_assert_int_eq(buf_printf(&b, "%s", "longer than it"), ERR_TOO_BIG);
	/* Nothing is written beside it. */
	memset(guarded, '#', sizeof(guarded));
	b = (struct buf){.ptr = guarded + 3, .cap = 11, .max = 10};
	while (buf_printf(&b, "%s", "abc") == 0)
		;
	ck_assert_int_eq(buf_append(&b, SLICE("d")), ERR_TOO_BIG);
	ck_assert_mem_eq(guarded, "###abcabcabc", 12);
	ck_assert_mem_eq(guarded + 14, "###", 3);
}
END_TEST

START_TEST(buf_zeroed_is_full_and_finishes)
{
	struct buf b = {0};

	ck_assert_int_eq(buf_append(&b, (struct slice){0}), 0);
	ck_assert_int_eq(buf_append_char(&b, 'x'), ERR_TOO_BIG);
	buf_finish(&b);
	buf_wipe(&b);
	ck_assert_ptr_null(buf_take(&b, NULL));
}
END_TEST

START_TEST(buf_prints_reserves_consumes_and_hands_over)
{
	struct buf b = BUF_INIT(100);
	size_t len;
	char *at, *taken;

	ck_assert_int_eq(buf_printf(&b, "%s=%d", "n", 42), 0);
	ck_assert_int_eq(buf_printf(&b, "%s", ""), 0);
	at = buf_reserve(&b, 3);
	memcpy(at, "xyz", 3);
	buf_commit(&b, 2);
	ck_assert_str_eq(b.ptr, "n=42xy");
	buf_consume(&b, 2);
	ck_assert_str_eq(b.ptr, "42xy");
	buf_consume(&b, 0);
	taken = buf_take(&b, &len);
	ck_assert_uint_eq(len, 4);
	ck_assert_str_eq(taken, "42xy");
	free(taken);
	ck_assert_uint_eq(b.cap, 0);
	ck_assert_int_eq(buf_printf(&b, "%101d", 1), ERR_TOO_BIG);
	ck_assert_ptr_null(buf_take(&b, &len));
	buf_append_str(&b, "not after a failure was cleared by taking");
	ck_assert_int_eq(b.rc, 0);
	buf_wipe(&b);
}
END_TEST

START_TEST(pool_is_bounded_and_reuses)
{
	struct pool p;
	unsigned char *a, *b, *again;

	pool_init(&p, 3, 2);
	a = pool_take(&p);
	b = pool_take(&p);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_null(pool_take(&p));
	ck_assert_uint_eq(pool_n_out(&p), 2);
	memset(b, 0xff, 3);
	pool_give(&p, b);
	pool_give(&p, NULL);
	again = pool_take(&p);
	ck_assert_ptr_eq(again, b);
	ck_assert_uint_eq(again[0] | again[1] | again[2], 0);
	pool_give(&p, again);
	pool_give(&p, a);
	ck_assert_uint_eq(pool_n_out(&p), 0);
	pool_finish(&p);
	pool_finish(&p);
}
END_TEST

static struct pool shared;
static atomic_uint n_taken;

/* Every thread marks what it took; nobody else may have it meanwhile. */
static void *take_and_give(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		atomic_uint *mark = pool_take(&shared);

		if (mark == NULL)
			continue;
		ck_assert_uint_eq(atomic_fetch_add(mark, 1), 0);
		atomic_fetch_add(&n_taken, 1);
		pool_give(&shared, mark);
	}
	return NULL;
}

START_TEST(pool_serves_threads)
{
	pthread_t threads[4];

	pool_init(&shared, sizeof(atomic_uint), 3);
	for (size_t i = 0; i < COUNT(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_gt(n_taken, 20000);
	ck_assert_uint_eq(pool_n_out(&shared), 0);
	pool_finish(&shared);
}
END_TEST

struct item {
	int number;
	struct list link;
};

static _Atomic bool stopping;

static void *rest_for_long(void *arg)
{
	(void)arg;
	return thread_pause(1000000, &stopping) ? &stopping : NULL;
}

START_TEST(a_pause_lasts_or_is_ended)
{
	struct timespec before, after;
	pthread_t thread;
	void *lasted;

	clock_gettime(CLOCK_MONOTONIC, &before);
	ck_assert(thread_pause(25, NULL)); /* more than a step of it */
	clock_gettime(CLOCK_MONOTONIC, &after);
	ck_assert_int_ge((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000, 25);
	ck_assert(thread_pause(0, &stopping));
	ck_assert_int_eq(pthread_create(&thread, NULL, rest_for_long, NULL), 0);
	atomic_store(&stopping, true);
	pthread_join(thread, &lasted);
	ck_assert_ptr_null(lasted);
	ck_assert(!thread_pause(1000000, &stopping));
}
END_TEST

START_TEST(list_keeps_order_and_splices)
{
	struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
	struct list one, two;
	int sum = 0;

	list_init(&one);
	list_init(&two);
	list_append(&one, &items[0].link);
	list_append(&one, &items[1].link);
	list_append(&two, &items[2].link);
	list_append(&two, &items[3].link);
	list_splice(&one, &two);
	ck_assert(list_empty(&two));
	list_splice(&one, &two);
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	for (struct list *l = one.next; l != &one; l = l->next)
		sum = sum * 10 + container_of(l, struct item, link)->number;
	ck_assert_int_eq(sum, 23);
}
END_TEST

static const struct {
	int err;
	const char *name, *text;
} errors[] = {
    {0, "OK", "no error"},
    {ERR_NOMEM, "ERR_NOMEM", "out of memory"},
    {ERR_CONFIG, "ERR_CONFIG", "configuration error"},
    {ERR_TAKEN, "ERR_TAKEN", "name is already taken"},
    {1, "ERR_?", "unknown error"},
    {-9999, "ERR_?", "unknown error"},
};

START_TEST(errors_have_names_and_texts)
{
	ck_assert_str_eq(err_name(errors[_i].err), errors[_i].name);
	ck_assert_str_eq(err_text(errors[_i].err), errors[_i].text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memory");
	TCase *t = tcase_create("memory");

	tcase_add_test(t, arena_gives_zeroed_aligned_memory);
	tcase_add_test(t, arena_stops_at_its_ceiling);
	tcase_add_test(t, arena_copies_end_in_nul);
	tcase_add_test(t, buf_grows_to_its_ceiling_and_no_further);
	tcase_add_test(t, buf_over_an_array_fills_it_and_no_more);
	tcase_add_test(t, buf_zeroed_is_full_and_finishes);
	tcase_add_test(t, buf_prints_reserves_consumes_and_hands_over);
	tcase_add_test(t, pool_is_bounded_and_reuses);
	tcase_add_test(t, pool_serves_threads);
	tcase_add_test(t, a_pause_lasts_or_is_ended);
	tcase_add_test(t, list_keeps_order_and_splices);
	tcase_add_loop_test(t, errors_have_names_and_texts, 0, COUNT(errors));
	suite_add_tcase(s, t);
	return run_suite(s);
}
