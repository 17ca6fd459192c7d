/*
 * COS's own signature (q-sign-algorithm=sha1), for what its S3 side does not
 * do. Pure function, any thread; everything returned lies in the arena.
 *
 *     SignKey    hex HMAC-SHA1(secret, "start;end")      seconds; valid from start to end
 *     HttpString method \n /key, decoded \n parameters \n headers \n
 *     signature  hex HMAC-SHA1(SignKey, "sha1\nstart;end\nhex SHA1(HttpString)\n")
 *
 * Source: vendor-protocols 6.4.
 */
#ifndef LULAB_ADAPTERS_COS_WIRE_H
#define LULAB_ADAPTERS_COS_WIRE_H

#include "signing.h"

struct cos_request {
	struct slice secret_id, secret_key; /* a session token goes into the header x-cos-security-token */
	struct slice method;
	struct slice object;                /* decoded, without the first "/" */
	int64_t start_s, end_s;             /* since 1970; start at most the clock's */
	const struct wire_pair *query;
	size_t n_query;
	const struct wire_pair *headers;    /* all of them are signed: host, content-md5, every x-cos-* */
	size_t n_headers;
};

struct cos_signed {
	struct slice http_string, string_to_sign;
	char sign_key[HEX_SHA1_LEN + 1], signature[HEX_SHA1_LEN + 1];
	struct slice authorization; /* the header's value */
};

/*
 * ERR_INVALID: no host, a header twice or with a line break, empty keys, a span that ends before it begins.
 * ERR_NOMEM, ERR_TOO_BIG.
 */
int cos_sign(const struct cos_request *rq, struct arena *a, struct cos_signed *ret);

#endif
