/* What Aliyun answers and reports: codes, receipts asked for, receipts pushed. */
#include "aliyun_sms_wire.h"

#include "base/clock.h"
#include "wire_json.h"

static const struct { const char *code; enum answer_class is; } codes[] = {
	{"OK", ANSWER_OK},
	{"isv.BUSINESS_LIMIT_CONTROL", ANSWER_LIMIT},
	{"isv.DAY_LIMIT_CONTROL", ANSWER_LIMIT},
	{"isv.MONTH_LIMIT_CONTROL", ANSWER_LIMIT},
	{"isv.AMOUNT_NOT_ENOUGH", ANSWER_CONFIG},
	{"isv.OUT_OF_SERVICE", ANSWER_CONFIG},
	{"isv.ACCOUNT_NOT_EXISTS", ANSWER_CONFIG},
	{"isv.ACCOUNT_ABNORMAL", ANSWER_CONFIG},
	{"isv.PRODUCT_UN_SUBSCRIPT", ANSWER_CONFIG},
	{"isv.PRODUCT_UNSUBSCRIBE", ANSWER_CONFIG},
	{"isv.SMS_SIGNATURE_ILLEGAL", ANSWER_CONFIG},
	{"isv.SMS_SIGN_ILLEGAL", ANSWER_CONFIG},
	{"isv.SMS_TEMPLATE_ILLEGAL", ANSWER_CONFIG},
	{"isv.SMS_SIGNATURE_SCENE_ILLEGAL", ANSWER_CONFIG},
	{"isp.RAM_PERMISSION_DENY", ANSWER_CONFIG},
	{"isv.RAM_PERMISSION_DENY", ANSWER_CONFIG},
	{"InvalidAccessKeyId.NotFound", ANSWER_CONFIG},
	{"SignatureDoesNotMatch", ANSWER_CONFIG},
	{"IncompleteSignature", ANSWER_CONFIG},
	{"InvalidTimeStamp.Expired", ANSWER_AFRESH},
	{"SignatureNonceUsed", ANSWER_AFRESH},
	{"isp.SYSTEM_ERROR", ANSWER_UNKNOWN},
	{"InternalError", ANSWER_UNKNOWN},
	{"ServiceUnavailable", ANSWER_UNKNOWN},
};

enum answer_class aliyun_code_class(struct slice code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (slice_is(code, codes[i].code))
			return codes[i].is;
	if (slice_is(code, "Throttling") || slice_starts_with(code, SLICE("Throttling.")))
		return ANSWER_RETRY;
	if (slice_starts_with(code, SLICE("isp.")))
		return ANSWER_RETRY;
	return ANSWER_REFUSED; /* isv.*, and what nobody told us of */
}

int aliyun_answer_parse(int status, struct slice body, struct arena *a, struct aliyun_answer *ret)
{
	struct aliyun_answer answer = {.code = SLICE(""), .message = SLICE(""), .request_id = SLICE(""), .biz_id = SLICE("")};
	struct json_value root;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc == ERR_NOMEM)
		return rc;
	if (rc == 0) {
		answer.code = wire_text(root, "Code", a);
		answer.message = wire_text(root, "Message", a);
		answer.request_id = wire_text(root, "RequestId", a);
		answer.biz_id = wire_text(root, "BizId", a);
	}
	if (answer.code.len > 0)
		answer.is = aliyun_code_class(answer.code);
	else
		answer.is = answer_class_of_status(status);
	/* It was received; what became of it nobody said. */
	if (answer.code.len == 0 && (answer.is == ANSWER_OK || status >= 500))
		answer.is = ANSWER_UNKNOWN;
	if (answer.is == ANSWER_OK && (status < 200 || status > 299))
		answer.is = ANSWER_UNKNOWN;
	*ret = answer;
	return 0;
}

static bool has(struct slice text, const char *part)
{
	struct slice p = slice_str(part);

	return p.len <= text.len && memmem(text.ptr, text.len, p.ptr, p.len) != NULL;
}

int64_t aliyun_limit_window_ms(struct slice code, struct slice message)
{
	const int64_t minute = 60000, hour = 60 * minute, day = 24 * hour;

	if (slice_is(code, "isv.BUSINESS_LIMIT_CONTROL")) {
		if (has(message, "分钟") || has(message, "minute"))
			return minute;
		if (has(message, "小时") || has(message, "hour"))
			return hour;
	}
	return day;
}

/* --- receipts ---------------------------------------------------------------------------- */

