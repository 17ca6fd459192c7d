/* Frames of the long connection: by their vectors, hostile ones, messages in pieces. */
#include <check.h>
#include <stdlib.h>

#include "base/codec.h"
#include "lark_frames.h"
#include "lark_wire.h"
#include "lib/vectors.h"

static struct arena arena = ARENA_INIT(64 << 20);

static struct slice t(struct json_value v, const char *path)
{
	return text_at(&arena, v, path);
}

static struct slice bytes_of(struct slice hex)
{
	char *bytes = arena_alloc(&arena, hex.len / 2 + 1);

	ck_assert_int_eq(hex_decode(bytes, hex.len / 2, hex), 0);
	return slice_of(bytes, hex.len / 2);
}

static struct slice hex_of(const struct buf *b)
{
	char *hex = arena_alloc(&arena, b->len * 2 + 1);

	hex_encode(hex, b->ptr, b->len);
	return slice_of(hex, b->len * 2);
}

/* The i-th text of an array; ptr NULL past its end. */
static struct slice nth(struct json_value v, const char *path, unsigned i)
{
	struct json_reader r;
	struct json_value item;
	struct slice text;

	ck_assert(value_at(&arena, v, path, &v));
	json_enter(&r, v);
	while (json_next(&r, NULL, &item))
		if (i-- == 0) {
			ck_assert_int_eq(json_string(item, &arena, &text), 0);
			return text;
		}
	return (struct slice){0};
}

static struct slice optional(struct json_value frame, const char *name)
{
	return t(frame, name);
}

/* frame of the vector --> struct */
static struct lark_frame frame_of(struct json_value v)
{
	struct lark_frame f = {.payload_encoding = optional(v, "payloadEncoding"), .payload_type = optional(v, "payloadType"),
	    .payload = optional(v, "payload_utf8"), .log_id_new = optional(v, "LogIDNew")};
	struct json_reader r, pair;
	struct json_value item, list;
	int64_t n;

	ck_assert_int_eq(slice_to_u64(t(v, "SeqID"), &f.seq_id), 0);
	ck_assert_int_eq(slice_to_u64(t(v, "LogID"), &f.log_id), 0);
	ck_assert_int_eq(slice_to_i64(t(v, "service"), &n), 0);
	f.service = (int32_t)n;
	ck_assert_int_eq(slice_to_i64(t(v, "method"), &n), 0);
	f.method = (int32_t)n;
	ck_assert(value_at(&arena, v, "headers", &list));
	json_enter(&r, list);
	while (json_next(&r, NULL, &list)) {
		struct lark_header *h = &f.headers[f.n_headers++];

		json_enter(&pair, list);
		ck_assert(json_next(&pair, NULL, &item));
		ck_assert_int_eq(json_string(item, &arena, &h->key), 0);
		ck_assert(json_next(&pair, NULL, &item));
		ck_assert_int_eq(json_string(item, &arena, &h->value), 0);
	}
	return f;
}

static void same_frame(const struct lark_frame *is, const struct lark_frame *should, struct slice id)
{
	struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);

	ck_assert_int_eq(lark_frame_encode(&a, is), 0);
	ck_assert_int_eq(lark_frame_encode(&b, should), 0);
	ck_slice_eq(hex_of(&a), hex_of(&b), id);
	buf_finish(&a);
	buf_finish(&b);
}

static void judge_codec(struct json_value one)
{
	struct slice id = t(one, "id");
	struct json_value v;
	struct lark_frame f, back;
	struct buf out = BUF_INIT(4096);

	ck_assert(value_at(&arena, one, "input.frame", &v));
	f = frame_of(v);
	ck_assert_int_eq(lark_frame_encode(&out, &f), 0);
	ck_slice_eq(hex_of(&out), t(one, "expect.hex"), id);
	ck_assert_int_eq(lark_frame_decode(buf_slice(&out), &back), 0);
	same_frame(&back, &f, id);
	buf_clear(&out);
	if (slice_is(t(one, "kind"), "client-frame")) {
		ck_assert_int_eq(lark_ping(&out, f.service), 0);
		ck_slice_eq(hex_of(&out), t(one, "expect.hex"), id);
	}
	buf_finish(&out);
}

