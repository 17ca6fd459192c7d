/* Changing a webhook, reading a saved request, and naming why one was refused. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "lark_events.h"
#include "lib/run.h"
#include "tencent_wire.h"
#include "webhook_edit.h"
#include "webhook_explain.h"
#include "webhook_samples.h"
#include "webhook_vendor.h"

#define TOKEN "aTokenForTheTests0001"
#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define OTHER_KEY "FAKEaesKeyFAKEaesKeyFAKEaesKeyFAKEaesKey00A"
#define EVENT "{\"event\":\"meeting.end\",\"trace_id\":\"t-1\",\"payload\":[{\"operate_time\":1}]}"
#define NOW_MS INT64_C(1767051029171)

/* ---- edit -------------------------------------------------------------------- */

static const struct {
	const char *says, *before, *assignment;
	int rc;
	const char *after;
} edits[] = {
	{"a text stays a text", "{\"a\":\"x\"}", "a=12", 0, "{\"a\":\"12\"}"},
	{"a number stays a number, to the last digit", "{\"a\":1}", "a=18446744073709551615", 0,
	 "{\"a\":18446744073709551615}"},
	{"what is no JSON is text", "{\"a\":1}", "a=审计会", 0, "{\"a\":\"审计会\"}"},
	{"through lists", "{\"p\":[{\"s\":\"x\"}]}", "p.0.s=y", 0, "{\"p\":[{\"s\":\"y\"}]}"},
	{"one past the end appends", "{\"p\":[1]}", "p.1=2", 0, "{\"p\":[1,2]}"},
	{"two past the end does not", "{\"p\":[1]}", "p.2=2", ERR_NOT_FOUND, "{\"p\":[1]}"},
	{"what is missing is made", "{}", "a.b.c=true", 0, "{\"a\":{\"b\":{\"c\":true}}}"},
	{"an empty value is the empty text", "{\"a\":\"x\"}", "a=", 0, "{\"a\":\"\"}"},
	{"a value may hold =", "{\"a\":\"x\"}", "a=b=c", 0, "{\"a\":\"b=c\"}"},
	{"whole objects", "{\"a\":1}", "a={\"b\":[null]}", 0, "{\"a\":{\"b\":[null]}}"},
	{"not through a number", "{\"a\":1}", "a.b=2", ERR_NOT_FOUND, "{\"a\":1}"},
	{"names tell upper from lower case", "{\"a\":1}", "A=2", 0, "{\"a\":1,\"A\":2}"},
	{"no =", "{}", "a", ERR_MALFORMED, "{}"},
	{"no path", "{}", "=1", ERR_MALFORMED, "{}"},
	{"an empty step", "{}", "a..b=1", ERR_MALFORMED, "{\"a\":{}}"},
};

START_TEST(members_are_set)
{
	struct cJSON *tree = NULL;
	char *text;

	ck_assert_int_eq(json_tree(slice_str(edits[_i].before), NULL, &tree, NULL), 0);
	ck_assert_msg(webhook_set(tree, slice_str(edits[_i].assignment)) == edits[_i].rc, "%s", edits[_i].says);
	text = cJSON_PrintUnformatted(tree);
	ck_assert_str_eq(text, edits[_i].after);
	cJSON_free(text);
	cJSON_Delete(tree);
}
END_TEST

START_TEST(times_move_to_now_in_their_unit)
{
	static const char before[] = "{\"payload\":[{\"operate_time\":1000000000500,"
	    "\"meeting_info\":{\"start_time\":1000000000,\"end_time\":1000003600}},{\"operate_time\":1000000000}]}";
	static const char after[] = "{\"payload\":[{\"operate_time\":1767051029171,"
	    "\"meeting_info\":{\"start_time\":1767051028,\"end_time\":1767054628}},{\"operate_time\":1767051029}]}";
	struct cJSON *tree = NULL;
	char *text;

	ck_assert_int_eq(json_tree(slice_str(before), NULL, &tree, NULL), 0);
	ck_assert_int_eq(webhook_set_now(tree, NOW_MS), 0);
	text = cJSON_PrintUnformatted(tree);
	ck_assert_str_eq(text, after);
	cJSON_free(text);
	cJSON_Delete(tree);
}
END_TEST

