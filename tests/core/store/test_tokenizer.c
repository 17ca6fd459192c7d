/* What becomes a word, in texts and in questions. */
#include "store/tokenizer.h"

#include <check.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/err.h"
#include "crypto/crypto.h"
#include "store/sqlfn.h"

static sqlite3 *db;

static void setup(void)
{
	ck_assert_int_eq(crypto_init(), 0);
	ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
	ck_assert_int_eq(tokenizer_register(db), 0);
	ck_assert_int_eq(sqlfn_register(db), 0);
	ck_assert_int_eq(sqlite3_exec(db, "create virtual table t using fts5(text, tokenize = 'lulab');"
	    "create virtual table words using fts5vocab(t, instance)", NULL, NULL, NULL), SQLITE_OK);
}

static void teardown(void)
{
	sqlite3_close(db);
}

/* The first column of the rows, with spaces between them. */
static void rows_are(const char *sql, const char *param, const char *want)
{
	struct buf have = BUF_INIT(4096);
	sqlite3_stmt *stmt;

	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
	if (param != NULL)
		sqlite3_bind_text(stmt, 1, param, -1, SQLITE_STATIC);
	buf_append_str(&have, "");
	while (sqlite3_step(stmt) == SQLITE_ROW)
		buf_printf(&have, "%s%s", have.len > 0 ? " " : "", sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	ck_assert_str_eq(have.ptr == NULL ? "" : have.ptr, want);
	buf_finish(&have);
}

static void store(const char *text)
{
	sqlite3_stmt *stmt;

	ck_assert_int_eq(sqlite3_prepare_v2(db, "insert into t values (?1)", -1, &stmt, NULL), SQLITE_OK);
	sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_DONE);
	sqlite3_finalize(stmt);
}

#define X40 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct { const char *says, *text, *words; } texts[] = {
	{"letters in either case", "Budget REVIEW", "budget review"},
	{"each character and each pair", "预算会", "预 预算 算 算会 会"},
	{"a run ends where another script begins", "Q3预算v2", "q3 预 预算 算 v2"},
	{"marks between words", "预，算-a_b", "预 算 a b"},
	{"full width is half width", "ＡＢ１", "ab1"},
	{"accents of Latin letters", "Café Ångström", "cafe angstrom"},
	{"sharp s folds to two letters", "Straße", "strasse"},
	{"syllables of Hangul stay whole", "회의", "회 회의 의"},
	{"so do voiced Kana", "がっこう", "が がっ っ っこ こ こう う"},
	{"beyond the basic plane", "𠀀𠀁", "𠀀 𠀀𠀁 𠀁"},
	{"a long word is cut", X40 X40 X40 "yz", X40 X40 X40},
	{"the middle dot separates", "カ・ナ", "カ ナ"},
	{"Bopomofo and small Kana", "ㄅㇰ", "ㄅ ㄅㇰ ㇰ"},
	{"repetition and zero", "人々〇", "人 人々 々 々〇 〇"},
	{"compatibility forms are their own", "\xef\xa4\x80", "\xe8\xb1\x88"},
	{"titles, modifiers, marks and numbers", "ǅ ʰa क़ा Ⅷ ²", "dz ha क़ा viii 2"},
	{"bytes that are no character separate", "a\xff" "b\xe9\xa2", "a b"},
	{"nothing to find", "——！？ 😀", ""},
};

START_TEST(words_of_a_text)
{
	store(texts[_i].text);
	/* In the order they were found: by place; a character before the pair that begins with it. */
	rows_are("select term from words order by offset, length(term), term", NULL, texts[_i].words);
}
END_TEST

