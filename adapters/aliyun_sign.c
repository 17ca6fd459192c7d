/* Aliyun's two signatures, and the requests made with the newer one. */
#include "aliyun_sms_wire.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"

#define ALGORITHM "ACS3-HMAC-SHA256"

int aliyun_date(char ret[ALIYUN_DATE_LEN + 1], int64_t unix_s)
{
	char text[TIME_TEXT_LEN + 1];

	if (unix_s < 0 || unix_s > 253402300799) /* 9999-12-31 */
		return ERR_RANGE;
	time_format_us(text, unix_s * 1000000);
	memcpy(ret, text, ALIYUN_DATE_LEN - 1);
	memcpy(ret + ALIYUN_DATE_LEN - 1, "Z", 2);
	return 0;
}

/* --- ACS3 ----------------------------------------------------------------------------- */

static bool is_signed(struct slice name)
{
	return (name.len > 6 && slice_same_nocase(name.ptr, "x-acs-", 6)) || slice_eq_nocase(name, SLICE("host")) ||
	    slice_eq_nocase(name, SLICE("content-type"));
}

static bool has_needed(const struct aliyun_request *rq, const char *body_hash)
{
	static const char *const needed[] = {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"};
	struct slice value;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!wire_header(rq->headers, rq->n_headers, needed[i], &value) || value.len == 0)
			return false;
	return wire_header(rq->headers, rq->n_headers, "x-acs-content-sha256", &value) && slice_is(value, body_hash);
}

static int canonical(const struct aliyun_request *rq, const char *body_hash, struct arena *a, struct aliyun_signed *s)
{
	struct buf query = BUF_INIT(SIGNING_TEXT_MAX), names = BUF_INIT(SIGNING_TEXT_MAX);
	struct buf headers = BUF_INIT(SIGNING_TEXT_MAX);
	struct wire_pair *chosen = arena_calloc(a, rq->n_headers + 1, sizeof(*chosen));
	size_t n = 0;
	char *text;
	int rc = chosen == NULL ? ERR_NOMEM : 0;

	for (size_t i = 0; i < rq->n_headers && rc == 0; i++)
		if (is_signed(rq->headers[i].name))
			chosen[n++] = rq->headers[i];
	if (rc == 0)
		rc = wire_query(&query, rq->query, rq->n_query, 0, a);
	if (rc == 0)
		rc = wire_headers(&headers, &names, chosen, n, 0, a);
	if (rc == 0)
		rc = wire_keep(a, &query, &s->query);
	if (rc == 0)
		rc = wire_keep(a, &names, &s->signed_headers);
	if (rc == 0) {
		text = arena_printf(a, "%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%s", SLICE_ARG(rq->method), SLICE_ARG(rq->path),
		    SLICE_ARG(s->query), SLICE_ARG(buf_slice(&headers)), SLICE_ARG(s->signed_headers), body_hash);
		s->canonical_request = slice_str(text);
		rc = text == NULL ? ERR_NOMEM : 0;
	}
	buf_finish(&query);
	buf_finish(&headers);
	buf_finish(&names);
	return rc;
}

int aliyun_sign(const struct aliyun_keys *keys, const struct aliyun_request *rq, struct arena *a,
    struct aliyun_signed *ret)
{
	char body_hash[HEX_SHA256_LEN + 1], hash[HEX_SHA256_LEN + 1];
	struct aliyun_signed s = {0};
	char *text;
	int rc;

	wire_sha256_hex(body_hash, rq->body);
	if (keys->access_key_id.len == 0 || keys->secret.len == 0 || !wire_value_ok(keys->access_key_id) ||
	    rq->method.len == 0 || rq->path.len == 0 || !has_needed(rq, body_hash))
		return ERR_INVALID;
	rc = canonical(rq, body_hash, a, &s);
	if (rc != 0)
		return rc;
	wire_sha256_hex(hash, s.canonical_request);
	text = arena_printf(a, ALGORITHM "\n%s", hash);
	if (text == NULL)
		return ERR_NOMEM;
	s.string_to_sign = slice_str(text);
	wire_hmac_sha256_hex(s.signature, keys->secret, s.string_to_sign);
	text = arena_printf(a, ALGORITHM " Credential=%.*s,SignedHeaders=%.*s,Signature=%s", SLICE_ARG(keys->access_key_id),
	    SLICE_ARG(s.signed_headers), s.signature);
	if (text == NULL)
		return ERR_NOMEM;
	s.authorization = slice_str(text);
	*ret = s;
	return 0;
}

