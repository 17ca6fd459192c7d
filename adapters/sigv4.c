/* AWS Signature V4 and its sister of OSS: canonical request, string to sign, derived key, header or URL. */
#include "sigv4.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"

struct sigv4_scheme {
	const char *algorithm, *key_prefix, *service, *end;
	const char *date, *hash, *token; /* headers */
	unsigned query_flags;
	bool by_list; /* signs what its rules name, not all that is given */
};

const struct sigv4_scheme sigv4_s3 = {
	.algorithm = "AWS4-HMAC-SHA256",
	.key_prefix = "AWS4",
	.service = "s3",
	.end = "aws4_request",
	.date = "x-amz-date",
	.hash = "x-amz-content-sha256",
	.token = "x-amz-security-token",
};

const struct sigv4_scheme sigv4_oss = {
	.algorithm = "OSS4-HMAC-SHA256",
	.key_prefix = "aliyun_v4",
	.service = "oss",
	.end = "aliyun_v4_request",
	.date = "x-oss-date",
	.hash = "x-oss-content-sha256",
	.token = "x-oss-security-token",
	.query_flags = WIRE_BARE_EMPTY,
	.by_list = true,
};

int sigv4_date(char ret[SIGV4_DATE_LEN + 1], int64_t unix_s)
{
	char text[TIME_TEXT_LEN + 1];
	size_t n = 0;

	if (unix_s < 0 || unix_s > 253402300799) /* 9999-12-31 */
		return ERR_RANGE;
	time_format_us(text, unix_s * 1000000);
	for (size_t i = 0; i < 19; i++) /* 2026-04-01T12:30:00 */
		if (text[i] != '-' && text[i] != ':')
			ret[n++] = text[i];
	ret[n++] = 'Z';
	ret[n] = '\0';
	return 0;
}

static bool date_ok(struct slice date)
{
	if (date.len != SIGV4_DATE_LEN)
		return false;
	for (size_t i = 0; i < date.len; i++) {
		bool digit = date.ptr[i] >= '0' && date.ptr[i] <= '9';

		if (i == 8 ? date.ptr[i] != 'T' : i == 15 ? date.ptr[i] != 'Z' : !digit)
			return false;
	}
	return true;
}

static bool word_ok(struct slice word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.ptr[i] <= ' ' || word.ptr[i] > '~' || word.ptr[i] == '/' || word.ptr[i] == ',')
			return false;
	return word.len > 0;
}

static bool keys_ok(const struct sigv4_keys *keys)
{
	return word_ok(keys->access_key_id) && keys->secret.len > 0 && word_ok(keys->region);
}

static struct slice day_of(struct slice date)
{
	return slice_of(date.ptr, 8);
}

static int make_scope(const struct sigv4_scheme *scheme, const struct sigv4_keys *keys, struct slice date,
    struct arena *a, struct slice *ret)
{
	char *text = arena_printf(a, "%.*s/%.*s/%s/%s", SLICE_ARG(day_of(date)), SLICE_ARG(keys->region),
	    scheme->service, scheme->end);

	*ret = slice_str(text);
	return text == NULL ? ERR_NOMEM : 0;
}

/* The key is bound to day, region and service: one that leaks is good for nothing else. */
static int make_key(const struct sigv4_scheme *scheme, const struct sigv4_keys *keys, struct slice date,
    uint8_t ret[SHA256_LEN])
{
	struct buf first = BUF_INIT(4096);
	struct slice steps[] = {day_of(date), keys->region, slice_str(scheme->service), slice_str(scheme->end)};
	struct slice key;
	uint8_t next[SHA256_LEN];

	buf_append_str(&first, scheme->key_prefix);
	if (buf_append(&first, keys->secret) != 0) {
		int rc = first.rc;

		buf_wipe(&first);
		return rc;
	}
	key = buf_slice(&first);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		hmac_sha256(next, key, &steps[i], 1);
		memcpy(ret, next, sizeof(next));
		key = slice_of(ret, SHA256_LEN);
	}
	crypto_wipe(next, sizeof(next));
	buf_wipe(&first);
	return 0;
}

