/* What is said to object storage: the signatures of S3, OSS and COS by their vectors, and the XML. */
#include <check.h>
#include <stdlib.h>

#include "base/codec.h"
#include "cos_wire.h"
#include "lib/vectors.h"
#include "object_xml.h"
#include "sigv4.h"

static struct arena arena = ARENA_INIT(64 << 20);

#define PAIRS_MAX 64

static struct slice decoded(struct slice text)
{
	struct buf b = BUF_INIT(64 << 10);
	struct slice plain;

	ck_assert_int_eq(percent_decode(&b, text, 0), 0);
	ck_assert_int_eq(wire_keep(&arena, &b, &plain), 0);
	return plain;
}

static size_t pairs_of_query(struct slice query, struct wire_pair pairs[PAIRS_MAX])
{
	struct slice one;
	size_t n = 0;

	while (query.len > 0) {
		slice_cut(query, '&', &one, &query);
		slice_cut(one, '=', &pairs[n].name, &pairs[n].value);
		pairs[n].name = decoded(pairs[n].name);
		pairs[n].value = decoded(pairs[n].value);
		n++;
	}
	return n;
}

static size_t pairs_of_object(struct json_value object, struct wire_pair pairs[PAIRS_MAX])
{
	struct json_reader r;
	struct json_value value;
	struct slice name;
	size_t n = 0;

	json_enter(&r, object);
	while (json_next(&r, &name, &value)) {
		ck_assert_int_eq(json_string(json_value_of_name(name), &arena, &pairs[n].name), 0);
		ck_assert_int_eq(json_string(value, &arena, &pairs[n].value), 0);
		n++;
	}
	return n;
}

static struct slice t(struct json_value v, const char *path)
{
	return text_at(&arena, v, path);
}

static struct json_value at(struct json_value v, const char *path)
{
	struct json_value found;

	ck_assert(value_at(&arena, v, path, &found));
	return found;
}

static int64_t number(struct json_value v, const char *path)
{
	int64_t n = 0;

	ck_assert_int_eq(json_i64(at(v, path), &n), 0);
	return n;
}

/* --- S3 and OSS --------------------------------------------------------------------- */

static void judge_headers(struct json_value one, const struct sigv4_scheme *scheme, const struct sigv4_keys *keys,
    const char *headers_path)
{
	struct wire_pair query[PAIRS_MAX], headers[PAIRS_MAX];
	struct sigv4_request rq = {.method = t(one, "input.method"), .query = query, .headers = headers};
	struct slice rest, id = t(one, "id");
	struct sigv4_signed s;

	if (scheme == &sigv4_oss)
		rq.bucket = t(one, "input.bucket");
	slice_cut(t(one, "input.path_and_query"), '?', &rq.path, &rest);
	rq.n_query = pairs_of_query(rest, query);
	rq.n_headers = pairs_of_object(at(one, headers_path), headers);
	ck_assert_msg(sigv4_sign(scheme, keys, &rq, &arena, &s) == 0, "%.*s", SLICE_ARG(id));
	ck_slice_eq(s.canonical_request, t(one, "expect.canonical_request"), id);
	ck_slice_eq(s.string_to_sign, t(one, "expect.string_to_sign"), id);
	ck_slice_eq(slice_str(s.signature), t(one, "expect.signature"), id);
	ck_slice_eq(s.authorization, t(one, "expect.authorization"), id);
}

static void judge_presigned(struct json_value one, const struct sigv4_keys *keys)
{
	struct wire_pair extra[PAIRS_MAX];
	struct slice url, id = t(one, "id");
	struct sigv4_presign rq = {
		.method = t(one, "input.method"),
		.scheme_host = slice_str(arena_printf(&arena, "http://%.*s", SLICE_ARG(t(one, "input.host")))),
		.path = t(one, "input.path"),
		.extra = extra,
		.date = t(one, "input.amz_date"),
		.expires_s = number(one, "input.expires_s"),
	};
	struct sigv4_signed s;

	rq.n_extra = pairs_of_object(at(one, "input.extra_query"), extra);
	ck_assert_msg(sigv4_presign(keys, &rq, &arena, &s, &url) == 0, "%.*s", SLICE_ARG(id));
	ck_slice_eq(s.canonical_request, t(one, "expect.canonical_request"), id);
	ck_slice_eq(s.string_to_sign, t(one, "expect.string_to_sign"), id);
	ck_slice_eq(slice_str(s.signature), t(one, "expect.signature"), id);
	ck_slice_eq(url, t(one, "expect.url"), id);
}

