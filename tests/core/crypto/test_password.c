/* password.c, judged by hashes that other implementations made. */
#include <cjson/cJSON.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "crypto/password.h"
#include "lib/run.h"

static const struct password_cost small = {8 * 1024, 2};

static void set_up(void)
{
	ck_assert_int_eq(crypto_init(), 0);
}

static const char *text_of(const cJSON *object, const char *name)
{
	const cJSON *v = cJSON_GetObjectItem(object, name);

	return cJSON_IsString(v) ? v->valuestring : NULL;
}

START_TEST(argon2id_vectors)
{
	struct buf text = BUF_INIT(1 << 20);
	const cJSON *one;
	cJSON *tree = NULL;
	int n_right = 0, n_wrong = 0, n_policy = 0;

	ck_assert_int_eq(file_read(&text, SHARED_VECTORS "/argon2id.json"), 0);
	ck_assert_int_eq(json_tree(buf_slice(&text), NULL, &tree, NULL), 0);
	cJSON_ArrayForEach(one, cJSON_GetObjectItem(tree, "cases"))
	{
		const cJSON *input = cJSON_GetObjectItem(one, "input");
		const cJSON *expect = cJSON_GetObjectItem(one, "expect");
		const char *id = text_of(one, "id"), *kind = text_of(one, "kind");
		const char *encoded = text_of(input, "encoded"), *password = text_of(input, "password_utf8");
		bool rehash = false;
		int rc;

		if (strcmp(kind, "raw") == 0)
			continue;
		rc = password_verify(slice_str(encoded), slice_str(password), &PASSWORD_COST_MIN, &rehash);
		if (strcmp(kind, "verify-ok") == 0) {
			ck_assert_msg(rc == 0, "%s: %s", id, err_name(rc));
			ck_assert_int_eq(rehash, strstr(encoded, "m=8192") != NULL || strstr(encoded, "m=16384") != NULL);
			n_right++;
		} else if (strcmp(kind, "verify-fails") == 0) {
			ck_assert_msg(rc == ERR_BAD_KEY || rc == ERR_MALFORMED, "%s: %s", id, err_name(rc));
			n_wrong++;
		} else {
			ck_assert_msg(rc == 0 && rehash, "%s: %s", id, err_name(rc));
			n_policy++;
		}
		(void)expect;
	}
	ck_assert_int_ge(n_right, 5);
	ck_assert_int_ge(n_wrong, 7);
	ck_assert_int_ge(n_policy, 2);
	cJSON_Delete(tree);
	buf_finish(&text);
}
END_TEST

/* A raw vector, in the text form password_hash() would give it: with the salt of the vector from the "random" source. */
static void fill_from_vector(void *arg, void *bytes, size_t len)
{
	(void)arg;
	ck_assert_uint_eq(len, 16);
	ck_assert_int_eq(hex_decode(bytes, len, SLICE("aa6a4b8e085a3c25cb67342de36952ab")), 0);
}

START_TEST(hashes_as_libsodium_elsewhere)
{
	struct rng vector = {.fill = fill_from_vector};
	char text[PASSWORD_HASH_SIZE], expected[64];
	uint8_t hash[32];

	ck_assert_int_eq(password_hash(text, SLICE("FakePassw0rd!"), &PASSWORD_COST_DEFAULT, &vector), 0);
	ck_assert(slice_starts_with(slice_str(text), SLICE("$argon2id$v=19$m=65536,t=2,p=1$qmpLjghaPCXLZzQt42lSqw$")));
	ck_assert_int_eq(
	    hex_decode(hash, 32, SLICE("9ffc6b72b5b55433e00bdaaa357b358cf977e5bac210848b50363fbaf17afa99")), 0);
	base64_encode_to(expected, hash, 32);
	expected[strcspn(expected, "=")] = '\0';
	ck_assert_str_eq(strrchr(text, '$') + 1, expected);
}
END_TEST

