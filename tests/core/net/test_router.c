/* router.c, http_request.c: from a path to a route, and what a handler reads of a request. */
#include "base/err.h"
#include "lib/run.h"
#include "net/router.h"

static void nothing(struct http_request *rq)
{
	(void)rq;
}

static const struct route meetings[] = {
	{.method = HTTP_GET, .path = "/api/v1/meetings", .handler = nothing},
	{.method = HTTP_POST, .path = "/api/v1/meetings", .handler = nothing},
	{.method = HTTP_GET, .path = "/api/v1/meetings/stats", .handler = nothing},
	{.method = HTTP_GET, .path = "/api/v1/meetings/{id}", .handler = nothing},
	{.method = HTTP_DELETE, .path = "/api/v1/meetings/{meeting_id}", .handler = nothing},
	{.method = HTTP_GET, .path = "/api/v1/meetings/{id}/participants/{person}", .handler = nothing},
	{.method = HTTP_GET, .path = "/api/v1/meetings/stats/weekly", .handler = nothing},
	{0},
};
static const struct route root[] = {
	{.method = HTTP_GET, .path = "/", .handler = nothing},
	{0},
};
static const struct route *const tables[] = {meetings, root, NULL};

static const struct {
	const char *says;
	enum http_method method;
	const char *path;
	const char *route; /* NULL: none */
	unsigned methods;
	const char *params; /* "name=value name=value" */
} cases[] = {
	{"the root", HTTP_GET, "/", "/", 1u << HTTP_GET, ""},
	{"a list", HTTP_GET, "/api/v1/meetings", "/api/v1/meetings", 1u << HTTP_GET | 1u << HTTP_POST, ""},
	{"a trailing slash", HTTP_POST, "/api/v1/meetings/", "/api/v1/meetings", 1u << HTTP_GET | 1u << HTTP_POST, ""},
	{"not with this method", HTTP_PUT, "/api/v1/meetings", NULL, 1u << HTTP_GET | 1u << HTTP_POST, ""},
	{"one of them", HTTP_GET, "/api/v1/meetings/42", "/api/v1/meetings/{id}", 1u << HTTP_GET | 1u << HTTP_DELETE, "id=42 "},
	{"its name is the route's own", HTTP_DELETE, "/api/v1/meetings/42", "/api/v1/meetings/{meeting_id}",
		1u << HTTP_GET | 1u << HTTP_DELETE, "meeting_id=42 "},
	{"a literal is preferred", HTTP_GET, "/api/v1/meetings/stats", "/api/v1/meetings/stats", 1u << HTTP_GET, ""},
	{"but not when its methods end there", HTTP_DELETE, "/api/v1/meetings/stats", "/api/v1/meetings/{meeting_id}",
		1u << HTTP_GET | 1u << HTTP_DELETE, "meeting_id=stats "},
	{"nor when its path does", HTTP_GET, "/api/v1/meetings/stats/participants/x",
		"/api/v1/meetings/{id}/participants/{person}", 1u << HTTP_GET, "id=stats person=x "},
	{"two names", HTTP_GET, "/api/v1/meetings/1/participants/2 3", "/api/v1/meetings/{id}/participants/{person}",
		1u << HTTP_GET, "id=1 person=2 3 "},
	{"nothing there", HTTP_GET, "/api/v2", NULL, 0, ""},
	{"a path that goes on", HTTP_GET, "/api/v1/meetings/1/participants/2/3", NULL, 0, ""},
	{"only half a path", HTTP_GET, "/api", NULL, 0, ""},
	{"an empty segment is no name", HTTP_GET, "/api/v1/meetings//participants/2", NULL, 0, ""},
	{"dots are no name", HTTP_GET, "/api/v1/meetings/..", NULL, 0, ""},
	{"a dot is no name", HTTP_GET, "/api/v1/meetings/.", NULL, 0, ""},
	{"two trailing slashes", HTTP_GET, "/api/v1/meetings//", NULL, 0, ""},
	{"no slash", HTTP_GET, "api", NULL, 0, ""},
};

START_TEST(paths_find_their_routes)
{
	struct router r;
	struct router_match m;
	const struct route *bad = NULL;
	struct buf params = BUF_INIT(1000);

	ck_assert_int_eq(router_init(&r, tables, &bad), 0);
	router_find(&r, cases[_i].method, slice_str(cases[_i].path), &m);
	for (size_t i = 0; i < m.n_params; i++)
		buf_printf(&params, "%.*s=%.*s ", SLICE_ARG(m.params[i].name), SLICE_ARG(m.params[i].value));
	ck_assert_msg((m.route == NULL) == (cases[_i].route == NULL), "%s", cases[_i].says);
	if (m.route != NULL) {
		ck_assert_str_eq(m.route->path, cases[_i].route);
		ck_assert_int_eq(m.route->method, cases[_i].method);
	}
	ck_assert_msg(m.methods == cases[_i].methods, "%s: %x", cases[_i].says, m.methods);
	ck_assert_slice_eq(buf_slice(&params), slice_str(cases[_i].params));
	buf_finish(&params);
	router_finish(&r);
}
END_TEST

