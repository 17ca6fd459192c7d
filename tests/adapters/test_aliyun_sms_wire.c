/* Aliyun's short messages: both signatures by their vectors, requests, codes, receipts. */
#include <check.h>
#include <stdlib.h>

#include "aliyun_sms_wire.h"
#include "lib/vectors.h"

static struct arena arena = ARENA_INIT(64 << 20);

#define PAIRS_MAX 64

static struct slice t(struct json_value v, const char *path)
{
	return text_at(&arena, v, path);
}

static size_t pairs_at(struct json_value v, const char *path, struct wire_pair pairs[PAIRS_MAX])
{
	struct json_reader r;
	struct json_value value;
	struct slice name;
	size_t n = 0;

	ck_assert(value_at(&arena, v, path, &v));
	json_enter(&r, v);
	while (json_next(&r, &name, &value)) {
		ck_assert_int_eq(json_string(json_value_of_name(name), &arena, &pairs[n].name), 0);
		ck_assert_int_eq(json_string(value, &arena, &pairs[n].value), 0);
		n++;
	}
	return n;
}

START_TEST(acs3_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "aliyun-acs3.json");
	while (vectors_next(&v)) {
		struct wire_pair query[PAIRS_MAX], headers[PAIRS_MAX];
		struct aliyun_keys keys = {t(v.one, "input.access_key_id"), t(v.one, "input.access_key_secret"), {0}};
		struct aliyun_request rq = {t(v.one, "input.method"), t(v.one, "input.path"), query,
		    pairs_at(v.one, "input.query", query), headers, pairs_at(v.one, "input.headers", headers),
		    t(v.one, "input.body_utf8")};
		struct slice id = t(v.one, "id");
		struct aliyun_signed s;

		ck_assert_msg(aliyun_sign(&keys, &rq, &arena, &s) == 0, "%.*s", SLICE_ARG(id));
		ck_slice_eq(s.canonical_request, t(v.one, "expect.canonical_request"), id);
		ck_slice_eq(s.string_to_sign, t(v.one, "expect.string_to_sign"), id);
		ck_slice_eq(slice_str(s.signature), t(v.one, "expect.signature"), id);
		ck_slice_eq(s.signed_headers, t(v.one, "expect.signed_headers"), id);
		ck_slice_eq(s.authorization, t(v.one, "expect.authorization"), id);
		if (t(v.one, "expect.request_line_query").ptr != NULL)
			ck_slice_eq(s.query, t(v.one, "expect.request_line_query"), id);
	}
	vectors_close(&v, 10);
}
END_TEST

START_TEST(rpc_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "aliyun-rpc-sha1.json");
	while (vectors_next(&v)) {
		struct wire_pair parameters[PAIRS_MAX];
		size_t n = pairs_at(v.one, "input.params", parameters);
		struct slice id = t(v.one, "id");
		struct aliyun_rpc_signed s;

		ck_assert_int_eq(aliyun_rpc_sign(t(v.one, "input.access_key_secret"), t(v.one, "input.method"), parameters, n,
		    &arena, &s), 0);
		ck_slice_eq(s.canonical, t(v.one, "expect.canonical_query"), id);
		ck_slice_eq(s.string_to_sign, t(v.one, "expect.string_to_sign"), id);
		ck_slice_eq(s.signature, t(v.one, "expect.signature"), id);
		ck_slice_eq(s.wire, t(v.one, "expect.wire_params"), id);
	}
	vectors_close(&v, 6);
}
END_TEST