/* What is left once the canonical request is there. */
static int sign_canonical(const struct sigv4_scheme *scheme, const struct sigv4_keys *keys, struct slice date,
    struct arena *a, struct sigv4_signed *ret)
{
	char hash[HEX_SHA256_LEN + 1];
	uint8_t key[SHA256_LEN];
	char *text;
	int rc;

	wire_sha256_hex(hash, ret->canonical_request);
	text = arena_printf(a, "%s\n%.*s\n%.*s\n%s", scheme->algorithm, SLICE_ARG(date), SLICE_ARG(ret->scope), hash);
	if (text == NULL)
		return ERR_NOMEM;
	ret->string_to_sign = slice_str(text);
	rc = make_key(scheme, keys, date, key);
	if (rc == 0)
		wire_hmac_sha256_hex(ret->signature, slice_of(key, sizeof(key)), ret->string_to_sign);
	crypto_wipe(key, sizeof(key));
	return rc;
}

/* --- which headers ----------------------------------------------------------------- */

static bool is_additional(struct slice name, const char *const *additional)
{
	for (size_t i = 0; additional != NULL && additional[i] != NULL; i++)
		if (slice_eq_nocase(name, slice_str(additional[i])))
			return true;
	return false;
}

static bool is_named_by_rule(struct slice name)
{
	return (name.len > 6 && slice_same_nocase(name.ptr, "x-oss-", 6)) ||
	    slice_eq_nocase(name, SLICE("content-type")) || slice_eq_nocase(name, SLICE("content-md5"));
}

/* Those signed: `n` of them first, and of these those that must be listed. */
struct chosen {
	struct wire_pair *all, *listed;
	size_t n_all, n_listed;
};

static int choose(const struct sigv4_scheme *scheme, const struct sigv4_request *rq, struct arena *a, struct chosen *ret)
{
	*ret = (struct chosen){
		.all = arena_calloc(a, rq->n_headers + 1, sizeof(*ret->all)),
		.listed = arena_calloc(a, rq->n_headers + 1, sizeof(*ret->listed)),
	};
	if (ret->all == NULL || ret->listed == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < rq->n_headers; i++) {
		const struct wire_pair *h = &rq->headers[i];
		bool by_rule = scheme->by_list && is_named_by_rule(h->name);

		if (scheme->by_list && !by_rule && !is_additional(h->name, rq->additional))
			continue;
		ret->all[ret->n_all++] = *h;
		if (!by_rule)
			ret->listed[ret->n_listed++] = *h;
	}
	return 0;
}

static int needed(const struct sigv4_scheme *scheme, const struct sigv4_keys *keys, const struct sigv4_request *rq,
    struct slice *ret_date, struct slice *ret_hash)
{
	struct slice token, host;

	if (!keys_ok(keys) || rq->path.len == 0 || rq->path.ptr[0] != '/' || !word_ok(rq->method))
		return ERR_INVALID;
	if (!wire_header(rq->headers, rq->n_headers, scheme->date, ret_date) || !date_ok(*ret_date) ||
	    !wire_header(rq->headers, rq->n_headers, scheme->hash, ret_hash) || ret_hash->len == 0)
		return ERR_INVALID;
	if (!scheme->by_list && !wire_header(rq->headers, rq->n_headers, "host", &host))
		return ERR_INVALID;
	if (keys->session_token.len > 0 && (!wire_header(rq->headers, rq->n_headers, scheme->token, &token) ||
	    !slice_eq(token, keys->session_token)))
		return ERR_INVALID;
	return 0;
}

static int authorization(const struct sigv4_scheme *scheme, const struct sigv4_keys *keys, struct slice names,
    struct arena *a, struct sigv4_signed *ret)
{
	bool s3 = !scheme->by_list;
	char *text = arena_printf(a, "%s Credential=%.*s/%.*s%s%.*s,%sSignature=%s", scheme->algorithm,
	    SLICE_ARG(keys->access_key_id), SLICE_ARG(ret->scope),
	    s3 ? ", SignedHeaders=" : names.len > 0 ? ",AdditionalHeaders=" : "", SLICE_ARG(names), s3 ? " " : "",
	    ret->signature);