/* A connection: its frames in, events and acks out. */
static void judge_connection(struct json_value one)
{
	struct slice id = t(one, "id"), hex;
	struct lark_splits splits = {0};
	struct json_value frames, v;
	struct json_reader r;
	unsigned events = 0;

	ck_assert(value_at(&arena, one, "input.frames", &frames));
	json_enter(&r, frames);
	for (unsigned i = 0; (hex = nth(one, "input.frames_hex", i)).ptr != NULL; i++) {
		struct buf whole = BUF_INIT(1 << 20), ack = BUF_INIT(1 << 20);
		struct lark_received received;
		struct lark_frame f, should;
		bool complete = false;

		ck_assert(json_next(&r, NULL, &v));
		should = frame_of(v);
		ck_assert_int_eq(lark_frame_decode(bytes_of(hex), &f), 0);
		same_frame(&f, &should, id);
		if (f.method == LARK_DATA)
			lark_splits_add(&splits, &f, 1000 + i, &whole, &complete);
		if (complete) {
			ck_assert_int_eq(lark_event_parse(buf_slice(&whole), &arena, &received), 0);
			ck_assert(slice_is(received.event_type, "vc.meeting.all_meeting_ended_v1"));
			ck_assert_int_eq(lark_ack(&ack, &f, true, 0), 0);
			ck_slice_eq(hex_of(&ack), nth(one, "expect.replies_hex_with_biz_rt_0", events), id);
			events++;
		}
		buf_finish(&whole);
		buf_finish(&ack);
	}
	ck_assert(nth(one, "expect.replies_hex_with_biz_rt_0", events).ptr == NULL);
	lark_splits_finish(&splits);
}

static void judge_discovery(struct json_value one)
{
	struct buf body = BUF_INIT(4096);
	struct lark_endpoint e;
	enum answer_class is;

	ck_assert_int_eq(lark_body_endpoint(&body, t(one, "input.app_id"), t(one, "input.app_secret")), 0);
	ck_slice_eq(t(json_root(buf_slice(&body)), "AppID"), t(one, "expect.request.body_json.AppID"), t(one, "id"));
	ck_slice_eq(t(json_root(buf_slice(&body)), "AppSecret"), t(one, "expect.request.body_json.AppSecret"), t(one, "id"));
	ck_assert_int_eq(lark_endpoint_parse(200, t(one, "expect.reply_example"), &arena, &e, &is), 0);
	ck_assert_int_eq(is, ANSWER_OK);
	ck_assert_int_eq(e.service, 33554678);
	ck_assert_int_eq(e.config.reconnect_count, -1);
	ck_slice_eq(e.url, t(one, "expect.reply_example.data.URL"), t(one, "id"));
	buf_finish(&body);
}

START_TEST(frame_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "lark-ws-frames.json");
	while (vectors_next(&v)) {
		struct slice kind = t(v.one, "kind");
		struct lark_frame f;

		if (slice_is(kind, "discovery"))
			judge_discovery(v.one);
		else if (slice_is(kind, "codec") || slice_is(kind, "client-frame"))
			judge_codec(v.one);
		else if (slice_is(kind, "malformed"))
			ck_assert_int_eq(lark_frame_decode(bytes_of(nth(v.one, "input.frames_hex", 0)), &f), ERR_MALFORMED);
		else
			judge_connection(v.one);
	}
	vectors_close(&v, 15);
}
END_TEST

#define MUST "0800100018002000"