/* What we build is what the vector signs, but for the header that only the vendor's library sends. */
START_TEST(send_as_the_vendors_library)
{
	struct aliyun_keys keys = {SLICE("LTAI5tFAKEfakeFAKEfake01"), SLICE("FAKEsecretFAKEsecretFAKE01"), SLICE("st")};
	struct aliyun_call call = {SLICE("dysmsapi.aliyuncs.com"), SLICE("2026-01-01T08:00:00Z"), SLICE("nonce")};
	struct aliyun_sms sms = {SLICE("13000000000,+85200000000"), SLICE("签名"), SLICE("SMS_1"),
	    SLICE("{\"code\":\"123456\"}"), SLICE("msg-1")};
	struct wire_pair query[] = {{SLICE("OutId"), sms.out_id}, {SLICE("PhoneNumbers"), sms.phone_numbers},
	    {SLICE("SignName"), sms.sign_name}, {SLICE("TemplateCode"), sms.template_code},
	    {SLICE("TemplateParam"), sms.template_param}};
	struct aliyun_request rq = {SLICE("POST"), SLICE("/"), query, 5, NULL, 0, {0}};
	struct aliyun_made made;
	struct aliyun_signed s;

	ck_assert_int_eq(aliyun_make_send(&keys, &call, &sms, &arena, &made), 0);
	ck_assert(slice_is(made.url_path_query, "/?OutId=msg-1&PhoneNumbers=13000000000%2C%2B85200000000&"
	    "SignName=%E7%AD%BE%E5%90%8D&TemplateCode=SMS_1&TemplateParam=%7B%22code%22%3A%22123456%22%7D"));
	ck_assert_uint_eq(made.n_headers, 9);
	rq.headers = made.headers;
	rq.n_headers = made.n_headers - 1;
	ck_assert_int_eq(aliyun_sign(&keys, &rq, &arena, &s), 0);
	ck_assert(slice_is(made.headers[8].name, "authorization"));
	ck_assert(slice_eq(made.headers[8].value, s.authorization));
	ck_assert(slice_is(s.signed_headers, "host;x-acs-accesskey-id;x-acs-action;x-acs-content-sha256;x-acs-date;"
	    "x-acs-security-token;x-acs-signature-nonce;x-acs-version"));
}
END_TEST

static const struct { const char *says, *phones, *sign, *code, *param, *nonce, *host; int rc; } sends[] = {
	{"as it should be", "13000000000", "s", "c", "{}", "n", "h", 0},
	{"no parameters", "13000000000", "s", "c", "", "n", "h", 0},
	{"no number", "", "s", "c", "{}", "n", "h", ERR_INVALID},
	{"an empty number", "13000000000,", "s", "c", "{}", "n", "h", ERR_INVALID},
	{"letters", "1300000000a", "s", "c", "{}", "n", "h", ERR_INVALID},
	{"a sign in the middle", "1300+0000000", "s", "c", "{}", "n", "h", ERR_INVALID},
	{"too short", "+1234", "s", "c", "{}", "n", "h", ERR_INVALID},
	{"too long", "123456789012345678901", "s", "c", "{}", "n", "h", ERR_INVALID},
	{"no signature", "13000000000", "", "c", "{}", "n", "h", ERR_INVALID},
	{"no template", "13000000000", "s", "", "{}", "n", "h", ERR_INVALID},
	{"parameters that are a list", "13000000000", "s", "c", "[]", "n", "h", ERR_INVALID},
	{"parameters that are no JSON", "13000000000", "s", "c", "{", "n", "h", ERR_INVALID},
	{"no nonce", "13000000000", "s", "c", "{}", "", "h", ERR_INVALID},
	{"no host", "13000000000", "s", "c", "{}", "n", "", ERR_INVALID},
	{"a line break in the host", "13000000000", "s", "c", "{}", "n", "h\r\nx: y", ERR_INVALID},
	{"a line break in the nonce", "13000000000", "s", "c", "{}", "n\n", "h", ERR_INVALID},
};

START_TEST(send_refuses)
{
	struct aliyun_keys keys = {SLICE("i"), SLICE("k"), {0}};
	struct aliyun_call call = {slice_str(sends[_i].host), SLICE("2026-01-01T08:00:00Z"), slice_str(sends[_i].nonce)};
	struct aliyun_sms sms = {slice_str(sends[_i].phones), slice_str(sends[_i].sign), slice_str(sends[_i].code),
	    slice_str(sends[_i].param), {0}};
	struct aliyun_made made;

	ck_assert_msg(aliyun_make_send(&keys, &call, &sms, &arena, &made) == sends[_i].rc, "%s", sends[_i].says);
}
END_TEST