/* "2026-01-01 00:00:00" of China: eight hours before UTC's. */
static int64_t china_ms(struct slice text)
{
	char iso[] = "0000-00-00T00:00:00+08:00";
	int64_t us;

	if (text.len != 19 || text.ptr[10] != ' ')
		return 0;
	memcpy(iso, text.ptr, 19);
	iso[10] = 'T';
	return time_parse_us(slice_str(iso), &us) == 0 ? us / 1000 : 0;
}

static int receipts_of(struct json_value array, struct arena *a, struct aliyun_receipts *ret)
{
	size_t n = wire_count(array);

	if (n > ALIYUN_RECEIPTS_MAX)
		return ERR_TOO_BIG;
	*ret = (struct aliyun_receipts){.items = arena_calloc(a, n + 1, sizeof(*ret->items)), .total = (int64_t)n};
	return ret->items == NULL ? ERR_NOMEM : 0;
}

/* 1, "1", 3, ...; anything else says nothing. */
static enum aliyun_delivery delivery_of(int64_t status, int64_t delivered, int64_t failed)
{
	return status == delivered ? ALIYUN_DELIVERED : status == failed ? ALIYUN_NOT_DELIVERED : ALIYUN_WAITING;
}

int aliyun_details_parse(struct slice body, struct arena *a, struct aliyun_receipts *ret)
{
	struct json_value root, list, array, item;
	struct aliyun_receipts receipts;
	struct json_reader r;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "SmsSendDetailDTOs", JSON_OBJECT, &list) ||
	    !wire_member(list, "SmsSendDetailDTO", JSON_ARRAY, &array))
		return ERR_MALFORMED;
	rc = receipts_of(array, a, &receipts);
	if (rc != 0)
		return rc;
	json_enter(&r, array);
	while (wire_next(&r, &item)) {
		struct aliyun_receipt *one = &receipts.items[receipts.n++];

		one->delivery = delivery_of(wire_int(item, "SendStatus", 0, a), 3, 2);
		one->phone_number = wire_text(item, "PhoneNum", a);
		one->err_code = wire_text(item, "ErrCode", a);
		one->out_id = wire_text(item, "OutId", a);
		one->biz_id = SLICE("");
		one->send_time = wire_text(item, "SendDate", a);
		one->report_time = wire_text(item, "ReceiveDate", a);
		one->send_ms = china_ms(one->send_time);
		one->report_ms = china_ms(one->report_time);
	}
	receipts.total = wire_int(root, "TotalCount", receipts.total, a);
	*ret = receipts;
	return 0;
}

static void domestic(struct json_value item, struct arena *a, struct aliyun_receipt *one)
{
	one->delivery = wire_bool(item, "success", a) ? ALIYUN_DELIVERED : ALIYUN_NOT_DELIVERED;
	one->phone_number = wire_text(item, "phone_number", a);
	one->err_code = wire_text(item, "err_code", a);
	one->out_id = wire_text(item, "out_id", a);
	one->biz_id = wire_text(item, "biz_id", a);
	one->send_time = wire_text(item, "send_time", a);
	one->report_time = wire_text(item, "report_time", a);
}

static void abroad(struct json_value item, struct arena *a, struct aliyun_receipt *one)
{
	one->delivery = delivery_of(wire_int(item, "Status", 0, a), 1, 2);
	one->phone_number = wire_text(item, "To", a);
	one->err_code = wire_text(item, "ErrorCode", a);
	one->out_id = SLICE("");
	one->biz_id = wire_text(item, "MessageId", a);
	one->send_time = wire_text(item, "SendDate", a);
	one->report_time = wire_text(item, "ReceiveDate", a);
}

int aliyun_report_parse(struct slice body, struct arena *a, struct aliyun_receipts *ret)
{
	struct json_value root, item, to;
	struct aliyun_receipts receipts;
	struct json_reader r;
	int rc = wire_json_root(body, JSON_ARRAY, a, &root);

	if (rc == 0)
		rc = receipts_of(root, a, &receipts);
	if (rc != 0)
		return rc;
	json_enter(&r, root);
	while (json_next(&r, NULL, &item)) {
		struct aliyun_receipt *one = &receipts.items[receipts.n];

		if (item.type != JSON_OBJECT)
			return ERR_MALFORMED;
		receipts.n++;
		if (json_member(item, "To", &to))
			abroad(item, a, one);
		else
			domestic(item, a, one);
		if (one->phone_number.len == 0 || (one->biz_id.len == 0 && one->out_id.len == 0))
			return ERR_MALFORMED;
		one->send_ms = china_ms(one->send_time);
		one->report_ms = china_ms(one->report_time);
	}
	*ret = receipts;
	return 0;
}
