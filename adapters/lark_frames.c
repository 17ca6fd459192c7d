/* Protobuf frames of Feishu's long connection, and messages put together from their pieces. */
#include "lark_frames.h"

#include <assert.h>
#include <stdlib.h>

#include "base/planted.h"
#include "wire_json.h"

enum wire_type { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/* --- reading ------------------------------------------------------------------------------- */

static int take_varint(struct slice *rest, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 10 && i < rest->len; i++) {
		uint8_t byte = (uint8_t)rest->ptr[i];

		if (i == 9 && byte > 1)
			return ERR_MALFORMED; /* beyond 64 bits */
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*rest = slice_of(rest->ptr + i + 1, rest->len - i - 1);
			*ret = value;
			return 0;
		}
	}
	return ERR_MALFORMED;
}

static int take_bytes(struct slice *rest, size_t len, struct slice *ret)
{
	if (len > rest->len + (PLANTED(frame_overread) ? 1 : 0))
		return ERR_MALFORMED;
	*ret = slice_of(rest->ptr, len);
	*rest = slice_of(rest->ptr + len, rest->len - len);
	return 0;
}

struct field {
	uint64_t number;
	unsigned type;
	uint64_t value;
	struct slice bytes;
};

static int take_field(struct slice *rest, struct field *f)
{
	uint64_t tag = 0, len = 0;
	int rc = take_varint(rest, &tag);

	*f = (struct field){0};
	if (rc != 0)
		return rc;
	f->number = tag >> 3;
	f->type = tag & 7;
	if (f->number == 0 || f->number > 0x1fffffff)
		return ERR_MALFORMED;
	switch (f->type) {
	case VARINT:
		return take_varint(rest, &f->value);
	case FIXED64:
		return take_bytes(rest, 8, &f->bytes);
	case FIXED32:
		return take_bytes(rest, 4, &f->bytes);
	case BYTES:
		rc = take_varint(rest, &len);
		if (rc != 0 || len > LARK_FRAME_MAX)
			return ERR_MALFORMED;
		return take_bytes(rest, (size_t)len, &f->bytes);
	default: /* groups: nobody has sent one for fifteen years */
		return ERR_MALFORMED;
	}
}

static int decode_header(struct slice bytes, struct lark_header *ret)
{
	struct lark_header h = {0};
	struct field f;

	while (bytes.len > 0) {
		if (take_field(&bytes, &f) != 0)
			return ERR_MALFORMED;
		if (f.number > 2)
			continue;
		if (f.type != BYTES)
			return ERR_MALFORMED;
		*(f.number == 1 ? &h.key : &h.value) = f.bytes;
	}
	if (h.key.ptr == NULL || h.value.ptr == NULL)
		return ERR_MALFORMED;
	*ret = h;
	return 0;
}

static int decode_field(const struct field *f, struct lark_frame *frame, unsigned *seen)
{
	if (f->number > 9)
		return 0;
	if (f->type != (f->number <= 4 ? VARINT : BYTES))
		return ERR_MALFORMED;
	*seen |= 1u << f->number;
	switch (f->number) {
	case 1:
		frame->seq_id = f->value;
		break;
	case 2:
		frame->log_id = f->value;
		break;
	case 3:
		frame->service = (int32_t)(uint32_t)f->value;
		break;
	case 4:
		frame->method = (int32_t)(uint32_t)f->value;
		break;
	case 5:
		if (frame->n_headers == LARK_HEADERS_MAX)
			return ERR_TOO_BIG;
		return decode_header(f->bytes, &frame->headers[frame->n_headers++]);
	case 6:
		frame->payload_encoding = f->bytes;
		break;
	case 7:
		frame->payload_type = f->bytes;
		break;
	case 8:
		frame->payload = f->bytes;
		break;
	case 9:
		frame->log_id_new = f->bytes;
		break;
	}
	return 0;
}

int lark_frame_decode(struct slice bytes, struct lark_frame *ret)
{
	const unsigned required = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4;
	struct lark_frame frame = {0};
	unsigned seen = 0;
	struct field f;
	int rc = 0;

	if (bytes.len > LARK_FRAME_MAX)
		return ERR_TOO_BIG;
	while (rc == 0 && bytes.len > 0) {
		rc = take_field(&bytes, &f);
		if (rc == 0)
			rc = decode_field(&f, &frame, &seen);
	}
	if (rc == 0 && (seen & required) != required)
		rc = ERR_MALFORMED;
	if (rc == 0)
		*ret = frame;
	return rc;
}

