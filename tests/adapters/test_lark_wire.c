/* Feishu: webhooks by their vectors, codes, Bitable's fields, messages. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "base/codec.h"
#include "lark_wire.h"
#include "lib/vectors.h"

static struct arena arena = ARENA_INIT(64 << 20);

static struct slice t(struct json_value v, const char *path)
{
	return text_at(&arena, v, path);
}

static struct lark_headers headers_of(struct json_value v)
{
	return (struct lark_headers){t(v, "input.headers.X-Lark-Request-Timestamp"), t(v, "input.headers.X-Lark-Request-Nonce"),
	    t(v, "input.headers.X-Lark-Signature")};
}

START_TEST(decrypt_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "lark-decrypt.json");
	while (vectors_next(&v)) {
		struct slice id = t(v.one, "id"), plain = {0};
		struct json_value root;
		int rc = lark_decrypt(t(v.one, "input.encrypt_key"), t(v.one, "input.encrypt"), &arena, &plain);

		if (slice_is(t(v.one, "expect.ok"), "true")) {
			ck_assert_msg(rc == 0, "%.*s: %s", SLICE_ARG(id), err_name(rc));
			if (t(v.one, "expect.plaintext_utf8").ptr != NULL)
				ck_slice_eq(plain, t(v.one, "expect.plaintext_utf8"), id);
		}
		/* A spoiled IV is only seen when the text is read as JSON. */
		if (slice_is(t(v.one, "expect.ok"), "false") || slice_is(t(v.one, "expect.is_json"), "false"))
			ck_assert_msg(rc != 0 || json_index(plain, NULL, &arena, &root, NULL) != 0, "%.*s", SLICE_ARG(id));
	}
	vectors_close(&v, 10);
}
END_TEST

START_TEST(signature_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "lark-signature.json");
	while (vectors_next(&v)) {
		struct lark_headers h = headers_of(v.one);

		ck_assert_msg(lark_verify(t(v.one, "input.encrypt_key"), &h, t(v.one, "input.body")) ==
		    slice_is(t(v.one, "expect.valid"), "true"), "%.*s", SLICE_ARG(t(v.one, "id")));
	}
	vectors_close(&v, 12);
}
END_TEST

START_TEST(card_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "lark-card-signature.json");
	while (vectors_next(&v)) {
		struct lark_headers h = headers_of(v.one);

		ck_assert_msg(lark_card_verify(t(v.one, "input.verification_token"), &h, t(v.one, "input.body")) ==
		    slice_is(t(v.one, "expect.valid"), "true"), "%.*s", SLICE_ARG(t(v.one, "id")));
	}
	vectors_close(&v, 4);
}
END_TEST

START_TEST(body_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "lark-webhook-bodies.json");
	while (vectors_next(&v)) {
		struct lark_secrets secrets = {t(v.one, "input.encrypt_key"), t(v.one, "input.verification_token")};
		struct lark_headers h = headers_of(v.one);
		struct slice id = t(v.one, "id"), kind = t(v.one, "kind");
		struct buf answer = BUF_INIT(4096);
		struct lark_received r = {0};
		int rc = lark_receive(&secrets, &h, t(v.one, "input.body"), &arena, &r);

		if (slice_is(kind, "rejected")) {
			ck_assert_msg(rc == ERR_DENIED, "%.*s: %s", SLICE_ARG(id), err_name(rc));
			continue;
		}
		ck_assert_msg(rc == 0, "%.*s: %s", SLICE_ARG(id), err_name(rc));
		ck_assert(r.is_challenge == slice_is(kind, "challenge"));
		if (r.is_challenge) {
			ck_slice_eq(r.challenge, t(v.one, "expect.json.challenge"), id);
			ck_assert_int_eq(lark_challenge_answer(&answer, r.challenge), 0);
			ck_assert_int_eq(json_scan(buf_slice(&answer), NULL, NULL), 0);
			ck_slice_eq(t(json_root(buf_slice(&answer)), "challenge"), r.challenge, id);
			buf_finish(&answer);
			continue;
		}
		ck_slice_eq(r.event_type, t(v.one, "expect.event_type"), id);
		ck_slice_eq(r.event_id, t(v.one, "expect.dedup_key"), id);
		ck_assert_int_eq(r.create_ms / 1000, 1760000401);
		ck_assert(slice_is(r.tenant_key, "faketenantkey001"));
		ck_assert(r.event.type == JSON_OBJECT && r.event.text.len > 0);
	}
	vectors_close(&v, 23);
}
END_TEST

