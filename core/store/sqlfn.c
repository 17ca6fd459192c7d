/* See sqlfn.h. */
#include "store/sqlfn.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "domain/effect_id.h"
#include "store/projection.h"

#define ROW_ID_BYTES 12
#define ROW_ID_MEMO_MAX 256
#define TIMED_DIGITS 12

/* The statements of an event ask for the same row one after the other: the last answer of a connection is kept. */
struct row_id_memo {
	uint8_t parts[ROW_ID_MEMO_MAX]; /* what was hashed; longer ones are not kept */
	size_t len;
	char id[1 + 2 * ROW_ID_BYTES + 1];
};

static void put_len(uint8_t ret[4], uint32_t len)
{
	for (int k = 0; k < 4; k++)
		ret[k] = (uint8_t)(len >> (24 - 8 * k));
}

/* ptr NULL is a NULL. A text is taken as it is: asked for as one, it would be copied to add a zero byte at its end. */
static struct slice text_of(sqlite3_value *v)
{
	bool is_text = sqlite3_value_type(v) == SQLITE_TEXT;
	const void *text = is_text ? sqlite3_value_blob(v) : sqlite3_value_text(v);
	size_t len = (size_t)sqlite3_value_bytes(v);

	return slice_of(text == NULL && is_text ? "" : text, text == NULL ? 0 : len);
}

/* Length and text of each part, so that ("a", "bc") and ("ab", "c") differ; 0xff.. stands for NULL. */
static size_t row_id_parts(int n, sqlite3_value **args, struct slice parts[2 * ROW_ID_PARTS_MAX],
    uint8_t lens[ROW_ID_PARTS_MAX][4])
{
	size_t total = 0;

	for (int i = 0; i < n; i++) {
		struct slice part = text_of(args[i]);

		put_len(lens[i], part.ptr == NULL ? UINT32_MAX : (uint32_t)part.len);
		parts[2 * i] = slice_of(lens[i], 4);
		parts[2 * i + 1] = part;
		total += 4 + parts[2 * i + 1].len;
	}
	return total;
}

void row_id_make(char ret_id[ROW_ID_LEN + 1], const struct slice *texts, size_t n)
{
	struct slice parts[2 * ROW_ID_PARTS_MAX];
	uint8_t lens[ROW_ID_PARTS_MAX][4], hash[ROW_ID_BYTES];

	_Static_assert(ROW_ID_LEN == 1 + 2 * ROW_ID_BYTES, "a letter and the digits of the hash");
	for (size_t i = 0; i < n; i++) {
		put_len(lens[i], (uint32_t)texts[i].len);
		parts[2 * i] = slice_of(lens[i], 4);
		parts[2 * i + 1] = texts[i];
	}
	blake2b(hash, sizeof(hash), SLICE("row_id/v1"), parts, 2 * n);
	ret_id[0] = 'c';
	hex_encode(ret_id + 1, hash, sizeof(hash));
}

/* ROW_ID_LEN characters, which the memo keeps; NULL: an error is the result. */
static const char *hash_id(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct row_id_memo *memo = sqlite3_user_data(ctx);
	struct slice parts[2 * ROW_ID_PARTS_MAX];
	uint8_t lens[ROW_ID_PARTS_MAX][4], hash[ROW_ID_BYTES], joined[ROW_ID_MEMO_MAX];
	size_t total, at = 0;

	if (n < 1 || n > ROW_ID_PARTS_MAX) {
		sqlite3_result_error(ctx, "an id is made of 1 to 8 values", -1);
		return NULL;
	}
	total = row_id_parts(n, args, parts, lens);
	for (int i = 0; total <= sizeof(joined) && i < 2 * n; at += parts[i].len, i++)
		if (parts[i].len > 0)
			memcpy(joined + at, parts[i].ptr, parts[i].len);
	if (at == 0 || at != memo->len || memcmp(joined, memo->parts, at) != 0) {
		blake2b(hash, sizeof(hash), SLICE("row_id/v1"), parts, 2 * (size_t)n);
		memo->id[0] = 'c';
		hex_encode(memo->id + 1, hash, sizeof(hash));
		memcpy(memo->parts, joined, at);
		memo->len = at;
	}
	return memo->id;
}