static const struct { const char *text, *typed; bool found; } searches[] = {
	{"产品路线图讨论", "路线", true},
	{"产品路线图讨论", "路线图讨论", true},
	{"产品路线图讨论", "线路", false},
	{"产品路线图讨论", "产图", false},
	{"产品路线图讨论", "图", true},
	{"Q3预算v2 final", "q3预算v2", true},
	{"预算Q3", "预算q3", true},
	{"预算 Q3", "算q3", true},
	{"Budget", "bud", true},
	{"Budget", "get", false},
	{"a \"quoted\" word", "\"quoted\"", true},
	{"NEAR the end", "NEAR", true},
	{"a OR b", "c OR d", false},
	{"预算会", "算", true},
	{"预算v2会", "预算v2", true},
	{"预算v2会", "算v3", false},
	{"预算、会议", "预算、会议", true},
	{"预算、会议", "会议、预算", false},
};

START_TEST(words_that_are_typed)
{
	struct buf query = BUF_INIT(1024);

	store(searches[_i].text);
	ck_assert_int_eq(tokenizer_query(&query, slice_str(searches[_i].typed)), 0);
	rows_are("select count(*) from (select 1 from json_each(?1) as w join t as f where f.t match w.value"
	    " group by f.rowid having count(distinct w.key) = json_array_length(?1))", query.ptr, searches[_i].found ? "1" : "0");
	buf_finish(&query);
}
END_TEST

static const struct { const char *typed, *query; } typings[] = {
	{"预算 Bud", "[\"\\\"预算\\\"\",\"\\\"Bud\\\"*\"]"},
	{"预算　会议", "[\"\\\"预算\\\"\",\"\\\"会议\\\"\"]"},
	{"  ", "[]"},
	{"!!! ???", "[]"},
	{"a\"b", "[\"\\\"a\\\"\\\"b\\\"*\"]"},
};

START_TEST(what_is_typed_becomes_expressions)
{
	struct buf query = BUF_INIT(1024);

	ck_assert_int_eq(tokenizer_query(&query, slice_str(typings[_i].typed)), 0);
	ck_assert_str_eq(query.ptr, typings[_i].query);
	buf_finish(&query);
}
END_TEST

START_TEST(a_question_has_a_length)
{
	/* At whichever character it ends. */
	for (size_t max = 0; max < sizeof("[\"\\\"预算\\\"\",\"\\\"a\\\"*\"]") - 1; max++) {
		struct buf query = BUF_INIT(max);

		ck_assert_int_eq(tokenizer_query(&query, SLICE("预算 a")), ERR_TOO_BIG);
		buf_finish(&query);
	}
}
END_TEST

static int stop_at_once(void *arg, int flags, const char *token, int len, int start, int end)
{
	unsigned *left = arg;

	(void)flags, (void)token, (void)len, (void)start, (void)end;
	return (*left)-- == 0 ? SQLITE_FULL : SQLITE_OK;
}

/* FTS5 ends a walk by what it answers to a word. */
START_TEST(a_walk_ends_where_it_is_told_to)
{
	static const char text[] = "a预算b算 c、预、d";
	static const int modes[] = {FTS5_TOKENIZE_DOCUMENT, FTS5_TOKENIZE_QUERY};
	sqlite3_stmt *stmt;
	fts5_api *api = NULL;
	fts5_tokenizer calls;
	Fts5Tokenizer *tokenizer;
	void *arg;

	ck_assert_int_eq(sqlite3_prepare_v2(db, "select fts5(?1)", -1, &stmt, NULL), SQLITE_OK);
	sqlite3_bind_pointer(stmt, 1, &api, "fts5_api_ptr", NULL);
	sqlite3_step(stmt);
	sqlite3_finalize(stmt);
	ck_assert_int_eq(api->xFindTokenizer(api, "lulab", &arg, &calls), SQLITE_OK);
	ck_assert_int_eq(calls.xCreate(arg, NULL, 0, &tokenizer), SQLITE_OK);
	for (unsigned m = 0; m < 2; m++) {
		unsigned n = 0;

		for (int rc = SQLITE_FULL; rc != SQLITE_OK; n++) {
			unsigned left = n;

			rc = calls.xTokenize(tokenizer, &left, modes[m], text, sizeof(text) - 1, stop_at_once);
			ck_assert(rc == SQLITE_OK || rc == SQLITE_FULL);
		}
		ck_assert_uint_ge(n, 6);
	}
	calls.xDelete(tokenizer);
}
END_TEST