START_TEST(s3_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "s3-sigv4.json");
	while (vectors_next(&v)) {
		struct sigv4_keys keys = {t(v.one, "input.access_key_id"), t(v.one, "input.secret_access_key"),
		    t(v.one, "input.session_token"), t(v.one, "input.region")};

		if (slice_is(t(v.one, "kind"), "presigned"))
			judge_presigned(v.one, &keys);
		else
			judge_headers(v.one, &sigv4_s3, &keys, "input.headers");
	}
	vectors_close(&v, 13);
}
END_TEST

START_TEST(oss_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "oss-v4.json");
	while (vectors_next(&v)) {
		struct sigv4_keys keys = {t(v.one, "input.access_key_id"), t(v.one, "input.access_key_secret"),
		    t(v.one, "input.signed_headers.x-oss-security-token"), t(v.one, "input.region")};

		judge_headers(v.one, &sigv4_oss, &keys, "input.signed_headers");
	}
	vectors_close(&v, 7);
}
END_TEST

#define DATE {SLICE_INIT("x-amz-date"), SLICE_INIT("20260401T123000Z")}
#define HASH {SLICE_INIT("x-amz-content-sha256"), SLICE_INIT(SIGV4_UNSIGNED)}
#define HOST {SLICE_INIT("host"), SLICE_INIT("h.example")}

