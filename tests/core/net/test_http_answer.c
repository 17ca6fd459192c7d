/* Answers: http_answer.c, http_problem.c, http_trace.c. What each request gets, to the byte. */
#include <zlib.h>

#include "core/net/server_rig.h"

/* Answers, byte by byte. */

START_TEST(an_answer_is_exactly_this)
{
	static const char expected[] =
	    "HTTP/1.1 200 OK\r\n"
	    "Date: Mon, 23 Nov 2026 23:39:15 GMT\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "X-Request-Id: my-own.id:1\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "X-Frame-Options: DENY\r\n"
	    "Referrer-Policy: no-referrer\r\n"
	    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
	    "Cross-Origin-Resource-Policy: same-origin\r\n"
	    "Cache-Control: no-store\r\n"
	    "Vary: Origin\r\n"
	    "ETag: W/\"WJG1tSLV3whtD_Cx\"\r\n"
	    "Content-Length: 6\r\n"
	    "\r\n"
	    "hello\n";
	struct client c;

	rig_start_usual();
	c = client_connect(rig.port);
	client_say(&c, "GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: my-own.id:1\r\n\r\n");
	client_need(&c, sizeof(expected) - 1);
	ck_assert_str_eq(c.in.ptr, expected);
	client_close(&c);
	rig_stop();
}
END_TEST

