/* What a log must not say, whatever was signed: deliveries told twice, erasures nobody asked for. */
#include "audit/verify.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "lib/no_memory.h"
#include "lib/run.h"

#define ONE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define TWIN "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE" /* begins with the same eight bytes */
#define OTHER "BBBBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define LI "0123456789abcdef0123456789abcdef"
#define WANG "0123456789abcdef0123456789abcdee"

#define ONCE(key) "{\"id\":\"x\",\"type\":\"a.b\",\"oncekey\":\"" key "\",\"data\":{}}"
#define PLAIN "{\"id\":\"x\",\"type\":\"a.b\",\"data\":{}}"
#define REQUESTED(id) "{\"id\":\"x\",\"type\":\"privacy.erasure.requested\",\"data\":{\"subject_id\":" id "}}"
#define COMPLETED(id) "{\"id\":\"x\",\"type\":\"privacy.erasure.completed\",\"data\":{\"subject_id\":" id "}}"
#define Q(text) "\"" text "\""

/* A log of these records, tile by tile, whose reads can fail. */
#define RECORDS_MAX 700
static struct {
	const char *records[RECORDS_MAX];
	size_t n;
	unsigned n_reads;
	unsigned read_fails; /* the n-th, from 1; 0: none */
	bool reads_short;    /* from the second read on the tile has lost its records */
} log_;

static int entries(void *arg, uint64_t tile, unsigned width, struct buf *ret_bytes)
{
	(void)arg;
	log_.n_reads++;
	if (log_.n_reads == log_.read_fails)
		return ERR_IO;
	for (size_t i = tile * MERKLE_TILE_WIDTH; width > 0 && !(log_.reads_short && log_.n_reads > 1); i++, width--) {
		size_t len = i < log_.n ? strlen(log_.records[i]) : 0; /* no asserts here: they need memory, too */

		if (len == 0)
			return ERR_RANGE;
		buf_append_char(ret_bytes, (char)(len >> 8));
		buf_append_char(ret_bytes, (char)len);
		buf_append_str(ret_bytes, log_.records[i]);
	}
	return ret_bytes->rc;
}

static struct {
	unsigned n_evidence, n_unknown;
	uint64_t index;
	char text[240];
} told;

static void on_found(void *arg, bool evidence, uint64_t index, const char *text)
{
	(void)arg;
	told.n_evidence += evidence;
	told.n_unknown += !evidence;
	told.index = index;
	snprintf(told.text, sizeof(told.text), "%s", text);
}

static const struct verify_source source = {.entries = entries};
static struct verify_summary summary;
static struct verify_options options;

static void setup(void)
{
	memset(&log_, 0, sizeof(log_));
	memset(&summary, 0, sizeof(summary));
	memset(&options, 0, sizeof(options));
}

static int run(void)
{
	memset(&told, 0, sizeof(told));
	log_.n_reads = 0;
	summary.open_erasures = 0;
	return verify_semantics(&source, log_.n, &summary, &options, on_found, NULL);
}

static const struct {
	const char *says;
	const char *records[4];
	unsigned n_evidence;
	uint64_t index;
	const char *text;
	uint64_t open;
} cases[] = {
	{"nothing to compare", {PLAIN, PLAIN}, 0, 0, "", 0},
	{"one delivery twice", {ONCE(ONE), PLAIN, ONCE(ONE)}, 1, 2, "record 2 has the once key of record 0", 0},
	{"three times", {ONCE(ONE), ONCE(ONE), ONCE(ONE)}, 2, 2, "record 2 has the once key of record 0", 0},
	{"keys that begin alike", {ONCE(ONE), ONCE(TWIN), ONCE(OTHER)}, 0, 0, "", 0},
	{"and one of them again", {ONCE(ONE), ONCE(TWIN), ONCE(TWIN)}, 1, 2, "record 2 has the once key of record 1", 0},
	{"a key that is too short is none", {ONCE("AAAA"), ONCE("AAAA")}, 0, 0, "", 0},
	{"nor is an empty one", {ONCE(""), ONCE("")}, 0, 0, "", 0},
	{"nor one in the data", {"{\"id\":\"x\",\"type\":\"a\",\"data\":{\"b\":1,\"oncekey\":\"" ONE "\"}}", ONCE(ONE)}, 0, 0, "", 0},
	{"nor one that has no end", {"{\"id\":\"x\",\"oncekey\":\"" ONE, ONCE(ONE)}, 0, 0, "", 0},
	{"a key without data behind it is one", {"{\"id\":\"x\",\"oncekey\":\"" ONE "\"}", ONCE(ONE)}, 1, 1, "once key", 0},
	{"an erasure from request to end", {REQUESTED(Q(LI)), PLAIN, COMPLETED(Q(LI))}, 0, 0, "", 0},
	{"one that is open", {REQUESTED(Q(LI)), REQUESTED(Q(WANG)), COMPLETED(Q(WANG))}, 0, 0, "", 1},
	{"asked for twice", {REQUESTED(Q(LI)), REQUESTED(Q(LI))}, 0, 0, "", 1},
	{"asked for again when it is done", {REQUESTED(Q(LI)), COMPLETED(Q(LI)), REQUESTED(Q(LI))}, 0, 0, "", 0},
	{"completed and never requested", {PLAIN, COMPLETED(Q(LI))}, 1, 1, "that nobody requested", 0},
	{"requested only afterwards", {COMPLETED(Q(LI)), REQUESTED(Q(LI))}, 1, 0, "record 0 completes an erasure", 1},
	{"of another subject", {REQUESTED(Q(LI)), COMPLETED(Q(WANG))}, 1, 1, "that nobody requested", 1},
	{"of no subject", {"{\"id\":\"x\",\"type\":\"privacy.erasure.requested\",\"data\":{}}"}, 1, 0, "without a subject", 0},
	{"of a number", {REQUESTED("12345678901234567890123456789012")}, 1, 0, "without a subject", 0},
	{"of a short text", {REQUESTED(Q("0123"))}, 1, 0, "without a subject", 0},
	{"of no digits", {REQUESTED(Q("x123456789abcdef0123456789abcdef"))}, 1, 0, "without a subject", 0},
	{"in a record that is no JSON", {"{\"id\":\"x\",\"type\":\"privacy.erasure.requested\","}, 1, 0, "without a subject", 0},
	{"without data", {"{\"id\":\"x\",\"type\":\"privacy.erasure.completed\"}"}, 1, 0, "without a subject", 0},
};