static const struct {
	const char *says;
	struct sigv4_keys keys;
	const char *path;
	struct wire_pair headers[4];
	size_t n;
	int rc;
} refusals[] = {
	{"as it should be", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "/k", {DATE, HASH, HOST}, 3, 0},
	{"no host", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "/k", {DATE, HASH}, 2, ERR_INVALID},
	{"no date", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "/k", {HOST, HASH}, 2, ERR_INVALID},
	{"no hash", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "/k", {HOST, DATE}, 2, ERR_INVALID},
	{"a date that is none", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "/k",
	    {{SLICE_INIT("x-amz-date"), SLICE_INIT("2026-04-01T12:30")}, HASH, HOST}, 3, ERR_INVALID},
	{"a line break", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "/k",
	    {DATE, HASH, HOST, {SLICE_INIT("x"), SLICE_INIT("a\r\nb: c")}}, 4, ERR_INVALID},
	{"a line break in a name", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "/k",
	    {DATE, HASH, HOST, {SLICE_INIT("x\ny"), SLICE_INIT("a")}}, 4, ERR_INVALID},
	{"a header twice", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "/k",
	    {DATE, HASH, HOST, {SLICE_INIT("Host"), SLICE_INIT("other.example")}}, 4, ERR_INVALID},
	{"no key", {SLICE_INIT(""), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "/k", {DATE, HASH, HOST}, 3, ERR_INVALID},
	{"no secret", {SLICE_INIT("AK"), SLICE_INIT(""), {0}, SLICE_INIT("r")}, "/k", {DATE, HASH, HOST}, 3, ERR_INVALID},
	{"a region with a slash", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r/s3")}, "/k", {DATE, HASH, HOST}, 3,
	    ERR_INVALID},
	{"no path", {SLICE_INIT("AK"), SLICE_INIT("s"), {0}, SLICE_INIT("r")}, "k", {DATE, HASH, HOST}, 3, ERR_INVALID},
	{"a session token that is not sent", {SLICE_INIT("AK"), SLICE_INIT("s"), SLICE_INIT("t"), SLICE_INIT("r")}, "/k",
	    {DATE, HASH, HOST}, 3, ERR_INVALID},
};

START_TEST(what_must_be_signed_must_be_there)
{
	struct sigv4_request rq = {.method = SLICE("GET"), .path = slice_str(refusals[_i].path),
	    .headers = refusals[_i].headers, .n_headers = refusals[_i].n};
	struct sigv4_signed s;

	ck_assert_msg(sigv4_sign(&sigv4_s3, &refusals[_i].keys, &rq, &arena, &s) == refusals[_i].rc, "%s",
	    refusals[_i].says);
}
END_TEST

static const struct { const char *host; int64_t expires_s; int rc; } presigns[] = {
	{"https://h.example", 1, 0},
	{"https://h.example", SIGV4_EXPIRES_S_MAX, 0},
	{"https://h.example", 0, ERR_INVALID},
	{"https://h.example", SIGV4_EXPIRES_S_MAX + 1, ERR_INVALID},
	{"h.example", 60, ERR_INVALID},
	{"https://", 60, ERR_INVALID},
	{"https://h.example/path", 60, ERR_INVALID},
	{"https://h.example\r\nx: y", 60, ERR_INVALID},
};

START_TEST(presigned_limits)
{
	struct sigv4_keys keys = {SLICE("AK"), SLICE("s"), {0}, SLICE("r")};
	struct sigv4_presign rq = {.method = SLICE("GET"), .scheme_host = slice_str(presigns[_i].host), .path = SLICE("/k"),
	    .date = SLICE("20260401T123000Z"), .expires_s = presigns[_i].expires_s};
	struct sigv4_signed s;
	struct slice url;

	ck_assert_int_eq(sigv4_presign(&keys, &rq, &arena, &s, &url), presigns[_i].rc);
}
END_TEST

/* What the vendors' own libraries (ali-oss 6, cos-nodejs-sdk-v5) make of the same. */
START_TEST(links_as_the_vendors_libraries_make_them)
{
	struct wire_pair extra = {SLICE("response-content-disposition"), SLICE("attachment; filename=\"a b.mp4\"")};
	struct wire_pair host = {SLICE("host"), SLICE("bucket-125.cos.ap-shanghai.myqcloud.com")};
	struct sigv4_keys keys = {SLICE("LTAIEXAMPLE"), SLICE("secretEXAMPLE"), {0}, SLICE("cn-hangzhou")};
	struct sigv4_presign rq = {.scheme = &sigv4_oss, .method = SLICE("GET"), .bucket = SLICE("examplebucket"),
	    .scheme_host = SLICE("https://examplebucket.oss-cn-hangzhou.aliyuncs.com"), .path = SLICE("/recordings/m-1/a%20b.mp4"),
	    .extra = &extra, .n_extra = 1, .date = SLICE("20260401T123000Z"), .expires_s = 600};
	struct cos_request cos = {.secret_id = SLICE("AKIDEXAMPLE"), .secret_key = SLICE("secretEXAMPLE"), .method = SLICE("get"),
	    .object = SLICE("recordings/m-1/a.mp4"), .start_s = 1775046599, .end_s = 1775047199, .query = &extra, .n_query = 1,
	    .headers = &host, .n_headers = 1};
	struct sigv4_signed s;
	struct cos_signed c;
	struct slice url;

	ck_assert_int_eq(sigv4_presign(&keys, &rq, &arena, &s, &url), 0);
	ck_assert_str_eq(s.signature, "ee88e83e7c1d0d1acf73b8dae8d80e4958adefbc83c3c6d78b25a6d33705c0c8");
	rq.n_extra = 0;
	rq.path = SLICE("/recordings/m-1/a.mp4");
	ck_assert_int_eq(sigv4_presign(&keys, &rq, &arena, &s, &url), 0);
	ck_assert(slice_is(url, "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/recordings/m-1/a.mp4?x-oss-credential="
	    "LTAIEXAMPLE%2F20260401%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20260401T123000Z&x-oss-expires=600"
	    "&x-oss-signature=4a986fb3db29c8e0d916040569b691aa2b9ed55e0b099a64c04bc48ff54c3c6c"
	    "&x-oss-signature-version=OSS4-HMAC-SHA256"));
	ck_assert_int_eq(cos_sign(&cos, &arena, &c), 0);
	ck_assert_str_eq(c.signature, "c40de385fc643a8d2ce6a4bce91b7dbc5fae62fe");
}
END_TEST

/* Host, which is no x-oss-*, is signed when it is listed; the list is in the line of the signature. */
START_TEST(oss_further_headers)
{
	static const char *const additional[] = {"host", NULL};
	struct wire_pair headers[] = {{SLICE("Host"), SLICE("h.example")}, {SLICE("x-oss-date"), SLICE("20260401T123000Z")},
	    {SLICE("x-oss-content-sha256"), SLICE(SIGV4_UNSIGNED)}, {SLICE("user-agent"), SLICE("u")}};
	struct sigv4_keys keys = {SLICE("AK"), SLICE("s"), {0}, SLICE("r")};
	struct sigv4_request rq = {.method = SLICE("GET"), .path = SLICE("/k"), .bucket = SLICE("b"), .headers = headers,
	    .n_headers = 4, .additional = additional};
	struct sigv4_signed s;

	ck_assert_int_eq(sigv4_sign(&sigv4_oss, &keys, &rq, &arena, &s), 0);
	ck_assert(slice_is(s.canonical_request, "GET\n/b/k\n\nhost:h.example\nx-oss-content-sha256:UNSIGNED-PAYLOAD\n"
	    "x-oss-date:20260401T123000Z\n\nhost\nUNSIGNED-PAYLOAD"));
	ck_assert(slice_starts_with(s.authorization, SLICE("OSS4-HMAC-SHA256 Credential=AK/20260401/r/oss/aliyun_v4_request,"
	    "AdditionalHeaders=host,Signature=")));
}
END_TEST

static const struct { int64_t unix_s; const char *text; } dates[] = {
	{0, "19700101T000000Z"}, {1775046600, "20260401T123000Z"}, {253402300799, "99991231T235959Z"},
	{-1, NULL}, {253402300800, NULL},
};

START_TEST(dates_of_requests)
{
	char text[SIGV4_DATE_LEN + 1];

	ck_assert_int_eq(sigv4_date(text, dates[_i].unix_s), dates[_i].text == NULL ? ERR_RANGE : 0);
	if (dates[_i].text != NULL)
		ck_assert_str_eq(text, dates[_i].text);
}
END_TEST

/* --- COS ------------------------------------------------------------------------------ */

/* The headers that the vector signed: its list has their encoded names in lower case. */
static size_t listed(struct json_value one, const struct wire_pair *all, size_t n, struct wire_pair *ret)
{
	struct json_reader r;
	struct json_value name;
	struct slice wanted, have;
	size_t n_ret = 0;

	json_enter(&r, at(one, "input.sign_headers"));
	while (json_next(&r, NULL, &name)) {
		ck_assert_int_eq(json_string(name, &arena, &wanted), 0);
		for (size_t i = 0; i < n; i++) {
			struct buf list = BUF_INIT(4096);

			ck_assert_int_eq(wire_headers(NULL, &list, &all[i], 1, WIRE_ENCODE, &arena), 0);
			ck_assert_int_eq(wire_keep(&arena, &list, &have), 0);
			if (slice_eq(have, wanted))
				ret[n_ret++] = all[i];
		}
	}
	return n_ret;
}

START_TEST(cos_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "cos-sha1.json");
	while (vectors_next(&v)) {
		struct wire_pair query[PAIRS_MAX], all[PAIRS_MAX], headers[PAIRS_MAX];
		struct cos_request rq = {.secret_id = t(v.one, "input.secret_id"), .secret_key = t(v.one, "input.secret_key"),
		    .method = t(v.one, "input.method"), .object = t(v.one, "input.key"), .query = query, .headers = headers};
		struct slice start, end, id = t(v.one, "id");
		struct cos_signed s;

		slice_cut(t(v.one, "input.key_time"), ';', &start, &end);
		ck_assert_int_eq(slice_to_i64(start, &rq.start_s), 0);
		ck_assert_int_eq(slice_to_i64(end, &rq.end_s), 0);
		rq.n_query = pairs_of_object(at(v.one, "input.query"), query);
		rq.n_headers = listed(v.one, all, pairs_of_object(at(v.one, "input.headers"), all), headers);
		ck_assert_msg(cos_sign(&rq, &arena, &s) == 0, "%.*s", SLICE_ARG(id));
		ck_slice_eq(s.http_string, t(v.one, "expect.http_string"), id);
		ck_slice_eq(s.string_to_sign, t(v.one, "expect.string_to_sign"), id);
		ck_slice_eq(slice_str(s.sign_key), t(v.one, "expect.sign_key"), id);
		ck_slice_eq(slice_str(s.signature), t(v.one, "expect.signature"), id);
		ck_slice_eq(s.authorization, t(v.one, "expect.authorization"), id);
	}
	vectors_close(&v, 4);
}
END_TEST

