/* Growing buffers under a ceiling, with the first failure kept. */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "base/err.h"

#define CAP_MIN ((size_t)64)

void buf_finish(struct buf *b)
{
	free(b->ptr);
	*b = (struct buf)BUF_INIT(b->max);
}

void buf_wipe(struct buf *b)
{
	if (b->ptr != NULL)
		sodium_memzero(b->ptr, b->cap);
	buf_finish(b);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->rc = 0;
	if (b->ptr != NULL)
		b->ptr[0] = '\0';
}

static int grow(struct buf *b, size_t len);

/* Room for len more bytes and the NUL; the usual case without a call. The ceiling may have been lowered. */
static inline int make_room(struct buf *b, size_t len)
{
	return b->rc == 0 && len < b->cap - b->len && b->len + len <= b->max ? 0 : grow(b, len);
}

static int grow(struct buf *b, size_t len)
{
	size_t need, cap;
	char *ptr;

	if (b->rc != 0)
		return b->rc;
	if (len > b->max - b->len || b->len > b->max)
		return b->rc = ERR_TOO_BIG;
	need = b->len + len + 1;
	if (need <= b->cap)
		return 0;
	cap = b->cap < CAP_MIN ? CAP_MIN : b->cap;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (b->max < SIZE_MAX && cap > b->max + 1)
		cap = b->max + 1;
	ptr = realloc(b->ptr, cap);
	if (ptr == NULL)
		return b->rc = ERR_NOMEM;
	b->ptr = ptr;
	b->cap = cap;
	return 0;
}

int buf_append(struct buf *b, struct slice bytes)
{
	if (bytes.len == 0 || make_room(b, bytes.len) != 0)
		return b->rc;
	memcpy(b->ptr + b->len, bytes.ptr, bytes.len);
	b->len += bytes.len;
	b->ptr[b->len] = '\0';
	return 0;
}

int buf_append_str(struct buf *b, const char *text)
{
	return buf_append(b, slice_str(text));
}

int buf_append_char(struct buf *b, char c)
{
	if (make_room(b, 1) != 0)
		return b->rc;
	b->ptr[b->len++] = c;
	b->ptr[b->len] = '\0';
	return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(b, format, args);
	va_end(args);
	return b->rc;
}

int buf_vprintf(struct buf *b, const char *format, va_list args)
{
	size_t room = b->cap - b->len;
	va_list again;
	int len;

	/* Where it fits what is there, once is enough. */
	va_copy(again, args);
	len = vsnprintf(room > 0 ? b->ptr + b->len : NULL, room, format, again);
	va_end(again);
	if (len < 0 && b->rc == 0)
		b->rc = ERR_INVALID;
	if (len > 0 && make_room(b, (size_t)len) == 0) {
		if ((size_t)len >= room)
			vsnprintf(b->ptr + b->len, (size_t)len + 1, format, args);
		b->len += (size_t)len;
	}
	if (b->ptr != NULL)
		b->ptr[b->len] = '\0';
	return b->rc;
}

char *buf_reserve(struct buf *b, size_t len)
{
	if (make_room(b, len) != 0)
		return NULL;
	return b->ptr + b->len;
}

void buf_commit(struct buf *b, size_t len)
{
	assert(b->ptr != NULL && len < b->cap - b->len);
	b->len += len;
	b->ptr[b->len] = '\0';
}

void buf_consume(struct buf *b, size_t len)
{
	assert(len <= b->len);
	if (len == 0)
		return;
	memmove(b->ptr, b->ptr + len, b->len - len);
	b->len -= len;
	b->ptr[b->len] = '\0';
}

char *buf_take(struct buf *b, size_t *ret_len)
{
	char *ptr = b->len == 0 ? NULL : b->ptr;

	if (ret_len != NULL)
		*ret_len = b->len;
	if (ptr != NULL)
		b->ptr = NULL;
	buf_finish(b);
	return ptr;
}