	ret->authorization = slice_str(text);
	return text == NULL ? ERR_NOMEM : 0;
}

int sigv4_sign(const struct sigv4_scheme *scheme, const struct sigv4_keys *keys, const struct sigv4_request *rq,
    struct arena *a, struct sigv4_signed *ret)
{
	struct buf canonical = BUF_INIT(2 * SIGNING_TEXT_MAX), list = BUF_INIT(SIGNING_TEXT_MAX);
	struct slice date, hash, names = {"", 0};
	struct sigv4_signed s = {0};
	struct chosen chosen;
	int rc = needed(scheme, keys, rq, &date, &hash);

	if (rc == 0)
		rc = choose(scheme, rq, a, &chosen);
	if (rc != 0)
		return rc;
	buf_append(&canonical, rq->method);
	buf_append_char(&canonical, '\n');
	if (rq->bucket.len > 0)
		buf_append_char(&canonical, '/');
	buf_append(&canonical, rq->bucket);
	buf_append(&canonical, rq->path);
	buf_append_char(&canonical, '\n');
	rc = wire_query(&canonical, rq->query, rq->n_query, scheme->query_flags, a);
	buf_append_char(&canonical, '\n');
	if (rc == 0)
		rc = wire_headers(&canonical, NULL, chosen.all, chosen.n_all, scheme->by_list ? 0 : WIRE_COLLAPSE, a);
	if (rc == 0)
		rc = wire_headers(NULL, &list, chosen.listed, chosen.n_listed, 0, a);
	if (rc == 0)
		rc = wire_keep(a, &list, &names);
	buf_finish(&list);
	buf_append_char(&canonical, '\n');
	buf_append(&canonical, names);
	buf_append_char(&canonical, '\n');
	buf_append(&canonical, hash);
	if (rc != 0)
		buf_finish(&canonical);
	else
		rc = wire_keep(a, &canonical, &s.canonical_request);
	if (rc == 0)
		rc = make_scope(scheme, keys, date, a, &s.scope);
	if (rc == 0)
		rc = sign_canonical(scheme, keys, date, a, &s);
	if (rc == 0)
		rc = authorization(scheme, keys, names, a, &s);
	if (rc == 0)
		*ret = s;
	return rc;
}

/* --- URLs that carry their permission ------------------------------------------------ */

static int split_host(struct slice scheme_host, struct slice *ret_host)
{
	struct slice plain = SLICE("http://"), tls = SLICE("https://");
	size_t skip = slice_starts_with(scheme_host, tls) ? tls.len : slice_starts_with(scheme_host, plain) ? plain.len : 0;
	struct slice host = slice_of(scheme_host.ptr + skip, scheme_host.len - skip);

	if (skip == 0 || !word_ok(host)) /* no "/" either */
		return ERR_INVALID;
	*ret_host = host;
	return 0;
}

/* The parameters before the last one, the signature. */
static size_t put_parameters(const struct sigv4_scheme *scheme, struct wire_pair *pairs, const struct sigv4_presign *rq,
    struct slice credential, struct slice expires)
{
	size_t n = 0;

	if (scheme->by_list) {
		pairs[n++] = (struct wire_pair){SLICE("x-oss-signature-version"), slice_str(scheme->algorithm)};
		pairs[n++] = (struct wire_pair){SLICE("x-oss-credential"), credential};
		pairs[n++] = (struct wire_pair){SLICE("x-oss-date"), rq->date};
		pairs[n++] = (struct wire_pair){SLICE("x-oss-expires"), expires};
		return n;
	}
	pairs[n++] = (struct wire_pair){SLICE("X-Amz-Algorithm"), slice_str(scheme->algorithm)};
	pairs[n++] = (struct wire_pair){SLICE("X-Amz-Credential"), credential};
	pairs[n++] = (struct wire_pair){SLICE("X-Amz-Date"), rq->date};
	pairs[n++] = (struct wire_pair){SLICE("X-Amz-Expires"), expires};
	pairs[n++] = (struct wire_pair){SLICE("X-Amz-SignedHeaders"), SLICE("host")};
	return n;
}

