/*
 * Reading CSV (RFC 4180): records of fields separated by commas, each line one
 * record unless a quoted field goes on behind its end. A quote inside a quoted
 * field is written twice. Lines end with LF or CRLF; a byte order mark in front
 * is passed over, empty lines too. Pure; any thread.
 */
#ifndef LULAB_BASE_CSV_H
#define LULAB_BASE_CSV_H

#include "base/arena.h"
#include "base/slice.h"

struct csv_reader {
	struct slice rest; /* what was not read yet */
	uint64_t line;     /* of the record read last, from 1 */
	uint64_t next_line; /* private */
	bool begun;
};

#define CSV_READER(text) ((struct csv_reader){.rest = (text), .next_line = 1})

/*
 * The next record: 0 with its fields (borrowed from the text, or in the arena where quotes had to be taken out); ERR_END;
 * ERR_TOO_BIG: more than fields_max, and the reader stands behind it; ERR_MALFORMED: a quote where none may be, or one that is not closed, and where
 * the next record begins cannot be told. ERR_NOMEM.
 */
int csv_next(struct csv_reader *r, struct arena *arena, struct slice *ret_fields, size_t fields_max, size_t *ret_n);

#endif
