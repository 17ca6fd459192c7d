/* The vendor's own vectors, and the tables of functional-spec 7.3 and 7.4. */
#include <check.h>
#include <stdlib.h>

#include "adapters/tencent_wire.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "crypto/crypto.h"

#define KEY_0_TO_31 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static struct arena arena = ARENA_INIT(64 << 20);

/* --- reading the vector files ---------------------------------------------- */

struct vectors {
	struct buf text;
	struct json_reader cases;
	struct json_value one;
	unsigned seen;
};

static void vectors_open(struct vectors *v, const char *name)
{
	struct json_value cases;

	*v = (struct vectors){.text = BUF_INIT(16 << 20)};
	ck_assert_int_eq(file_read(&v->text, arena_printf(&arena, "%s/%s", SHARED_VECTORS, name)), 0);
	ck_assert_int_eq(json_scan(buf_slice(&v->text), NULL, NULL), 0);
	ck_assert(json_member(json_root(buf_slice(&v->text)), "cases", &cases));
	json_enter(&v->cases, cases);
}

static bool vectors_next(struct vectors *v)
{
	bool more = json_next(&v->cases, NULL, &v->one);

	v->seen += more;
	return more;
}

static void vectors_close(struct vectors *v, unsigned at_least)
{
	ck_assert_uint_ge(v->seen, at_least);
	buf_finish(&v->text);
}

/* "input.headers.nonce"; the empty slice with ptr NULL for absent or null. */
static struct slice text_at(struct json_value v, const char *path)
{
	struct slice rest = slice_str(path), name, text;

	while (rest.len > 0) {
		slice_cut(rest, '.', &name, &rest);
		if (!json_member(v, arena_printf(&arena, "%.*s", SLICE_ARG(name)), &v))
			return (struct slice){0};
	}
	if (v.type == JSON_NULL)
		return (struct slice){0};
	if (v.type != JSON_STRING)
		return v.text;
	ck_assert_int_eq(json_string(v, &arena, &text), 0);
	return text;
}

static struct tencent_keys keys_of(struct json_value v)
{
	struct tencent_keys keys = {0};
	struct slice aes = text_at(v, "input.encoding_aes_key");

	if (text_at(v, "input.token").len > 0)
		ck_assert_int_eq(tencent_keys_add_token(&keys, text_at(v, "input.token")), 0);
	if (aes.ptr != NULL)
		ck_assert_int_eq(tencent_keys_add_aes(&keys, aes), 0);
	return keys;
}

/* --- signature ---------------------------------------------------------------- */

