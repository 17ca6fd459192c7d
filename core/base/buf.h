/*
 * A growing byte buffer with a ceiling. Anything that grows on someone else's
 * say-so names its ceiling where it is created: BUF_INIT(WEBHOOK_BODY_MAX).
 *
 * The first failure sticks in `rc` and turns later appends into no-ops, so a
 * writer may append many times and look once. Bytes are always followed by a
 * NUL that is not counted, so that ptr can be handed to C library calls.
 */
#ifndef LULAB_BASE_BUF_H
#define LULAB_BASE_BUF_H

#include <stdarg.h>

#include "slice.h"

struct buf {
	char *ptr; /* NULL until something is appended */
	size_t len;
	size_t cap;
	size_t max; /* len never passes this */
	int rc;     /* first failure, or 0: ERR_TOO_BIG, ERR_NOMEM */
};

#define BUF_INIT(len_max) {.max = (len_max)}
/* Over an array of the caller's: it never grows, and is neither finished nor taken. For what is short and made often. */
#define BUF_OVER(array) {.ptr = (array), .cap = sizeof(array), .max = sizeof(array) - 1}

/* Frees the bytes; the buffer is as after BUF_INIT(same max). Accepts a zeroed one. */
void buf_finish(struct buf *b);

/* Overwrites the bytes before freeing them; for keys and tokens. */
void buf_wipe(struct buf *b);

/* Length 0 and rc 0; keeps the memory. */
void buf_clear(struct buf *b);

/* All return b->rc after the call. */
int buf_append(struct buf *b, struct slice bytes);
int buf_append_str(struct buf *b, const char *text);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Room for len more bytes; NULL on failure (rc set). Write there, then buf_commit() what was used. */
char *buf_reserve(struct buf *b, size_t len);
void buf_commit(struct buf *b, size_t len);

/* Removes the first len bytes (len <= b->len). */
void buf_consume(struct buf *b, size_t len);

/* Hands the bytes over to the caller, who frees them with free(); the buffer is empty again. NULL when empty. */
char *buf_take(struct buf *b, size_t *ret_len);

static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->ptr, b->len};
}

#endif
