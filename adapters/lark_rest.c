/* Feishu's REST interface: what its codes mean, tokens, Bitable, messages. */
#include "lark_wire.h"

#include <math.h>

#include "base/codec.h"
#include "wire_json.h"

/* --- codes ---------------------------------------------------------------------------------- */

static const struct { int64_t first, last; enum answer_class is; } codes[] = {
	{0, 0, ANSWER_OK},
	{99991400, 99991400, ANSWER_RETRY}, /* rate: x-ogw-ratelimit-reset says how long */
	{99991663, 99991663, ANSWER_AFRESH},
	{99991665, 99991665, ANSWER_AFRESH},
	{99991671, 99991671, ANSWER_AFRESH},
	{99991661, 99991661, ANSWER_AFRESH},
	{99991668, 99991668, ANSWER_AFRESH},
	{99991672, 99991672, ANSWER_CONFIG}, /* scope */
	{99991679, 99991679, ANSWER_CONFIG},
	{99991676, 99991676, ANSWER_CONFIG},
	{99991401, 99991401, ANSWER_CONFIG}, /* our address */
	{99991403, 99991403, ANSWER_LIMIT},  /* of the month */
	{99991662, 99991662, ANSWER_CONFIG}, /* app disabled */
	{99991673, 99991673, ANSWER_CONFIG},
	{99991543, 99991543, ANSWER_CONFIG}, /* id or secret */
	{10003, 10003, ANSWER_CONFIG},
	{10005, 10005, ANSWER_CONFIG},
	{10012, 10014, ANSWER_CONFIG},
	{1500, 1500, ANSWER_RETRY},
	{2200, 2200, ANSWER_RETRY},
	{1254290, 1254291, ANSWER_RETRY}, /* too many; another write to the table */
	{1254607, 1254607, ANSWER_RETRY},
	{1254608, 1254608, ANSWER_DUPLICATE},
	{1255001, 1255005, ANSWER_RETRY}, /* with the same client_token */
	{1255040, 1255040, ANSWER_RETRY},
	{1255006, 1255006, ANSWER_REFUSED},
	{1254036, 1254036, ANSWER_NOT_READY}, /* the base is being copied */
	{1254027, 1254027, ANSWER_CONFIG},
	{1254301, 1254306, ANSWER_CONFIG},
	{1254000, 1254130, ANSWER_REFUSED},
	{121001, 121001, ANSWER_RETRY},
	{121002, 121005, ANSWER_REFUSED},
	{122001, 122002, ANSWER_REFUSED},
	{124002, 124002, ANSWER_NOT_READY}, /* recording */
	{2091003, 2091003, ANSWER_NOT_READY}, /* minutes */
	{2091006, 2091006, ANSWER_RETRY},
	{2091001, 2091005, ANSWER_REFUSED},
	{230020, 230020, ANSWER_RETRY},
	{230049, 230049, ANSWER_RETRY}, /* being sent; the uuid keeps it one */
};

static bool find_code(int64_t code, enum answer_class *ret)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (code >= codes[i].first && code <= codes[i].last) {
			*ret = codes[i].is;
			return true;
		}
	}
	return false;
}

enum answer_class lark_code_class(int64_t code)
{
	enum answer_class is;

	return find_code(code, &is) ? is : ANSWER_REFUSED;
}

int lark_answer_parse(int status, struct slice body, struct arena *a, struct lark_answer *ret)
{
	struct lark_answer answer = {.message = SLICE(""), .log_id = SLICE("")};
	struct json_value root, error;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc == ERR_NOMEM)
		return rc;
	answer.is = answer_class_of_status(status);
	answer.code = rc == 0 ? wire_int(root, "code", -1, a) : -1;
	if (answer.code == -1) {
		answer.code = 0;
		if (answer.is == ANSWER_OK)
			answer.is = ANSWER_UNKNOWN; /* a page of something in between */
	} else if (!find_code(answer.code, &answer.is)) {
		answer.is = status >= 500 ? ANSWER_RETRY : ANSWER_REFUSED;
	}
	if (rc == 0) {
		answer.message = wire_text(root, "msg", a);
		if (wire_member(root, "error", JSON_OBJECT, &error))
			answer.log_id = wire_text(error, "log_id", a);
		if (!wire_member(root, "data", JSON_OBJECT, &answer.data))
			answer.data = (struct json_value){0};
	}
	*ret = answer;
	return 0;
}

