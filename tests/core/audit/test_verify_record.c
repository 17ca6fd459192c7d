/* What the verifier takes for a record, and what it does not. */
#include "audit/verify_record.h"

#include <stdio.h>

#include "base/err.h"
#include "lib/run.h"

#define ID "0123456789abcdef0123456789abcdef"
#define HEAD "{\"specversion\":\"1.0\",\"id\":\"" ID "\",\"source\":\"/a\",\"type\":\"a.b\",\"subject\":\"s/1\","
#define TIME "\"time\":\"2026-11-24T00:07:27.959081Z\","
#define SEQUENCE "\"sequence\":\"00000000000000000005\","
#define ONCE "\"oncekey\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
#define SCHEMA "\"dataschema\":\"a.b/1\",\"datacontenttype\":\"application/json\","
#define TAIL "\"actor\":\"system\"," SCHEMA "\"data\":{}}"

static const struct {
	const char *says, *record;
	int rc;
} cases[] = {
    {"the least there is", HEAD TIME SEQUENCE TAIL, 0},
    {"with a once key", HEAD TIME SEQUENCE "\"actor\":\"system\"," ONCE SCHEMA "\"data\":{}}", 0},
    {"data of any shape inside", HEAD TIME SEQUENCE "\"actor\":\"a\"," SCHEMA "\"data\":{\"a b\":[1,{\"c\":null}]}}", 0},
    {"nothing", "", ERR_MALFORMED},
    {"no object", "[]", ERR_MALFORMED},
    {"a newline at the end", HEAD TIME SEQUENCE TAIL "\n", ERR_MALFORMED},
    {"something before", " " HEAD TIME SEQUENCE TAIL, ERR_MALFORMED},
    {"a space between members", HEAD TIME " " SEQUENCE TAIL, ERR_MALFORMED},
    {"a member twice", HEAD TIME TIME SEQUENCE TAIL, ERR_MALFORMED},
    {"members in another order", HEAD SEQUENCE TIME TAIL, ERR_MALFORMED},
    {"no time", HEAD SEQUENCE TAIL, ERR_MALFORMED},
    {"no data", HEAD TIME SEQUENCE "\"actor\":\"a\",\"dataschema\":\"a.b/1\",\"datacontenttype\":\"application/json\"}",
	ERR_MALFORMED},
    {"an unknown member", HEAD TIME SEQUENCE "\"more\":1," TAIL, ERR_MALFORMED},
    {"a member behind the data", HEAD TIME SEQUENCE "\"actor\":\"a\"," SCHEMA "\"data\":{},\"more\":1}", ERR_MALFORMED},
    {"another place", HEAD TIME "\"sequence\":\"00000000000000000006\"," TAIL, ERR_MALFORMED},
    {"a short sequence", HEAD TIME "\"sequence\":\"5\"," TAIL, ERR_MALFORMED},
    {"a sequence that is a number", HEAD TIME "\"sequence\":5," TAIL, ERR_MALFORMED},
    {"a time of another zone", HEAD "\"time\":\"2026-11-24T00:07:27.95+01:00\"," SEQUENCE TAIL, ERR_MALFORMED},
    {"a day that is none", HEAD "\"time\":\"2026-02-30T00:07:27.959081Z\"," SEQUENCE TAIL, ERR_MALFORMED},
    {"data that is no object", HEAD TIME SEQUENCE "\"actor\":\"a\"," SCHEMA "\"data\":[]}", ERR_MALFORMED},
    {"a schema of another type", HEAD TIME SEQUENCE
	"\"actor\":\"a\",\"dataschema\":\"a.c/1\",\"datacontenttype\":\"application/json\",\"data\":{}}", ERR_MALFORMED},
    {"a broken once key", HEAD TIME SEQUENCE "\"actor\":\"a\",\"oncekey\":\"AAAA\"," SCHEMA "\"data\":{}}", ERR_MALFORMED},
    {"invalid UTF-8", HEAD TIME SEQUENCE "\"actor\":\"a\"," SCHEMA "\"data\":{\"a\":\"\xff\"}}", ERR_MALFORMED},
    {"white space that needs no blank", HEAD TIME SEQUENCE "\"actor\":\"a\"," SCHEMA "\"data\":{\t}}", ERR_MALFORMED},
    {"a carriage return", HEAD TIME SEQUENCE "\"actor\":\"a\"," SCHEMA "\"data\":{\r}}", ERR_MALFORMED},
    {"a line end in the middle", HEAD TIME SEQUENCE "\"actor\":\"a\"," SCHEMA "\"data\":{\n}}", ERR_MALFORMED},
    {"a day without its T", HEAD "\"time\":\"2026-11-24 00:07:27.959081Z\"," SEQUENCE TAIL, ERR_MALFORMED},
    {"a comma in a time", HEAD "\"time\":\"2026-11-24T00:07:27,959081Z\"," SEQUENCE TAIL, ERR_MALFORMED},
    {"a small z", HEAD "\"time\":\"2026-11-24T00:07:27.959081z\"," SEQUENCE TAIL, ERR_MALFORMED},
    {"a leap second", HEAD "\"time\":\"2026-11-24T00:07:60.000000Z\"," SEQUENCE TAIL, ERR_MALFORMED},
    {"a sequence of letters", HEAD TIME "\"sequence\":\"0000000000000000000x\"," TAIL, ERR_MALFORMED},
    {"a lone surrogate", HEAD TIME SEQUENCE "\"actor\":\"a\"," SCHEMA "\"data\":{\"a\":\"\\ud800\"}}", ERR_MALFORMED},
};