/* --- RPC --------------------------------------------------------------------------------- */

static int rpc_signature(struct slice secret, struct slice string_to_sign, struct arena *a, struct slice *ret)
{
	uint8_t mac[SHA1_LEN];
	char text[BASE64_LEN(SHA1_LEN) + 1];
	struct buf key = BUF_INIT(4096);
	int rc;

	buf_append(&key, secret);
	rc = buf_append_char(&key, '&');
	if (rc == 0) {
		hmac_sha1(mac, buf_slice(&key), &string_to_sign, 1);
		base64_encode_to(text, mac, sizeof(mac));
		*ret = arena_dup(a, slice_str(text));
		rc = ret->ptr == NULL ? ERR_NOMEM : 0;
	}
	buf_wipe(&key);
	return rc;
}

int aliyun_rpc_sign(struct slice secret, struct slice method, const struct wire_pair *parameters, size_t n,
    struct arena *a, struct aliyun_rpc_signed *ret)
{
	struct buf text = BUF_INIT(SIGNING_TEXT_MAX), wire = BUF_INIT(SIGNING_TEXT_MAX), to_sign = BUF_INIT(3 * SIGNING_TEXT_MAX);
	struct aliyun_rpc_signed s = {0};
	int rc;

	if (secret.len == 0 || method.len == 0)
		return ERR_INVALID;
	rc = wire_query(&text, parameters, n, 0, a);
	if (rc == 0)
		rc = wire_keep(a, &text, &s.canonical);
	if (rc == 0) {
		buf_append(&to_sign, method);
		buf_append_str(&to_sign, "&%2F&");
		percent_encode(&to_sign, s.canonical);
		rc = wire_keep(a, &to_sign, &s.string_to_sign);
	}
	if (rc == 0)
		rc = rpc_signature(secret, s.string_to_sign, a, &s.signature);
	if (rc == 0) {
		buf_append(&wire, s.canonical);
		buf_append_str(&wire, "&Signature=");
		percent_encode(&wire, s.signature);
		rc = wire_keep(a, &wire, &s.wire);
	}
	buf_finish(&text);
	buf_finish(&to_sign);
	buf_finish(&wire);
	if (rc == 0)
		*ret = s;
	return rc;
}

/* --- requests ------------------------------------------------------------------------------ */

static int make(const struct aliyun_keys *keys, const struct aliyun_call *call, const char *action,
    const struct wire_pair *query, size_t n_query, struct arena *a, struct aliyun_made *ret)
{
	struct aliyun_made made = {0};
	struct wire_pair *h = made.headers;
	struct aliyun_request rq = {SLICE("POST"), SLICE("/"), query, n_query, h, 0, {"", 0}};
	struct aliyun_signed s;
	char *text;
	int rc;

	if (call->nonce.len == 0 || call->nonce.len > ALIYUN_NONCE_LEN_MAX || call->date.len != ALIYUN_DATE_LEN)
		return ERR_INVALID;
	h[made.n_headers++] = (struct wire_pair){SLICE("host"), call->host};
	h[made.n_headers++] = (struct wire_pair){SLICE("x-acs-action"), slice_str(action)};
	h[made.n_headers++] = (struct wire_pair){SLICE("x-acs-version"), SLICE(ALIYUN_SMS_VERSION)};
	h[made.n_headers++] = (struct wire_pair){SLICE("x-acs-date"), call->date};
	h[made.n_headers++] = (struct wire_pair){SLICE("x-acs-signature-nonce"), call->nonce};
	h[made.n_headers++] = (struct wire_pair){SLICE("x-acs-content-sha256"), SLICE(SHA256_OF_NOTHING)};
	if (keys->security_token.len > 0) {
		h[made.n_headers++] = (struct wire_pair){SLICE("x-acs-accesskey-id"), keys->access_key_id};
		h[made.n_headers++] = (struct wire_pair){SLICE("x-acs-security-token"), keys->security_token};
	}
	rq.n_headers = made.n_headers;
	rc = aliyun_sign(keys, &rq, a, &s);
	if (rc != 0)
		return rc;
	h[made.n_headers++] = (struct wire_pair){SLICE("authorization"), s.authorization};
	text = arena_printf(a, "/?%.*s", SLICE_ARG(s.query));
	if (text == NULL)
		return ERR_NOMEM;
	made.url_path_query = slice_str(text);
	*ret = made;
	return 0;
}