static const struct { const char *says, *id, *key, *object, *host; int64_t start_s, end_s; int rc; } cos_refusals[] = {
	{"as it should be", "i", "k", "o", "h", 10, 20, 0},
	{"no id", "", "k", "o", "h", 10, 20, ERR_INVALID},
	{"no key", "i", "", "o", "h", 10, 20, ERR_INVALID},
	{"no host", "i", "k", "o", NULL, 10, 20, ERR_INVALID},
	{"a line break in the name", "i", "k", "o\n", "h", 10, 20, ERR_INVALID},
	{"a line break in the host", "i", "k", "o", "h\r\nx: y", 10, 20, ERR_INVALID},
	{"ends when it begins", "i", "k", "o", "h", 20, 20, ERR_INVALID},
	{"before time", "i", "k", "o", "h", -1, 20, ERR_INVALID},
};

START_TEST(cos_refuses)
{
	struct wire_pair host = {SLICE("Host"), slice_str(cos_refusals[_i].host)};
	struct cos_request rq = {slice_str(cos_refusals[_i].id), slice_str(cos_refusals[_i].key), SLICE("GET"),
	    slice_str(cos_refusals[_i].object), cos_refusals[_i].start_s, cos_refusals[_i].end_s, NULL, 0, &host,
	    cos_refusals[_i].host != NULL};
	struct cos_signed s;

	ck_assert_msg(cos_sign(&rq, &arena, &s) == cos_refusals[_i].rc, "%s", cos_refusals[_i].says);
}
END_TEST