struct slice lark_frame_header(const struct lark_frame *f, const char *key)
{
	for (size_t i = 0; i < f->n_headers; i++)
		if (slice_is(f->headers[i].key, key))
			return f->headers[i].value;
	return (struct slice){0};
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_varint(struct buf *out, uint64_t value)
{
	while (value >= 0x80) {
		buf_append_char(out, (char)(uint8_t)(value | 0x80));
		value >>= 7;
	}
	buf_append_char(out, (char)value);
}

static void put_number(struct buf *out, unsigned number, uint64_t value)
{
	put_varint(out, number << 3 | VARINT);
	put_varint(out, value);
}

static void put_bytes(struct buf *out, unsigned number, struct slice bytes)
{
	put_varint(out, number << 3 | BYTES);
	put_varint(out, bytes.len);
	buf_append(out, bytes);
}

static size_t varint_len(uint64_t value)
{
	size_t n = 1;

	for (; value >= 0x80; value >>= 7)
		n++;
	return n;
}

static void put_header(struct buf *out, const struct lark_header *h)
{
	put_varint(out, 5 << 3 | BYTES);
	put_varint(out, 2 + varint_len(h->key.len) + h->key.len + varint_len(h->value.len) + h->value.len);
	put_bytes(out, 1, h->key);
	put_bytes(out, 2, h->value);
}

int lark_frame_encode(struct buf *out, const struct lark_frame *f)
{
	put_number(out, 1, f->seq_id);
	put_number(out, 2, f->log_id);
	put_number(out, 3, (uint64_t)(int64_t)f->service); /* negative ones take ten bytes, as the format says */
	put_number(out, 4, (uint64_t)(int64_t)f->method);
	for (size_t i = 0; i < f->n_headers; i++)
		put_header(out, &f->headers[i]);
	if (f->payload_encoding.ptr != NULL)
		put_bytes(out, 6, f->payload_encoding);
	if (f->payload_type.ptr != NULL)
		put_bytes(out, 7, f->payload_type);
	if (f->payload.ptr != NULL)
		put_bytes(out, 8, f->payload);
	if (f->log_id_new.ptr != NULL)
		put_bytes(out, 9, f->log_id_new);
	return out->rc;
}

int lark_ping(struct buf *out, int32_t service)
{
	struct lark_frame f = {.service = service, .method = LARK_CONTROL, .n_headers = 1,
	    .headers = {{SLICE("type"), SLICE("ping")}}};

	return lark_frame_encode(out, &f);
}

int lark_ack(struct buf *out, const struct lark_frame *f, bool taken, int64_t biz_rt_ms)
{
	struct lark_frame ack = *f;
	char digits[U64_TEXT_MAX];

	if (ack.n_headers == LARK_HEADERS_MAX)
		return ERR_TOO_BIG;
	ack.headers[ack.n_headers++] = (struct lark_header){SLICE("biz_rt"),
	    u64_format(digits, biz_rt_ms < 0 ? 0 : (uint64_t)biz_rt_ms)};
	ack.payload = taken ? SLICE("{\"code\":200}") : SLICE("{\"code\":500}");
	return lark_frame_encode(out, &ack);
}

/* --- pieces --------------------------------------------------------------------------------------- */

static void drop(struct lark_splits *s, unsigned at)
{
	struct lark_split *one = &s->items[at];

	s->bytes -= one->message_id.len;
	free((char *)one->message_id.ptr);
	for (unsigned i = 0; i < one->sum; i++) {
		s->bytes -= one->pieces[i].len;
		free((char *)one->pieces[i].ptr);
	}
	*one = s->items[--s->n];
	s->items[s->n] = (struct lark_split){0};
}

void lark_splits_finish(struct lark_splits *s)
{
	while (s->n > 0)
		drop(s, s->n - 1);
	assert(s->bytes == 0);
}

static int copy(struct lark_splits *s, struct slice bytes, struct slice *ret)
{
	char *mine = malloc(bytes.len + 1);

	if (mine == NULL)
		return ERR_NOMEM;
	if (bytes.len > 0)
		memcpy(mine, bytes.ptr, bytes.len);
	*ret = slice_of(mine, bytes.len);
	s->bytes += bytes.len;
	return 0;
}

static void forget_old(struct lark_splits *s, int64_t now_ms)
{
	for (unsigned i = s->n; i-- > 0;)
		if (now_ms - s->items[i].begun_ms > LARK_SPLIT_AGE_MS)
			drop(s, i);
}

/* The message of that id, made when there is none. */
static int find(struct lark_splits *s, struct slice id, unsigned sum, int64_t now_ms, unsigned *ret_at)
{
	unsigned oldest = 0;
	int rc;

	for (unsigned i = 0; i < s->n; i++) {
		if (slice_eq(s->items[i].message_id, id)) {
			*ret_at = i;
			return s->items[i].sum == sum ? 0 : ERR_INVALID;
		}
		if (s->items[i].begun_ms < s->items[oldest].begun_ms)
			oldest = i;
	}
	if (s->n == LARK_SPLITS_MAX)
		drop(s, oldest);
	s->items[s->n] = (struct lark_split){.sum = sum, .begun_ms = now_ms};
	rc = copy(s, id, &s->items[s->n].message_id);
	if (rc == 0)
		*ret_at = s->n++;
	return rc;
}

static bool small_number(struct slice text, uint64_t max, unsigned *ret)
{
	uint64_t value;

	if (slice_to_u64(text, &value) != 0 || value > max)
		return false;
	*ret = (unsigned)value;
	return true;
}

int lark_splits_add(struct lark_splits *s, const struct lark_frame *f, int64_t now_ms, struct buf *out, bool *ret_complete)
{
	struct slice id = lark_frame_header(f, "message_id");
	struct lark_split *one;
	unsigned sum, seq, at;
	int rc;

	*ret_complete = false;
	forget_old(s, now_ms);
	if (id.len == 0 || !small_number(lark_frame_header(f, "sum"), LARK_SPLIT_PIECES_MAX, &sum) || sum == 0 ||
	    !small_number(lark_frame_header(f, "seq"), sum - 1, &seq))
		return ERR_INVALID;
	if (sum == 1) {
		*ret_complete = true;
		return buf_append(out, f->payload);
	}
	rc = find(s, id, sum, now_ms, &at);
	if (rc != 0)
		return rc;
	one = &s->items[at];
	if (one->has[seq])
		return 0; /* sent twice */
	if (s->bytes + f->payload.len > LARK_SPLIT_BYTES_MAX) {
		drop(s, at);
		return ERR_TOO_BIG;
	}
	rc = copy(s, f->payload, &one->pieces[seq]);
	if (rc != 0)
		return rc;
	one->has[seq] = true;
	if (++one->have < sum)
		return 0;
	for (unsigned i = 0; i < sum; i++)
		rc = buf_append(out, one->pieces[i]);
	drop(s, at);
	*ret_complete = rc == 0;
	return rc;
}

/* --- where to connect --------------------------------------------------------------------------------- */

static void adopt(struct json_value v, const char *name, int64_t min, int64_t max, struct arena *a, int64_t *value)
{
	int64_t told = wire_int(v, name, min - 1, a);

	if (told >= min && told <= max)
		*value = told;
}

static void adopt_config(struct json_value v, struct arena *a, struct lark_client_config *config)
{
	const int64_t day_s = 86400;

	adopt(v, "ReconnectCount", -1, 1000000, a, &config->reconnect_count);
	adopt(v, "ReconnectInterval", 1, day_s, a, &config->reconnect_interval_s);
	adopt(v, "ReconnectNonce", 0, day_s, a, &config->reconnect_nonce_s);
	adopt(v, "PingInterval", 1, day_s, a, &config->ping_interval_s);
}

int lark_client_config_parse(struct slice json, struct arena *a, struct lark_client_config *config)
{
	struct json_value root;
	int rc = wire_json_root(json, JSON_OBJECT, a, &root);

	if (rc == 0)
		adopt_config(root, a, config);
	return rc;
}

int lark_body_endpoint(struct buf *out, struct slice app_id, struct slice app_secret)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	json_name(&w, "AppID");
	json_put_string(&w, app_id);
	json_name(&w, "AppSecret");
	json_put_string(&w, app_secret);
	json_end_object(&w);
	return out->rc;
}

