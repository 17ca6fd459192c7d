/* tokens.c: which tokens are believed when, as time goes by and keys change. */
#include <stdio.h>
#include <stdlib.h>

#include "app/tokens.h"
#include "base/err.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

#define DAY_US (INT64_C(86400) * 1000000)
#define PERIOD_US (TOKEN_KEY_DAYS * DAY_US)

static char dir[TEMP_DIR_LEN], root_key[96];
static struct clock_manual moment;
static struct keyring *keyring;
static struct tokens *tokens;
static struct arena arena;

static void open_all(void)
{
	struct keyring_options o = {.dir = dir, .root_key_path = root_key, .stock = 8, .clock = &moment.clock,
	    .rng = &rng_system};

	ck_assert_int_eq(keyring_open(&keyring, &o), 0);
	ck_assert_int_eq(tokens_open(&tokens, keyring, "log.example", &moment.clock, &rng_system), 0);
}

static void close_all(void)
{
	tokens_close(tokens);
	keyring_close(keyring);
}

static void set_up(void)
{
	ck_assert_int_eq(crypto_init(), 0);
	temp_dir_make(dir, "tokens");
	snprintf(root_key, sizeof(root_key), "%s/root.key", dir);
	arena = (struct arena)ARENA_INIT(1 << 20);
	clock_manual_init(&moment, 230 * PERIOD_US + DAY_US);
	open_all();
}

static void tear_down(void)
{
	close_all();
	arena_finish(&arena);
	temp_dir_remove(dir);
}

static struct buf issue(void)
{
	struct buf token = BUF_INIT(JWT_LEN_MAX);

	ck_assert_int_eq(tokens_issue(tokens, SLICE("0123456789abcdef0123456789abcdef"), SLICE("s"), &token), 0);
	return token;
}

static enum jwt_verdict judge(const struct buf *token)
{
	struct jwt_claims claims;

	return tokens_verify(tokens, buf_slice(token), &arena, &claims);
}

START_TEST(a_token_lives_ten_minutes)
{
	struct buf token = issue();
	struct jwt_claims claims;

	ck_assert_int_eq(tokens_verify(tokens, buf_slice(&token), &arena, &claims), JWT_OK);
	ck_assert_slice_eq(claims.sub, SLICE("0123456789abcdef0123456789abcdef"));
	ck_assert_slice_eq(claims.sid, SLICE("s"));
	ck_assert_int_eq(claims.exp - claims.iat, TOKEN_LIFE_S);
	clock_manual_advance(&moment, (INT64_C(1000000) * (TOKEN_LIFE_S + TOKEN_TOLERANCE_S - 1)));
	ck_assert_int_eq(judge(&token), JWT_OK);
	clock_manual_advance(&moment, 1000000);
	ck_assert_int_eq(judge(&token), JWT_EXPIRED);
	buf_finish(&token);
}
END_TEST

/* What was signed in the last minute of a key's time is believed under the next one; two periods on the key is gone. */
START_TEST(keys_change_and_overlap)
{
	struct buf before, after;

	clock_manual_set_wall(&moment, 231 * PERIOD_US - 1000000);
	before = issue();
	ck_assert_int_eq(judge(&before), JWT_OK);
	clock_manual_advance(&moment, 2000000);
	after = issue();
	ck_assert_int_eq(judge(&before), JWT_OK);
	ck_assert_int_eq(judge(&after), JWT_OK);
	ck_assert_int_ne(memcmp(before.ptr, after.ptr, strcspn(before.ptr, ".")), 0); /* their headers name different keys */
	clock_manual_advance(&moment, PERIOD_US);
	ck_assert_int_eq(judge(&before), JWT_UNKNOWN_KEY);
	ck_assert_int_eq(judge(&after), JWT_EXPIRED);
	buf_finish(&before);
	buf_finish(&after);
}
END_TEST

START_TEST(keys_outlive_the_process)
{
	struct buf token = issue();

	close_all();
	open_all();
	ck_assert_int_eq(judge(&token), JWT_OK);
	buf_finish(&token);
}
END_TEST

START_TEST(a_clock_set_back_forgets_no_key)
{
	struct buf token;

	clock_manual_set_wall(&moment, 231 * PERIOD_US + 1000000);
	token = issue();
	clock_manual_set_wall(&moment, 231 * PERIOD_US - 20 * INT64_C(1000000));
	ck_assert_int_eq(judge(&token), JWT_OK);
	buf_finish(&token);
}
END_TEST

/* A token of another server, or of a key of ours without a session, is none. */
START_TEST(what_others_signed_is_not_believed)
{
	struct buf token = issue(), nameless = BUF_INIT(JWT_LEN_MAX), set = BUF_INIT(4096);
	struct json_writer w = JSON_WRITER(&set);
	struct tokens *others;
	struct jwt_claims claims;

	ck_assert_int_eq(tokens_open(&others, keyring, "another.example", &moment.clock, &rng_system), 0);
	ck_assert_int_eq(tokens_verify(others, buf_slice(&token), &arena, &claims), JWT_BAD_CLAIM);
	tokens_close(others);
	ck_assert_int_eq(tokens_issue(tokens, SLICE("u"), (struct slice){0}, &nameless), 0);
	ck_assert_int_eq(judge(&nameless), JWT_BAD_CLAIM);
	ck_assert_int_eq(tokens_write_jwks(tokens, &w), 0);
	ck_assert_ptr_nonnull(strstr(set.ptr, "\"kid\":\"token-230\""));
	ck_assert_ptr_nonnull(strstr(set.ptr, "\"kid\":\"token-229\""));
	ck_assert_ptr_null(strstr(set.ptr, "\"d\""));
	buf_finish(&token);
	buf_finish(&nameless);
	buf_finish(&set);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tokens");
	TCase *t = tcase_create("tokens");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_token_lives_ten_minutes);
	tcase_add_test(t, keys_change_and_overlap);
	tcase_add_test(t, keys_outlive_the_process);
	tcase_add_test(t, a_clock_set_back_forgets_no_key);
	tcase_add_test(t, what_others_signed_is_not_believed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