START_TEST(every_sample_is_an_event)
{
	unsigned n = 0;

	for (const struct webhook_sample *s = webhook_samples; s->name != NULL; s++) {
		struct arena a = ARENA_INIT(1 << 20);
		struct tencent_envelope envelope;
		const char *reason = "";

		if (strcmp(s->vendor, "tencent") != 0)
			continue;
		ck_assert_msg(tencent_parse(slice_str(s->json), &a, &envelope, &reason) == 0, "%s: %s", s->name, reason);
		ck_assert(slice_is(envelope.event, s->event));
		ck_assert_uint_ge(envelope.trace_id.len, 1);
		n++;
		arena_finish(&a);
	}
	ck_assert_uint_ge(n, 27);
}
END_TEST

/* Each is sent as the vendor does, received as the adapter does, and becomes an event of ours that fits its schema. */
START_TEST(every_sample_of_feishu_arrives)
{
	const struct webhook_secrets secrets = {.token = SLICE("the token"), .aes_key = SLICE("the key")};
	const struct lark_secrets ours = {.encrypt_key = SLICE("the key"), .verification_token = SLICE("the token")};
	unsigned n = 0;

	for (const struct webhook_sample *s = webhook_samples; s->name != NULL; s++) {
		struct arena a = ARENA_INIT(1 << 22);
		struct webhook_post p = {.body = BUF_INIT(1 << 20)};
		struct lark_received r = {0};
		struct translated fact;
		cJSON *tree = NULL;
		char *text;

		if (strcmp(s->vendor, "feishu") != 0)
			continue;
		ck_assert_int_eq(json_tree(slice_str(s->json), NULL, &tree, NULL), 0);
		ck_assert_int_eq(webhook_feishu.freshen(tree, "a-new-id", NOW_MS), 0);
		ck_assert_int_eq(webhook_feishu.complete(tree, &secrets), 0);
		ck_assert_str_eq(webhook_feishu.id_of(tree), "a-new-id");
		text = cJSON_PrintUnformatted(tree);
		ck_assert_int_eq(webhook_feishu.make(&secrets, tree, slice_str(text), &p), 0);
		struct lark_headers h = {slice_str(p.headers[0].value), slice_str(p.headers[1].value), slice_str(p.headers[2].value)};
		ck_assert_int_eq(lark_receive(&ours, &h, buf_slice(&p.body), &a, &r), 0);
		ck_assert_int_eq(r.is_challenge, p.headers[0].name == NULL);
		if (!r.is_challenge) {
			ck_assert(slice_is(r.event_type, s->name) && slice_is(r.event_type, s->event));
			ck_assert(slice_is(r.event_id, "a-new-id"));
			ck_assert_int_eq(r.create_ms, NOW_MS);
			ck_assert_int_eq(lark_translate(&r, &a, &fact), 0);
		}
		n++;
		cJSON_free(text);
		cJSON_Delete(tree);
		buf_finish(&p.body);
		arena_finish(&a);
	}
	ck_assert_uint_eq(n, 15);
}
END_TEST

/* ---- saved requests ----------------------------------------------------------- */

static const struct {
	const char *says, *text;
	int rc;
	const char *timestamp, *signature, *body, *check_str;
} requests[] = {
	{"as a proxy saves it", "POST /webhooks/tencent HTTP/1.1\r\nTimestamp: 1\r\nSIGNATURE:ab \r\n\r\n{\"data\":\"x\"}", 0,
	 "1", "ab", "{\"data\":\"x\"}", NULL},
	{"headers alone, LF", "timestamp: 1\nsignature: ab\n\nbody\n\nmore", 0, "1", "ab", "body\n\nmore", NULL},
	{"a URL check", "GET /webhooks/tencent?a=1&check_str=x%2By%3D HTTP/1.1\ntimestamp: 1\n\n", 0, "1", NULL, "",
	 "x%2By%3D"},
	{"of Feishu, with a line end more", "POST /webhooks/lark HTTP/1.1\r\nContent-Length: 2\r\nX-Lark-Request-Timestamp: 1\r\n"
	 "x-lark-signature: ab\r\n\r\n{}\n", 0, "1", "ab", "{}", NULL},
	{"a body alone", "{\"data\":\"x\"}", ERR_MALFORMED, NULL, NULL, NULL, NULL},
	{"no header where one is due", "timestamp: 1\nnonsense\n\n", ERR_MALFORMED, NULL, NULL, NULL, NULL},
	{"nothing", "", 0, NULL, NULL, "", NULL},
};