static const struct { const char *says, *hex; int rc; } frames[] = {
	{"as it should be", MUST, 0},
	{"no sequence", "100018002000", ERR_MALFORMED},
	{"no log id", "080018002000", ERR_MALFORMED},
	{"no service", "080010002000", ERR_MALFORMED},
	{"no method", "080010001800", ERR_MALFORMED},
	{"unknown fields are passed over", MUST "5001" "59" "0000000000000000" "65" "00000000" "6a0161", 0},
	{"a group", MUST "53", ERR_MALFORMED},
	{"the end of a group", MUST "54", ERR_MALFORMED},
	{"wire type 7", MUST "57", ERR_MALFORMED},
	{"field 0", MUST "0000", ERR_MALFORMED},
	{"a number too large for a field", MUST "808080808001" "00", ERR_MALFORMED},
	{"a length past the end", MUST "420561", ERR_MALFORMED},
	{"a length of 64 bits", MUST "42ffffffffffffffffff01", ERR_MALFORMED},
	{"a varint of 70 bits", "0880808080808080808002", ERR_MALFORMED},
	{"a varint that ends nowhere", "0880", ERR_MALFORMED},
	{"eight bytes that are seven", MUST "5900000000000000", ERR_MALFORMED},
	{"four bytes that are three", MUST "65000000", ERR_MALFORMED},
	{"a sequence that is a text", "0a0131100018002000", ERR_MALFORMED},
	{"a payload that is a number", MUST "4001", ERR_MALFORMED},
	{"a header without a value", MUST "2a030a0161", ERR_MALFORMED},
	{"a header without a key", MUST "2a03120161", ERR_MALFORMED},
	{"a header whose key is a number", MUST "2a0408001200", ERR_MALFORMED},
	{"a header cut off", MUST "2a030a0561", ERR_MALFORMED},
	{"empty ones are headers", MUST "2a040a001200", 0},
};

START_TEST(frames_that_are_none)
{
	struct lark_frame f;

	ck_assert_msg(lark_frame_decode(bytes_of(slice_str(frames[_i].hex)), &f) == frames[_i].rc, "%s", frames[_i].says);
}
END_TEST

START_TEST(frames_too_large)
{
	struct buf bytes = BUF_INIT(8 << 20), out = BUF_INIT(4096);
	struct lark_frame f;

	buf_append(&bytes, bytes_of(SLICE(MUST)));
	for (int i = 0; i < LARK_HEADERS_MAX; i++)
		buf_append(&bytes, bytes_of(SLICE("2a040a001200")));
	ck_assert_int_eq(lark_frame_decode(buf_slice(&bytes), &f), 0);
	ck_assert_int_eq(lark_ack(&out, &f, true, 0), ERR_TOO_BIG);
	buf_append(&bytes, bytes_of(SLICE("2a040a001200")));
	ck_assert_int_eq(lark_frame_decode(buf_slice(&bytes), &f), ERR_TOO_BIG);
	ck_assert(buf_reserve(&bytes, LARK_FRAME_MAX) != NULL);
	memset(bytes.ptr + bytes.len, 0, LARK_FRAME_MAX);
	buf_commit(&bytes, LARK_FRAME_MAX);
	ck_assert_int_eq(lark_frame_decode(buf_slice(&bytes), &f), ERR_TOO_BIG);
	buf_finish(&bytes);
	buf_finish(&out);
}
END_TEST

START_TEST(acks)
{
	struct lark_frame f = {.method = LARK_DATA, .payload = SLICE("x")}, back;
	struct buf out = BUF_INIT(4096);

	ck_assert_int_eq(lark_ack(&out, &f, false, 17), 0);
	ck_assert_int_eq(lark_frame_decode(buf_slice(&out), &back), 0);
	ck_assert(slice_is(back.payload, "{\"code\":500}"));
	ck_assert(slice_is(lark_frame_header(&back, "biz_rt"), "17"));
	ck_assert(lark_frame_header(&back, "none").ptr == NULL);
	buf_finish(&out);
}
END_TEST

/* --- pieces ----------------------------------------------------------------------------------- */

static int add(struct lark_splits *s, const char *id, const char *sum, const char *seq, struct slice payload, int64_t now_ms,
    struct buf *out, bool *complete)
{
	struct lark_frame f = {.method = LARK_DATA, .payload = payload, .n_headers = 3,
	    .headers = {{SLICE("message_id"), slice_str(id)}, {SLICE("sum"), slice_str(sum)}, {SLICE("seq"), slice_str(seq)}}};

	return lark_splits_add(s, &f, now_ms, out, complete);
}