START_TEST(limits_of_a_send)
{
	struct aliyun_keys keys = {SLICE("i"), SLICE("k"), {0}}, none = {SLICE("i"), SLICE(""), {0}};
	struct aliyun_call call = {SLICE("h"), SLICE("2026-01-01T08:00:00Z"), SLICE("n")};
	struct buf phones = BUF_INIT(1 << 20), id = BUF_INIT(1024);
	struct aliyun_sms sms = {SLICE("13000000000"), SLICE("s"), SLICE("c"), {0}, {0}};
	struct aliyun_made made;

	ck_assert_int_eq(aliyun_make_send(&none, &call, &sms, &arena, &made), ERR_INVALID);
	for (int i = 0; i < ALIYUN_OUT_ID_MAX; i++)
		buf_append_char(&id, 'x');
	sms.out_id = buf_slice(&id);
	ck_assert_int_eq(aliyun_make_send(&keys, &call, &sms, &arena, &made), 0);
	buf_append_char(&id, 'x');
	sms.out_id = buf_slice(&id);
	ck_assert_int_eq(aliyun_make_send(&keys, &call, &sms, &arena, &made), ERR_INVALID);
	sms.out_id = SLICE("");
	for (int i = 0; i < ALIYUN_PHONES_MAX; i++)
		buf_printf(&phones, "%s13000000000", i == 0 ? "" : ",");
	sms.phone_numbers = buf_slice(&phones);
	ck_assert_int_eq(aliyun_make_send(&keys, &call, &sms, &arena, &made), 0);
	buf_append_str(&phones, ",13000000000");
	sms.phone_numbers = buf_slice(&phones);
	ck_assert_int_eq(aliyun_make_send(&keys, &call, &sms, &arena, &made), ERR_INVALID);
	buf_finish(&phones);
	buf_finish(&id);
}
END_TEST

START_TEST(what_must_be_signed_must_be_there)
{
	const struct wire_pair all[] = {{SLICE("host"), SLICE("h")}, {SLICE("x-acs-action"), SLICE("A")},
	    {SLICE("x-acs-version"), SLICE("1")}, {SLICE("x-acs-date"), SLICE("d")}, {SLICE("x-acs-signature-nonce"), SLICE("n")},
	    {SLICE("x-acs-content-sha256"), SLICE(SHA256_OF_NOTHING)}};
	struct aliyun_keys keys = {SLICE("i"), SLICE("k"), {0}};
	struct wire_pair some[6];
	struct aliyun_request rq = {SLICE("POST"), SLICE("/"), NULL, 0, all, 6, {0}};
	struct aliyun_signed s;
	size_t n = 0;

	ck_assert_int_eq(aliyun_sign(&keys, &rq, &arena, &s), 0);
	rq.body = SLICE("another body");
	ck_assert_int_eq(aliyun_sign(&keys, &rq, &arena, &s), ERR_INVALID);
	rq.body = SLICE("");
	for (int i = 0; i < 6; i++)
		if (i != _i)
			some[n++] = all[i];
	rq.headers = some;
	rq.n_headers = n;
	ck_assert_int_eq(aliyun_sign(&keys, &rq, &arena, &s), ERR_INVALID);
	some[n++] = all[_i];
	rq.n_headers = n;
	ck_assert_int_eq(aliyun_sign(&keys, &rq, &arena, &s), 0);
}
END_TEST

static const struct { const char *phone, *date; unsigned page, size; int rc; } queries[] = {
	{"13000000000", "20260101", 1, 50, 0},
	{"13000000000", "20260101", 0, 50, ERR_INVALID},
	{"13000000000", "20260101", 1, 51, ERR_INVALID},
	{"13000000000", "20260101", 1, 0, ERR_INVALID},
	{"13000000000", "2026-01-01", 1, 50, ERR_INVALID},
	{"13000000000", "2026010a", 1, 50, ERR_INVALID},
	{"1300000000x", "20260101", 1, 50, ERR_INVALID},
};

START_TEST(queries_of_receipts)
{
	struct aliyun_keys keys = {SLICE("i"), SLICE("k"), {0}};
	struct aliyun_call call = {SLICE("h"), SLICE("2026-01-01T08:00:00Z"), SLICE("n")};
	struct aliyun_made made;

	ck_assert_int_eq(aliyun_make_query(&keys, &call, slice_str(queries[_i].phone), slice_str(queries[_i].date), SLICE("1^0"),
	    queries[_i].page, queries[_i].size, &arena, &made), queries[_i].rc);
	if (queries[_i].rc == 0)
		ck_assert(slice_is(made.url_path_query,
		    "/?BizId=1%5E0&CurrentPage=1&PageSize=50&PhoneNumber=13000000000&SendDate=20260101"));
}
END_TEST

/* --- answers ------------------------------------------------------------------------------ */

