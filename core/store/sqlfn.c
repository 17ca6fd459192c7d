/* See sqlfn.h. */
#include "store/sqlfn.h"

#include <sqlite3.h>

#include "base/codec.h"
#include "base/err.h"
#include "crypto/crypto.h"

#define ROW_ID_BYTES 12
#define ROW_ID_PARTS_MAX 8

/* Length and text of each part, so that ("a", "bc") and ("ab", "c") differ; 0xff.. stands for NULL. */
static void row_id(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct slice parts[2 * ROW_ID_PARTS_MAX];
	uint8_t lens[ROW_ID_PARTS_MAX][4], hash[ROW_ID_BYTES];
	char text[1 + 2 * ROW_ID_BYTES + 1];

	if (n < 1 || n > ROW_ID_PARTS_MAX) {
		sqlite3_result_error(ctx, "row_id() takes 1 to 8 arguments", -1);
		return;
	}
	for (int i = 0; i < n; i++) {
		const unsigned char *part = sqlite3_value_text(args[i]);
		uint32_t len = part == NULL ? UINT32_MAX : (uint32_t)sqlite3_value_bytes(args[i]);

		for (int k = 0; k < 4; k++)
			lens[i][k] = (uint8_t)(len >> (24 - 8 * k));
		parts[2 * i] = slice_of(lens[i], 4);
		parts[2 * i + 1] = slice_of(part, part == NULL ? 0 : len);
	}
	blake2b(hash, sizeof(hash), SLICE("row_id/v1"), parts, 2 * (size_t)n);
	text[0] = 'c';
	hex_encode(text + 1, hash, sizeof(hash));
	sqlite3_result_text(ctx, text, sizeof(text) - 1, SQLITE_TRANSIENT);
}

#define LATEST_DIGITS 16

static void latest(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	sqlite3_int64 at = sqlite3_value_int64(args[0]);
	const unsigned char *value = sqlite3_value_text(args[1]);
	int len = sqlite3_value_bytes(args[1]);
	char *text;

	(void)n;
	if (value == NULL) {
		sqlite3_result_text(ctx, "", 0, SQLITE_STATIC);
		return;
	}
	text = sqlite3_malloc(LATEST_DIGITS + len + 1);
	if (text == NULL) {
		sqlite3_result_error_nomem(ctx);
		return;
	}
	at = at < 0 ? 0 : at;
	for (int i = LATEST_DIGITS - 1; i >= 0; i--, at /= 10)
		text[i] = (char)('0' + at % 10);
	memcpy(text + LATEST_DIGITS, value, (size_t)len);
	text[LATEST_DIGITS + len] = '\0';
	sqlite3_result_text(ctx, text, LATEST_DIGITS + len, sqlite3_free);
}

static const struct {
	const char *name;
	int n_args;
	void (*fn)(sqlite3_context *ctx, int n, sqlite3_value **args);
} functions[] = {
	{"row_id", -1, row_id},
	{"latest", 2, latest},
};

int sqlfn_register(struct sqlite3 *db)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		int rc = sqlite3_create_function_v2(db, functions[i].name, functions[i].n_args, flags, NULL, functions[i].fn,
		    NULL, NULL, NULL);

		if (rc != SQLITE_OK)
			return ERR_NOMEM;
	}
	return 0;
}
