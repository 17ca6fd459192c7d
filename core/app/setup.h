/*
 * The first start: nobody has an account and there is no default password, so
 * whoever runs the service is shown a link that makes the first account, one that
 * may do everything.
 *
 * The link's token is 32 random bytes. Its digest is in memory alone: it ends with
 * the process, after SETUP_LIFE_S, and with its use. That it was used is decided in
 * the log: what the first account consists of has `once` keys, so of any number of
 * uses one makes it.
 */
#ifndef LULAB_APP_SETUP_H
#define LULAB_APP_SETUP_H

#include <stdint.h>

#include "base/codec.h"
#include "crypto/crypto.h"

struct app;

#define SETUP_TOKEN_BYTES 32
#define SETUP_TOKEN_LEN BASE64URL_LEN(SETUP_TOKEN_BYTES)
#define SETUP_LIFE_S 3600

/* Plain data of the app; read-only once the server listens. */
struct setup {
	int64_t until_us; /* wall clock; 0: no link was made */
	uint8_t digest[SHA256_LEN];
};

/*
 * After everything else was started, before requests come in: when nobody may do everything yet, makes the
 * token of a link, else leaves *ret_token empty. 0 or ERR_*; without an answer to who may do what there is no link.
 */
int setup_offer(struct app *app, char ret_token[SETUP_TOKEN_LEN + 1]);

#endif
