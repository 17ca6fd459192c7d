/*
 * Two halves: the walk over a text that folds it and finds its words (pure),
 * and the few functions FTS5 asks of a tokenizer.
 *
 * Why pairs as well as characters: SQLite's own trigram tokenizer cannot answer
 * for two-character words, which most Chinese ones are; characters alone would
 * make every phrase search walk the longest lists of the index. A pair is
 * stored at the place of its first character (FTS5_TOKEN_COLOCATED), so that
 * the pairs of a longer word stand side by side like words of a phrase.
 */
#include "store/tokenizer.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "base/err.h"
#include "base/json.h"

/* Longer words are cut: nobody searches for them, and each would be a page of the index. */
#define WORD_BYTES_MAX 120

enum kind { SEPARATOR, LETTER, CJK };

static bool in(int32_t c, int32_t first, int32_t last)
{
	return c >= first && c <= last;
}

/* Scripts written without spaces between words, or (Hangul) with endings glued to them. */
static bool is_cjk(int32_t c)
{
	return in(c, 0x3400, 0x9fff) || in(c, 0x3041, 0x30ff) || in(c, 0xac00, 0xd7a3) ||
	    in(c, 0x20000, 0x3ffff) || in(c, 0xf900, 0xfaff) || in(c, 0x3105, 0x312f) ||
	    in(c, 0x31f0, 0x31ff) || c == 0x3005 || c == 0x3007;
}

/* The marks of Latin, Greek and Cyrillic letters, which people leave out when they search. */
static bool is_accent(int32_t c)
{
	return in(c, 0x0300, 0x036f);
}

static enum kind kind_of(int32_t c)
{
	if (is_cjk(c))
		return c == 0x30fb ? SEPARATOR : CJK; /* the middle dot sits among the Katakana */
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		return LETTER;
	default:
		return SEPARATOR;
	}
}

typedef int emit_fn(void *arg, int flags, const char *token, int len, int start, int end);

/* A walk: at most one of `word` and `run` is open at a time. */
struct walk {
	emit_fn *emit;
	void *arg;
	bool query;
	char word[WORD_BYTES_MAX];
	int word_len, word_start, word_end;
	char last[4]; /* the run's newest character */
	int last_len, last_start, last_end;
	unsigned run; /* characters in the run of CJK so far */
	bool last_owed; /* query: the run's last character, asked for only if more words follow */
};

static int pay_last(struct walk *w)
{
	if (!w->last_owed)
		return 0;
	w->last_owed = false;
	return w->emit(w->arg, 0, w->last, w->last_len, w->last_start, w->last_end);
}

static int end_word(struct walk *w)
{
	int rc;

	if (w->word_len == 0)
		return 0;
	rc = w->emit(w->arg, 0, w->word, w->word_len, w->word_start, w->word_end);
	w->word_len = 0;
	return rc;
}

/* In a query a run of pairs leaves its last place open; a following word needs it filled. */
static int end_run(struct walk *w)
{
	int rc = 0;

	if (w->query && w->run == 1)
		rc = w->emit(w->arg, 0, w->last, w->last_len, w->last_start, w->last_end);
	else if (w->query && w->run > 1)
		w->last_owed = true;
	w->run = 0;
	return rc;
}

static int take_letter(struct walk *w, int32_t c, int start, int end)
{
	unsigned char bytes[4];
	int len, rc;

	rc = end_run(w);
	if (rc == 0)
		rc = pay_last(w);
	if (rc != 0)
		return rc;
	len = (int)utf8proc_encode_char(c, bytes);
	if (w->word_len == 0)
		w->word_start = start;
	if (w->word_len + len <= WORD_BYTES_MAX) {
		memcpy(w->word + w->word_len, bytes, (size_t)len);
		w->word_len += len;
	}
	w->word_end = end;
	return 0;
}

static int take_cjk(struct walk *w, int32_t c, int start, int end)
{
	unsigned char bytes[4];
	char pair[8];
	int len, rc;

	rc = end_word(w);
	if (rc == 0 && w->run == 0)
		rc = pay_last(w);
	if (rc != 0)
		return rc;
	len = (int)utf8proc_encode_char(c, bytes);
	if (w->run > 0) {
		memcpy(pair, w->last, (size_t)w->last_len);
		memcpy(pair + w->last_len, bytes, (size_t)len);
		rc = w->emit(w->arg, w->query ? 0 : FTS5_TOKEN_COLOCATED, pair, w->last_len + len, w->last_start, end);
	}
	if (rc == 0 && !w->query)
		rc = w->emit(w->arg, 0, (char *)bytes, len, start, end);
	memcpy(w->last, bytes, (size_t)len);
	w->last_len = len;
	w->last_start = start;
	w->last_end = end;
	w->run++;
	return rc;
}

static int take(struct walk *w, int32_t c, int start, int end)
{
	int rc;

	if (is_accent(c))
		return 0;
	switch (kind_of(c)) {
	case LETTER:
		return take_letter(w, c, start, end);
	case CJK:
		return take_cjk(w, c, start, end);
	case SEPARATOR:
	default:
		rc = end_word(w);
		return rc != 0 ? rc : end_run(w);
	}
}

