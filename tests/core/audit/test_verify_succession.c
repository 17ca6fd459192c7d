/* What the first record of a successor tells of the log before it, and what of that is not believed. */
#include "audit/verify_succession.h"

#include "base/codec.h"
#include "memory_log.h"

static struct memory_key first, second;
static struct arena arena;
static struct succession s;
static const char *reason;
static char note_json[4000], root_hex[65];

/* A log before, of three records, and its note as JSON has it. */
static void setup(void)
{
	struct merkle_hash root;
	struct buf note;
	size_t n = 0;

	ck_assert_int_eq(crypto_init(), 0);
	memset(&memory_log, 0, sizeof(memory_log));
	arena = (struct arena)ARENA_INIT(1 << 16);
	reason = NULL;
	memory_key_make(&first, MEMORY_ORIGIN, NOTE_ED25519, 1);
	memory_key_make(&second, MEMORY_ORIGIN, NOTE_ED25519, 2);
	for (int i = 0; i < 3; i++)
		memory_log_add("a.b", "{}");
	note = memory_log_note(MEMORY_ORIGIN, 3, &first);
	for (size_t i = 0; i < note.len; i++)
		if (note.ptr[i] == '\n')
			n += (size_t)snprintf(note_json + n, sizeof(note_json) - n, "\\n");
		else
			note_json[n++] = note.ptr[i];
	note_json[n] = '\0';
	buf_finish(&note);
	memory_log_root(&root, 2);
	hex_encode(root_hex, root.bytes, MERKLE_HASH_LEN);
	root_hex[64] = '\0';
}

static void teardown(void)
{
	arena_finish(&arena);
}

/* The first record of the log at hand instead of those before; NOTE and ROOT stand for the good ones. */
static void succeed(const char *type, const char *data)
{
	char text[6000];
	size_t n = 0;

	while (*data != '\0') {
		if (strncmp(data, "NOTE", 4) == 0 || strncmp(data, "ROOT", 4) == 0) {
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", *data == 'N' ? note_json : root_hex);
			data += 4;
		} else {
			text[n++] = *data++;
		}
	}
	text[n] = '\0';
	memory_log.n = 0;
	memory_log_add(type, text);
}

#define GOOD "{\"origin\":\"" MEMORY_ORIGIN "\",\"note\":\"NOTE\",\"size\":2,\"root\":\"ROOT\",\"reason\":\"a disk\"}"

START_TEST(all_of_it_is_found)
{
	succeed("log.succeeded", GOOD);
	ck_assert_int_eq(succession_read(&s, &memory_source, 1, &arena, &reason), 0);
	ck_assert_slice_eq(s.origin, SLICE(MEMORY_ORIGIN));
	ck_assert_slice_eq(s.reason, SLICE("a disk"));
	ck_assert_uint_eq(s.found, 2);
	ck_assert_uint_eq(s.signed_size, 3);
	ck_assert(s.has_root);
	ck_assert(succession_is_signed(&s, &first.key, 1));
	ck_assert(!succession_is_signed(&s, &second.key, 1));
	ck_assert(!succession_is_signed(&s, NULL, 0));
	/* A log may have grown beyond a tile since. */
	ck_assert_int_eq(succession_read(&s, &memory_source, 1000, &arena, &reason), 0);
}
END_TEST

static const struct {
	const char *says, *type, *data;
	int rc;
	const char *reason;
} records[] = {
	{"no root is needed", "log.succeeded", "{\"origin\":\"" MEMORY_ORIGIN "\",\"note\":\"NOTE\",\"size\":2,\"reason\":\"\"}", 0, NULL},
	{"another record", "log.created", GOOD, ERR_NOT_FOUND, NULL},
	{"no origin", "log.succeeded", "{\"note\":\"NOTE\",\"size\":2,\"reason\":\"\"}", ERR_MALFORMED, "does not tell origin"},
	{"an origin that is a number", "log.succeeded", "{\"origin\":1,\"note\":\"NOTE\",\"size\":2,\"reason\":\"\"}", ERR_MALFORMED,
	    "does not tell origin"},
	{"no note", "log.succeeded", "{\"origin\":\"a\",\"size\":2,\"reason\":\"\"}", ERR_MALFORMED, "does not tell origin"},
	{"no size", "log.succeeded", "{\"origin\":\"a\",\"note\":\"NOTE\",\"reason\":\"\"}", ERR_MALFORMED, "does not tell origin"},
	{"a size below none", "log.succeeded", "{\"origin\":\"a\",\"note\":\"NOTE\",\"size\":-1,\"reason\":\"\"}", ERR_MALFORMED,
	    "does not tell origin"},
	{"no reason", "log.succeeded", "{\"origin\":\"a\",\"note\":\"NOTE\",\"size\":2}", ERR_MALFORMED, "does not tell origin"},
	{"a short root", "log.succeeded", "{\"origin\":\"" MEMORY_ORIGIN "\",\"note\":\"NOTE\",\"size\":2,\"root\":\"ab\",\"reason\":\"\"}",
	    ERR_MALFORMED, "the root in log.succeeded is none"},
	{"a note that is none", "log.succeeded", "{\"origin\":\"" MEMORY_ORIGIN "\",\"note\":\"x\",\"size\":2,\"reason\":\"\"}",
	    ERR_MALFORMED, "is not one of the log it names"},
	{"a note that is no checkpoint", "log.succeeded", "{\"origin\":\"" MEMORY_ORIGIN "\",\"note\":\"x\\n\\n\xe2\x80\x94 a AAAAAAA=\\n\","
	    "\"size\":2,\"reason\":\"\"}", ERR_MALFORMED, "is not one of the log it names"},
	{"the note of another log", "log.succeeded", "{\"origin\":\"other.example.test/events\",\"note\":\"NOTE\",\"size\":2,\"reason\":\"\"}",
	    ERR_MALFORMED, "is not one of the log it names"},
};