static void same(struct slice found, const char *wanted, const char *says)
{
	ck_assert_msg(wanted == NULL ? found.ptr == NULL : slice_is(found, wanted), "%s: %.*s", says, SLICE_ARG(found));
}

START_TEST(saved_requests_are_read)
{
	struct webhook_request r;
	const char *reason = NULL;

	ck_assert_int_eq(webhook_request_parse(slice_str(requests[_i].text), &r, &reason), requests[_i].rc);
	if (requests[_i].rc != 0) {
		ck_assert_ptr_nonnull(reason);
		return;
	}
	same(r.timestamp, requests[_i].timestamp, requests[_i].says);
	same(r.signature, requests[_i].signature, requests[_i].says);
	same(r.check_str, requests[_i].check_str, requests[_i].says);
	ck_assert(slice_is(r.body, requests[_i].body));
}
END_TEST

/* ---- explain ------------------------------------------------------------------- */

enum damage { NONE, PLUS_TO_SPACE, PERCENT, TRAILING_SPACE, URL_ALPHABET, CAPITALS, CUT_SIGNATURE, NO_NONCE,
	TEXT_BODY, OTHER_JSON, LONGER_TIME, GARBAGE };

static const struct {
	const char *says;
	const char *sent_token, *sent_key, *plain;
	const char *our_token, *our_key;
	enum damage damage;
	int64_t later_ms;
	int http_status;
	const char *step, *cause; /* the last step, and words of its cause */
} cases[] = {
	{"a good one", TOKEN, KEY, EVENT, TOKEN, KEY, NONE, 0, 200, "event", NULL},
	{"a good one without encryption", TOKEN, "", EVENT, TOKEN, "", NONE, 0, 200, "event", NULL},
	{"no token", TOKEN, KEY, EVENT, "", KEY, NONE, 0, 503, "settings", "console"},
	{"no key but quotes", TOKEN, KEY, EVENT, TOKEN, "\"" KEY "\"", NONE, 0, 503, "settings", "43"},
	{"another token", TOKEN, KEY, EVENT, "anotherToken", KEY, NONE, 0, 401, "signature", "arrived whole"},
	{"another token and key", TOKEN, KEY, EVENT, "anotherToken", OTHER_KEY, NONE, 0, 401, "signature",
	 "another application"},
	{"token with a space", TOKEN, KEY, EVENT, TOKEN " ", KEY, NONE, 0, 401, "signature", "white space around it"},
	{"token in quotes", TOKEN, KEY, EVENT, "\"" TOKEN "\"", KEY, NONE, 0, 401, "signature", "quotes around it"},
	{"swapped", KEY, OTHER_KEY, EVENT, TOKEN, KEY, NONE, 0, 401, "signature", "swapped"},
	{"another key", TOKEN, KEY, EVENT, TOKEN, OTHER_KEY, NONE, 0, 400, "decryption", "ENCODING_AES_KEY is not"},
	{"sent in clear, key set", TOKEN, "", EVENT, TOKEN, KEY, NONE, 0, 400, "decryption", "not encrypted"},
	{"encrypted, no key set", TOKEN, KEY, EVENT, TOKEN, "", NONE, 0, 400, "decoding", "set TENCENT"},
	{"+ became a space", TOKEN, KEY, EVENT, TOKEN, KEY, PLUS_TO_SPACE, 0, 401, "signature", "became a space"},
	{"percent-encoded once more", TOKEN, KEY, EVENT, TOKEN, KEY, PERCENT, 0, 401, "signature", "percent-encoded"},
	{"white space after the data", TOKEN, KEY, EVENT, TOKEN, KEY, TRAILING_SPACE, 0, 401, "signature", "white space"},
	{"URL alphabet", TOKEN, KEY, EVENT, TOKEN, KEY, URL_ALPHABET, 0, 401, "signature", "URL alphabet"},
	{"capital letters", TOKEN, KEY, EVENT, TOKEN, KEY, CAPITALS, 0, 401, "signature", "lower case"},
	{"half a signature", TOKEN, KEY, EVENT, TOKEN, KEY, CUT_SIGNATURE, 0, 401, "signature", "cut"},
	{"a header lost", TOKEN, KEY, EVENT, TOKEN, KEY, NO_NONCE, 0, 400, "headers", "proxy"},
	{"milliseconds added", TOKEN, KEY, EVENT, TOKEN, KEY, LONGER_TIME, 0, 401, "signature", "milliseconds"},
	{"no JSON", TOKEN, KEY, EVENT, TOKEN, KEY, TEXT_BODY, 0, 400, "body", "byte for byte"},
	{"other JSON", TOKEN, KEY, EVENT, TOKEN, KEY, OTHER_JSON, 0, 400, "body", "rewrote"},
	{"our clock is behind", TOKEN, KEY, EVENT, TOKEN, KEY, NONE, -3600000, 401, "age", "clock"},
	{"saved long ago", TOKEN, KEY, EVENT, TOKEN, KEY, NONE, 86400000, 200, "event", NULL},
	{"no event inside", TOKEN, KEY, "[1]", TOKEN, KEY, NONE, 0, 200, "event", "stored"},
	{"data from nowhere", TOKEN, KEY, EVENT, TOKEN, KEY, GARBAGE, 0, 401, "signature", "another application"},
};