static const struct { const char *id, *sum, *seq; } bad_pieces[] = {
	{"", "1", "0"}, {"m", "0", "0"}, {"m", "-1", "0"}, {"m", "", "0"}, {"m", "x", "0"}, {"m", "2", "2"}, {"m", "2", "-1"},
	{"m", "2", ""}, {"m", "65", "0"}, {"m", "18446744073709551616", "0"}, {"m", "2", "4294967296"}, {"m", "1", "1"},
};

START_TEST(pieces_that_are_none)
{
	struct lark_splits s = {0};
	struct buf out = BUF_INIT(64);
	bool complete;

	ck_assert_int_eq(add(&s, bad_pieces[_i].id, bad_pieces[_i].sum, bad_pieces[_i].seq, SLICE("x"), 1, &out, &complete),
	    ERR_INVALID);
	ck_assert(!complete && s.n == 0 && s.bytes == 0 && out.len == 0);
}
END_TEST

START_TEST(pieces)
{
	struct lark_splits s = {0};
	struct buf out = BUF_INIT(64);
	bool complete;

	ck_assert_int_eq(add(&s, "m", "2", "1", SLICE("b"), 1, &out, &complete), 0);
	ck_assert(!complete);
	ck_assert_int_eq(add(&s, "m", "2", "1", SLICE("other"), 1, &out, &complete), 0); /* the first counts */
	ck_assert_int_eq(add(&s, "m", "3", "0", SLICE("x"), 1, &out, &complete), ERR_INVALID); /* another sum */
	ck_assert_int_eq(add(&s, "n", "2", "0", SLICE("n"), 1, &out, &complete), 0);
	ck_assert_int_eq(add(&s, "m", "2", "0", SLICE("a"), 1 + LARK_SPLIT_AGE_MS, &out, &complete), 0);
	ck_assert(complete);
	ck_assert_str_eq(out.ptr, "ab");
	ck_assert_uint_eq(s.n, 1);
	/* The rest of n comes too late: it begins anew and never ends. */
	ck_assert_int_eq(add(&s, "n", "2", "1", SLICE("n"), 2 + LARK_SPLIT_AGE_MS, &out, &complete), 0);
	ck_assert(!complete);
	buf_clear(&out);
	ck_assert_int_eq(add(&s, "e", "2", "0", SLICE(""), 3, &out, &complete), 0);
	ck_assert_int_eq(add(&s, "e", "2", "1", SLICE(""), 3, &out, &complete), 0);
	ck_assert(complete && out.len == 0);
	buf_finish(&out);
	lark_splits_finish(&s);
	ck_assert_uint_eq(s.bytes, 0);
}
END_TEST

START_TEST(pieces_too_many)
{
	struct lark_splits s = {0};
	struct buf out = BUF_INIT(64), big = BUF_INIT(LARK_SPLIT_BYTES_MAX);
	bool complete;

	for (int i = 0; i <= LARK_SPLITS_MAX; i++)
		ck_assert_int_eq(add(&s, arena_printf(&arena, "m%d", i), "2", "0", SLICE("x"), i, &out, &complete), 0);
	ck_assert_uint_eq(s.n, LARK_SPLITS_MAX);
	ck_assert_int_eq(add(&s, "m0", "2", "1", SLICE("x"), 100, &out, &complete), 0);
	ck_assert(!complete); /* the oldest had to go */
	ck_assert_int_eq(add(&s, "m16", "2", "1", SLICE("y"), 100, &out, &complete), 0);
	ck_assert(complete);
	ck_assert(buf_reserve(&big, LARK_SPLIT_BYTES_MAX / 2) != NULL);
	memset(big.ptr, 'x', LARK_SPLIT_BYTES_MAX / 2);
	buf_commit(&big, LARK_SPLIT_BYTES_MAX / 2);
	ck_assert_int_eq(add(&s, "b1", "2", "0", buf_slice(&big), 200, &out, &complete), 0);
	ck_assert_int_eq(add(&s, "b2", "2", "0", buf_slice(&big), 200, &out, &complete), ERR_TOO_BIG);
	/* What is whole and too large for the caller is gone too. */
	ck_assert_int_eq(add(&s, "b1", "2", "1", SLICE("x"), 200, &out, &complete), ERR_TOO_BIG);
	ck_assert(!complete);
	lark_splits_finish(&s);
	ck_assert_uint_eq(s.bytes, 0);
	buf_finish(&big);
	buf_finish(&out);
}
END_TEST