#define TOKEN "FakeToken"
#define EVENT "{\"schema\":\"2.0\",\"header\":{\"event_id\":\"e\",\"event_type\":\"t\",\"token\":\"" TOKEN "\"},\"event\":{}}"

static const struct { const char *says, *key, *token, *body; int rc; } received[] = {
	{"plain, as it should be", "", TOKEN, EVENT, 0},
	{"no secret at all", "", "", EVENT, ERR_BAD_KEY},
	{"another token", "", "other", EVENT, ERR_DENIED},
	{"a token that only begins as it should", "", TOKEN "x", EVENT, ERR_DENIED},
	{"a plain body, unsigned, where there is a key", "key", TOKEN, EVENT, ERR_BAD_SIGNATURE},
	{"encrypted rubbish, unsigned", "key", TOKEN, "{\"encrypt\":\"AAAA\"}", ERR_BAD_SIGNATURE},
	{"not JSON, unsigned", "key", TOKEN, "x", ERR_BAD_SIGNATURE},
	{"not JSON", "", TOKEN, "x", ERR_MALFORMED},
	{"no object", "", TOKEN, "[]", ERR_MALFORMED},
	{"nothing in it", "", TOKEN, "{}", ERR_INVALID},
	{"no id", "", TOKEN, "{\"header\":{\"event_type\":\"t\",\"token\":\"" TOKEN "\"}}", ERR_INVALID},
	{"no type", "", TOKEN, "{\"header\":{\"event_id\":\"e\",\"token\":\"" TOKEN "\"}}", ERR_INVALID},
	{"a challenge without one", "", TOKEN, "{\"type\":\"url_verification\",\"token\":\"" TOKEN "\"}", ERR_INVALID},
	{"a challenge without a token", "", TOKEN, "{\"type\":\"url_verification\",\"challenge\":\"c\"}", ERR_DENIED},
	{"a plain challenge where there is a key", "key", TOKEN,
	    "{\"type\":\"url_verification\",\"challenge\":\"c\",\"token\":\"" TOKEN "\"}", ERR_BAD_SIGNATURE},
};

START_TEST(receiving_refuses)
{
	struct lark_secrets secrets = {slice_str(received[_i].key), slice_str(received[_i].token)};
	struct lark_headers h = {SLICE("1"), SLICE("2"), SLICE("")};
	struct lark_received r;
	int rc = lark_receive(&secrets, &h, slice_str(received[_i].body), &arena, &r);

	ck_assert_msg(rc == received[_i].rc, "%s: %s", received[_i].says, err_name(rc));
}
END_TEST

/* Signed as it should be, and still not what it must be. */
static const struct { const char *says, *body; int rc; } signed_bodies[] = {
	{"plain", EVENT, ERR_DENIED},
	{"not base64", "{\"encrypt\":\"!!\"}", ERR_MALFORMED},
	{"an IV and nothing", "{\"encrypt\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}", ERR_MALFORMED},
	{"no whole block", "{\"encrypt\":\"AAAAAAAAAAAAAAAAAAAAAAAA\"}", ERR_MALFORMED},
	{"no text", "{\"encrypt\":1}", ERR_DENIED},
};

START_TEST(signed_and_wrong)
{
	struct lark_secrets secrets = {SLICE("key"), SLICE(TOKEN)};
	struct slice body = slice_str(signed_bodies[_i].body);
	struct slice parts[] = {SLICE("1"), SLICE("2"), SLICE("key"), body};
	uint8_t digest[SHA256_LEN];
	char hex[HEX_SHA256_LEN + 1];
	struct lark_headers h = {parts[0], parts[1], {hex, HEX_SHA256_LEN}};
	struct lark_received r;

	sha256(digest, parts, 4);
	hex_encode(hex, digest, sizeof(digest));
	ck_assert_msg(lark_receive(&secrets, &h, body, &arena, &r) == signed_bodies[_i].rc, "%s", signed_bodies[_i].says);
}
END_TEST

/* --- REST ------------------------------------------------------------------------------------ */