START_TEST(what_was_hashed_verifies)
{
	char text[PASSWORD_HASH_SIZE], again[PASSWORD_HASH_SIZE];
	bool rehash = true;

	ck_assert_int_eq(password_hash(text, SLICE("密码 with a\0NUL"), &small, &rng_system), 0);
	ck_assert_int_eq(password_hash(again, SLICE("密码 with a\0NUL"), &small, &rng_system), 0);
	ck_assert_str_ne(text, again);
	ck_assert_int_eq(password_verify(slice_str(text), SLICE("密码 with a\0NUL"), &small, &rehash), 0);
	ck_assert(!rehash);
	ck_assert_int_eq(password_verify(slice_str(text), SLICE("密码 with a"), &small, &rehash), ERR_BAD_KEY);
	ck_assert_int_eq(password_verify(slice_str(text), (struct slice){0}, &small, &rehash), ERR_BAD_KEY);
	ck_assert_int_eq(password_verify(slice_str(text), SLICE("密码 with a\0NUL"), &PASSWORD_COST_MIN, &rehash), 0);
	ck_assert(rehash);
	ck_assert_int_eq(password_hash(text, SLICE("x"), &(struct password_cost){4, 2}, &rng_system), ERR_INVALID);
	ck_assert_int_eq(password_hash(text, SLICE("x"), &(struct password_cost){8192, 0}, &rng_system), ERR_INVALID);
	ck_assert_int_eq(password_hash(text, SLICE("x"), &(struct password_cost){1 << 20, 2}, &rng_system), ERR_INVALID);
}
END_TEST

/* The published vectors of bcrypt (John the Ripper's and crypt_blowfish's), by another implementation. */
static const struct {
	const char *text, *password;
	int rc;
} bcrypts[] = {
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", 0},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*", 0},
    {"$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U", 0},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*u", ERR_BAD_KEY},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", "", ERR_BAD_KEY}, /* no empty passwords */
    {"$2b$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", ERR_MALFORMED},
    {"$2c$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", ERR_MALFORMED},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe", "U*U", ERR_MALFORMED},
    {"$2a$05$!CCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", ERR_MALFORMED},
};

START_TEST(bcrypt_is_verified_and_made_anew)
{
	bool rehash = false;
	int rc = password_verify(slice_str(bcrypts[_i].text), slice_str(bcrypts[_i].password), &small, &rehash);

	ck_assert_msg(rc == bcrypts[_i].rc, "%s: %s", bcrypts[_i].text, err_name(rc));
	ck_assert(rc != 0 || rehash);
}
END_TEST

START_TEST(bcrypt_looks_at_72_bytes_so_longer_is_wrong)
{
	char password[80];
	bool rehash;

	memset(password, 'a', sizeof(password));
	ck_assert_int_eq(password_verify(slice_str(bcrypts[0].text), slice_of(password, 73), &small, &rehash), ERR_BAD_KEY);
	ck_assert_int_eq(password_verify(slice_str(bcrypts[0].text), SLICE("U*U\0x"), &small, &rehash), ERR_BAD_KEY);
}
END_TEST

/* Texts that ask for too much, or are none. */
static const char *const no_hashes[] = {
    "", "plain", "$argon2id$", "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2id$v=19$m=8192,t=100000,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2id$v=19$m=8192,t=2,p=200$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2id$v=16$m=8192,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2id$m=8192,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2id$v=19$m=18446744073709551617,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2d$v=19$m=8192,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$1$salt$hash",
};

START_TEST(what_is_no_hash)
{
	bool rehash;

	ck_assert_int_eq(password_verify(slice_str(no_hashes[_i]), SLICE("x"), &small, &rehash), ERR_MALFORMED);
}
END_TEST

START_TEST(too_long_for_a_hash)
{
	char text[400];
	bool rehash;

	memset(text, '$', sizeof(text));
	ck_assert_int_eq(password_verify(slice_of(text, sizeof(text)), SLICE("x"), &small, &rehash), ERR_MALFORMED);
	ck_assert_int_eq(password_verify(slice_of("$2a$05$\0", 8), SLICE("x"), &small, &rehash), ERR_MALFORMED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("password");
	TCase *t = tcase_create("password");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t, argon2id_vectors);
	tcase_add_test(t, hashes_as_libsodium_elsewhere);
	tcase_add_test(t, what_was_hashed_verifies);
	tcase_add_loop_test(t, bcrypt_is_verified_and_made_anew, 0, COUNT(bcrypts));
	tcase_add_test(t, bcrypt_looks_at_72_bytes_so_longer_is_wrong);
	tcase_add_loop_test(t, what_is_no_hash, 0, COUNT(no_hashes));
	tcase_add_test(t, too_long_for_a_hash);
	suite_add_tcase(s, t);
	return run_suite(s);
}
