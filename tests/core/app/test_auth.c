/* The admin token: made once, kept private, compared whole. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/auth.h"
#include "base/err.h"
#include "base/io.h"
#include "crypto/crypto.h"
#include "lib/temp_dir.h"

static char dir[TEMP_DIR_LEN], path[96];

static void setup(void)
{
	temp_dir_make(dir, "auth");
	snprintf(path, sizeof(path), "%s/" ADMIN_TOKEN_FILE, dir);
}

static void teardown(void)
{
	temp_dir_remove(dir);
}

static struct slice token_in_file(struct buf *text)
{
	buf_clear(text);
	ck_assert_int_eq(file_read(text, path), 0);
	return slice_trim(buf_slice(text));
}

START_TEST(a_token_is_made_once_and_private)
{
	struct auth first, second;
	struct buf text = BUF_INIT(4096);
	struct stat st;
	bool made = false;

	ck_assert_int_eq(auth_open(&first, dir, &rng_system, &made), 0);
	ck_assert(made);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(auth_open(&second, dir, &rng_system, &made), 0);
	ck_assert(!made);
	ck_assert_uint_ge(token_in_file(&text).len, 43); /* 32 random bytes */
	ck_assert_ptr_eq(auth_recognise(&first, token_in_file(&text)), &first.admin);
	ck_assert_ptr_eq(auth_recognise(&second, token_in_file(&text)), &second.admin);
	auth_close(&first);
	ck_assert_ptr_null(auth_recognise(&first, token_in_file(&text)));
	auth_close(&second);
	buf_finish(&text);
}
END_TEST

/* What a principal of one organisation may there. */
static const struct { const char *says, *permission, *org; enum data_scope scope; } held[] = {
	{"everywhere", "meetings:read", "b", SCOPE_ALL},
	{"everywhere, asked of any", "meetings:read", "", SCOPE_ALL},
	{"the first of several", "members:read", "a", SCOPE_ORGANIZATION},
	{"the last of several", "orgs:read", "a", SCOPE_ORGANIZATION},
	{"the farther of two", "roles:read", "a", SCOPE_DEPARTMENT},
	{"the only one", "roles:read", "b", SCOPE_OWN},
	{"in another organisation", "members:read", "b", SCOPE_NONE},
	{"in one that begins alike", "roles:read", "bb", SCOPE_NONE},
	{"a beginning of a name", "members", "a", SCOPE_NONE},
	{"what nobody gave", "users:write", "a", SCOPE_NONE},
	{"all of an organisation", "anything:at_all", "c", SCOPE_ORGANIZATION},
	{"the farthest of any: all of one", "roles:read", "", SCOPE_ORGANIZATION},
	{"a reach there is not", "roles:read", "d", SCOPE_NONE},
	{"a text cut short", "roles:read", "e", SCOPE_NONE},
};

START_TEST(rights_hold_where_they_were_given)
{
	static const char *const everywhere[] = {"meetings:read", NULL};
	static const char *const in_orgs[] = {"a 3 members:read orgs:read", "a 1 roles:read", "a 2 roles:read", "b 1 roles:read",
	    "c 3 *", "d 9 roles:read", "e", NULL};
	const struct principal who = {.permissions = everywhere, .in_orgs = in_orgs}, nowhere = {.permissions = everywhere};
	enum data_scope scope = principal_scope(&who, held[_i].permission, slice_str(held[_i].org));

	ck_assert_msg(scope == held[_i].scope, "%s: %d", held[_i].says, (int)scope);
	ck_assert_int_eq(principal_scope(&nowhere, held[_i].permission, slice_str(held[_i].org)),
	    strcmp(held[_i].permission, "meetings:read") == 0 ? SCOPE_ALL : SCOPE_NONE);
}
END_TEST

static const struct { const char *says, *token; } wrong[] = {
	{"nothing", ""},
	{"a beginning", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh"},
	{"one character more", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8x"},
	{"another case", "aaECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
};

START_TEST(only_the_whole_token_counts)
{
	struct auth auth;

	ck_assert_int_eq(file_create(path, SLICE("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"), 0600), 0);
	ck_assert_int_eq(auth_open(&auth, dir, &rng_system, NULL), 0);
	ck_assert_ptr_nonnull(auth_recognise(&auth, SLICE("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")));
	ck_assert_msg(auth_recognise(&auth, slice_str(wrong[_i].token)) == NULL, "%s", wrong[_i].says);
	auth_close(&auth);
}
END_TEST

START_TEST(a_guessable_token_file_is_refused)
{
	struct auth auth;

	ck_assert_int_eq(file_create(path, SLICE("secret\n"), 0600), 0);
	ck_assert_int_eq(auth_open(&auth, dir, &rng_system, NULL), ERR_CONFIG);
}
END_TEST

START_TEST(permissions_go_by_name)
{
	static const char *const some[] = {"meetings:read", NULL}, *const all[] = {"*", NULL};
	struct principal reader = {.id = "r", .permissions = some}, admin = {.id = "a", .permissions = all};

	ck_assert(principal_may(&reader, "meetings:read"));
	ck_assert(!principal_may(&reader, "meetings:write"));
	ck_assert(principal_may(&reader, NULL)); /* signed in is enough */
	ck_assert(principal_may(&admin, "personal:read"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("auth");
	TCase *tc = tcase_create("auth");
	SRunner *runner;
	int failed;

	if (crypto_init() != 0)
		return 1;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_token_is_made_once_and_private);
	tcase_add_loop_test(tc, only_the_whole_token_counts, 0, 4);
	tcase_add_test(tc, a_guessable_token_file_is_refused);
	tcase_add_test(tc, permissions_go_by_name);
	tcase_add_loop_test(tc, rights_hold_where_they_were_given, 0, sizeof(held) / sizeof(held[0]));
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