START_TEST(records_have_one_form)
{
	const char *reason = NULL;
	struct record_facts facts;
	int rc = record_check(slice_str(cases[_i].record), 5, &facts, &reason);

	ck_assert_msg(rc == cases[_i].rc, "%s", cases[_i].says);
	if (rc != 0)
		ck_assert_ptr_nonnull(reason);
	else
		ck_assert_slice_eq(facts.type, SLICE("a.b"));
}
END_TEST

/* One member at a time holds something else. */
#define RECORD(id, source, type, subject, actor, schema_type, version)                                                     \
	"{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"" source "\",\"type\":\"" type "\",\"subject\":\"" subject "\"," \
	TIME SEQUENCE "\"actor\":\"" actor "\",\"dataschema\":\"" schema_type "/" version                                    \
	"\",\"datacontenttype\":\"application/json\",\"data\":{}}"
#define A_LONG_TYPE "abcdefghijklmnopqrstuvwxyz0123456789._-abcdefghijklmnopqrstuvwxyz"
#define TRACED(trace) HEAD TIME SEQUENCE "\"actor\":\"a\",\"traceparent\":\"" trace "\"," SCHEMA "\"data\":{}}"

static const struct {
	const char *says, *record;
	int rc;
} members[] = {
    {"as they should be", RECORD(ID, "/a", "a.b", "s/1", "a", "a.b", "1"), 0},
    {"a type of every kind of character", RECORD(ID, "/a", "a0._-z9", "s/1", "a", "a0._-z9", "1"), 0},
    {"a version of nine digits", RECORD(ID, "/a", "a.b", "s/1", "a", "a.b", "123456789"), 0},
    {"no type", RECORD(ID, "/a", "", "s/1", "a", "", "1"), ERR_MALFORMED},
    {"a type of 65 characters", RECORD(ID, "/a", A_LONG_TYPE, "s/1", "a", A_LONG_TYPE, "1"), ERR_MALFORMED},
    {"capitals in a type", RECORD(ID, "/a", "A.b", "s/1", "a", "A.b", "1"), ERR_MALFORMED},
    {"a brace in a type", RECORD(ID, "/a", "a{b", "s/1", "a", "a{b", "1"), ERR_MALFORMED},
    {"a slash in a type", RECORD(ID, "/a", "a/b", "s/1", "a", "a/b", "1"), ERR_MALFORMED},
    {"a colon in a type", RECORD(ID, "/a", "a:b", "s/1", "a", "a:b", "1"), ERR_MALFORMED},
    {"a short id", RECORD("0123456789abcdef", "/a", "a.b", "s/1", "a", "a.b", "1"), ERR_MALFORMED},
    {"an id in capitals", RECORD("0123456789ABCDEF0123456789abcdef", "/a", "a.b", "s/1", "a", "a.b", "1"), ERR_MALFORMED},
    {"an id with a slash", RECORD("0123456789abcde/0123456789abcdef", "/a", "a.b", "s/1", "a", "a.b", "1"), ERR_MALFORMED},
    {"an id with a colon", RECORD("0123456789abcde:0123456789abcdef", "/a", "a.b", "s/1", "a", "a.b", "1"), ERR_MALFORMED},
    {"an id beyond f", RECORD("0123456789abcdeg0123456789abcdef", "/a", "a.b", "s/1", "a", "a.b", "1"), ERR_MALFORMED},
    {"no source", RECORD(ID, "", "a.b", "s/1", "a", "a.b", "1"), ERR_MALFORMED},
    {"a blank in a source", RECORD(ID, "/ a", "a.b", "s/1", "a", "a.b", "1"), ERR_MALFORMED},
    {"a subject that is not ASCII", RECORD(ID, "/a", "a.b", "s/\xe4\xbc\x9a", "a", "a.b", "1"), ERR_MALFORMED},
    {"an escape in a subject", RECORD(ID, "/a", "a.b", "s\\/1", "a", "a.b", "1"), ERR_MALFORMED},
    {"a quote in an actor", RECORD(ID, "/a", "a.b", "s/1", "a\\\"", "a.b", "1"), ERR_MALFORMED},
    {"a delete in an actor", RECORD(ID, "/a", "a.b", "s/1", "a\x7f", "a.b", "1"), ERR_MALFORMED},
    {"no version", RECORD(ID, "/a", "a.b", "s/1", "a", "a.b", ""), ERR_MALFORMED},
    {"version 0", RECORD(ID, "/a", "a.b", "s/1", "a", "a.b", "0"), ERR_MALFORMED},
    {"a zero in front", RECORD(ID, "/a", "a.b", "s/1", "a", "a.b", "01"), ERR_MALFORMED},
    {"a version of ten digits", RECORD(ID, "/a", "a.b", "s/1", "a", "a.b", "1234567890"), ERR_MALFORMED},
    {"a version in words", RECORD(ID, "/a", "a.b", "s/1", "a", "a.b", "one"), ERR_MALFORMED},
    {"a schema whose type is none", RECORD(ID, "/a", "a.b", "s/1", "a", "A", "1"), ERR_MALFORMED},
    {"a schema without version", HEAD TIME SEQUENCE "\"actor\":\"a\",\"dataschema\":\"a.b\","
	"\"datacontenttype\":\"application/json\",\"data\":{}}", ERR_MALFORMED},
    {"a trace", TRACED("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"), 0},
    {"a short trace", TRACED("00-0123456789abcdef0123456789abcdef-0123456789abcdef-1"), ERR_MALFORMED},
    {"a trace in capitals", TRACED("00-0123456789ABCDEF0123456789abcdef-0123456789abcdef-01"), ERR_MALFORMED},
    {"a trace with a colon", TRACED("00-012345678:abcdef0123456789abcdef-0123456789abcdef-01"), ERR_MALFORMED},
    {"a trace with a slash", TRACED("00-012345678/abcdef0123456789abcdef-0123456789abcdef-01"), ERR_MALFORMED},
    {"a trace beyond f", TRACED("00-012345678gabcdef0123456789abcdef-0123456789abcdef-01"), ERR_MALFORMED},
    {"a trace without its dashes", TRACED("0000123456789abcdef0123456789abcdef-0123456789abcdef-01"), ERR_MALFORMED},
};

