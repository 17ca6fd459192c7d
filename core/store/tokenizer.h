/*
 * The FTS5 tokenizer "lulab": how titles and names become searchable words.
 *
 * Text is folded first: compatibility forms, width and case (utf8proc), and the
 * accents of Latin, Greek and Cyrillic letters dropped. Then
 *
 *   letters and digits of most scripts   one token for each run: "budget", "q3"
 *   Han, Hiragana, Katakana, Hangul      each character, and each pair of
 *                                        neighbours, so that two-character
 *                                        words are found and ordered phrases match
 *   everything else                      separates
 *
 * A query for a run of two or more such characters asks for its pairs only,
 * side by side; for a single one it asks for the character.
 */
#ifndef LULAB_STORE_TOKENIZER_H
#define LULAB_STORE_TOKENIZER_H

#include "base/buf.h"

struct sqlite3;

/* Makes the tokenizer known to a connection. ERR_NOMEM, ERR_UNSUPPORTED (SQLite without FTS5). */
int tokenizer_register(struct sqlite3 *db);

/*
 * What a person typed as a JSON array of FTS5 expressions, one a word, all of
 * which must be found: `预算 Bud` -> ["\"预算\"","\"Bud\"*"]. Words without a
 * letter or digit are left out; nothing left gives []. Text must be UTF-8.
 */
int tokenizer_query(struct buf *out, struct slice typed);

#endif