/* The parts of a request, in memory that the damage may change. */
struct parts {
	char timestamp[24], nonce[16], signature[TENCENT_SIGNATURE_LEN + 1];
	struct buf body;
};

static void swap(struct buf *b, const char *from, const char *to)
{
	for (size_t i = strlen("{\"data\":\""); i + 2 < b->len; i++) {
		const char *at = strchr(from, b->ptr[i]);

		if (at != NULL)
			b->ptr[i] = to[at - from];
	}
}

static void rewrite_data(struct buf *b, const char *suffix, bool percent)
{
	struct buf fresh = BUF_INIT(1 << 16);
	struct slice data = slice_of(b->ptr + 9, b->len - 11);

	buf_append_str(&fresh, "{\"data\":\"");
	if (percent)
		percent_encode(&fresh, data);
	else
		buf_append(&fresh, data);
	buf_printf(&fresh, "%s\"}", suffix);
	buf_finish(b);
	*b = fresh;
}

static void damage(struct parts *p, enum damage how)
{
	switch (how) {
	case NONE:
		break;
	case PLUS_TO_SPACE:
		swap(&p->body, "+", " ");
		break;
	case PERCENT:
		rewrite_data(&p->body, "", true);
		break;
	case TRAILING_SPACE:
		rewrite_data(&p->body, "\\n", false);
		break;
	case URL_ALPHABET:
		swap(&p->body, "+/", "-_");
		break;
	case CAPITALS:
		for (char *c = p->signature; *c != '\0'; c++)
			if (*c >= 'a')
				*c = (char)(*c - 'a' + 'A');
		break;
	case CUT_SIGNATURE:
		p->signature[20] = '\0';
		break;
	case NO_NONCE:
		p->nonce[0] = '\0';
		break;
	case TEXT_BODY:
		buf_consume(&p->body, 1);
		break;
	case OTHER_JSON:
		buf_clear(&p->body);
		buf_append_str(&p->body, "{\"payload\":1}");
		break;
	case LONGER_TIME:
		memcpy(p->timestamp + strlen(p->timestamp), "000", 4);
		break;
	case GARBAGE:
		buf_clear(&p->body);
		buf_append_str(&p->body, "{\"data\":\"AAAABBBBCCCCDDDDEEEEFFFF\"}");
		break;
	}
}

