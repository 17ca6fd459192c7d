/*
 * HTTP requests made by effects and the command line tools: one blocking call. Server
 * certificates and names are always checked, redirects are never followed,
 * proxies from the environment are not used, and an answer has a ceiling.
 * Any thread, one client a thread at a time; connections are kept for the
 * next call to the same place.
 */
#ifndef LULAB_NET_HTTP_CLIENT_H
#define LULAB_NET_HTTP_CLIENT_H

#include "base/buf.h"

struct http_client;

/* Initialises libcurl on first use; call it once before threads start. ERR_NOMEM, ERR_UNAVAILABLE. */
int http_client_create(struct http_client **ret);
void http_client_destroy(struct http_client *c);

/* Plain http only to this machine's loopback unless CLIENT_PLAIN allows it anywhere. */
#define CLIENT_PLAIN 1u
/* Refuse everything but loopback addresses, by name or number. */
#define CLIENT_LOOPBACK_ONLY 2u
/*
 * For URLs that came from outside: refuse every address that is not of the public internet (this machine's, private
 * ranges, the cloud's own), whatever the name resolves to, but for those in `also`.
 */
#define CLIENT_PUBLIC_ONLY 4u
/* A connection of its own: a kept one that breaks before an answer makes libcurl send the request once more by itself,
 * which what must happen at most once cannot bear. */
#define CLIENT_FRESH 8u

struct address_ranges;
struct http_result;

struct http_call {
	const char *method; /* NULL: GET, or POST when there is a body */
	const char *url;
	const char *const *headers; /* "Name: value", closed by NULL; NULL for none. Refused with CR or LF inside. */
	struct slice body;
	bool has_body;              /* send body even when empty */
	/*
	 * Given: the body comes from here piece by piece instead, body_len bytes in all. Puts up to `room` bytes there and
	 * says how many (at least one), or an ERR_*, which ends the call and is its result. Without a method it is a PUT.
	 */
	int64_t (*on_read)(void *arg, char *bytes, size_t room);
	uint64_t body_len;
	unsigned flags;             /* CLIENT_* */
	unsigned timeout_ms;        /* whole call; 0 = 30000 */
	unsigned connect_ms;        /* name, connection and TLS; 0 = as long as the whole call */
	/* Fewer bytes a second than this for slow_s seconds end the call with ERR_TIMEOUT; 0 = any speed. */
	unsigned slow_bytes_per_s, slow_s;
	const _Atomic bool *stopping; /* once true the call ends soon, with ERR_CANCELLED; NULL = never */
	const struct address_ranges *also; /* CLIENT_PUBLIC_ONLY: these too; NULL = none */
	size_t answer_max;          /* bytes; 0 = 8 MiB */
	const char *ca_file;        /* NULL: the system's */
	/*
	 * Given: the head of the answer is there (ret->status and ret->headers), before its first piece. Non-zero ends the call
	 * with ERR_CANCELLED.
	 */
	int (*on_head)(void *arg, const struct http_result *so_far);
	/* Given: pieces of the answer as they come, instead of ret->body; non-zero ends the call with ERR_CANCELLED. */
	int (*on_bytes)(void *arg, struct slice bytes);
	void *arg; /* of the callbacks */
};

struct http_result {
	int status;
	bool sent;                /* the request began to leave: what it asks for may happen, also when no answer comes */
	struct buf body;          /* http_result_finish() frees it */
	struct buf headers;       /* lines "name: value\r\n", names in lower case */
	int64_t duration_us;
	char message[256];        /* on failure: what libcurl says, for people */
};

/*
 * 0 whenever an answer came, whatever its status. ERR_INVALID (URL, headers),
 * ERR_DENIED (scheme or address not allowed), ERR_NETWORK, ERR_TIMEOUT,
 * ERR_TOO_BIG, ERR_BAD_SIGNATURE (certificate), ERR_CANCELLED.
 */
int http_client_call(struct http_client *c, const struct http_call *call, struct http_result *ret);
void http_result_finish(struct http_result *r);
/* The host of a URL as a call would take it: lower case, a bare address without brackets. ERR_INVALID: no http or https URL, or
 * one with a user in it. */
#define HTTP_URL_HOST_MAX 256
int http_url_host(const char *url, char ret[HTTP_URL_HOST_MAX]);
/* Value of an answer header; false when absent. name in lower case. */
bool http_result_header(const struct http_result *r, const char *name, struct slice *ret_value);

#endif
