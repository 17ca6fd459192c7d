/* Keys, names of uploads, and the sum that stores tell. What puts do is in tests/storage. */
#include "adapters/crc64.h"
#include "adapters/object_private.h"
#include "lib/run.h"

START_TEST(the_sum_of_nothing_and_of_digits)
{
	ck_assert_uint_eq(crc64(0, SLICE("")), 0);
	ck_assert_uint_eq(crc64(0, SLICE("123456789")), UINT64_C(0x995dc9bbdf1939fa)); /* of CRC-64/XZ's catalogue entry */
}
END_TEST

START_TEST(a_sum_of_pieces_is_that_of_the_whole)
{
	char bytes[100];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 37);
	for (size_t cut = 0; cut <= sizeof(bytes); cut++)
		ck_assert_uint_eq(crc64(crc64(0, slice_of(bytes, cut)), slice_of(bytes + cut, sizeof(bytes) - cut)),
		    crc64(0, slice_of(bytes, sizeof(bytes))));
}
END_TEST

static const struct { const char *key; bool ok; } keys[] = {
	{"a", true}, {"a/b/c.mp4", true}, {"A-Z_0.9", true}, {"a/b.", true}, {"a..b", true},
	{"", false}, {"/", false}, {"/a", false}, {"a/", false}, {"a//b", false}, {".", false}, {"..", false}, {"a/../b", false},
	{"a/.b", false}, {".uploads/x", false}, {"a b", false}, {"a\\b", false}, {"a%2fb", false}, {"a:b", false}, {"\xc3\xa4", false},
	{"a\nb", false},
};

START_TEST(keys_that_are_some)
{
	ck_assert_msg(object_key_ok(slice_str(keys[_i].key)) == keys[_i].ok, "%s", keys[_i].key);
}
END_TEST

START_TEST(keys_have_an_end)
{
	char key[OBJECT_KEY_MAX + 1];

	memset(key, 'k', sizeof(key));
	for (size_t i = 100; i < sizeof(key); i += 100)
		key[i] = '/';
	ck_assert(object_key_ok(slice_of(key, OBJECT_KEY_MAX)));
	ck_assert(!object_key_ok(slice_of(key, OBJECT_KEY_MAX + 1)));
	memset(key, 'k', sizeof(key));
	ck_assert(object_key_ok(slice_of(key, 200)));
	ck_assert(!object_key_ok(slice_of(key, 201)));
	ck_assert(!object_key_ok(slice_of("a\0b", 3)));
}
END_TEST

START_TEST(names_of_files_are_told_harmlessly)
{
	struct arena arena = ARENA_INIT(4096);

	ck_assert_str_eq(object_disposition(&arena, SLICE("a b.mp4")), "attachment; filename=\"a b.mp4\"; filename*=UTF-8''a%20b.mp4");
	ck_assert_str_eq(object_disposition(&arena, SLICE("\"\r\n;\xe4\xb8\xad")),
	    "attachment; filename=\"_______\"; filename*=UTF-8''%22%0D%0A%3B%E4%B8%AD");
	arena_finish(&arena);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("object_store");
	TCase *t = tcase_create("all");

	tcase_add_test(t, the_sum_of_nothing_and_of_digits);
	tcase_add_test(t, a_sum_of_pieces_is_that_of_the_whole);
	tcase_add_loop_test(t, keys_that_are_some, 0, (int)COUNT(keys));
	tcase_add_test(t, keys_have_an_end);
	tcase_add_test(t, names_of_files_are_told_harmlessly);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