START_TEST(the_failing_step_and_its_cause_are_named)
{
	struct parts p = {.timestamp = "1767051029", .nonce = "12345678", .body = BUF_INIT(1 << 16)};
	struct tencent_keys keys = {0};
	struct arena a = ARENA_INIT(1 << 20);
	struct webhook_secrets secrets = {.token = slice_str(cases[_i].our_token),
		.aes_key = slice_str(cases[_i].our_key), .max_age_s = 900};
	struct webhook_request request;
	struct explanation e;
	const struct explain_step *last;

	ck_assert_int_eq(tencent_keys_add_token(&keys, slice_str(cases[_i].sent_token)), 0);
	if (cases[_i].sent_key[0] != '\0')
		ck_assert_int_eq(tencent_keys_add_aes(&keys, slice_str(cases[_i].sent_key)), 0);
	ck_assert_int_eq(tencent_make_post(&keys, slice_str(cases[_i].plain), slice_str(p.timestamp),
	    slice_str(p.nonce), &p.body, p.signature), 0);
	damage(&p, cases[_i].damage);
	request = (struct webhook_request){.timestamp = slice_str(p.timestamp), .nonce = slice_str(p.nonce),
		.signature = slice_str(p.signature), .body = buf_slice(&p.body)};
	ck_assert_int_eq(webhook_explain(&request, &secrets, NOW_MS + cases[_i].later_ms, &a, &e), 0);
	last = &e.steps[e.n_steps - 1];
	ck_assert_msg(e.http_status == cases[_i].http_status, "%s: %d at %s", cases[_i].says, e.http_status, last->name);
	ck_assert_str_eq(last->name, cases[_i].step);
	if (cases[_i].cause == NULL)
		ck_assert_msg(last->cause == NULL, "%s: %s", cases[_i].says, last->cause);
	else
		ck_assert_msg(last->cause != NULL && strstr(last->cause, cases[_i].cause) != NULL, "%s: %s",
		    cases[_i].says, last->cause);
	tencent_keys_finish(&keys);
	buf_finish(&p.body);
	arena_finish(&a);
}
END_TEST

#define FEISHU(type, token) "{\"schema\":\"2.0\",\"header\":{\"event_id\":\"e-1\",\"event_type\":\"" type "\",\"token\":\"" token \
	"\"},\"event\":{\"meeting\":{\"id\":\"1\"}}}"
#define ENDED FEISHU("vc.meeting.all_meeting_ended_v1", TOKEN)
#define CHALLENGE "{\"type\":\"url_verification\",\"challenge\":\"c\",\"token\":\"" TOKEN "\"}"

enum feishu_damage { WHOLE, UNSIGNED, SPACE_AFTER, SPACED, UPPER, HALF, SHA1, NO_JSON };