/* --- names of objects -------------------------------------------------------------------- */

static const struct { const char *object, *path; } objects[] = {
	{"dir/a.txt", "/dir/a.txt"},
	{"录制/2026 年+会~议!'()*.m4a",
	    "/%E5%BD%95%E5%88%B6/2026%20%E5%B9%B4%2B%E4%BC%9A~%E8%AE%AE%21%27%28%29%2A.m4a"},
	{"a//b/", "/a//b/"},
	{"a%2Fb?c#d", "/a%252Fb%3Fc%23d"},
	{"...", "/..."},
	{"", NULL}, {".", NULL}, {"..", NULL}, {"a/../b", NULL}, {"a/.", NULL}, {"./a", NULL},
};

START_TEST(names_of_objects)
{
	struct buf out = BUF_INIT(4096);

	ck_assert_int_eq(wire_object_path(&out, slice_str(objects[_i].object)), objects[_i].path == NULL ? ERR_INVALID : 0);
	if (objects[_i].path != NULL)
		ck_assert_str_eq(out.ptr, objects[_i].path);
	buf_finish(&out);
	ck_assert_int_eq(wire_object_path(&out, slice_of("a\0b", 3)), ERR_INVALID);
	buf_finish(&out);
}
END_TEST

/* --- XML ------------------------------------------------------------------------------------ */