static const struct { int status; const char *body; enum answer_class is; } answers[] = {
	{200, "{\"code\":0,\"data\":{}}", ANSWER_OK}, {400, "{\"code\":0}", ANSWER_OK},
	{429, "{\"code\":99991400}", ANSWER_RETRY}, {400, "{\"code\":99991663}", ANSWER_AFRESH},
	{400, "{\"code\":\"99991672\"}", ANSWER_CONFIG}, {400, "{\"code\":99991403}", ANSWER_LIMIT},
	{200, "{\"code\":10014}", ANSWER_CONFIG}, {200, "{\"code\":1254291}", ANSWER_RETRY},
	{200, "{\"code\":1254608}", ANSWER_DUPLICATE}, {504, "{\"code\":1255040}", ANSWER_RETRY},
	{200, "{\"code\":1254036}", ANSWER_NOT_READY}, {200, "{\"code\":1254037}", ANSWER_REFUSED},
	{200, "{\"code\":1254027}", ANSWER_CONFIG}, {200, "{\"code\":1254302}", ANSWER_CONFIG},
	{200, "{\"code\":1254104}", ANSWER_REFUSED}, {400, "{\"code\":124002}", ANSWER_NOT_READY},
	{400, "{\"code\":2091003}", ANSWER_NOT_READY}, {400, "{\"code\":2091004}", ANSWER_REFUSED},
	{500, "{\"code\":2091006}", ANSWER_RETRY}, {200, "{\"code\":230049}", ANSWER_RETRY},
	{200, "{\"code\":230013}", ANSWER_REFUSED}, {400, "{\"code\":424242}", ANSWER_REFUSED},
	{500, "{\"code\":424242}", ANSWER_RETRY}, {200, "<html>", ANSWER_UNKNOWN}, {200, "{}", ANSWER_UNKNOWN},
	{502, "<html>", ANSWER_RETRY}, {404, "", ANSWER_REFUSED}, {200, "", ANSWER_UNKNOWN},
};

START_TEST(classes_of_answers)
{
	struct lark_answer answer;

	ck_assert_int_eq(lark_answer_parse(answers[_i].status, slice_str(answers[_i].body), &arena, &answer), 0);
	ck_assert_msg(answer.is == answers[_i].is, "%d %s: %s", answers[_i].status, answers[_i].body,
	    answer_class_name(answer.is));
}
END_TEST

static const struct { const char *header; int64_t ms; } resets[] = {
	{"1", 1000}, {"1.5", 1500}, {" 0.25 ", 250}, {"0.0001", 1}, {"1.0000", 1000}, {"0.1239", 124}, {"99999", 3600000},
	{"", 0}, {"-1", 0}, {"x", 0}, {"1.x", 0}, {"99999999999999999999", 0},
};

START_TEST(resets_of_limits)
{
	ck_assert_int_eq(lark_reset_ms(slice_str(resets[_i].header)), resets[_i].ms);
}
END_TEST

START_TEST(tokens)
{
	struct buf body = BUF_INIT(4096);
	struct lark_token token;

	ck_assert_int_eq(lark_body_token(&body, SLICE("cli_1"), SLICE("s\"")), 0);
	ck_assert_str_eq(body.ptr, "{\"app_id\":\"cli_1\",\"app_secret\":\"s\\\"\"}");
	buf_finish(&body);
	ck_assert_int_eq(lark_token_parse(SLICE("{\"code\":0,\"tenant_access_token\":\"t-1\",\"expire\":7200}"), &arena, &token), 0);
	ck_assert(slice_is(token.token, "t-1"));
	ck_assert_int_eq(token.good_s, 7020);
	ck_assert_int_eq(lark_token_parse(SLICE("{\"tenant_access_token\":\"t-1\",\"expire\":100}"), &arena, &token), 0);
	ck_assert_int_eq(token.good_s, 0);
	ck_assert_int_eq(lark_token_parse(SLICE("{\"code\":10014}"), &arena, &token), ERR_MALFORMED);
	ck_assert_int_eq(lark_token_parse(SLICE("{\"tenant_access_token\":\"t\\r\\nx: y\"}"), &arena, &token), ERR_MALFORMED);
	ck_assert_int_eq(lark_token_parse(SLICE(""), &arena, &token), ERR_MALFORMED);
}
END_TEST

