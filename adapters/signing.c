/* Queries, headers and names of objects in the one form that is signed; and what an answer's status says. */
#include "signing.h"

#include <stdlib.h>

#include "answer_class.h"
#include "base/codec.h"
#include "base/err.h"

const char *answer_class_name(enum answer_class c)
{
	static const char *const names[] = {
		[ANSWER_OK] = "ok",
		[ANSWER_RETRY] = "retry",
		[ANSWER_AFRESH] = "afresh",
		[ANSWER_NOT_READY] = "not_ready",
		[ANSWER_LIMIT] = "limit",
		[ANSWER_DUPLICATE] = "duplicate",
		[ANSWER_UNKNOWN] = "unknown",
		[ANSWER_REFUSED] = "refused",
		[ANSWER_CONFIG] = "configuration",
	};

	return names[c];
}

enum answer_class answer_class_of_status(int status)
{
	if (status >= 200 && status < 300)
		return ANSWER_OK;
	if (status == 401 || status == 403)
		return ANSWER_CONFIG;
	if (status == 429)
		return ANSWER_LIMIT;
	if (status == 408 || status == 425 || status >= 500)
		return ANSWER_RETRY;
	return ANSWER_REFUSED;
}

bool wire_value_ok(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0')
			return false;
	return true;
}

int wire_keep(struct arena *a, struct buf *from, struct slice *ret)
{
	int rc = from->rc;

	if (rc == 0) {
		*ret = arena_dup(a, buf_slice(from));
		rc = ret->ptr == NULL ? ERR_NOMEM : 0;
	}
	buf_wipe(from);
	return rc;
}

static void lower(struct buf *b, size_t from)
{
	for (size_t i = from; i < b->len; i++)
		if (b->ptr[i] >= 'A' && b->ptr[i] <= 'Z')
			b->ptr[i] += 'a' - 'A';
}

static int encoded(struct slice text, bool lower_it, struct arena *a, struct slice *ret)
{
	struct buf b = BUF_INIT(SIGNING_TEXT_MAX);

	percent_encode(&b, text);
	if (lower_it)
		lower(&b, 0);
	return wire_keep(a, &b, ret);
}

static int by_name(const void *x, const void *y)
{
	const struct wire_pair *a = x, *b = y;
	int order = slice_cmp(a->name, b->name);

	return order != 0 ? order : slice_cmp(a->value, b->value);
}

static void sort(struct wire_pair *pairs, size_t n)
{
	if (n > 1)
		qsort(pairs, n, sizeof(*pairs), by_name);
}

static int join(struct buf *out, const struct wire_pair *sorted, size_t n, unsigned flags)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_append_char(out, '&');
		buf_append(out, sorted[i].name);
		if (sorted[i].value.len > 0 || (flags & WIRE_BARE_EMPTY) == 0)
			buf_append_char(out, '=');
		buf_append(out, sorted[i].value);
	}
	return out->rc;
}

int wire_query(struct buf *out, const struct wire_pair *pairs, size_t n, unsigned flags, struct arena *a)
{
	struct wire_pair *sorted = arena_calloc(a, n + 1, sizeof(*sorted));
	int rc = sorted == NULL ? ERR_NOMEM : 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = encoded(pairs[i].name, (flags & WIRE_LOWER_NAMES) != 0, a, &sorted[i].name);
		if (rc == 0)
			rc = encoded(pairs[i].value, false, a, &sorted[i].value);
	}
	if (rc != 0)
		return rc;
	sort(sorted, n);
	return join(out, sorted, n, flags);
}

/* --- headers ------------------------------------------------------------------- */

static int collapse(struct slice value, struct arena *a, struct slice *ret)
{
	struct buf b = BUF_INIT(SIGNING_TEXT_MAX);

	for (size_t i = 0; i < value.len; i++)
		if (i == 0 || value.ptr[i] != ' ' || value.ptr[i - 1] != ' ')
			buf_append_char(&b, value.ptr[i]);
	return wire_keep(a, &b, ret);
}

static int header_form(const struct wire_pair *h, unsigned flags, struct arena *a, struct wire_pair *ret)
{
	struct buf name = BUF_INIT(SIGNING_TEXT_MAX);
	struct slice value = slice_trim(h->value);
	int rc;

	if (h->name.len == 0 || !wire_value_ok(h->name) || !wire_value_ok(h->value))
		return ERR_INVALID;
	if ((flags & WIRE_ENCODE) != 0)
		percent_encode(&name, h->name);
	else
		buf_append(&name, h->name);
	lower(&name, 0);
	rc = wire_keep(a, &name, &ret->name);
	if (rc != 0)
		return rc;
	ret->value = value;
	if ((flags & WIRE_ENCODE) != 0)
		return encoded(value, false, a, &ret->value);
	return (flags & WIRE_COLLAPSE) != 0 ? collapse(value, a, &ret->value) : 0;
}

int wire_headers(struct buf *out, struct buf *names, const struct wire_pair *headers, size_t n, unsigned flags,
    struct arena *a)
{
	struct wire_pair *sorted = arena_calloc(a, n + 1, sizeof(*sorted));
	int rc = sorted == NULL ? ERR_NOMEM : 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = header_form(&headers[i], flags, a, &sorted[i]);
	if (rc != 0)
		return rc;
	sort(sorted, n);
	for (size_t i = 1; i < n; i++)
		if (slice_eq(sorted[i - 1].name, sorted[i].name))
			return ERR_INVALID;
	for (size_t i = 0; i < n && names != NULL; i++) {
		if (i > 0)
			buf_append_char(names, ';');
		buf_append(names, sorted[i].name);
	}
	if (names != NULL && names->rc != 0)
		return names->rc;
	if (out == NULL)
		return 0;
	if ((flags & WIRE_ENCODE) != 0)
		return join(out, sorted, n, flags);
	for (size_t i = 0; i < n; i++) {
		buf_append(out, sorted[i].name);
		buf_append_char(out, ':');
		buf_append(out, sorted[i].value);
		buf_append_char(out, '\n');
	}
	return out->rc;
}

bool wire_header(const struct wire_pair *headers, size_t n, const char *name, struct slice *ret_value)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_eq_nocase(headers[i].name, slice_str(name))) {
			*ret_value = slice_trim(headers[i].value);
			return true;
		}
	}
	return false;
}

/* --- names of objects, digests -------------------------------------------------- */

int wire_object_path(struct buf *out, struct slice object)
{
	struct slice rest = object, segment;
	bool more = object.len > 0;

	if (object.len == 0 || (object.len > 0 && memchr(object.ptr, '\0', object.len) != NULL))
		return ERR_INVALID;
	while (more) {
		more = slice_cut(rest, '/', &segment, &rest);
		if (slice_is(segment, ".") || slice_is(segment, ".."))
			return ERR_INVALID;
		buf_append_char(out, '/');
		percent_encode(out, segment);
	}
	return out->rc;
}

void wire_sha256_hex(char ret[HEX_SHA256_LEN + 1], struct slice text)
{
	uint8_t digest[SHA256_LEN];

	sha256(digest, &text, 1);
	hex_encode(ret, digest, sizeof(digest));
}

void wire_hmac_sha256_hex(char ret[HEX_SHA256_LEN + 1], struct slice key, struct slice text)
{
	uint8_t digest[SHA256_LEN];

	hmac_sha256(digest, key, &text, 1);
	hex_encode(ret, digest, sizeof(digest));
}