static void row_id(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	const char *id = hash_id(ctx, n, args);

	if (id != NULL)
		sqlite3_result_text(ctx, id, ROW_ID_LEN, SQLITE_TRANSIENT);
}

static void timed_id(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	uint64_t at = n < 1 ? 0 : (uint64_t)sqlite3_value_int64(args[0]);
	const char *id = hash_id(ctx, n - 1, args + 1);
	char timed[ROW_ID_LEN];

	if (id == NULL)
		return;
	memcpy(timed, id, sizeof(timed));
	for (int i = TIMED_DIGITS; i > 0; i--, at >>= 4)
		timed[i] = "0123456789abcdef"[at & 15];
	sqlite3_result_text(ctx, timed, sizeof(timed), SQLITE_TRANSIENT);
}

#define LATEST_SHORT 256

/* Sixteen digits of time, then the value: the greater text is the later value. */
static void latest_put(char *text, sqlite3_int64 at, struct slice value)
{
	at = at < 0 ? 0 : at;
	for (int i = LATEST_DIGITS - 1; i >= 0; i--, at /= 10)
		text[i] = (char)('0' + at % 10);
	if (value.len > 0)
		memcpy(text + LATEST_DIGITS, value.ptr, value.len);
}

static void latest(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	sqlite3_int64 at = sqlite3_value_int64(args[0]);
	struct slice value = text_of(args[1]);
	int len = (int)value.len;
	char brief[LATEST_DIGITS + LATEST_SHORT], *text;

	(void)n;
	if (value.ptr == NULL) {
		sqlite3_result_text(ctx, "", 0, SQLITE_STATIC);
		return;
	}
	if (len <= LATEST_SHORT) { /* SQLite copies into memory it keeps for the register; cheaper than an allocation */
		latest_put(brief, at, value);
		sqlite3_result_text(ctx, brief, LATEST_DIGITS + len, SQLITE_TRANSIENT);
		return;
	}
	text = sqlite3_malloc(LATEST_DIGITS + len);
	if (text == NULL) {
		sqlite3_result_error_nomem(ctx);
		return;
	}
	latest_put(text, at, value);
	sqlite3_result_text(ctx, text, LATEST_DIGITS + len, sqlite3_free);
}

static void effect_id(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct slice texts[3];
	char id[EFFECT_ID_LEN + 1];

	(void)n;
	for (int i = 0; i < 3; i++)
		texts[i] = text_of(args[i]);
	effect_id_make(id, texts[0], texts[1], texts[2]);
	sqlite3_result_text(ctx, id, EFFECT_ID_LEN, SQLITE_TRANSIENT);
}

static const struct {
	const char *name;
	int n_args;
	void (*fn)(sqlite3_context *ctx, int n, sqlite3_value **args);
	size_t memo_len; /* of what it keeps for the connection, zeroed; 0: nothing */
} functions[] = {
	{"row_id", -1, row_id, sizeof(struct row_id_memo)},
	{"timed_id", -1, timed_id, sizeof(struct row_id_memo)},
	{"latest", 2, latest, 0},
	{"effect_id", 3, effect_id, 0},
};

int sqlfn_register(struct sqlite3 *db)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *memo = functions[i].memo_len == 0 ? NULL : calloc(1, functions[i].memo_len);

		if (functions[i].memo_len != 0 && memo == NULL)
			return ERR_NOMEM;
		/* Frees the memo when the connection closes, and when this fails. */
		if (sqlite3_create_function_v2(db, functions[i].name, functions[i].n_args, flags, memo, functions[i].fn,
		    NULL, NULL, memo == NULL ? NULL : free) != SQLITE_OK)
			return ERR_NOMEM;
	}
	return 0;
}