static const struct { int status; const char *body; enum answer_class is; const char *request_id; } answers[] = {
	{200, "{\"Code\":\"OK\",\"Message\":\"OK\",\"RequestId\":\"R1\",\"BizId\":\"1^0\"}", ANSWER_OK, "R1"},
	{200, "{\"Code\":\"isv.BUSINESS_LIMIT_CONTROL\",\"RequestId\":\"R1\"}", ANSWER_LIMIT, "R1"},
	{200, "{\"Code\":\"isv.DAY_LIMIT_CONTROL\"}", ANSWER_LIMIT, ""},
	{200, "{\"Code\":\"isv.AMOUNT_NOT_ENOUGH\"}", ANSWER_CONFIG, ""},
	{200, "{\"Code\":\"isv.SMS_TEMPLATE_ILLEGAL\"}", ANSWER_CONFIG, ""},
	{200, "{\"Code\":\"isv.MOBILE_NUMBER_ILLEGAL\"}", ANSWER_REFUSED, ""},
	{200, "{\"Code\":\"isv.NOBODY_KNOWS\"}", ANSWER_REFUSED, ""},
	{200, "{\"Code\":\"isp.NOBODY_KNOWS\"}", ANSWER_RETRY, ""},
	{200, "{\"Code\":\"isp.SYSTEM_ERROR\"}", ANSWER_UNKNOWN, ""},
	{503, "{\"Code\":\"ServiceUnavailable\"}", ANSWER_UNKNOWN, ""},
	{403, "{\"Code\":\"SignatureDoesNotMatch\"}", ANSWER_CONFIG, ""},
	{400, "{\"Code\":\"InvalidTimeStamp.Expired\"}", ANSWER_AFRESH, ""},
	{400, "{\"Code\":\"SignatureNonceUsed\"}", ANSWER_AFRESH, ""},
	{400, "{\"Code\":\"Throttling.User\"}", ANSWER_RETRY, ""},
	{200, "{\"Message\":\"no code\"}", ANSWER_UNKNOWN, ""},
	{200, "<html>", ANSWER_UNKNOWN, ""},
	{200, "", ANSWER_UNKNOWN, ""},
	{502, "Bad gateway", ANSWER_UNKNOWN, ""},
	{404, "", ANSWER_REFUSED, ""},
	{500, "{\"Code\":\"OK\"}", ANSWER_UNKNOWN, ""},
	{200, "{\"Code\":{},\"RequestId\":[1]}", ANSWER_UNKNOWN, ""},
	{200, "{\"Code\":\"OK\",\"Code\":\"isv.X\"}", ANSWER_UNKNOWN, ""},
};

START_TEST(classes_of_answers)
{
	struct aliyun_answer answer;

	ck_assert_int_eq(aliyun_answer_parse(answers[_i].status, slice_str(answers[_i].body), &arena, &answer), 0);
	ck_assert_msg(answer.is == answers[_i].is, "%d %s: %s", answers[_i].status, answers[_i].body,
	    answer_class_name(answer.is));
	ck_assert(slice_is(answer.request_id, answers[_i].request_id));
}
END_TEST

static const struct { const char *code, *message; int64_t ms; } windows[] = {
	{"isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1", 60000},
	{"isv.BUSINESS_LIMIT_CONTROL", "触发小时级流控Permits:5", 3600000},
	{"isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:10", 86400000},
	{"isv.BUSINESS_LIMIT_CONTROL", "", 86400000},
	{"isv.DAY_LIMIT_CONTROL", "分钟", 86400000},
};

START_TEST(windows_of_limits)
{
	ck_assert_int_eq(aliyun_limit_window_ms(slice_str(windows[_i].code), slice_str(windows[_i].message)), windows[_i].ms);
}
END_TEST

START_TEST(details)
{
	struct aliyun_receipts r;

	ck_assert_int_eq(aliyun_details_parse(SLICE("{\"Code\":\"OK\",\"TotalCount\":\"7\",\"SmsSendDetailDTOs\":{"
	    "\"SmsSendDetailDTO\":[{\"SendStatus\":3,\"PhoneNum\":\"13000000000\",\"OutId\":\"m1\","
	    "\"SendDate\":\"2026-01-01 08:00:00\",\"ReceiveDate\":\"2026-01-01 08:00:05\",\"ErrCode\":\"DELIVERED\"},"
	    "{\"SendStatus\":\"2\"},{\"SendStatus\":1},{}]}}"), &arena, &r), 0);
	ck_assert_uint_eq(r.n, 4);
	ck_assert_int_eq(r.total, 7);
	ck_assert_int_eq(r.items[0].delivery, ALIYUN_DELIVERED);
	ck_assert(slice_is(r.items[0].out_id, "m1"));
	ck_assert_int_eq(r.items[0].send_ms, 1767225600000); /* 2026-01-01T00:00:00Z */
	ck_assert_int_eq(r.items[0].report_ms, 1767225605000);
	ck_assert_int_eq(r.items[1].delivery, ALIYUN_NOT_DELIVERED);
	ck_assert_int_eq(r.items[2].delivery, ALIYUN_WAITING);
	ck_assert_int_eq(r.items[3].delivery, ALIYUN_WAITING);
}
END_TEST