START_TEST(complete_body)
{
	struct object_part parts[] = {{1, SLICE("\"a\""), 0}, {3, SLICE("<&>"), 0}};
	struct buf out = BUF_INIT(4096);

	ck_assert_int_eq(object_complete_body(&out, parts, 2), 0);
	ck_assert_str_eq(out.ptr, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>"
	    "<Part><PartNumber>3</PartNumber><ETag>&lt;&amp;&gt;</ETag></Part></CompleteMultipartUpload>");
	buf_clear(&out);
	ck_assert_int_eq(object_complete_body(&out, parts, 0), ERR_INVALID);
	ck_assert_int_eq(object_complete_body(&out, parts, OBJECT_PARTS_MAX + 1), ERR_INVALID);
	parts[1].number = 1;
	ck_assert_int_eq(object_complete_body(&out, parts, 2), ERR_INVALID);
	parts[1].number = OBJECT_PARTS_MAX + 1;
	ck_assert_int_eq(object_complete_body(&out, parts, 2), ERR_INVALID);
	parts[1] = (struct object_part){2, SLICE(""), 0};
	ck_assert_int_eq(object_complete_body(&out, parts, 2), ERR_INVALID);
	parts[1] = (struct object_part){2, SLICE("a\nb"), 0};
	ck_assert_int_eq(object_complete_body(&out, parts, 2), ERR_INVALID);
	ck_assert_uint_eq(out.len, 0);
	buf_finish(&out);
}
END_TEST

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

static const struct { const char *says, *xml; int rc; enum object_answer_kind kind; const char *text; } answers[] = {
	{"an upload begun", HEAD "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
	    "<Bucket>b</Bucket><Key>k</Key><UploadId>fake/Upload+1=</UploadId></InitiateMultipartUploadResult>",
	    0, OBJECT_INITIATED, "fake/Upload+1="},
	{"an upload completed", HEAD "<CompleteMultipartUploadResult><Location>l</Location><ETag>&quot;abc-2&quot;</ETag>"
	    "</CompleteMultipartUploadResult>", 0, OBJECT_COMPLETED, "\"abc-2\""},
	{"an error", HEAD "<Error><Code>NoSuchKey</Code><Message>It &lt;is&gt; not there</Message><RequestId>r1</RequestId>"
	    "</Error>", 0, OBJECT_ERROR, "NoSuchKey"},
	{"white space before what a Complete that takes long ends in", "\n\n \n<Error><Code>InternalError</Code></Error>", 0,
	    OBJECT_ERROR, "InternalError"},
	{"prefixes do not matter", "<s:Error xmlns:s=\"x\"><s:Code>A</s:Code></s:Error>", 0, OBJECT_ERROR, "A"},
	{"what lies deeper is another's", "<Error><Detail><Code>no</Code></Detail><Code>yes</Code></Error>", 0,
	    OBJECT_ERROR, "yes"},
	{"an error without a code", "<Error><Message>m</Message></Error>", ERR_MALFORMED, 0, NULL},
	{"two codes", "<Error><Code>a</Code><Code>b</Code></Error>", ERR_MALFORMED, 0, NULL},
	{"no upload id", "<InitiateMultipartUploadResult></InitiateMultipartUploadResult>", ERR_MALFORMED, 0, NULL},
	{"no ETag", "<CompleteMultipartUploadResult><ETag> </ETag></CompleteMultipartUploadResult>", ERR_MALFORMED, 0, NULL},
	{"another root", "<ListBucketResult/>", ERR_UNSUPPORTED, 0, NULL},
	{"HTML", "<html><body>gateway</body></html>", ERR_UNSUPPORTED, 0, NULL},
	{"nothing", "", ERR_MALFORMED, 0, NULL},
	{"text", "Bad gateway", ERR_MALFORMED, 0, NULL},
	{"cut off", "<Error><Code>a</Code>", ERR_MALFORMED, 0, NULL},
	{"two roots", "<Error><Code>a</Code></Error><Error/>", ERR_MALFORMED, 0, NULL},
	{"a DTD", "<!DOCTYPE Error><Error><Code>a</Code></Error>", ERR_MALFORMED, 0, NULL},
	{"laughing entities", "<!DOCTYPE Error [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><Error><Code>&b;</Code></Error>",
	    ERR_MALFORMED, 0, NULL},
	{"a file of ours", "<!DOCTYPE Error [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><Error><Code>&a;</Code></Error>",
	    ERR_MALFORMED, 0, NULL},
	{"an entity nobody declared", "<Error><Code>&a;</Code></Error>", ERR_MALFORMED, 0, NULL},
	{"too deep", "<Error><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a><Code>a</Code></Error>", ERR_MALFORMED,
	    0, NULL},
	{"not UTF-8", "<Error><Code>\xff</Code></Error>", ERR_MALFORMED, 0, NULL},
};

