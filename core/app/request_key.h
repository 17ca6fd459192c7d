/*
 * Idempotency-Key (integrity.md 14): what a client says of a command so that it may send it again. Of one caller each
 * key is good for one request; a second with the same bytes gets the first one's answer and does nothing.
 *
 * The first is remembered by an event it appends: its once key is made of caller and key, and a field of it tells
 * the request apart from others (`digest`). So it is known for as long as the log is, over crashes, and of two that come at
 * once one is first.
 */
#ifndef LULAB_APP_REQUEST_KEY_H
#define LULAB_APP_REQUEST_KEY_H

#include "app/action.h"

struct request_key {
	bool is_given;
	uint8_t once[ONCE_KEY_LEN];
	struct slice digest; /* keyed, of path and body, base64url; in the command's arena */
};

/* Of the request; is_given false when it has no such header. False: the 400 is set. */
bool request_key_read(struct action *c, struct request_key *ret);

/* 0 and where the event of the first is, ERR_NOT_FOUND when this is the first, or what the log says. */
int request_key_find(struct action *c, const struct request_key *key, uint64_t *ret_position);

/* Is the request that the event tells of, by its digest, the same? False: the 422 is set. */
bool request_key_same(struct action *c, const struct request_key *key, struct slice digest);

#endif