static const char *const bad_details[] = {"", "[]", "{}", "{\"SmsSendDetailDTOs\":[]}",
    "{\"SmsSendDetailDTOs\":{\"SmsSendDetailDTO\":{}}}"};

START_TEST(details_that_are_none)
{
	struct aliyun_receipts r;

	ck_assert_int_eq(aliyun_details_parse(slice_str(bad_details[_i]), &arena, &r), ERR_MALFORMED);
}
END_TEST

START_TEST(report)
{
	struct aliyun_receipts r;

	ck_assert_int_eq(aliyun_report_parse(SLICE("[{\"phone_number\":\"13000000000\",\"send_time\":\"2026-01-01 08:00:00\","
	    "\"report_time\":\"2026-01-01 08:00:05\",\"success\":true,\"err_code\":\"DELIVERED\",\"err_msg\":\"\",\"sms_size\":\"1\","
	    "\"biz_id\":\"1^0\",\"out_id\":\"m1\"},{\"phone_number\":13000000001,\"success\":false,\"err_code\":\"X\",\"biz_id\":\"2^0\","
	    "\"report_time\":\"never\"},{\"To\":\"85200000000\",\"Status\":\"1\",\"MessageId\":\"9\"},"
	    "{\"To\":\"85200000000\",\"Status\":6,\"MessageId\":9}]"), &arena, &r), 0);
	ck_assert_uint_eq(r.n, 4);
	ck_assert_int_eq(r.items[0].delivery, ALIYUN_DELIVERED);
	ck_assert(slice_is(r.items[0].biz_id, "1^0"));
	ck_assert_int_eq(r.items[0].report_ms, 1767225605000);
	ck_assert_int_eq(r.items[1].delivery, ALIYUN_NOT_DELIVERED);
	ck_assert(slice_is(r.items[1].phone_number, "13000000001"));
	ck_assert_int_eq(r.items[1].report_ms, 0);
	ck_assert_int_eq(r.items[2].delivery, ALIYUN_DELIVERED);
	ck_assert_int_eq(r.items[3].delivery, ALIYUN_WAITING);
	ck_assert_int_eq(aliyun_report_parse(SLICE("[]"), &arena, &r), 0);
	ck_assert_uint_eq(r.n, 0);
}
END_TEST

static const char *const bad_reports[] = {"", "{}", "[1]", "[{}]", "[[]]", "[{\"phone_number\":\"1\"}]", "[{\"biz_id\":\"1\"}]",
    "[{\"phone_number\":{},\"biz_id\":\"1\"}]", "[{\"phone_number\":\"1\",\"biz_id\":\"1\"},null]", "[{\"phone_number\":\"\\u0000\"}]"};

START_TEST(reports_that_are_none)
{
	struct aliyun_receipts r;

	ck_assert_msg(aliyun_report_parse(slice_str(bad_reports[_i]), &arena, &r) == ERR_MALFORMED, "%s", bad_reports[_i]);
}
END_TEST

START_TEST(too_many)
{
	struct buf body = BUF_INIT(1 << 20);
	struct aliyun_receipts r;

	for (int i = 0; i <= ALIYUN_RECEIPTS_MAX; i++)
		buf_append_str(&body, i == 0 ? "[{}" : ",{}");
	buf_append_char(&body, ']');
	ck_assert_int_eq(aliyun_report_parse(buf_slice(&body), &arena, &r), ERR_TOO_BIG);
	buf_finish(&body);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("aliyun_sms_wire");
	TCase *tc = tcase_create("wire");

	if (crypto_init() != 0)
		return 1;
	tcase_add_test(tc, acs3_vectors);
	tcase_add_test(tc, rpc_vectors);
	tcase_add_test(tc, send_as_the_vendors_library);
	LOOP(tc, send_refuses, sends);
	tcase_add_test(tc, limits_of_a_send);
	tcase_add_loop_test(tc, what_must_be_signed_must_be_there, 0, 6);
	LOOP(tc, queries_of_receipts, queries);
	LOOP(tc, classes_of_answers, answers);
	LOOP(tc, windows_of_limits, windows);
	tcase_add_test(tc, details);
	LOOP(tc, details_that_are_none, bad_details);
	tcase_add_test(tc, report);
	LOOP(tc, reports_that_are_none, bad_reports);
	tcase_add_test(tc, too_many);
	suite_add_tcase(s, tc);
	return run_suite(s, &arena);
}