START_TEST(fields)
{
	static const struct slice ids[] = {SLICE_INIT("rec1"), SLICE_INIT("rec2")};
	const struct lark_field all[] = {
		{.name = SLICE("text"), .type = LARK_TEXT, .text = SLICE("会\"议")},
		{.name = SLICE("number"), .type = LARK_NUMBER, .number = 42},
		{.name = SLICE("select"), .type = LARK_SELECT, .text = SLICE("a")},
		{.name = SLICE("multi"), .type = LARK_MULTI_SELECT, .items = ids, .n_items = 1},
		{.name = SLICE("date"), .type = LARK_DATE, .ms = 1760000400000},
		{.name = SLICE("bool"), .type = LARK_BOOL},
		{.name = SLICE("person"), .type = LARK_PERSON, .items = ids, .n_items = 2},
		{.name = SLICE("link"), .type = LARK_LINK, .text = SLICE("录制"), .link = SLICE("https://x")},
		{.name = SLICE("rows"), .type = LARK_TWO_WAY, .items = ids, .n_items = 2},
		{.name = SLICE("none"), .type = LARK_ONE_WAY},
		{.name = SLICE("gone"), .type = LARK_TEXT, .clear = true},
	};
	struct buf out = BUF_INIT(4096);
	struct json_writer w = JSON_WRITER(&out);

	ck_assert_int_eq(lark_put_fields(&w, all, sizeof(all) / sizeof(all[0])), 0);
	ck_assert_str_eq(out.ptr, "{\"text\":\"会\\\"议\",\"number\":42,\"select\":\"a\",\"multi\":[\"rec1\"],"
	    "\"date\":1760000400000,\"bool\":false,\"person\":[{\"id\":\"rec1\"},{\"id\":\"rec2\"}],"
	    "\"link\":{\"text\":\"录制\",\"link\":\"https://x\"},\"rows\":[\"rec1\",\"rec2\"],\"none\":[],\"gone\":null}");
	buf_finish(&out);
}
END_TEST

START_TEST(fields_that_are_none)
{
	static const struct slice empty = SLICE_INIT("");
	const struct lark_field bad[] = {
		{.name = SLICE(""), .type = LARK_TEXT},
		{.name = SLICE("\xff"), .type = LARK_TEXT},
		{.name = SLICE("a"), .type = LARK_TEXT, .text = SLICE("\xff")},
		{.name = SLICE("a"), .type = LARK_NUMBER, .number = NAN},
		{.name = SLICE("a"), .type = LARK_NUMBER, .number = INFINITY},
		{.name = SLICE("a"), .type = LARK_LINK, .text = SLICE("t")},
		{.name = SLICE("a"), .type = LARK_PERSON, .items = &empty, .n_items = 1},
		{.name = SLICE("a"), .type = (enum lark_field_type)20},
		{.name = SLICE("a"), .type = (enum lark_field_type)0},
	};
	const struct lark_field twice[] = {{.name = SLICE("a"), .type = LARK_BOOL}, {.name = SLICE("a"), .type = LARK_BOOL}};
	struct buf out = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20);
	struct json_writer w = JSON_WRITER(&out);
	struct lark_field big = {.name = SLICE("a"), .type = LARK_TEXT};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(lark_put_fields(&w, &bad[i], 1) == ERR_INVALID, "%zu", i);
	ck_assert_int_eq(lark_put_fields(&w, twice, 2), ERR_INVALID);
	for (int i = 0; i <= LARK_CELL_MAX; i++)
		buf_append_char(&text, 'x');
	big.text = buf_slice(&text);
	ck_assert_int_eq(lark_put_fields(&w, &big, 1), ERR_INVALID);
	ck_assert_uint_eq(out.len, 0);
	big.text.len--;
	ck_assert_int_eq(lark_put_fields(&w, &big, 1), 0);
	buf_finish(&out);
	buf_finish(&text);
}
END_TEST

START_TEST(keys_of_writes)
{
	char token[LARK_CLIENT_TOKEN_LEN + 1];

	ck_assert_int_eq(lark_client_token(token, SLICE("00112233445566778899aabbccddeeff")), 0);
	ck_assert_str_eq(token, "00112233-4455-4677-8899-aabbccddeeff");
	ck_assert_int_eq(lark_client_token(token, SLICE("ffffffffffffffffffffffffffffffff")), 0);
	ck_assert_str_eq(token, "ffffffff-ffff-4fff-bfff-ffffffffffff");
	ck_assert_int_eq(lark_client_token(token, SLICE("0011")), ERR_INVALID);
	ck_assert_int_eq(lark_client_token(token, SLICE("0011223344556677889 aabbccddeeff")), ERR_INVALID);
}
END_TEST