static const struct {
	const char *says;
	const char *sent_key, *plain;
	const char *our_token, *our_key;
	enum feishu_damage damage;
	int64_t later_ms;
	int http_status;
	const char *step, *cause; /* the last step, and words of its cause */
} feishu_cases[] = {
	{"a good one", KEY, ENDED, TOKEN, KEY, WHOLE, 0, 200, "event", NULL},
	{"a good one without encryption", "", ENDED, TOKEN, "", UNSIGNED, 0, 200, "event", NULL},
	{"a challenge", KEY, CHALLENGE, TOKEN, KEY, UNSIGNED, 0, 200, "event", NULL},
	{"a plain challenge", "", CHALLENGE, TOKEN, "", UNSIGNED, 0, 200, "event", NULL},
	{"a challenge with another token", KEY, CHALLENGE, "another", KEY, UNSIGNED, 0, 401, "token", "not the token"},
	{"an event we have no name for", KEY, FEISHU("im.message.receive_v1", TOKEN), TOKEN, KEY, WHOLE, 0, 200, "event", "lulab webhook list"},
	{"no secrets", KEY, ENDED, "", "", WHOLE, 0, 503, "settings", "Encryption Strategy"},
	{"another key", KEY, ENDED, TOKEN, "another", WHOLE, 0, 401, "signature", "neither the signature nor the content"},
	{"key with a space", KEY, ENDED, TOKEN, KEY " ", WHOLE, 0, 401, "signature", "white space around it"},
	{"key in quotes", KEY, ENDED, TOKEN, "\"" KEY "\"", WHOLE, 0, 401, "signature", "quotes"},
	{"swapped", TOKEN, ENDED, TOKEN, KEY, WHOLE, 0, 401, "signature", "swapped"},
	{"another token", KEY, ENDED, "another", KEY, WHOLE, 0, 401, "token", "not the token"},
	{"sent in clear, key set", "", ENDED, TOKEN, KEY, UNSIGNED, 0, 401, "body", "unset LARK_EVENT_ENCRYPT_KEY"},
	{"encrypted, no key set", KEY, ENDED, TOKEN, "", WHOLE, 0, 400, "body", "set LARK_EVENT_ENCRYPT_KEY"},
	{"headers lost", KEY, ENDED, TOKEN, KEY, UNSIGNED, 0, 401, "headers", "proxy"},
	{"a line end more", KEY, ENDED, TOKEN, KEY, SPACE_AFTER, 0, 401, "signature", "byte for byte"},
	{"written anew", KEY, ENDED, TOKEN, KEY, SPACED, 0, 401, "signature", "written anew"},
	{"in capitals", KEY, ENDED, TOKEN, KEY, UPPER, 0, 401, "signature", "header was changed"},
	{"half a signature", KEY, ENDED, TOKEN, KEY, HALF, 0, 401, "signature", "cut"},
	{"of an old card", KEY, ENDED, TOKEN, KEY, SHA1, 0, 401, "signature", "old cards"},
	{"no JSON", KEY, ENDED, TOKEN, KEY, NO_JSON, 0, 401, "body", "byte for byte"},
	{"our clock is behind", KEY, ENDED, TOKEN, KEY, WHOLE, -3600000, 401, "age", "clock"},
	{"no event inside", KEY, "{\"header\":{\"token\":\"" TOKEN "\"}}", TOKEN, KEY, WHOLE, 0, 200, "event", "stored"},
	{"no event inside, plain", "", "{\"header\":{\"token\":\"" TOKEN "\"}}", TOKEN, "", UNSIGNED, 0, 400, "event", "not a request"},
	{"a list", KEY, "[1]", TOKEN, KEY, WHOLE, 0, 400, "decryption", "before it was signed"},
};

static void damage_feishu(struct buf *body, char signature[LARK_SIGNATURE_LEN + 1], enum feishu_damage how)
{
	struct slice parts[] = {SLICE("1767051029"), SLICE("12345678"), SLICE(TOKEN), buf_slice(body)};
	uint8_t digest[SHA1_LEN];

	if (how == SPACE_AFTER)
		buf_append_char(body, '\n');
	if (how == SPACED) {
		body->ptr[body->len - 1] = ' ';
		buf_append_char(body, '}');
	}
	for (char *c = signature; how == UPPER && *c != '\0'; c++)
		*c = *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
	if (how == HALF)
		signature[20] = '\0';
	if (how == SHA1) {
		sha1(digest, parts, 4);
		hex_encode(signature, digest, sizeof(digest));
	}
	if (how == NO_JSON)
		buf_consume(body, 1);
}

/* What is named here is also what the adapter does. */
static int status_of(const struct lark_secrets *ours, const struct webhook_request *r, struct arena *a)
{
	struct lark_headers h = {r->timestamp, r->nonce, r->signature};
	struct lark_received received = {0};
	int rc = lark_receive(ours, &h, r->body, a, &received);

	if (rc == ERR_BAD_KEY)
		return 503;
	if (rc == ERR_BAD_SIGNATURE || rc == ERR_DENIED)
		return 401;
	return rc == 0 || (rc == ERR_INVALID && ours->encrypt_key.len > 0 && !received.is_challenge) ? 200 : 400;
}

