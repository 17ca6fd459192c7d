/*
 * The service without its network: what `lulab serve` opens in a data directory, by the
 * same calls as app_start(), but step by step, so that a judge can look between
 * the steps. The keyring comes after the log here: neither knows of the other.
 */
#ifndef LULAB_TESTS_POWER_SERVICE_H
#define LULAB_TESTS_POWER_SERVICE_H

#include <limits.h>

#include "app/auth.h"
#include "base/buf.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"
#include "store/keyring.h"
#include "store/projection_fold.h"
#include "store/seal.h"

struct service {
	char data[PATH_MAX - 64];
	struct auth auth;
	char origin[LOG_ORIGIN_MAX + 1];
	struct keyring *keyring;
	struct eventlog *log;
	struct sealer *sealer;
	struct event_feed *feed; /* opened with the first read model */
	struct signer *signer;
	uint64_t signed_size; /* what the signer's file said before anything else; 0: no file */
	struct merkle_hash signed_root;
	char problem[512];    /* which step failed and why */
};

/* The steps before the log: the admin token, the log's name. */
int service_begin(struct service *s, const char *data);
/* Everything before the signer. On failure service_close() what there is. */
int service_open(struct service *s, const char *data);
/* The same without the keyring, which the log does not need. */
int service_open_log(struct service *s, const char *data);
/* Then the keyring, and what needs it. */
int service_open_keys(struct service *s);
/* The signer; it begins to sign at once. */
int service_start_signer(struct service *s);
/* In any state the others may leave. */
void service_close(struct service *s);

/* The file of one read model, opened as its projector would; *ret_lost: it was found unusable and made anew. */
int service_open_model(struct service *s, const struct projection *model, struct fold *fold, bool *ret_lost);

#endif