static bool phone_ok(struct slice phone)
{
	size_t from = phone.len > 0 && phone.ptr[0] == '+';

	if (phone.len - from < 5 || phone.len - from > 20)
		return false;
	for (size_t i = from; i < phone.len; i++)
		if (phone.ptr[i] < '0' || phone.ptr[i] > '9')
			return false;
	return true;
}

static bool phones_ok(struct slice phones)
{
	struct slice one;
	size_t n = 0;
	bool more = true;

	while (more) {
		more = slice_cut(phones, ',', &one, &phones);
		if (!phone_ok(one) || ++n > ALIYUN_PHONES_MAX)
			return false;
	}
	return true;
}

int aliyun_make_send(const struct aliyun_keys *keys, const struct aliyun_call *call, const struct aliyun_sms *sms,
    struct arena *a, struct aliyun_made *ret)
{
	struct wire_pair query[5];
	size_t n = 0;

	if (!phones_ok(sms->phone_numbers) || sms->sign_name.len == 0 || sms->template_code.len == 0 ||
	    sms->out_id.len > ALIYUN_OUT_ID_MAX)
		return ERR_INVALID;
	if (sms->template_param.len > 0 &&
	    (json_scan(sms->template_param, NULL, NULL) != 0 || json_root(sms->template_param).type != JSON_OBJECT))
		return ERR_INVALID;
	query[n++] = (struct wire_pair){SLICE("PhoneNumbers"), sms->phone_numbers};
	query[n++] = (struct wire_pair){SLICE("SignName"), sms->sign_name};
	query[n++] = (struct wire_pair){SLICE("TemplateCode"), sms->template_code};
	if (sms->template_param.len > 0)
		query[n++] = (struct wire_pair){SLICE("TemplateParam"), sms->template_param};
	if (sms->out_id.len > 0)
		query[n++] = (struct wire_pair){SLICE("OutId"), sms->out_id};
	return make(keys, call, "SendSms", query, n, a, ret);
}

int aliyun_make_query(const struct aliyun_keys *keys, const struct aliyun_call *call, struct slice phone_number,
    struct slice send_date, struct slice biz_id, unsigned page, unsigned page_size, struct arena *a,
    struct aliyun_made *ret)
{
	char page_text[U64_TEXT_MAX], size_text[U64_TEXT_MAX];
	struct wire_pair query[5];
	uint64_t day;
	size_t n = 0;

	if (!phone_ok(phone_number) || send_date.len != 8 || slice_to_u64(send_date, &day) != 0 || page < 1 ||
	    page_size < 1 || page_size > 50)
		return ERR_INVALID;
	query[n++] = (struct wire_pair){SLICE("PhoneNumber"), phone_number};
	query[n++] = (struct wire_pair){SLICE("SendDate"), send_date};
	query[n++] = (struct wire_pair){SLICE("CurrentPage"), u64_format(page_text, page)};
	query[n++] = (struct wire_pair){SLICE("PageSize"), u64_format(size_text, page_size)};
	if (biz_id.len > 0)
		query[n++] = (struct wire_pair){SLICE("BizId"), biz_id};
	return make(keys, call, "QuerySendDetails", query, n, a, ret);
}