START_TEST(answer_forms)
{
	struct object_answer answer = {0};
	struct slice text;

	ck_assert_msg(object_answer_parse(slice_str(answers[_i].xml), &arena, &answer) == answers[_i].rc, "%s",
	    answers[_i].says);
	if (answers[_i].rc != 0)
		return;
	ck_assert_int_eq(answer.kind, answers[_i].kind);
	text = answer.kind == OBJECT_INITIATED ? answer.upload_id : answer.kind == OBJECT_COMPLETED ? answer.etag : answer.code;
	ck_assert_msg(slice_is(text, answers[_i].text), "%s", answers[_i].says);
}
END_TEST

START_TEST(list_of_parts)
{
	struct object_answer answer = {0};

	ck_assert_int_eq(object_answer_parse(SLICE(HEAD "<ListPartsResult><UploadId>u</UploadId>"
	    "<NextPartNumberMarker>2</NextPartNumberMarker><IsTruncated>true</IsTruncated>"
	    "<Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag><Size>5242880</Size><Owner><ETag>no</ETag></Owner></Part>"
	    "<Part><PartNumber>2</PartNumber><ETag>\"b\"</ETag></Part></ListPartsResult>"), &arena, &answer), 0);
	ck_assert_int_eq(answer.kind, OBJECT_PARTS);
	ck_assert_uint_eq(answer.n_parts, 2);
	ck_assert_int_eq(answer.parts[0].number, 1);
	ck_assert_int_eq(answer.parts[0].size, 5242880);
	ck_assert(slice_is(answer.parts[0].etag, "\"a\""));
	ck_assert(slice_is(answer.parts[1].etag, "\"b\""));
	ck_assert(answer.truncated);
	ck_assert_int_eq(answer.next_marker, 2);
}
END_TEST

static const char *const bad_lists[] = {
	"<ListPartsResult><Part><PartNumber>0</PartNumber><ETag>a</ETag></Part></ListPartsResult>",
	"<ListPartsResult><Part><PartNumber>10001</PartNumber><ETag>a</ETag></Part></ListPartsResult>",
	"<ListPartsResult><Part><PartNumber>1x</PartNumber><ETag>a</ETag></Part></ListPartsResult>",
	"<ListPartsResult><Part><PartNumber>-1</PartNumber><ETag>a</ETag></Part></ListPartsResult>",
	"<ListPartsResult><Part><PartNumber>99999999999999999999</PartNumber><ETag>a</ETag></Part></ListPartsResult>",
	"<ListPartsResult><Part><PartNumber>1</PartNumber></Part></ListPartsResult>",
	"<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>a</ETag><Size>-5</Size></Part></ListPartsResult>",
	/* A page that leads nowhere. */
	"<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
	("<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker>"
	    "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></ListPartsResult>"),
};

START_TEST(lists_that_are_none)
{
	struct object_answer answer;

	ck_assert_msg(object_answer_parse(slice_str(bad_lists[_i]), &arena, &answer) == ERR_MALFORMED, "%s", bad_lists[_i]);
}
END_TEST