static const struct {
	const char *says, *sent;
	int status;
	const char *field, *value; /* a header to find in the answer, or NULL */
	const char *body;          /* or NULL for whatever */
} cases[] = {
	{"a GET", "GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "content-length", "6", "hello\n"},
	{"one trailing slash is forgiven", "GET /hello/ HTTP/1.1\r\n" HOST "\r\n", 200, NULL, NULL, "hello\n"},
	{"HEAD has the length and no body", "HEAD /hello HTTP/1.1\r\n" HOST "\r\n", 200, "content-length", "6", ""},
	{"a body comes back", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 200, NULL, NULL, "abc"},
	{"chunks come back joined", "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 200, NULL, NULL, "abc"},
	{"an empty body is an empty body", "POST /echo HTTP/1.1\r\n" HOST "\r\n", 200, "content-length", "0", ""},
	{"a parameter is decoded", "GET /who/%E4%BD%A0%20b HTTP/1.1\r\n" HOST "\r\n", 200, NULL, NULL, NULL},
	{"HTTP/1.0 closes", "GET /hello HTTP/1.0\r\n\r\n", 200, "connection", "close", "hello\n"},
	{"HTTP/1.0 stays when asked", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "connection", "keep-alive", NULL},
	{"close is answered", "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 200, "connection", "close", NULL},
	{"nothing there", "GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404, "content-type", "application/problem+json; charset=utf-8", NULL},
	{"dots are not resolved", "GET /a/../hello HTTP/1.1\r\n" HOST "\r\n", 404, NULL, NULL, NULL},
	{"not with this method", "DELETE /echo HTTP/1.1\r\n" HOST "\r\n", 405, "allow", "POST, PUT, OPTIONS", NULL},
	{"TRACE is known and refused", "TRACE /hello HTTP/1.1\r\n" HOST "\r\n", 405, "allow", "GET, HEAD, OPTIONS", NULL},
	{"nobody knows this method", "BREW /hello HTTP/1.1\r\n" HOST "\r\n", 501, "connection", "close", NULL},
	{"OPTIONS tells the methods", "OPTIONS /echo HTTP/1.1\r\n" HOST "\r\n", 204, "allow", "POST, PUT, OPTIONS", ""},
	{"OPTIONS of the whole", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 204, "allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", ""},
	{"OPTIONS of nothing", "OPTIONS /nothing HTTP/1.1\r\n" HOST "\r\n", 404, NULL, NULL, NULL},
	{"a preflight of a good origin", "OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: https://good.example\r\n"
		"Access-Control-Request-Method: PUT\r\n\r\n", 204, "access-control-allow-methods", "POST, PUT, OPTIONS", ""},
	{"a preflight of a bad origin", "OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: https://bad.example\r\n"
		"Access-Control-Request-Method: PUT\r\n\r\n", 204, "access-control-allow-methods", NULL, ""},
	{"a good origin may read", "GET /hello HTTP/1.1\r\n" HOST "Origin: https://good.example\r\n\r\n", 200,
		"access-control-allow-origin", "https://good.example", NULL},
	{"a bad origin may not", "GET /hello HTTP/1.1\r\n" HOST "Origin: https://bad.example\r\n\r\n", 200,
		"access-control-allow-origin", NULL, NULL},
	{"who are you", "GET /private HTTP/1.1\r\n" HOST "\r\n", 401, "www-authenticate", "Bearer", NULL},
	{"you may not", "GET /private HTTP/1.1\r\n" HOST "Authorization: Bearer write\r\n\r\n", 403, NULL, NULL, NULL},
	{"you may", "GET /private HTTP/1.1\r\n" HOST "Authorization: bearer read\r\n\r\n", 200, NULL, NULL, "hello\n"},
	{"a known length over the route's limit", "POST /small HTTP/1.1\r\n" HOST "Content-Length: 17\r\n\r\n", 413, "connection", "close", NULL},
	{"chunks over the route's limit", "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n11\r\n", 413, "connection", "close", NULL},
	{"a body at the route's limit", "POST /small HTTP/1.1\r\n" HOST "Content-Length: 16\r\n\r\n0123456789abcdef", 200, NULL, NULL, "0123456789abcdef"},
	{"a compressed body", "POST /echo HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 415, "connection", "close", NULL},
	{"a parameter given twice", "GET /meetings/1?a=1&a=2 HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL},
	{"a parameter given twice where that is meant", "GET /who/1?a=1&a=2 HTTP/1.1\r\n" HOST "\r\n", 200, NULL, NULL, NULL},
	{"a header with a line end is refused", "GET /hostile HTTP/1.1\r\n" HOST "\r\n", 200, "set-cookie", NULL, NULL},
	{"a malformed head closes", "GET /hello HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400, "connection", "close", NULL},
	{"an answer of the handler's own caching", "GET /tagged HTTP/1.1\r\n" HOST "\r\n", 200, "cache-control", "public, max-age=60", "{}"},
	{"the handler's tag is known", "GET /tagged HTTP/1.1\r\n" HOST "If-None-Match: W/\"v1\"\r\n\r\n", 304, "etag", "\"v1\"", ""},
	{"our tag is known, in a list", "GET /hello HTTP/1.1\r\n" HOST "If-None-Match: \"x\", W/\"WJG1tSLV3whtD_Cx\"\r\n\r\n", 304,
		"content-type", NULL, ""},
	{"any tag is known", "HEAD /hello HTTP/1.1\r\n" HOST "If-None-Match: *\r\n\r\n", 304, NULL, NULL, ""},
	{"another tag is not", "GET /hello HTTP/1.1\r\n" HOST "If-None-Match: \"x\"\r\n\r\n", 200, NULL, NULL, "hello\n"},
	{"later is as good as now", "GET /later HTTP/1.1\r\n" HOST "\r\n", 200, NULL, NULL, "/later"},
	{"no id of ours but a sane one", "GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: abc_1\r\n\r\n", 200, "x-request-id", "abc_1", NULL},
};

START_TEST(requests_and_answers)
{
	struct answer a;
	struct slice value;

	rig_start_usual();
	a = ask(rig.port, cases[_i].sent);
	ck_assert_msg(a.status == cases[_i].status, "%s: %d", cases[_i].says, a.status);
	if (cases[_i].body != NULL)
		ck_assert_msg(slice_is(buf_slice(&a.body), cases[_i].body), "%s: %s", cases[_i].says, a.body.ptr);
	if (cases[_i].field != NULL) {
		bool there = answer_field(&a, cases[_i].field, &value);

		ck_assert_msg(there == (cases[_i].value != NULL), "%s: %s", cases[_i].says, a.head.ptr);
		if (there)
			ck_assert_msg(slice_is(value, cases[_i].value), "%s: %.*s", cases[_i].says, SLICE_ARG(value));
	}
	if (a.status >= 400) {
		ck_assert(answer_field(&a, "x-request-id", &value));
		ck_assert_ptr_nonnull(memmem(a.body.ptr, a.body.len, value.ptr, value.len));
	}
	answer_finish(&a);
	rig_stop();
}
END_TEST

START_TEST(a_problem_names_every_place)
{
	struct answer a;

	rig_start_usual();
	a = ask(rig.port, "GET /problem HTTP/1.1\r\n" HOST "X-Request-Id: r1\r\n\r\n");
	ck_assert_int_eq(a.status, 400);
	ck_assert_str_eq(a.body.ptr,
	    "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"detail\":\"Two fields are wrong.\","
	    "\"instance\":\"/problem\",\"code\":\"invalid\",\"requestId\":\"r1\",\"errors\":["
	    "{\"path\":\"hosts[0].name\",\"code\":\"too_long\",\"message\":\"at most 10 \\\"characters\\\"\"},"
	    "{\"path\":\"limit\",\"code\":\"not_a_number\",\"message\":\"expected a number\"}]}");
	answer_finish(&a);
	rig_stop();
}
END_TEST

/* Ids and traces. */

START_TEST(ids_and_traces_are_taken_or_made)
{
	static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	static const char *const bad[] = {
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
		"0af7651916cd43dd8448eb211c80319c",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
		"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
		"0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
		"00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333/-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333:-01",
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
	};
	/* Of a later version, which may have more behind it. */
	static const char *const later[] = {
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
	};
	/* Said again as it is, or another one is made. */
	static const char *const ids[] = {"a", "azAZ09-_.:", "01234567890123456789012345678901234567890123456789"},
	    *const bad_ids[] = {"a/b", "a;b", "a@b", "a[b", "a`b", "a{b", "a,b"};
	char request[512];
	struct answer a;
	struct slice value;

	rig_start_usual();
	snprintf(request, sizeof(request), "GET /who/1 HTTP/1.1\r\n" HOST "traceparent: %s\r\nX-Request-Id: a b\r\n\r\n", parent);
	a = ask(rig.port, request);
	ck_assert_ptr_nonnull(strstr(a.body.ptr, "trace=0af7651916cd43dd8448eb211c80319c parent=b7ad6b7169203331 sampled=1"));
	ck_assert(answer_field(&a, "x-request-id", &value));
	ck_assert_uint_eq(value.len, 32);
	answer_finish(&a);
	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(request, sizeof(request), "GET /who/1 HTTP/1.1\r\n" HOST "traceparent: %s\r\n\r\n", bad[i]);
		a = ask(rig.port, request);
		ck_assert_msg(strstr(a.body.ptr, "parent= sampled=0") != NULL, "%s", bad[i]);
		ck_assert_ptr_null(strstr(a.body.ptr, "trace=0af7651916cd43dd8448eb211c80319c"));
		answer_finish(&a);
	}
	for (size_t i = 0; i < COUNT(later); i++) {
		snprintf(request, sizeof(request), "GET /who/1 HTTP/1.1\r\n" HOST "traceparent: %s\r\n\r\n", later[i]);
		a = ask(rig.port, request);
		ck_assert_msg(strstr(a.body.ptr, "parent=b7ad6b7169203331 sampled=1") != NULL, "%s", later[i]);
		answer_finish(&a);
	}
	for (size_t i = 0; i < COUNT(ids) + COUNT(bad_ids); i++) {
		const char *id = i < COUNT(ids) ? ids[i] : bad_ids[i - COUNT(ids)];

		snprintf(request, sizeof(request), "GET /who/1 HTTP/1.1\r\n" HOST "X-Request-Id: %s\r\n\r\n", id);
		a = ask(rig.port, request);
		ck_assert_msg(slice_is(answer_value(&a, "x-request-id"), id) == (i < COUNT(ids)), "%s", id);
		answer_finish(&a);
	}
	rig_stop();
}
END_TEST

/* gzip. */

static struct buf inflate_all(struct slice zipped)
{
	struct buf out = BUF_INIT(1 << 20);
	z_stream z = {.next_in = (Bytef *)(uintptr_t)zipped.ptr, .avail_in = (uInt)zipped.len};
	char *to = buf_reserve(&out, 1 << 19);

	ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_out = (Bytef *)to;
	z.avail_out = 1 << 19;
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	buf_commit(&out, z.total_out);
	inflateEnd(&z);
	return out;
}

static const struct {
	const char *says, *path, *fields;
	bool zipped, varies;
} gzip_cases[] = {
	{"asked for", "/lines", "Accept-Encoding: gzip\r\n", true, true},
	{"short enough for the loop", "/few", "Accept-Encoding: gzip\r\n", true, true},
	{"asked for among others", "/lines", "Accept-Encoding: br;q=1, GZIP;q=0.5\r\n", true, true},
	{"anything goes", "/lines", "Accept-Encoding: *\r\n", true, true},
	{"not asked for", "/lines", "", false, true},
	{"refused by weight", "/lines", "Accept-Encoding: gzip;q=0, *;q=1\r\n", false, true},
	{"refused by a long weight", "/lines", "Accept-Encoding: gzip;q=0.000\r\n", false, true},
	{"switched off", "/lines", "Accept-Encoding: gzip\r\nX-No-Compression: 1\r\n", false, true},
	{"too small to bother", "/hello", "Accept-Encoding: gzip\r\n", false, false},
	{"bytes that are no text", "/huge", "Accept-Encoding: gzip\r\n", false, false},
};

START_TEST(gzip_where_it_is_wanted)
{
	struct http_options options = rig_options();
	struct answer a;
	char request[256];

	options.cors = NULL;
	rig_start(&options);
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "%s\r\n", gzip_cases[_i].path, gzip_cases[_i].fields);
	a = ask(rig.port, request);
	ck_assert_msg(slice_is(answer_value(&a, "content-encoding"), gzip_cases[_i].zipped ? "gzip" : ""), "%s", gzip_cases[_i].says);
	ck_assert_msg(slice_is(answer_value(&a, "vary"), gzip_cases[_i].varies ? "Accept-Encoding" : ""), "%s", gzip_cases[_i].says);
	if (gzip_cases[_i].zipped) {
		struct buf plain = inflate_all(buf_slice(&a.body));

		buf_finish(&a.body);
		a.body = plain;
	}
	if (strcmp(gzip_cases[_i].path, "/few") == 0)
		ck_assert_ptr_nonnull(strstr(a.body.ptr, "line 99 of many\n"));
	if (strcmp(gzip_cases[_i].path, "/lines") == 0) {
		ck_assert_ptr_nonnull(strstr(a.body.ptr, "line 4999 of many\n"));
		ck_assert(slice_starts_with(buf_slice(&a.body), SLICE("line 0 of many\nline 1 of many\n")));
	}
	answer_finish(&a);
	rig_stop();
}
END_TEST

START_TEST(a_large_answer_arrives_whole)
{
	struct answer a;

	rig_start_usual();
	a = ask(rig.port, "GET /huge HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_uint_eq(a.body.len, RIG_HUGE_LEN);
	ck_assert_int_eq(a.body.ptr[RIG_HUGE_LEN - 1], 'x');
	answer_finish(&a);
	rig_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_answer");
	TCase *tc = tcase_create("http_answer");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_answer_is_exactly_this);
	tcase_add_loop_test(tc, requests_and_answers, 0, (int)COUNT(cases));
	tcase_add_test(tc, a_problem_names_every_place);
	tcase_add_test(tc, ids_and_traces_are_taken_or_made);
	tcase_add_loop_test(tc, gzip_where_it_is_wanted, 0, (int)COUNT(gzip_cases));
	tcase_add_test(tc, a_large_answer_arrives_whole);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