static const struct { const char *data; int rc; size_t n; } searches[] = {
	{"{\"items\":[{\"record_id\":\"r\",\"fields\":{}}],\"has_more\":true,\"page_token\":\"p\"}", 0, 1},
	{"{\"items\":null,\"has_more\":false}", 0, 0},
	{"{\"items\":[]}", 0, 0},
	{"{}", ERR_MALFORMED, 0},
	{"{\"items\":{}}", ERR_MALFORMED, 0},
	{"{\"items\":[{\"fields\":{}}]}", ERR_MALFORMED, 0},
	{"{\"items\":[{\"record_id\":\"r\"}]}", ERR_MALFORMED, 0},
	{"{\"items\":[],\"has_more\":true}", ERR_MALFORMED, 0},
};

START_TEST(searching)
{
	struct buf body = BUF_INIT(4096);
	struct lark_records r = {0};

	ck_assert_int_eq(lark_records_parse(json_root(slice_str(searches[_i].data)), &arena, &r), searches[_i].rc);
	ck_assert_uint_eq(r.n, searches[_i].n);
	ck_assert_int_eq(lark_records_parse((struct json_value){0}, &arena, &r), ERR_MALFORMED);
	ck_assert_int_eq(lark_body_search(&body, SLICE("meeting_id"), SLICE("AbC")), 0);
	ck_assert_str_eq(body.ptr, "{\"field_names\":[\"meeting_id\"],\"filter\":{\"conjunction\":\"and\",\"conditions\":["
	    "{\"field_name\":\"meeting_id\",\"operator\":\"is\",\"value\":[\"AbC\"]}]},\"automatic_fields\":false}");
	buf_finish(&body);
}
END_TEST

START_TEST(messages)
{
	struct buf body = BUF_INIT(1 << 20), big = BUF_INIT(1 << 20);

	ck_assert_int_eq(lark_body_message(&body, SLICE("oc_1"), "text", SLICE("{\"text\":\"a\"}"), SLICE("u")), 0);
	ck_assert_str_eq(body.ptr, "{\"receive_id\":\"oc_1\",\"msg_type\":\"text\",\"content\":\"{\\\"text\\\":\\\"a\\\"}\",\"uuid\":\"u\"}");
	buf_clear(&body);
	ck_assert_int_eq(lark_body_message(&body, SLICE(""), "text", SLICE("{}"), SLICE("u")), ERR_INVALID);
	ck_assert_int_eq(lark_body_message(&body, SLICE("o"), "text", SLICE("{"), SLICE("u")), ERR_INVALID);
	ck_assert_int_eq(lark_body_message(&body, SLICE("o"), "text", SLICE("{}"), SLICE("")), ERR_INVALID);
	ck_assert_int_eq(lark_body_message(&body, SLICE("o"), "text", SLICE("{}"),
	    SLICE("012345678901234567890123456789012345678901234567890")), ERR_INVALID);
	buf_append_char(&big, '"');
	while (big.len < LARK_CARD_MAX)
		buf_append_char(&big, 'x');
	buf_append_char(&big, '"');
	ck_assert_int_eq(lark_body_message(&body, SLICE("o"), "text", buf_slice(&big), SLICE("u")), ERR_INVALID);
	ck_assert_uint_eq(body.len, 0);
	buf_finish(&body);
	buf_finish(&big);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lark_wire");
	TCase *tc = tcase_create("wire");

	if (crypto_init() != 0)
		return 1;
	tcase_add_test(tc, decrypt_vectors);
	tcase_add_test(tc, signature_vectors);
	tcase_add_test(tc, card_vectors);
	tcase_add_test(tc, body_vectors);
	LOOP(tc, receiving_refuses, received);
	LOOP(tc, signed_and_wrong, signed_bodies);
	LOOP(tc, classes_of_answers, answers);
	LOOP(tc, resets_of_limits, resets);
	tcase_add_test(tc, tokens);
	tcase_add_test(tc, fields);
	tcase_add_test(tc, fields_that_are_none);
	tcase_add_test(tc, keys_of_writes);
	LOOP(tc, searching, searches);
	tcase_add_test(tc, messages);
	suite_add_tcase(s, tc);
	return run_suite(s, &arena);
}
