/*
 * A WebSocket (RFC 6455) that we open, for one thread that blocks. libcurl makes the connection (names, TLS,
 * certificates), the upgrade is written here, libwslay does the frames. Nothing grows on the other side's say-so:
 * the answer to the upgrade, a message and what waits to be sent have ceilings.
 *
 * http_client_create() must have been called before: it initialises libcurl.
 */
#ifndef LULAB_NET_WS_CLIENT_H
#define LULAB_NET_WS_CLIENT_H

#include "base/rng.h"
#include "net/http_client.h"

struct ws_client;

struct ws_call {
	const char *url;       /* wss://, or ws:// to this machine's loopback only */
	const char *ca_file;   /* NULL: the system's */
	unsigned timeout_ms;   /* to connect, for the upgrade, and for each message to leave; 0 = 10000 */
	size_t message_max;    /* bytes of one message that comes */
	int stop_fd;           /* once it is readable every call here ends with ERR_CANCELLED; -1: none */
	const struct rng *rng; /* for keys and masks */
};

/*
 * ERR_INVALID (URL), ERR_DENIED (scheme or address not allowed), ERR_NETWORK, ERR_TIMEOUT, ERR_BAD_SIGNATURE
 * (certificate), ERR_UNAVAILABLE (it answered, but not with an upgrade), ERR_CANCELLED, ERR_NOMEM. answer, which is the caller's to
 * http_result_finish() in any case, has its status and headers, and a message for people.
 */
int ws_open(struct ws_client **ret, const struct ws_call *call, struct http_result *answer);

/*
 * The next message, binary or text, which is good until the next call. ERR_TIMEOUT: none came whole in that
 * time. ERR_END: the other side said goodbye. ERR_NETWORK: the connection broke. ERR_TOO_BIG, ERR_MALFORMED: it
 * broke the rules, and was told so. After any but ERR_TIMEOUT only ws_close() is left. Pings of the other side are answered in here.
 */
int ws_receive(struct ws_client *w, unsigned timeout_ms, struct slice *ret_message);

/* Sends one binary message whole. ERR_NETWORK, ERR_TIMEOUT, ERR_CANCELLED, ERR_NOMEM: only ws_close() is left. */
int ws_send(struct ws_client *w, struct slice message);

/* Says goodbye where it can without waiting, and frees. NULL is fine. */
void ws_close(struct ws_client *w);

#endif