START_TEST(bad_tables_are_named)
{
	static const struct route bad[][2] = {
		{{.method = HTTP_GET, .path = "x", .handler = nothing}, {0}},
		{{.method = HTTP_GET, .path = "/x//y", .handler = nothing}, {0}},
		{{.method = HTTP_GET, .path = "/x"}, {0}},
		{{.method = HTTP_GET, .path = "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", .handler = nothing}, {0}},
		{{.method = HTTP_GET, .path = "/api/v1/meetings/{other}", .handler = nothing}, {0}},
	};
	struct router r;
	const struct route *named;

	for (size_t i = 0; i < COUNT(bad); i++) {
		const struct route *const with[] = {meetings, bad[i], NULL};

		named = NULL;
		ck_assert_int_eq(router_init(&r, with, &named), ERR_INVALID);
		ck_assert_ptr_eq(named, bad[i]);
	}
}
END_TEST

START_TEST(allow_lists_methods)
{
	struct arena a = ARENA_INIT(4096);

	ck_assert_slice_eq(router_allow(1u << HTTP_GET | 1u << HTTP_PATCH, &a), SLICE("GET, HEAD, PATCH, OPTIONS"));
	ck_assert_slice_eq(router_allow((1u << HTTP_METHOD_COUNT) - 2, &a),
	    SLICE("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
	arena_finish(&a);
}
END_TEST

static const struct {
	const char *accept, *type;
	unsigned quality;
} accepts[] = {
	{NULL, "text/csv", 1000},
	{"text/csv", "text/csv", 1000},
	{"TEXT/CSV;charset=utf-8", "text/csv", 1000},
	{"application/json", "text/csv", 0},
	{"application/json, text/*;q=0.25", "text/csv", 250},
	{"*/*;q=0.1, text/csv;q=0.9", "text/csv", 900},
	{"text/csv;q=0, */*", "text/csv", 0},
	{"text/csv;q=0, */*", "application/json", 1000},
	{"*/*", "application/x-ndjson", 1000},
	{"text/csv;q=1.000", "text/csv", 1000},
	{"text/csv;q=2", "text/csv", 1000},
	{"text/csv;q=x", "text/csv", 0},
	{"text/csv;q=0.12345", "text/csv", 0},
	{"text/csv;q=.5", "text/csv", 0},
	{"text/csv;q=0.5.1", "text/csv", 0},
	{"text/csv;q=/", "text/csv", 0},
	{"text/csv;q", "text/csv", 1000},
	{"text/csv;charset=utf-8;q=0.5", "text/csv", 500},
	{"text/csv;qs=0.5;Q=0.25", "text/csv", 250},
	{"*/csv", "text/csv", 0},
	{"", "text/csv", 1000},
};

START_TEST(accept_is_weighed)
{
	struct http_field field = {SLICE("Accept"), slice_str(accepts[_i].accept)};
	struct http_request rq = {.fields = &field, .n_fields = accepts[_i].accept != NULL};

	ck_assert_msg(http_request_accept_quality(&rq, accepts[_i].type) == accepts[_i].quality, "%s of %s: %u",
	    accepts[_i].type, accepts[_i].accept, http_request_accept_quality(&rq, accepts[_i].type));
	ck_assert_int_eq(http_request_accepts(&rq, accepts[_i].type), accepts[_i].quality > 0);
}
END_TEST

START_TEST(fields_are_read)
{
	struct http_field fields[] = {
		{SLICE("AUTHORIZATION"), SLICE("Bearer  abc ")},
		{SLICE("content-TYPE"), SLICE("Application/JSON ; charset=utf-8")},
		{SLICE("X"), SLICE("1")}, {SLICE("x"), SLICE("2")},
	};
	struct http_field params[] = {{SLICE("org"), SLICE("7")}, {SLICE("id"), SLICE("42")}};
	struct http_field query[] = {{SLICE("page"), SLICE("3")}};
	struct http_request rq = {.fields = fields, .n_fields = 4, .params = params, .n_params = 2, .query = query, .n_query = 1};
	struct slice value;

	ck_assert(http_request_bearer(&rq, &value));
	ck_assert_slice_eq(value, SLICE("abc"));
	ck_assert(http_request_is(&rq, "application/json"));
	ck_assert(!http_request_is(&rq, "text/json"));
	ck_assert(http_request_field(&rq, "x", &value));
	ck_assert_slice_eq(value, SLICE("1"));
	ck_assert(!http_request_field(&rq, "y", &value));
	ck_assert_ptr_null(value.ptr);
	ck_assert_slice_eq(http_request_param(&rq, "id"), SLICE("42"));
	ck_assert(http_request_query(&rq, "page", &value));
	ck_assert_slice_eq(value, SLICE("3"));
	ck_assert(!http_request_query(&rq, "Page", &value));
	fields[0].value = SLICE("Basic abc");
	ck_assert(!http_request_bearer(&rq, &value));
	fields[0].value = SLICE("Bearer ");
	ck_assert(!http_request_bearer(&rq, &value));
	fields[0].value = SLICE("Bearer");
	ck_assert(!http_request_bearer(&rq, &value));
	rq.n_fields = 0;
	ck_assert(!http_request_bearer(&rq, &value));
	ck_assert(!http_request_is(&rq, "application/json"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("router");
	TCase *tc = tcase_create("router");

	tcase_add_loop_test(tc, paths_find_their_routes, 0, (int)COUNT(cases));
	tcase_add_test(tc, bad_tables_are_named);
	tcase_add_test(tc, allow_lists_methods);
	tcase_add_loop_test(tc, accept_is_weighed, 0, (int)COUNT(accepts));
	tcase_add_test(tc, fields_are_read);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
