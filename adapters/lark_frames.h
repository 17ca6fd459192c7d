/*
 * Frames of Feishu's long connection: one protobuf message a WebSocket message.
 *
 *     Frame   1 SeqID uint64   2 LogID uint64   3 service int32   4 method int32   5 repeated Header
 *             6 payloadEncoding string   7 payloadType string   8 payload bytes   9 LogIDNew string
 *     Header  1 key string   2 value string
 *
 * Fields 1 to 4 and both of a header are always written. What comes from
 * outside has ceilings: of headers, of pieces, of the bytes that wait to be put together.
 *
 * Source: vendor-protocols 2.6.
 */
#ifndef LULAB_ADAPTERS_LARK_FRAMES_H
#define LULAB_ADAPTERS_LARK_FRAMES_H

#include "answer_class.h"
#include "base/arena.h"
#include "base/buf.h"

#define LARK_FRAME_MAX (4 << 20)
#define LARK_HEADERS_MAX 32

struct lark_header {
	struct slice key, value;
};

enum lark_method { LARK_CONTROL = 0, LARK_DATA = 1 };

/* Slices borrow from what was decoded; the optional ones have ptr NULL when absent. */
struct lark_frame {
	uint64_t seq_id, log_id;
	int32_t service, method;
	struct lark_header headers[LARK_HEADERS_MAX];
	size_t n_headers;
	struct slice payload_encoding, payload_type, payload, log_id_new;
};

/*
 * ERR_MALFORMED: not a message of that form, a required field absent, a varint of
 * more than 64 bits. ERR_TOO_BIG: longer than LARK_FRAME_MAX, more than LARK_HEADERS_MAX headers.
 * Unknown fields are passed over; of a field that is there twice the last counts.
 */
int lark_frame_decode(struct slice bytes, struct lark_frame *ret);
/* Appends. ERR_NOMEM, ERR_TOO_BIG. */
int lark_frame_encode(struct buf *out, const struct lark_frame *f);

/* The header's value; empty, ptr NULL, when absent. */
struct slice lark_frame_header(const struct lark_frame *f, const char *key);

/* What the client sends every PingInterval. */
int lark_ping(struct buf *out, int32_t service);
/* The frame given back: taken in (200), or to be sent once more (500). ERR_TOO_BIG: no room for one more header. */
int lark_ack(struct buf *out, const struct lark_frame *f, bool taken, int64_t biz_rt_ms);

/* ---- messages in pieces ---------------------------------------------------------------- */

#define LARK_SPLIT_PIECES_MAX 64
#define LARK_SPLITS_MAX 16             /* messages under way */
#define LARK_SPLIT_BYTES_MAX (8 << 20) /* all that waits */
#define LARK_SPLIT_AGE_MS 10000

struct lark_split {
	struct slice message_id; /* ours: malloc() */
	unsigned sum, have;
	struct slice pieces[LARK_SPLIT_PIECES_MAX]; /* ours */
	bool has[LARK_SPLIT_PIECES_MAX];
	int64_t begun_ms;
};

/* For one connection; zero it. Not for threads to share. */
struct lark_splits {
	struct lark_split items[LARK_SPLITS_MAX];
	unsigned n;
	size_t bytes;
};
void lark_splits_finish(struct lark_splits *s);

/*
 * Takes a data frame. *ret_complete: the message is whole and appended to out (at
 * once when its sum is 1); this frame is the one to ack. now_ms: of a clock that never goes back. What is older than
 * LARK_SPLIT_AGE_MS is dropped, and the oldest when there are too many. ERR_INVALID: no message_id, sum or
 * seq outside what they may be, another sum than the first piece's; the frame is dropped. ERR_TOO_BIG: too
 * many bytes wait; this message is dropped. ERR_NOMEM.
 */
int lark_splits_add(struct lark_splits *s, const struct lark_frame *f, int64_t now_ms, struct buf *out,
    bool *ret_complete);

/* ---- where to connect -------------------------------------------------------------------- */

struct lark_client_config {
	int64_t reconnect_count;      /* -1 = for ever */
	int64_t reconnect_interval_s, reconnect_nonce_s, ping_interval_s;
};
/* Adopts what a pong or the endpoint says; what is not told or out of its range stays. ERR_MALFORMED, ERR_TOO_BIG, ERR_NOMEM. */
int lark_client_config_parse(struct slice json, struct arena *a, struct lark_client_config *config);

struct lark_endpoint {
	struct slice url; /* wss:// (ws:// is for who connects to judge), with a ticket that is good for one attempt */
	int32_t service;  /* of frames we send */
	struct lark_client_config config;
};
/* Body of POST /callback/ws/endpoint (header locale: zh), appended. */
int lark_body_endpoint(struct buf *out, struct slice app_id, struct slice app_secret);
/* ret_is: what an answer that is no endpoint means; OK = ret is filled in. ERR_NOMEM only. */
int lark_endpoint_parse(int status, struct slice body, struct arena *a, struct lark_endpoint *ret,
    enum answer_class *ret_is);

#endif