int64_t lark_reset_ms(struct slice header)
{
	const int64_t hour = 3600000;
	struct slice whole, fraction;
	int64_t ms, s = 0, unit = 100;

	header = slice_trim(header);
	slice_cut(header, '.', &whole, &fraction);
	if (slice_to_i64(whole, &s) != 0 || s < 0)
		return 0;
	if (s >= hour / 1000)
		return hour;
	ms = s * 1000;
	for (size_t i = 0; i < fraction.len; i++) {
		if (fraction.ptr[i] < '0' || fraction.ptr[i] > '9')
			return 0;
		if (unit > 0)
			ms += (fraction.ptr[i] - '0') * unit;
		else if (unit == 0 && fraction.ptr[i] > '0') {
			ms++;
			unit = -1;
		}
		if (unit > 0)
			unit /= 10;
	}
	return ms;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static void put_pair(struct json_writer *w, const char *name, struct slice text)
{
	json_name(w, name);
	json_put_string(w, text);
}

int lark_body_token(struct buf *out, struct slice app_id, struct slice app_secret)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	put_pair(&w, "app_id", app_id);
	put_pair(&w, "app_secret", app_secret);
	json_end_object(&w);
	return out->rc;
}

int lark_token_parse(struct slice body, struct arena *a, struct lark_token *ret)
{
	const int64_t early_s = 180, day_s = 86400;
	struct json_value root;
	struct lark_token t;
	int64_t expire_s;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	t.token = wire_text(root, "tenant_access_token", a);
	if (t.token.len == 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < t.token.len; i++)
		if (t.token.ptr[i] <= ' ' || t.token.ptr[i] > '~')
			return ERR_MALFORMED;
	expire_s = wire_int(root, "expire", 0, a);
	t.good_s = expire_s <= early_s ? 0 : expire_s > day_s ? day_s : expire_s - early_s;
	*ret = t;
	return 0;
}

/* --- Bitable ------------------------------------------------------------------------------------- */

static bool text_ok(struct slice text)
{
	return utf8_valid(text) && utf8_length(text) <= LARK_CELL_MAX;
}

static bool value_ok(const struct lark_field *f)
{
	if (f->clear)
		return true;
	switch (f->type) {
	case LARK_TEXT:
	case LARK_SELECT:
	case LARK_PHONE:
	case LARK_LOCATION:
		return text_ok(f->text);
	case LARK_LINK:
		return text_ok(f->text) && text_ok(f->link) && f->link.len > 0;
	case LARK_NUMBER:
		return isfinite(f->number);
	case LARK_DATE:
	case LARK_BOOL:
		return true;
	case LARK_MULTI_SELECT:
	case LARK_PERSON:
	case LARK_ONE_WAY:
	case LARK_TWO_WAY:
		for (size_t i = 0; i < f->n_items; i++)
			if (f->items[i].len == 0 || !text_ok(f->items[i]))
				return false;
		return true;
	}
	return false; /* what the table itself computes */
}

static void put_value(struct json_writer *w, const struct lark_field *f)
{
	switch (f->type) {
	case LARK_TEXT:
	case LARK_SELECT:
	case LARK_PHONE:
	case LARK_LOCATION:
		json_put_string(w, f->text);
		break;
	case LARK_LINK:
		json_begin_object(w);
		put_pair(w, "text", f->text);
		put_pair(w, "link", f->link);
		json_end_object(w);
		break;
	case LARK_NUMBER:
		json_put_double(w, f->number);
		break;
	case LARK_DATE:
		json_put_i64(w, f->ms);
		break;
	case LARK_BOOL:
		json_put_bool(w, f->yes);
		break;
	case LARK_PERSON:
		json_begin_array(w);
		for (size_t i = 0; i < f->n_items; i++) {
			json_begin_object(w);
			put_pair(w, "id", f->items[i]);
			json_end_object(w);
		}
		json_end_array(w);
		break;
	case LARK_MULTI_SELECT:
	case LARK_ONE_WAY:
	case LARK_TWO_WAY:
		json_begin_array(w);
		for (size_t i = 0; i < f->n_items; i++)
			json_put_string(w, f->items[i]);
		json_end_array(w);
		break;
	}
}