static const struct {
	const char *token, *timestamp, *nonce, *data, *signature;
} signatures[] = {
	{"test_token", "1234567890", "random_nonce", "test_data", "d42b6f5c48df1a860d2a78071bf9903579a5f43c"},
	{"z_token", "a_timestamp", "m_nonce", "b_data", "cec1195c3710b1c4d6ff0cdf5381a3e557573157"},
	{"", "", "", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
	{"token@#$%", "时间戳123", "nonce!@#", "data with spaces & symbols",
	    "1f8d833ee167f8f1cf38ea281f4ac693d0466c84"},
	{"test_token", "1234567890", "12345678", "MLhUq940k/xZkrPvnzdkhoUKAxJNEt6RK1hr7+XydR4=",
	    "b73fb739114d3b07b4c963a6df486328bfaf390f"},
	{"test_token", "1234567890", "12345678",
	    "IIMrPKsNAhDTxse+vTz1Iazoy5k1G5RQ2L7yP0fMiFQGJcJjzY7GKRTKDvezAtOUmHFrJ2UcWqI9qD6385S/Ww==",
	    "e2d75afcbd6ff5f59c9dec0a37704ee2c69637f3"},
};

START_TEST(signature_as_specified)
{
	char hex[TENCENT_SIGNATURE_LEN + 1];

	tencent_sign(hex, slice_str(signatures[_i].token), slice_str(signatures[_i].timestamp),
	    slice_str(signatures[_i].nonce), slice_str(signatures[_i].data));
	ck_assert_str_eq(hex, signatures[_i].signature);
}
END_TEST

START_TEST(signature_vectors)
{
	struct vectors v;

	vectors_open(&v, "tencent-webhook-signature.json");
	while (vectors_next(&v)) {
		struct tencent_keys keys = keys_of(v.one);
		struct tencent_signed s = {text_at(v.one, "input.timestamp"), text_at(v.one, "input.nonce"),
		    text_at(v.one, "input.signature"), text_at(v.one, "input.data")};

		ck_assert_msg(tencent_verify(&keys, &s) == slice_is(text_at(v.one, "expect.valid"), "true"),
		    "%.*s", SLICE_ARG(text_at(v.one, "id")));
	}
	vectors_close(&v, 20);
}
END_TEST

START_TEST(two_tokens_are_active_during_a_change)
{
	struct tencent_keys keys = {0};
	struct tencent_signed s = {SLICE("1"), SLICE("2"), SLICE(""), SLICE("QUJD")};
	char hex[TENCENT_SIGNATURE_LEN + 1];

	ck_assert_int_eq(tencent_keys_add_token(&keys, SLICE("old")), 0);
	ck_assert_int_eq(tencent_keys_add_token(&keys, SLICE("new")), 0);
	ck_assert_int_eq(tencent_keys_add_token(&keys, SLICE("third")), ERR_INVALID);
	ck_assert(!tencent_verify(&keys, &s));
	static const struct { const char *token; bool good; } tries[] = {{"old", true}, {"new", true}, {"third", false}};
	for (size_t i = 0; i < 3; i++) {
		tencent_sign(hex, slice_str(tries[i].token), s.timestamp, s.nonce, s.data);
		s.signature = slice_str(hex);
		ck_assert_int_eq(tencent_verify(&keys, &s), tries[i].good);
	}
	tencent_keys_finish(&keys);
	ck_assert(!tencent_verify(&keys, &s)); /* no token: nothing is ever good */
}
END_TEST

START_TEST(an_empty_token_is_no_token)
{
	struct tencent_keys keys = {0};

	ck_assert_int_eq(tencent_keys_add_token(&keys, SLICE("")), ERR_INVALID);
	ck_assert_uint_eq(keys.n_tokens, 0);
}
END_TEST

static const struct { const char *text; int rc; int64_t ms; } times[] = {
	{"1760000401234", 0, 1760000401234},
	{"1760000401", 0, 1760000401000},
	{"1760000401234567", 0, 1760000401234},
	{"0", 0, 0},
	{"", ERR_MALFORMED, 0},
	{"-1", ERR_MALFORMED, 0},
	{"17e9", ERR_MALFORMED, 0},
	{"99999999999999999999", ERR_MALFORMED, 0},
};

START_TEST(time_stamps_of_any_unit)
{
	int64_t ms = 0;

	ck_assert_int_eq(tencent_time_ms(slice_str(times[_i].text), &ms), times[_i].rc);
	ck_assert_int_eq(ms, times[_i].ms);
}
END_TEST

/* --- encryption --------------------------------------------------------------- */

START_TEST(aes_vectors)
{
	struct vectors v;

	vectors_open(&v, "tencent-webhook-aes.json");
	while (vectors_next(&v)) {
		struct tencent_keys keys = {0};
		struct slice id = text_at(v.one, "id"), plain = {0}, hex;
		struct slice expect = text_at(v.one, "expect.plaintext_utf8");
		int rc = tencent_keys_add_aes(&keys, text_at(v.one, "input.encoding_aes_key"));

		if (rc == 0)
			rc = tencent_decrypt(&keys, text_at(v.one, "input.data"), &arena, &plain);
		ck_assert_msg((rc == 0) == slice_is(text_at(v.one, "expect.ok"), "true"), "%.*s: %s",
		    SLICE_ARG(id), err_name(rc));
		if (rc != 0)
			continue;
		if (expect.ptr != NULL)
			ck_assert_msg(slice_eq(plain, expect), "%.*s", SLICE_ARG(id));
		hex = text_at(v.one, "expect.plaintext_hex");
		if (hex.ptr != NULL) {
			char *mine = arena_alloc(&arena, plain.len * 2 + 1);

			hex_encode(mine, plain.ptr, plain.len);
			ck_assert_msg(slice_is(hex, mine), "%.*s", SLICE_ARG(id));
		}
	}
	vectors_close(&v, 16);
}
END_TEST

static const struct { const char *plain, *cipher; } encrypted[] = {
	{"testverification", "MLhUq940k/xZkrPvnzdkhoUKAxJNEt6RK1hr7+XydR4="},
	{"{\"event\":\"meeting.started\",\"trace_id\":\"t-1\",\"payload\":[]}",
	    "IIMrPKsNAhDTxse+vTz1Iazoy5k1G5RQ2L7yP0fMiFQGJcJjzY7GKRTKDvezAtOUmHFrJ2UcWqI9qD6385S/Ww=="},
};

START_TEST(encryption_both_ways)
{
	struct tencent_keys keys = {0};
	struct buf out = BUF_INIT(4096);
	struct slice plain;

	ck_assert_int_eq(tencent_keys_add_aes(&keys, SLICE(KEY_0_TO_31)), 0);
	for (int i = 0; i < 32; i++)
		ck_assert_uint_eq(keys.aes[0][i], i);
	ck_assert_int_eq(tencent_encrypt(&keys, slice_str(encrypted[_i].plain), &out), 0);
	ck_assert(slice_is(buf_slice(&out), encrypted[_i].cipher));
	ck_assert_int_eq(tencent_decrypt(&keys, buf_slice(&out), &arena, &plain), 0);
	ck_assert(slice_is(plain, encrypted[_i].plain));
	buf_finish(&out);
}
END_TEST

START_TEST(two_aes_keys_are_active_during_a_change)
{
	struct tencent_keys keys = {0}, second = {0};
	struct buf out = BUF_INIT(4096);
	struct slice plain;

	ck_assert_int_eq(tencent_keys_add_aes(&keys, SLICE("FAKEaesKeyFAKEaesKeyFAKEaesKeyFAKEaesKey00A")), 0);
	ck_assert_int_eq(tencent_keys_add_aes(&keys, SLICE(KEY_0_TO_31)), 0);
	ck_assert_int_eq(tencent_keys_add_aes(&second, SLICE(KEY_0_TO_31)), 0);
	ck_assert_int_eq(tencent_encrypt(&second, SLICE("only the second key fits"), &out), 0);
	ck_assert_int_eq(tencent_decrypt(&keys, buf_slice(&out), &arena, &plain), 0);
	ck_assert(slice_is(plain, "only the second key fits"));
	buf_finish(&out);
}
END_TEST

static const struct { const char *says, *key; int rc; } aes_keys[] = {
	{"43 characters", KEY_0_TO_31, 0},
	{"unused low bits of the last character do not matter", "FAKEaesKeyFAKEaesKeyFAKEaesKeyFAKEaesKey00D", 0},
	{"42 characters", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh", ERR_INVALID},
	{"with its padding", KEY_0_TO_31 "=", ERR_INVALID},
	{"not base64", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP*", ERR_INVALID},
	{"empty", "", ERR_INVALID},
};

START_TEST(aes_key_forms)
{
	struct tencent_keys keys = {0};

	ck_assert_msg(tencent_keys_add_aes(&keys, slice_str(aes_keys[_i].key)) == aes_keys[_i].rc, "%s",
	    aes_keys[_i].says);
}
END_TEST

/* --- whole requests ----------------------------------------------------------- */

static const struct { const char *says, *body, *data; int rc; } bodies[] = {
	{"as sent", "{\"data\":\"QUJD\"}", "QUJD", 0},
	{"other members are ignored", "{\"x\":[1],\"data\":\"QUJD\",\"y\":{}}", "QUJD", 0},
	{"escaped slashes are the same text", "{\"data\":\"a\\/b=\"}", "a/b=", 0},
	{"no data", "{\"fake\":1}", NULL, ERR_NOT_FOUND},
	{"empty data", "{\"data\":\"\"}", NULL, ERR_NOT_FOUND},
	{"data is no text", "{\"data\":1}", NULL, ERR_NOT_FOUND},
	{"no object", "[\"data\"]", NULL, ERR_MALFORMED},
	{"not JSON", "data=QUJD", NULL, ERR_MALFORMED},
	{"data twice", "{\"data\":\"QQ==\",\"data\":\"QUJD\"}", NULL, ERR_MALFORMED},
	{"nothing", "", NULL, ERR_MALFORMED},
};

START_TEST(body_forms)
{
	struct slice data = {0};

	ck_assert_msg(tencent_body_data(slice_str(bodies[_i].body), &arena, &data) == bodies[_i].rc, "%s",
	    bodies[_i].says);
	if (bodies[_i].data != NULL)
		ck_assert(slice_is(data, bodies[_i].data));
}
END_TEST

/* Verify, decrypt, parse: the steps of a receiver; 0, or the failure of the first that fails. */
static int receive(const struct tencent_keys *keys, struct tencent_signed *s, struct slice body,
    struct tencent_envelope *ret)
{
	struct slice plain;
	const char *reason;
	int rc = tencent_body_data(body, &arena, &s->data);

	if (rc != 0)
		return rc;
	if (!tencent_verify(keys, s))
		return ERR_BAD_SIGNATURE;
	rc = tencent_decrypt(keys, s->data, &arena, &plain);
	return rc != 0 ? rc : tencent_parse(plain, &arena, ret, &reason);
}

START_TEST(body_vectors)
{
	struct vectors v;

	vectors_open(&v, "tencent-webhook-bodies.json");
	while (vectors_next(&v)) {
		struct tencent_keys keys = keys_of(v.one);
		struct tencent_signed s = {text_at(v.one, "input.headers.timestamp"),
		    text_at(v.one, "input.headers.nonce"), text_at(v.one, "input.headers.signature"), {0}};
		struct tencent_envelope e;
		struct slice id = text_at(v.one, "id");
		int rc = receive(&keys, &s, text_at(v.one, "input.body"), &e);

		if (slice_is(text_at(v.one, "kind"), "rejected")) {
			ck_assert_msg(rc != 0, "%.*s", SLICE_ARG(id));
			continue;
		}
		ck_assert_msg(rc == 0, "%.*s: %s", SLICE_ARG(id), err_name(rc));
		ck_assert(slice_eq(e.event, text_at(v.one, "expect.event")));
		ck_assert(slice_eq(e.trace_id, text_at(v.one, "expect.dedup_key")));
		ck_assert_str_eq(arena_printf(&arena, "%zu", e.n_items),
		    arena_printf(&arena, "%.*s", SLICE_ARG(text_at(v.one, "expect.payload_count"))));
	}
	vectors_close(&v, 39);
}
END_TEST

START_TEST(url_check_vectors)
{
	struct vectors v;

	vectors_open(&v, "tencent-webhook-urlcheck.json");
	while (vectors_next(&v)) {
		struct tencent_keys keys = keys_of(v.one);
		struct tencent_signed s = {text_at(v.one, "input.headers.timestamp"),
		    text_at(v.one, "input.headers.nonce"), text_at(v.one, "input.headers.signature"), {0}};
		struct slice name, value, plain = {0};
		struct buf decoded = BUF_INIT(4096);
		int rc;

		slice_cut(text_at(v.one, "input.query"), '=', &name, &value);
		ck_assert(slice_is(name, "check_str"));
		ck_assert_int_eq(percent_decode(&decoded, value, 0), 0);
		s.data = buf_slice(&decoded);
		rc = tencent_verify(&keys, &s) ? tencent_decrypt(&keys, s.data, &arena, &plain) : ERR_BAD_SIGNATURE;
		ck_assert_msg((rc == 0) == slice_is(text_at(v.one, "kind"), "ok"), "%.*s",
		    SLICE_ARG(text_at(v.one, "id")));
		if (rc == 0)
			ck_assert(slice_eq(plain, text_at(v.one, "expect.body")));
		buf_finish(&decoded);
	}
	vectors_close(&v, 9);
}
END_TEST

START_TEST(what_we_send_we_accept)
{
	struct tencent_keys keys = {0};
	struct buf body = BUF_INIT(4096);
	char signature[TENCENT_SIGNATURE_LEN + 1];
	struct tencent_envelope e;
	struct tencent_signed s = {.timestamp = SLICE("1760000401234"), .nonce = SLICE("12345678")};

	tencent_keys_add_token(&keys, SLICE("test_token"));
	if (_i == 1)
		tencent_keys_add_aes(&keys, SLICE(KEY_0_TO_31));
	ck_assert_int_eq(tencent_make_post(&keys,
	    SLICE("{\"event\":\"会议\",\"trace_id\":7567000000000000000001,\"payload\":[{}]}"), s.timestamp, s.nonce, &body,
	    signature), 0);
	s.signature = slice_str(signature);
	ck_assert_int_eq(receive(&keys, &s, buf_slice(&body), &e), 0);
	ck_assert(slice_is(e.event, "会议"));
	ck_assert(slice_is(e.trace_id, "7567000000000000000001")); /* digits survive */
	buf_finish(&body);
}
END_TEST

static const struct { const char *plain; int rc; const char *reason; } envelopes[] = {
	{"not JSON", ERR_MALFORMED, "the decrypted text is not JSON"},
	{"[]", ERR_INVALID, "the decrypted JSON is not an object"},
	{"{}", ERR_INVALID, "the event has no name"},
	{"{\"event\":\"x\"}", ERR_INVALID, "the payload is not an array"},
	{"{\"event\":\"x\",\"payload\":{}}", ERR_INVALID, "the payload is not an array"},
	{"{\"event\":\"x\",\"payload\":[]}", ERR_INVALID, "the payload is empty"},
	{"{\"event\":\"x\",\"payload\":[{},1]}", ERR_INVALID, "a payload item is not an object"},
	{"{\"event\":\"x\",\"payload\":[{}]}", 0, NULL},
};

START_TEST(envelope_forms)
{
	struct tencent_envelope e;
	const char *reason;

	ck_assert_int_eq(tencent_parse(slice_str(envelopes[_i].plain), &arena, &e, &reason), envelopes[_i].rc);
	if (envelopes[_i].reason == NULL)
		ck_assert_ptr_null(reason);
	else
		ck_assert_str_eq(reason, envelopes[_i].reason);
}
END_TEST

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
	Suite *s = suite_create("tencent_wire");
	TCase *tc = tcase_create("wire");
	SRunner *runner;
	int failed;

	if (crypto_init() != 0)
		return 1;
	LOOP(tc, signature_as_specified, signatures);
	tcase_add_test(tc, signature_vectors);
	tcase_add_test(tc, two_tokens_are_active_during_a_change);
	tcase_add_test(tc, an_empty_token_is_no_token);
	LOOP(tc, time_stamps_of_any_unit, times);
	tcase_add_test(tc, aes_vectors);
	LOOP(tc, encryption_both_ways, encrypted);
	tcase_add_test(tc, two_aes_keys_are_active_during_a_change);
	LOOP(tc, aes_key_forms, aes_keys);
	LOOP(tc, body_forms, bodies);
	tcase_add_test(tc, body_vectors);
	tcase_add_test(tc, url_check_vectors);
	tcase_add_loop_test(tc, what_we_send_we_accept, 0, 2);
	LOOP(tc, envelope_forms, envelopes);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	arena_finish(&arena);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