static int presign_query(const struct sigv4_scheme *scheme, const struct sigv4_keys *keys, const struct sigv4_presign *rq,
    struct slice scope, const char *signature, struct buf *out, struct arena *a)
{
	struct wire_pair *pairs = arena_calloc(a, rq->n_extra + 8, sizeof(*pairs));
	char *credential = arena_printf(a, "%.*s/%.*s", SLICE_ARG(keys->access_key_id), SLICE_ARG(scope));
	char *expires = arena_printf(a, "%lld", (long long)rq->expires_s);
	size_t n;

	if (pairs == NULL || credential == NULL || expires == NULL)
		return ERR_NOMEM;
	n = put_parameters(scheme, pairs, rq, slice_str(credential), slice_str(expires));
	for (size_t i = 0; i < rq->n_extra; i++)
		pairs[n++] = rq->extra[i];
	if (keys->session_token.len > 0)
		pairs[n++] = (struct wire_pair){scheme->by_list ? SLICE("x-oss-security-token") : SLICE("X-Amz-Security-Token"),
		    keys->session_token};
	if (signature != NULL)
		pairs[n++] = (struct wire_pair){scheme->by_list ? SLICE("x-oss-signature") : SLICE("X-Amz-Signature"),
		    slice_str(signature)};
	return wire_query(out, pairs, n, scheme->query_flags, a);
}

/* OSS signs no header of a link that is none of its own. */
static int presign_canonical(const struct sigv4_scheme *scheme, const struct sigv4_keys *keys, const struct sigv4_presign *rq,
    struct slice host, struct slice scope, struct arena *a, struct slice *ret)
{
	struct buf canonical = BUF_INIT(2 * SIGNING_TEXT_MAX);
	int rc;

	buf_printf(&canonical, "%.*s\n", SLICE_ARG(rq->method));
	if (rq->bucket.len > 0)
		buf_append_char(&canonical, '/');
	buf_append(&canonical, rq->bucket);
	buf_append(&canonical, rq->path);
	buf_append_char(&canonical, '\n');
	rc = presign_query(scheme, keys, rq, scope, NULL, &canonical, a);
	if (scheme->by_list)
		buf_append_str(&canonical, "\n\n\n" SIGV4_UNSIGNED);
	else
		buf_printf(&canonical, "\nhost:%.*s\n\nhost\n" SIGV4_UNSIGNED, SLICE_ARG(host));
	if (rc == 0)
		return wire_keep(a, &canonical, ret);
	buf_finish(&canonical);
	return rc;
}

int sigv4_presign(const struct sigv4_keys *keys, const struct sigv4_presign *rq, struct arena *a,
    struct sigv4_signed *ret, struct slice *ret_url)
{
	const struct sigv4_scheme *scheme = rq->scheme != NULL ? rq->scheme : &sigv4_s3;
	struct buf url = BUF_INIT(2 * SIGNING_TEXT_MAX);
	struct sigv4_signed s = {.authorization = {"", 0}};
	struct slice host, whole = {0};
	int rc = split_host(rq->scheme_host, &host);

	if (rc != 0 || !keys_ok(keys) || !word_ok(rq->method) || rq->path.len == 0 || rq->path.ptr[0] != '/' ||
	    !date_ok(rq->date) || rq->expires_s < 1 || rq->expires_s > SIGV4_EXPIRES_S_MAX)
		return ERR_INVALID;
	rc = make_scope(scheme, keys, rq->date, a, &s.scope);
	if (rc == 0)
		rc = presign_canonical(scheme, keys, rq, host, s.scope, a, &s.canonical_request);
	if (rc == 0)
		rc = sign_canonical(scheme, keys, rq->date, a, &s);
	if (rc == 0) {
		buf_append(&url, rq->scheme_host);
		buf_append(&url, rq->path);
		buf_append_char(&url, '?');
		rc = presign_query(scheme, keys, rq, s.scope, s.signature, &url, a);
	}
	if (rc == 0)
		rc = wire_keep(a, &url, &whole);
	buf_finish(&url);
	if (rc != 0)
		return rc;
	*ret = s;
	*ret_url = whole;
	return 0;
}