START_TEST(of_feishu_too)
{
	const uint8_t iv[LARK_IV_LEN] = {7};
	struct arena a = ARENA_INIT(1 << 20);
	struct buf body = BUF_INIT(1 << 16);
	char signature[LARK_SIGNATURE_LEN + 1];
	struct webhook_secrets secrets = {.token = slice_str(feishu_cases[_i].our_token),
		.aes_key = slice_str(feishu_cases[_i].our_key), .max_age_s = 900};
	struct lark_secrets ours = {secrets.aes_key, secrets.token};
	bool is_signed = feishu_cases[_i].damage != UNSIGNED;
	struct webhook_request request;
	struct explanation e;
	const struct explain_step *last;

	ck_assert_int_eq(lark_make_post(slice_str(feishu_cases[_i].sent_key), slice_str(feishu_cases[_i].plain), SLICE("1767051029"),
	    SLICE("12345678"), iv, &body, signature), 0);
	damage_feishu(&body, signature, feishu_cases[_i].damage);
	request = (struct webhook_request){.body = buf_slice(&body)};
	if (is_signed)
		request = (struct webhook_request){.timestamp = SLICE("1767051029"), .nonce = SLICE("12345678"),
			.signature = slice_str(signature), .body = buf_slice(&body)};
	ck_assert_int_eq(webhook_explain_feishu(&request, &secrets, NOW_MS + feishu_cases[_i].later_ms, &a, &e), 0);
	last = &e.steps[e.n_steps - 1];
	ck_assert_msg(e.http_status == feishu_cases[_i].http_status, "%s: %d at %s", feishu_cases[_i].says, e.http_status, last->name);
	ck_assert_msg(strcmp(last->name, feishu_cases[_i].step) == 0, "%s: at %s", feishu_cases[_i].says, last->name);
	if (strcmp(last->name, "age") != 0)
		ck_assert_msg(status_of(&ours, &request, &a) == e.http_status, "%s: %d", feishu_cases[_i].says, status_of(&ours, &request, &a));
	if (feishu_cases[_i].cause == NULL)
		ck_assert_msg(last->cause == NULL, "%s: %s", feishu_cases[_i].says, last->cause);
	else
		ck_assert_msg(last->cause != NULL && strstr(last->cause, feishu_cases[_i].cause) != NULL, "%s: %s",
		    feishu_cases[_i].says, last->cause);
	buf_finish(&body);
	arena_finish(&a);
}
END_TEST

START_TEST(a_url_check_is_explained)
{
	struct buf query = BUF_INIT(4096);
	struct tencent_keys keys = {0};
	struct arena a = ARENA_INIT(1 << 20);
	struct webhook_secrets secrets = {.token = SLICE_INIT(TOKEN), .aes_key = SLICE_INIT(KEY)};
	char signature[TENCENT_SIGNATURE_LEN + 1];
	struct webhook_request request;
	struct explanation e;

	tencent_keys_add_token(&keys, SLICE(TOKEN));
	tencent_keys_add_aes(&keys, SLICE(KEY));
	ck_assert_int_eq(tencent_make_check(&keys, SLICE("hello"), SLICE("1"), SLICE("2"), &query, signature), 0);
	request = (struct webhook_request){.timestamp = SLICE("1"), .nonce = SLICE("2"),
		.signature = slice_str(signature), .check_str = slice_str(query.ptr + strlen("check_str="))};
	ck_assert_int_eq(webhook_explain(&request, &secrets, NOW_MS, &a, &e), 0);
	ck_assert_int_eq(e.http_status, 200);
	request.check_str = SLICE("%G1");
	ck_assert_int_eq(webhook_explain(&request, &secrets, NOW_MS, &a, &e), 0);
	ck_assert_int_eq(e.http_status, 400);
	tencent_keys_finish(&keys);
	buf_finish(&query);
	arena_finish(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("webhook");
	TCase *t = tcase_create("webhook");

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_add_loop_test(t, members_are_set, 0, COUNT(edits));
	tcase_add_test(t, times_move_to_now_in_their_unit);
	tcase_add_test(t, every_sample_is_an_event);
	tcase_add_test(t, every_sample_of_feishu_arrives);
	tcase_add_loop_test(t, saved_requests_are_read, 0, COUNT(requests));
	tcase_add_loop_test(t, of_feishu_too, 0, COUNT(feishu_cases));
	tcase_add_loop_test(t, the_failing_step_and_its_cause_are_named, 0, COUNT(cases));
	tcase_add_test(t, a_url_check_is_explained);
	suite_add_tcase(s, t);
	return run_suite(s);
}
