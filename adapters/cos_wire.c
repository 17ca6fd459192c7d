/* The SHA-1 signature of COS. */
#include "cos_wire.h"

#include "base/codec.h"
#include "base/err.h"

static void hmac_hex(char ret[HEX_SHA1_LEN + 1], struct slice key, struct slice text)
{
	uint8_t digest[SHA1_LEN];

	hmac_sha1(digest, key, &text, 1);
	hex_encode(ret, digest, sizeof(digest));
}

static int http_string(const struct cos_request *rq, struct arena *a, struct slice *ret)
{
	struct buf text = BUF_INIT(2 * SIGNING_TEXT_MAX);
	int rc;

	for (size_t i = 0; i < rq->method.len; i++) {
		char c = rq->method.ptr[i];

		buf_append_char(&text, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
	}
	buf_append_str(&text, "\n/");
	buf_append(&text, rq->object);
	buf_append_char(&text, '\n');
	rc = wire_query(&text, rq->query, rq->n_query, WIRE_LOWER_NAMES, a);
	buf_append_char(&text, '\n');
	if (rc == 0)
		rc = wire_headers(&text, NULL, rq->headers, rq->n_headers, WIRE_ENCODE, a);
	buf_append_char(&text, '\n');
	if (rc == 0)
		return wire_keep(a, &text, ret);
	buf_finish(&text);
	return rc;
}

/* "a;b": the names of pairs in the form and order they are signed in. */
static int names_of(const struct wire_pair *pairs, size_t n, struct arena *a, struct slice *ret)
{
	struct buf names = BUF_INIT(SIGNING_TEXT_MAX);
	int rc = wire_headers(NULL, &names, pairs, n, WIRE_ENCODE, a);

	if (rc == 0)
		return wire_keep(a, &names, ret);
	buf_finish(&names);
	return rc;
}

int cos_sign(const struct cos_request *rq, struct arena *a, struct cos_signed *ret)
{
	struct slice host, parameters, headers;
	char digest_hex[HEX_SHA1_LEN + 1];
	uint8_t digest[SHA1_LEN];
	struct cos_signed s = {0};
	char *time, *text;
	int rc;

	if (rq->secret_id.len == 0 || rq->secret_key.len == 0 || rq->start_s < 0 || rq->end_s <= rq->start_s ||
	    !wire_value_ok(rq->secret_id) || !wire_value_ok(rq->object) ||
	    !wire_header(rq->headers, rq->n_headers, "host", &host))
		return ERR_INVALID;
	rc = http_string(rq, a, &s.http_string);
	if (rc == 0)
		rc = names_of(rq->query, rq->n_query, a, &parameters);
	if (rc == 0)
		rc = names_of(rq->headers, rq->n_headers, a, &headers);
	if (rc != 0)
		return rc;
	time = arena_printf(a, "%lld;%lld", (long long)rq->start_s, (long long)rq->end_s);
	if (time == NULL)
		return ERR_NOMEM;
	hmac_hex(s.sign_key, rq->secret_key, slice_str(time));
	sha1(digest, &s.http_string, 1);
	hex_encode(digest_hex, digest, sizeof(digest));
	text = arena_printf(a, "sha1\n%s\n%s\n", time, digest_hex);
	if (text == NULL)
		return ERR_NOMEM;
	s.string_to_sign = slice_str(text);
	hmac_hex(s.signature, slice_of(s.sign_key, HEX_SHA1_LEN), s.string_to_sign);
	text = arena_printf(a, "q-sign-algorithm=sha1&q-ak=%.*s&q-sign-time=%s&q-key-time=%s&q-header-list=%.*s"
	    "&q-url-param-list=%.*s&q-signature=%s", SLICE_ARG(rq->secret_id), time, time, SLICE_ARG(headers),
	    SLICE_ARG(parameters), s.signature);
	if (text == NULL)
		return ERR_NOMEM;
	s.authorization = slice_str(text);
	*ret = s;
	return 0;
}
