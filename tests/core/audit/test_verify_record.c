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
	tcase_add_test(t, a_record_has_at_most_65535_bytes);
	tcase_add_loop_test(t, blobs_are_found_wherever_they_are_named, 0, COUNT(blobs));
	suite_add_tcase(s, t);
	return run_suite(s);
}