static bool service_of(struct slice url, int32_t *ret)
{
	struct slice path, rest, one, name, value;
	int64_t id;

	slice_cut(url, '?', &path, &rest);
	while (rest.len > 0) {
		slice_cut(rest, '&', &one, &rest);
		slice_cut(one, '=', &name, &value);
		if (slice_is(name, "service_id") && slice_to_i64(value, &id) == 0 && id >= INT32_MIN && id <= INT32_MAX) {
			*ret = (int32_t)id;
			return true;
		}
	}
	return false;
}

static bool url_ok(struct slice url)
{
	for (size_t i = 0; i < url.len; i++)
		if (url.ptr[i] <= ' ' || url.ptr[i] > '~')
			return false;
	return slice_starts_with(url, SLICE("wss://")) || slice_starts_with(url, SLICE("ws://"));
}

int lark_endpoint_parse(int status, struct slice body, struct arena *a, struct lark_endpoint *ret, enum answer_class *ret_is)
{
	struct lark_endpoint e = {.config = {-1, 120, 30, 120}};
	struct json_value root, data, config;
	int64_t code;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc == ERR_NOMEM)
		return rc;
	*ret_is = ANSWER_RETRY; /* what is not understood comes from in between */
	code = rc == 0 ? wire_int(root, "code", -1, a) : -1;
	if (code == 403 || code == 514 || code == 1000040350 || (code == -1 && (status == 401 || status == 403)))
		*ret_is = ANSWER_CONFIG;
	if (code != 0 || !wire_member(root, "data", JSON_OBJECT, &data))
		return 0;
	e.url = wire_text(data, "URL", a);
	if (!url_ok(e.url) || !service_of(e.url, &e.service))
		return 0;
	if (wire_member(data, "ClientConfig", JSON_OBJECT, &config))
		adopt_config(config, a, &e.config);
	*ret = e;
	*ret_is = ANSWER_OK;
	return 0;
}