START_TEST(too_much)
{
	struct buf xml = BUF_INIT(2 * OBJECT_XML_MAX);
	struct arena small = ARENA_INIT(256);
	struct object_answer answer;

	buf_append_str(&xml, "<ListPartsResult>");
	for (int i = 0; i <= OBJECT_PARTS_MAX; i++)
		buf_append_str(&xml, "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>");
	buf_append_str(&xml, "</ListPartsResult>");
	ck_assert_int_eq(object_answer_parse(buf_slice(&xml), &arena, &answer), ERR_TOO_BIG);
	ck_assert_int_eq(object_answer_parse(buf_slice(&xml), &small, &answer), ERR_NOMEM);
	buf_clear(&xml);
	buf_append_str(&xml, "<Error><Code>");
	for (int i = 0; i < 5000; i++)
		buf_append_char(&xml, 'a');
	buf_append_str(&xml, "</Code></Error>");
	ck_assert_int_eq(object_answer_parse(buf_slice(&xml), &arena, &answer), ERR_MALFORMED);
	while (xml.len <= OBJECT_XML_MAX)
		buf_append_str(&xml, "          ");
	ck_assert_int_eq(object_answer_parse(buf_slice(&xml), &arena, &answer), ERR_TOO_BIG);
	buf_finish(&xml);
	arena_finish(&small);
}
END_TEST

static const struct { int status; const char *code; enum answer_class is; } classes[] = {
	{200, "", ANSWER_OK}, {204, "", ANSWER_OK},
	{200, "InternalError", ANSWER_RETRY}, {200, "Whatever", ANSWER_REFUSED},
	{503, "SlowDown", ANSWER_RETRY}, {500, "", ANSWER_RETRY}, {408, "", ANSWER_RETRY}, {400, "RequestTimeout", ANSWER_RETRY},
	{429, "", ANSWER_RETRY},
	{403, "RequestTimeTooSkewed", ANSWER_AFRESH},
	{403, "SignatureDoesNotMatch", ANSWER_CONFIG}, {403, "AccessDenied", ANSWER_CONFIG}, {403, "", ANSWER_CONFIG},
	{404, "NoSuchBucket", ANSWER_CONFIG}, {404, "NoSuchKey", ANSWER_REFUSED}, {404, "NoSuchUpload", ANSWER_REFUSED},
	{404, "", ANSWER_REFUSED}, {400, "InvalidPart", ANSWER_REFUSED}, {412, "PreconditionFailed", ANSWER_DUPLICATE},
	{409, "FileAlreadyExists", ANSWER_DUPLICATE},
};

START_TEST(classes_of_answers)
{
	ck_assert_str_eq(answer_class_name(object_answer_class(classes[_i].status, slice_str(classes[_i].code))),
	    answer_class_name(classes[_i].is));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("object_wire");
	TCase *tc = tcase_create("wire");

	if (crypto_init() != 0)
		return 1;
	tcase_add_test(tc, s3_vectors);
	tcase_add_test(tc, oss_vectors);
	LOOP(tc, what_must_be_signed_must_be_there, refusals);
	LOOP(tc, presigned_limits, presigns);
	tcase_add_test(tc, links_as_the_vendors_libraries_make_them);
	tcase_add_test(tc, oss_further_headers);
	LOOP(tc, dates_of_requests, dates);
	tcase_add_test(tc, cos_vectors);
	LOOP(tc, cos_refuses, cos_refusals);
	LOOP(tc, names_of_objects, objects);
	tcase_add_test(tc, complete_body);
	LOOP(tc, answer_forms, answers);
	tcase_add_test(tc, list_of_parts);
	LOOP(tc, lists_that_are_none, bad_lists);
	tcase_add_test(tc, too_much);
	LOOP(tc, classes_of_answers, classes);
	suite_add_tcase(s, tc);
	return run_suite(s, &arena);
}
