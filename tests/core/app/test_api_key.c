/* Only what we make is an API key, whole. */
#include <check.h>

#include "app/api_key.h"
#include "lib/run.h"

#define SECRET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno01"

static const struct {
	const char *says, *text;
	bool good;
} cases[] = {
    {"as made", "sk_0123456789." SECRET, true},
    {"both characters that base64url has of its own", "sk_-_-_-_-_-_." SECRET, true},
    {"another beginning", "pk_0123456789." SECRET, false},
    {"a prefix too short", "sk_012345678." SECRET "0", false},
    {"a prefix too long", "sk_01234567890" SECRET, false},
    {"a character of plain base64", "sk_012345678+." SECRET, false},
    {"no base64 at all", "sk_0123456789.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno0 ", false},
    {"one more", "sk_0123456789." SECRET "0", false},
    {"one less", "sk_0123456789.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno0", false},
    {"nothing behind sk_", "sk_", false},
    {"nothing", "", false},
};

START_TEST(only_the_form_that_is_made)
{
	struct slice prefix;

	ck_assert_msg(api_key_parse(slice_str(cases[_i].text), &prefix) == cases[_i].good, "%s", cases[_i].says);
	if (cases[_i].good)
		ck_assert(slice_eq(prefix, slice_of(cases[_i].text + 3, API_KEY_PREFIX_LEN)));
}
END_TEST

START_TEST(made_ones_differ_and_are_read)
{
	char one[API_KEY_LEN + 1], two[API_KEY_LEN + 1];
	uint8_t digest_one[SHA256_LEN], digest_two[SHA256_LEN];
	struct slice prefix;

	api_key_make(one, &rng_system);
	api_key_make(two, &rng_system);
	ck_assert(api_key_parse(slice_str(one), &prefix));
	ck_assert(api_key_parse(slice_str(two), &prefix));
	ck_assert_str_ne(one, two);
	ck_assert(memcmp(one + 14, two + 14, BASE64URL_LEN(API_KEY_SECRET_BYTES)) != 0);
	api_key_digest(digest_one, slice_str(one));
	api_key_digest(digest_two, slice_str(two));
	ck_assert(memcmp(digest_one, digest_two, SHA256_LEN) != 0);
}
END_TEST

static void set_up(void)
{
	ck_assert_int_eq(crypto_init(), 0);
}

int main(void)
{
	Suite *s = suite_create("api_key");
	TCase *t = tcase_create("text");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_loop_test(t, only_the_form_that_is_made, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(t, made_ones_differ_and_are_read);
	suite_add_tcase(s, t);
	return run_suite(s);
}