START_TEST(members_have_their_forms)
{
	const char *reason = NULL;
	struct record_facts facts;
	int rc = record_check(slice_str(members[_i].record), 5, &facts, &reason);

	ck_assert_msg(rc == members[_i].rc, "%s: %s", members[_i].says, reason == NULL ? "" : reason);
}
END_TEST

START_TEST(a_record_has_at_most_65535_bytes)
{
	static char record[65537];
	struct record_facts facts;
	const char *reason;
	size_t len = (size_t)snprintf(record, sizeof(record), "%s", HEAD TIME SEQUENCE "\"actor\":\"a\"," SCHEMA "\"data\":{\"a\":\"");

	memset(record + len, 'x', sizeof(record) - len);
	memcpy(record + 65532, "\"}}", 3);
	ck_assert_int_eq(record_check(slice_of(record, 65535), 5, &facts, &reason), 0);
	record[65532] = 'x';
	memcpy(record + 65533, "\"}}", 3);
	ck_assert_int_eq(record_check(slice_of(record, 65536), 5, &facts, &reason), ERR_MALFORMED);
}
END_TEST

static int count_blob(void *arg, struct slice hex, uint64_t size)
{
	uint64_t *sum = arg;

	ck_assert_uint_eq(hex.len, 64);
	*sum += size;
	return 0;
}

