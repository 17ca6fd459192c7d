/* Request ids and W3C trace context (traceparent, version 00). */
#include "base/codec.h"
#include "net/http_internal.h"

#define REQUEST_ID_MAX 128

bool request_id_sane(struct slice id)
{
	if (id.len == 0 || id.len > REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
			    c == '_' || c == '.' || c == ':'))
			return false;
	}
	return true;
}

/* So many lower-case digits, not all of them zero. */
static bool is_id(const char *text, size_t len)
{
	bool zero = true;

	for (size_t i = 0; i < len; i++) {
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
		zero = zero && text[i] == '0';
	}
	return !zero;
}

/* "00-<32>-<16>-<2>"; a later version may carry more after that. */
static bool traceparent_ok(struct slice t)
{
	uint8_t version, flags;

	if (t.len < 55 || t.ptr[2] != '-' || t.ptr[35] != '-' || t.ptr[52] != '-')
		return false;
	if (hex_decode(&version, 1, slice_of(t.ptr, 2)) != 0 || hex_decode(&flags, 1, slice_of(t.ptr + 53, 2)) != 0)
		return false;
	if (version == 0xff || (version == 0 && t.len != 55) || (t.len > 55 && t.ptr[55] != '-'))
		return false;
	return is_id(t.ptr + 3, 32) && is_id(t.ptr + 36, 16);
}

void trace_take(struct http_request *rq, struct http_loop *l, struct slice traceparent)
{
	uint8_t random[24], flags;

	loop_random(l, random, sizeof(random));
	random[16] |= 1; /* ids of zeros only are invalid */
	hex_encode(rq->span_id, random + 16, 8);
	if (traceparent_ok(traceparent)) {
		memcpy(rq->trace_id, traceparent.ptr + 3, 32);
		memcpy(rq->parent_span_id, traceparent.ptr + 36, 16);
		hex_decode(&flags, 1, slice_of(traceparent.ptr + 53, 2));
		rq->trace_sampled = flags & 1;
		return;
	}
	random[0] |= 1;
	hex_encode(rq->trace_id, random, 16);
	rq->parent_span_id[0] = '\0';
}