/* --- where to connect ---------------------------------------------------------------------------- */

#define URL(url) "{\"code\":0,\"data\":{\"URL\":\"" url "\"}}"

static const struct { int status; const char *body; enum answer_class is; } endpoints[] = {
	{200, URL("wss://h/ws?a=b&service_id=7"), ANSWER_OK},
	{200, URL("wss://h/ws?service_id=x"), ANSWER_RETRY}, {200, URL("wss://h/ws"), ANSWER_RETRY},
	{200, URL("ws://h/ws?service_id=7"), ANSWER_OK}, {200, URL("http://h/ws?service_id=7"), ANSWER_RETRY}, {200, URL("wss://h/ w?service_id=7"), ANSWER_RETRY},
	{200, URL("wss://h/?service_id=99999999999"), ANSWER_RETRY},
	{200, "{\"code\":1}", ANSWER_RETRY}, {200, "{\"code\":1000040343}", ANSWER_RETRY}, {200, "{\"code\":0}", ANSWER_RETRY},
	{200, "{\"code\":403}", ANSWER_CONFIG}, {200, "{\"code\":514}", ANSWER_CONFIG}, {200, "{\"code\":1000040350}", ANSWER_CONFIG},
	{502, "<html>", ANSWER_RETRY}, {403, "", ANSWER_CONFIG}, {200, "[]", ANSWER_RETRY},
};

START_TEST(endpoint_answers)
{
	struct lark_endpoint e;
	enum answer_class is;

	ck_assert_int_eq(lark_endpoint_parse(endpoints[_i].status, slice_str(endpoints[_i].body), &arena, &e, &is), 0);
	ck_assert_msg(is == endpoints[_i].is, "%s: %s", endpoints[_i].body, answer_class_name(is));
	if (is == ANSWER_OK)
		ck_assert(e.service == 7 && e.config.ping_interval_s == 120);
}
END_TEST

START_TEST(new_intervals)
{
	struct lark_client_config c = {-1, 120, 30, 120};

	ck_assert_int_eq(lark_client_config_parse(SLICE("{\"ReconnectCount\":5,\"ReconnectInterval\":60,\"ReconnectNonce\":15,"
	    "\"PingInterval\":90}"), &arena, &c), 0);
	ck_assert(c.reconnect_count == 5 && c.reconnect_interval_s == 60 && c.reconnect_nonce_s == 15 && c.ping_interval_s == 90);
	/* A ping every 0 seconds would be a loop. */
	ck_assert_int_eq(lark_client_config_parse(SLICE("{\"ReconnectCount\":-2,\"ReconnectInterval\":0,\"ReconnectNonce\":-1,"
	    "\"PingInterval\":99999999}"), &arena, &c), 0);
	ck_assert(c.reconnect_count == 5 && c.reconnect_interval_s == 60 && c.reconnect_nonce_s == 15 && c.ping_interval_s == 90);
	ck_assert_int_eq(lark_client_config_parse(SLICE("x"), &arena, &c), ERR_MALFORMED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lark_frames");
	TCase *tc = tcase_create("frames");

	if (crypto_init() != 0)
		return 1;
	tcase_add_test(tc, frame_vectors);
	LOOP(tc, frames_that_are_none, frames);
	tcase_add_test(tc, frames_too_large);
	tcase_add_test(tc, acks);
	LOOP(tc, pieces_that_are_none, bad_pieces);
	tcase_add_test(tc, pieces);
	tcase_add_test(tc, pieces_too_many);
	LOOP(tc, endpoint_answers, endpoints);
	tcase_add_test(tc, new_intervals);
	suite_add_tcase(s, tc);
	return run_suite(s, &arena);
}