#define A8 "aaaaaaaa"
#define HASH A8 A8 A8 A8 A8 A8 A8 A8
#define BLOB "{\"$blob\":\"" HASH "\",\"size\":3}"

static const struct {
	const char *says, *data;
	uint64_t sum;
	int rc;
} blobs[] = {
    {"none", "{\"a\":1}", 0, 0},
    {"one", "{\"raw\":" BLOB "}", 3, 0},
    {"in a list in an object", "{\"a\":{\"b\":[" BLOB "," BLOB "]}}", 6, 0},
    {"only the word", "{\"a\":\"$blob\",\"b\":\"blob\"}", 0, 0},
    {"an escaped name", "{\"a\":{\"\\u0024blob\":\"" HASH "\",\"size\":3}}", 3, 0},
    {"a size that is a text", "{\"a\":{\"$blob\":\"" HASH "\",\"size\":\"3\"}}", 0, ERR_MALFORMED},
    {"no size", "{\"a\":{\"$blob\":\"" HASH "\"}}", 0, ERR_MALFORMED},
    {"a short hash", "{\"a\":{\"$blob\":\"aa\",\"size\":3}}", 0, ERR_MALFORMED},
    {"a hash that is a number", "{\"a\":{\"$blob\":1,\"size\":3}}", 0, ERR_MALFORMED},
    {"a hash with a slash", "{\"a\":{\"$blob\":\"/aaaaaaa" A8 A8 A8 A8 A8 A8 A8 "\",\"size\":3}}", 0, ERR_MALFORMED},
    {"a hash with a colon", "{\"a\":{\"$blob\":\":aaaaaaa" A8 A8 A8 A8 A8 A8 A8 "\",\"size\":3}}", 0, ERR_MALFORMED},
    {"a hash beyond f", "{\"a\":{\"$blob\":\"gaaaaaaa" A8 A8 A8 A8 A8 A8 A8 "\",\"size\":3}}", 0, ERR_MALFORMED},
    {"upper-case digits", "{\"a\":{\"$blob\":\"A" A8 A8 A8 A8 A8 A8 A8 "aaaaaaa\",\"size\":3}}", 0, ERR_MALFORMED},
};

START_TEST(blobs_are_found_wherever_they_are_named)
{
	struct record_facts facts = {.data = slice_str(blobs[_i].data)};
	uint64_t sum = 0;

	ck_assert_msg(record_blobs(&facts, count_blob, &sum) == blobs[_i].rc, "%s", blobs[_i].says);
	ck_assert_msg(sum == blobs[_i].sum, "%s", blobs[_i].says);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("verify_record");
	TCase *t = tcase_create("verify_record");

	tcase_add_loop_test(t, records_have_one_form, 0, COUNT(cases));
	tcase_add_loop_test(t, members_have_their_forms, 0, COUNT(members));
	tcase_add_test(t, a_record_has_at_most_65535_bytes);
	tcase_add_loop_test(t, blobs_are_found_wherever_they_are_named, 0, COUNT(blobs));
	suite_add_tcase(s, t);
	return run_suite(s);
}