int lark_put_fields(struct json_writer *w, const struct lark_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fields[i].name.len == 0 || !utf8_valid(fields[i].name) || !value_ok(&fields[i]))
			return ERR_INVALID;
		for (size_t j = 0; j < i; j++)
			if (slice_eq(fields[i].name, fields[j].name))
				return ERR_INVALID;
	}
	json_begin_object(w);
	for (size_t i = 0; i < n; i++) {
		json_name_slice(w, fields[i].name);
		if (fields[i].clear)
			json_put_null(w);
		else
			put_value(w, &fields[i]);
	}
	json_end_object(w);
	return w->out->rc;
}

int lark_client_token(char ret[LARK_CLIENT_TOKEN_LEN + 1], struct slice effect_id)
{
	uint8_t bytes[16];
	char hex[33];
	size_t n = 0;

	if (hex_decode(bytes, sizeof(bytes), effect_id) != 0)
		return ERR_INVALID;
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	hex_encode(hex, bytes, sizeof(bytes));
	for (size_t i = 0; i < 32; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			ret[n++] = '-';
		ret[n++] = hex[i];
	}
	ret[n] = '\0';
	return 0;
}

int lark_body_search(struct buf *out, struct slice field_name, struct slice text)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	json_name(&w, "field_names");
	json_begin_array(&w);
	json_put_string(&w, field_name);
	json_end_array(&w);
	json_name(&w, "filter");
	json_begin_object(&w);
	put_pair(&w, "conjunction", SLICE("and"));
	json_name(&w, "conditions");
	json_begin_array(&w);
	json_begin_object(&w);
	put_pair(&w, "field_name", field_name);
	put_pair(&w, "operator", SLICE("is"));
	json_name(&w, "value");
	json_begin_array(&w);
	json_put_string(&w, text); /* as it is stored: a search in lower case misses it */
	json_end_array(&w);
	json_end_object(&w);
	json_end_array(&w);
	json_end_object(&w);
	json_name(&w, "automatic_fields");
	json_put_bool(&w, false);
	json_end_object(&w);
	return out->rc;
}

int lark_records_parse(struct json_value data, struct arena *a, struct lark_records *ret)
{
	struct lark_records records = {.page_token = SLICE("")};
	struct json_value list, item;
	struct json_reader r;

	if (data.text.len == 0 || data.type != JSON_OBJECT || !json_member(data, "items", &list) ||
	    (list.type != JSON_ARRAY && list.type != JSON_NULL))
		return ERR_MALFORMED;
	records.more = wire_bool(data, "has_more", a);
	records.page_token = wire_text(data, "page_token", a);
	if (records.more && records.page_token.len == 0)
		return ERR_MALFORMED;
	records.items = arena_calloc(a, (list.type == JSON_ARRAY ? wire_count(list) : 0) + 1, sizeof(*records.items));
	if (records.items == NULL)
		return ERR_NOMEM;
	if (list.type == JSON_ARRAY) {
		json_enter(&r, list);
		while (wire_next(&r, &item)) {
			struct lark_record *one = &records.items[records.n++];

			one->record_id = wire_text(item, "record_id", a);
			if (one->record_id.len == 0 || !wire_member(item, "fields", JSON_OBJECT, &one->fields))
				return ERR_MALFORMED;
		}
	}
	*ret = records;
	return 0;
}

/* --- messages --------------------------------------------------------------------------------------- */

int lark_body_message(struct buf *out, struct slice receive_id, const char *msg_type, struct slice content_json,
    struct slice uuid)
{
	struct json_writer w = JSON_WRITER(out);

	if (receive_id.len == 0 || uuid.len == 0 || uuid.len > LARK_MESSAGE_UUID_MAX || content_json.len > LARK_CARD_MAX ||
	    json_scan(content_json, NULL, NULL) != 0)
		return ERR_INVALID;
	json_begin_object(&w);
	put_pair(&w, "receive_id", receive_id);
	put_pair(&w, "msg_type", slice_str(msg_type));
	put_pair(&w, "content", content_json);
	put_pair(&w, "uuid", uuid);
	json_end_object(&w);
	return out->rc;
}
