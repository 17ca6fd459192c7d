/*
 * Fuzz entry: bytes as frames of Feishu's long connection, one after the other, each
 * with its length in two bytes in front (what is left over is the last one). What is read lies within the
 * bytes and reads the same after it was written; what is put together is as long as its
 * pieces, and nothing waits beyond its ceiling.
 */
#include "fuzz.h"
#include "lark_frames.h"

#include "base/err.h"

static void check_inside(struct slice part, struct slice whole)
{
	check(part.ptr == NULL || inside(part, whole));
}

static bool same(struct slice a, struct slice b)
{
	return (a.ptr == NULL) == (b.ptr == NULL) && slice_eq(a, b);
}

static void check_round_trip(const struct lark_frame *f)
{
	struct buf out = BUF_INIT(2 * LARK_FRAME_MAX);
	struct lark_frame back;

	check(lark_frame_encode(&out, f) == 0);
	check(lark_frame_decode(buf_slice(&out), &back) == 0);
	check(back.seq_id == f->seq_id && back.log_id == f->log_id && back.service == f->service && back.method == f->method);
	check(back.n_headers == f->n_headers && same(back.payload, f->payload) && same(back.log_id_new, f->log_id_new) &&
	    same(back.payload_type, f->payload_type) && same(back.payload_encoding, f->payload_encoding));
	for (size_t i = 0; i < f->n_headers; i++)
		check(slice_eq(back.headers[i].key, f->headers[i].key) && slice_eq(back.headers[i].value, f->headers[i].value));
	buf_clear(&out);
	check(lark_ack(&out, f, true, 5) == (f->n_headers == LARK_HEADERS_MAX ? ERR_TOO_BIG : 0));
	buf_finish(&out);
}

static void try_frame(struct lark_splits *splits, struct slice bytes, int64_t now_ms)
{
	struct buf whole = BUF_INIT(2 * LARK_SPLIT_BYTES_MAX);
	struct lark_frame f;
	bool complete;
	int rc = lark_frame_decode(bytes, &f);

	check(rc == 0 || rc == ERR_MALFORMED || rc == ERR_TOO_BIG);
	if (rc != 0)
		return;
	check(f.n_headers <= LARK_HEADERS_MAX);
	for (size_t i = 0; i < f.n_headers; i++) {
		check_inside(f.headers[i].key, bytes);
		check_inside(f.headers[i].value, bytes);
	}
	check_inside(f.payload, bytes);
	check_inside(f.payload_type, bytes);
	check_inside(f.payload_encoding, bytes);
	check_inside(f.log_id_new, bytes);
	check_round_trip(&f);
	rc = lark_splits_add(splits, &f, now_ms, &whole, &complete);
	check(rc == 0 || rc == ERR_INVALID || rc == ERR_TOO_BIG);
	check(rc == 0 || !complete);
	check(complete || whole.len == 0);
	check(splits->n <= LARK_SPLITS_MAX && splits->bytes <= 2 * LARK_SPLIT_BYTES_MAX);
	buf_finish(&whole);
}

void fuzz_one(struct slice input)
{
	struct lark_splits splits = {0};
	int64_t now_ms = 0;

	while (input.len > 0) {
		size_t len = input.len;
		char *copy;

		if (input.len >= 2) {
			const uint8_t *at = (const uint8_t *)input.ptr;
			size_t told = at[0] | (size_t)at[1] << 8;

			input = slice_of(input.ptr + 2, input.len - 2);
			len = told < input.len ? told : input.len;
			now_ms += told & 0x1f00; /* now and then long enough for what waits to be old */
		}
		copy = fuzz_copy(slice_of(input.ptr, len));
		try_frame(&splits, slice_of(copy, len), now_ms);
		free(copy);
		input = slice_of(input.ptr + len, input.len - len);
	}
	lark_splits_finish(&splits);
	check(splits.bytes == 0);
}