START_TEST(what_must_not_be_is_told)
{
	while (log_.n < COUNT(cases[_i].records) && cases[_i].records[log_.n] != NULL) {
		log_.records[log_.n] = cases[_i].records[log_.n];
		log_.n++;
	}
	ck_assert_int_eq(run(), 0);
	ck_assert_msg(told.n_evidence == cases[_i].n_evidence && told.n_unknown == 0, "%s: %u findings, the last: %s",
	    cases[_i].says, told.n_evidence, told.text);
	ck_assert_msg(strstr(told.text, cases[_i].text) != NULL && told.index == cases[_i].index, "%s: at %llu: %s",
	    cases[_i].says, (unsigned long long)told.index, told.text);
	ck_assert_msg(summary.open_erasures == cases[_i].open, "%s: %llu open", cases[_i].says,
	    (unsigned long long)summary.open_erasures);
}
END_TEST

static char many[RECORDS_MAX][160];

/* Three tiles: requests, and a delivery told at the beginning and at the end. */
static void fill(void)
{
	for (log_.n = 0; log_.n < 600; log_.n++) {
		snprintf(many[log_.n], sizeof(many[0]), "{\"id\":\"x\",\"type\":\"privacy.erasure.requested\",\"data\":"
		    "{\"subject_id\":\"0123456789abcdef01234567%08zx\"}}", log_.n);
		log_.records[log_.n] = many[log_.n];
	}
	log_.records[3] = log_.records[599] = ONCE(ONE);
}

START_TEST(a_log_of_any_size_is_compared_with_itself)
{
	fill();
	/* As if there were so many keys that they do not fit at once: each is compared in one of the passes. */
	for (uint64_t keys = 0; keys < 5000000; keys += 1000000) {
		summary.once_keys = keys;
		ck_assert_int_eq(run(), 0);
		ck_assert_uint_eq(told.n_evidence, 1);
		ck_assert_uint_eq(told.index, 599);
		ck_assert_uint_eq(summary.open_erasures, 598);
	}
}
END_TEST

START_TEST(what_is_not_read_is_not_called_good)
{
	fill();
	ck_assert_int_eq(run(), 0);
	for (unsigned n = 1, n_reads = log_.n_reads; n <= n_reads; n++) {
		log_.read_fails = n;
		ck_assert_int_eq(run(), 0);
		ck_assert_msg(told.n_unknown == 1, "read %u fails, and %u things are unclear", n, told.n_unknown);
	}
	log_.read_fails = 0;
	log_.records[1] = ONCE(ONE);
	log_.records[2] = ONCE(ONE);
	log_.n = 3;
	log_.reads_short = true;
	ck_assert_int_eq(run(), 0);
	ck_assert_uint_eq(told.n_evidence, 0);
	ck_assert_uint_eq(told.n_unknown, 1);
	/* Who was told already that something cannot be read is not told again. */
	summary.n_unknown = 1;
	ck_assert_int_eq(run(), 0);
	ck_assert_uint_eq(told.n_unknown, 0);
}
END_TEST

static unsigned tiles_left;

static bool stop_after(void *arg)
{
	(void)arg;
	return tiles_left-- == 0;
}

START_TEST(it_stops_when_it_is_told_to)
{
	fill();
	options.stopped = stop_after;
	for (unsigned n = 0; n < 3; n++) {
		tiles_left = n;
		ck_assert_int_eq(run(), ERR_CANCELLED);
	}
	tiles_left = 3;
	ck_assert_int_eq(run(), 0);
}
END_TEST

START_TEST(without_memory_there_is_no_verdict)
{
	bool any = true;

	fill();
	for (int nth = 0; any; nth++) {
		int rc;

		no_memory_in = nth;
		rc = run();
		any = no_memory_in < 0; /* it was asked for so often */
		no_memory_in = -1;
		if (any)
			ck_assert_msg(rc == ERR_NOMEM || (rc == 0 && told.n_unknown > 0), "allocation %d: %s", nth, err_name(rc));
		else
			ck_assert_int_eq(rc, 0);
		ck_assert(!any || nth < 100);
	}
	ck_assert_uint_eq(told.n_evidence, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verify_semantics");
	TCase *t = tcase_create("semantics");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, what_must_not_be_is_told, 0, (int)COUNT(cases));
	tcase_add_test(t, a_log_of_any_size_is_compared_with_itself);
	tcase_add_test(t, what_is_not_read_is_not_called_good);
	tcase_add_test(t, it_stops_when_it_is_told_to);
	tcase_add_test(t, without_memory_there_is_no_verdict);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
