/*
 * Feishu's long connection: events over a WebSocket that we open, for whoever has no address that the vendor reaches.
 *
 *     ASKING (where) -> CONNECTING -> STANDING --> lost: WAITING -> ASKING
 *                                              --> refused for good: RESTING, and asked again after an hour
 *
 * One thread does it all and blocks: an event is acknowledged once it is durable, so the log's pace is the
 * connection's. What the vendor gives (how often to ping, when to come back, how often to try) is adopted. It is
 * told apart from the webhook by the actor alone; what comes by both is stored once.
 *
 * Source: vendor-protocols 2.6.
 */
#ifndef LULAB_ADAPTERS_LARK_CONNECTION_H
#define LULAB_ADAPTERS_LARK_CONNECTION_H

#include "base/buf.h"

struct config;
struct lark;
struct lark_connection;

/* The settings ask for one, and say enough for it. */
bool lark_connection_wanted(const struct config *c);

/* Starts the thread; l stays until lark_connection_destroy(). ERR_NOMEM, ERR_IO, ERR_UNAVAILABLE. */
int lark_connection_start(struct lark_connection **ret, struct lark *l);
/* Ends the thread and waits for it: what was taken in is acknowledged first. NULL, and twice, are fine. */
void lark_connection_stop(struct lark_connection *c);
void lark_connection_destroy(struct lark_connection *c);

/* NULL while it stands, or why not: static, for people. Any thread. */
const char *lark_connection_says(const struct lark_connection *c);
/* NULL: there is none. Any thread. */
void lark_connection_metrics(const struct lark_connection *c, struct buf *out);

#endif