/* The functions of sqlfn.h, here because they need no more than a connection. */
static const struct { const char *says, *sql, *result; } functions[] = {
	{"the newest wins", "select substr(max(latest(2, 'b'), latest(10, 'a')), 17)", "a"},
	{"at the same time the greater value", "select substr(max(latest(2, 'b'), latest(2, 'c')), 17)", "c"},
	{"nothing never wins", "select max(latest(1, 'x'), latest(99, null)) = latest(1, 'x')", "1"},
	{"numbers are kept as text", "select latest(1767051029171, 5)", "00017670510291715"},
	{"before 1970 is 1970", "select latest(-5, 'x') = latest(0, 'x')", "1"},
	{"a value too long for the short way", "select substr(latest(2, '" X40 X40 X40 X40 X40 X40 X40 "b'), 17) = '"
	    X40 X40 X40 X40 X40 X40 X40 "b'", "1"},
	{"an id of long parts", "select row_id(zeroblob(300)) <> row_id(zeroblob(301))", "1"},
	{"asked twice in a row", "select row_id(c) = row_id(c) from (select 'x' as c)", "1"},
	{"an id is c and 24 digits", "select row_id('a') glob 'c[0-9a-f]*' and length(row_id('a')) = 25", "1"},
	{"where a part ends matters", "select row_id('a', 'bc') <> row_id('ab', 'c')", "1"},
	{"NULL is not empty", "select row_id(null) <> row_id('')", "1"},
	{"an id may begin with a time", "select timed_id(1795473555000, 'a')", "c01a20a903e389685d28dcf51"},
	{"and is as long, and of the same hash", "select substr(timed_id(7, 'a', 'b'), 14) = substr(row_id('a', 'b'), 14)"
	    " and length(timed_id(7, 'a', 'b')) = 25", "1"},
	{"the later is the greater", "select timed_id(9, 'a') < timed_id(16, 'b')", "1"},
	{"ids never change", "select row_id('TENCENT_MEETING', '15799355397363795495', '__ROOT__')", "c1f0807e8dc578bad295c7e01"},
};

static const char *const wrong_calls[] = {"select row_id()", "select row_id(1, 2, 3, 4, 5, 6, 7, 8, 9)", "select timed_id()",
	"select timed_id(1)", "select timed_id(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)"};

START_TEST(functions_that_are_called_wrongly)
{
	ck_assert_int_eq(sqlite3_exec(db, wrong_calls[_i], NULL, NULL, NULL), SQLITE_ERROR);
	ck_assert_ptr_nonnull(strstr(sqlite3_errmsg(db), "an id is made of 1 to 8 values"));
}
END_TEST

START_TEST(functions_of_projections)
{
	rows_are(functions[_i].sql, NULL, functions[_i].result);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tokenizer");
	TCase *words = tcase_create("words");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(words, setup, teardown);
	tcase_add_loop_test(words, words_of_a_text, 0, sizeof(texts) / sizeof(texts[0]));
	tcase_add_loop_test(words, words_that_are_typed, 0, sizeof(searches) / sizeof(searches[0]));
	tcase_add_loop_test(words, what_is_typed_becomes_expressions, 0, sizeof(typings) / sizeof(typings[0]));
	tcase_add_test(words, a_question_has_a_length);
	tcase_add_test(words, a_walk_ends_where_it_is_told_to);
	tcase_add_loop_test(words, functions_of_projections, 0, sizeof(functions) / sizeof(functions[0]));
	tcase_add_loop_test(words, functions_that_are_called_wrongly, 0, sizeof(wrong_calls) / sizeof(wrong_calls[0]));
	suite_add_tcase(suite, words);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