/* One character of the text as it is compared: width, compatibility forms and case folded. */
static int fold(int32_t c, int32_t folded[8])
{
	utf8proc_ssize_t n;
	int boundary = 0;

	/* Decomposing would take syllables of Hangul and voiced Kana apart. */
	if (is_cjk(c) && !in(c, 0xf900, 0xfaff)) {
		folded[0] = c;
		return 1;
	}
	n = utf8proc_decompose_char(c, folded, 8, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE, &boundary);
	return n < 0 || n > 8 ? 0 : (int)n;
}

static int walk_text(struct slice text, bool query, emit_fn *emit, void *arg)
{
	struct walk w = {.emit = emit, .arg = arg, .query = query};
	const unsigned char *bytes = (const unsigned char *)text.ptr;
	size_t at = 0;
	int rc = 0;

	while (at < text.len && rc == 0) {
		int32_t c, folded[8];
		utf8proc_ssize_t len = utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(text.len - at), &c);

		if (len <= 0) { /* not UTF-8: separates */
			len = 1;
			rc = take(&w, ' ', (int)at, (int)at + 1);
		} else {
			int n = fold(c, folded);

			for (int i = 0; i < n && rc == 0; i++)
				rc = take(&w, folded[i], (int)at, (int)at + (int)len);
		}
		at += (size_t)len;
	}
	if (rc == 0)
		rc = end_word(&w);
	return rc != 0 ? rc : end_run(&w);
}

/* ---- what FTS5 asks for ---------------------------------------------------- */

static int on_create(void *arg, const char **args, int n_args, Fts5Tokenizer **ret)
{
	(void)arg;
	(void)args;
	(void)n_args;
	*ret = malloc(1); /* no state; a NULL would mean failure */
	return *ret == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static void on_delete(Fts5Tokenizer *tokenizer)
{
	free(tokenizer);
}

static int on_tokenize(Fts5Tokenizer *tokenizer, void *arg, int flags, const char *text, int len, emit_fn *emit)
{
	(void)tokenizer;
	return walk_text(slice_of(text, (size_t)len), (flags & FTS5_TOKENIZE_QUERY) != 0, emit, arg);
}

int tokenizer_register(struct sqlite3 *db)
{
	fts5_tokenizer tokenizer = {on_create, on_delete, on_tokenize};
	sqlite3_stmt *stmt = NULL;
	fts5_api *api = NULL;
	int rc;

	if (sqlite3_prepare_v2(db, "select fts5(?1)", -1, &stmt, NULL) != SQLITE_OK)
		return ERR_UNSUPPORTED;
	rc = sqlite3_bind_pointer(stmt, 1, &api, "fts5_api_ptr", NULL);
	if (rc == SQLITE_OK)
		sqlite3_step(stmt);
	sqlite3_finalize(stmt);
	if (api == NULL)
		return ERR_UNSUPPORTED;
	rc = api->xCreateTokenizer(api, "lulab", NULL, &tokenizer, NULL);
	return rc == SQLITE_OK ? 0 : ERR_NOMEM;
}

/* ---- what a person typed ----------------------------------------------------- */

struct last_token {
	int end;
	bool any, cjk;
};

static int note_token(void *arg, int flags, const char *token, int len, int start, int end)
{
	struct last_token *last = arg;
	int32_t c = 0;

	(void)flags;
	(void)start;
	utf8proc_iterate((const unsigned char *)token, len, &c);
	*last = (struct last_token){.end = end, .any = true, .cjk = is_cjk(c)};
	return 0;
}

static bool is_blank(struct slice text, size_t at, size_t *ret_len)
{
	*ret_len = 1;
	if ((unsigned char)text.ptr[at] <= ' ')
		return true;
	*ret_len = 3; /* U+3000, the space of Chinese keyboards */
	return text.len - at >= 3 && memcmp(text.ptr + at, "\xe3\x80\x80", 3) == 0;
}

static struct slice next_word(struct slice *rest)
{
	size_t start = 0, len, end;

	while (start < rest->len && is_blank(*rest, start, &len))
		start += len;
	for (end = start; end < rest->len && !is_blank(*rest, end, &len); end++)
		;
	struct slice word = slice_of(rest->ptr + start, end - start);
	*rest = slice_of(rest->ptr + end, rest->len - end);
	return word;
}

/* "word" with quotes doubled; letters at the end may go on ("bud" finds budget), characters of CJK may not. */
static int put_word(struct json_writer *w, struct slice word)
{
	struct last_token last = {0};
	struct buf quoted = BUF_INIT(2 * word.len + 4);
	int rc;

	walk_text(word, true, note_token, &last);
	if (!last.any)
		return 0;
	buf_append_char(&quoted, '"');
	for (size_t i = 0; i < word.len; i++) {
		if (word.ptr[i] == '"')
			buf_append_char(&quoted, '"');
		buf_append_char(&quoted, word.ptr[i]);
	}
	buf_append_char(&quoted, '"');
	if (!last.cjk)
		buf_append_char(&quoted, '*');
	rc = quoted.rc;
	if (rc == 0)
		json_put_string(w, buf_slice(&quoted));
	buf_finish(&quoted);
	return rc;
}

int tokenizer_query(struct buf *out, struct slice typed)
{
	struct json_writer w = JSON_WRITER(out);
	int rc = 0;

	json_begin_array(&w);
	while (rc == 0) {
		struct slice word = next_word(&typed);

		if (word.len == 0)
			break;
		rc = put_word(&w, word);
	}
	json_end_array(&w);
	return rc != 0 ? rc : out->rc;
}