START_TEST(a_first_record_is_a_succession_or_says_why_not)
{
	int rc;

	succeed(records[_i].type, records[_i].data);
	rc = succession_read(&s, &memory_source, 1, &arena, &reason);
	ck_assert_msg(rc == records[_i].rc, "%s: %s", records[_i].says, err_name(rc));
	if (records[_i].reason != NULL)
		ck_assert_msg(strstr(reason, records[_i].reason) != NULL, "%s: %s", records[_i].says, reason);
}
END_TEST

START_TEST(what_cannot_be_read_is_no_succession)
{
	ck_assert_int_eq(succession_read(&s, &memory_source, 0, &arena, &reason), ERR_NOT_FOUND);
	succeed("log.succeeded", GOOD);
	memory_log.entries_rc = ERR_IO;
	ck_assert_int_eq(succession_read(&s, &memory_source, 1, &arena, &reason), ERR_NOT_FOUND);
	memory_log.entries_rc = 0;
	memory_log.records[0][1] = 'x';
	ck_assert_int_eq(succession_read(&s, &memory_source, 1, &arena, &reason), ERR_NOT_FOUND);
	memory_log.n = 0;
	ck_assert_int_eq(succession_read(&s, &memory_source, 1, &arena, &reason), ERR_NOT_FOUND);
	succeed("log.succeeded", GOOD);
	arena.max = 10;
	ck_assert_int_eq(succession_read(&s, &memory_source, 1, &arena, &reason), ERR_NOMEM);
}
END_TEST

/* The log before, which has those records, fewer, or others. */
START_TEST(the_log_before_has_the_root_or_not)
{
	succeed("log.succeeded", GOOD);
	ck_assert_int_eq(succession_read(&s, &memory_source, 1, &arena, &reason), 0);
	memory_log.n = 0;
	for (int i = 0; i < 3; i++)
		memory_log_add("a.b", "{}");
	ck_assert_int_eq(succession_root_holds(&s, &memory_source), 0);
	memory_log.entries_rc = ERR_IO;
	ck_assert_int_eq(succession_root_holds(&s, &memory_source), ERR_IO);
	memory_log.entries_rc = 0;
	memory_log.n = 1;
	ck_assert_int_eq(succession_root_holds(&s, &memory_source), ERR_NOT_FOUND);
	memory_log.n = 3;
	memory_log.records[1][20] ^= 1;
	ck_assert_int_eq(succession_root_holds(&s, &memory_source), ERR_CORRUPT);
	s.has_root = false;
	ck_assert_int_eq(succession_root_holds(&s, &memory_source), ERR_NOT_FOUND);
	/* More than a tile of it is read tile by tile. */
	s.has_root = true;
	s.found = MERKLE_TILE_WIDTH + 1;
	while (memory_log.n < MEMORY_RECORDS_MAX)
		memory_log_add("a.b", "{}");
	ck_assert_int_eq(succession_root_holds(&s, &memory_source), ERR_NOT_FOUND);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verify_succession");
	TCase *t = tcase_create("succession");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, all_of_it_is_found);
	tcase_add_loop_test(t, a_first_record_is_a_succession_or_says_why_not, 0, COUNT(records));
	tcase_add_test(t, what_cannot_be_read_is_no_succession);
	tcase_add_test(t, the_log_before_has_the_root_or_not);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
