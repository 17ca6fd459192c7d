/*
 * The judge: opens a data directory as the service would after the power came
 * back, and says what of its promises is broken.
 *
 * Promised is: it starts by itself; every event that was acknowledged is there, each
 * event is byte for byte what it was in the run, none is missing between; the
 * tree has the root it had at that size, and at every signed checkpoint; the
 * signer's file is neither ahead of the log nor behind a signature in it; the keyring
 * holds every key used; the look-ups (duplicates, streams, subjects) find what the events
 * say; a read model stands where its rows say it stands, or is recognised as lost
 * and made anew; and the log takes the next event.
 */
#ifndef LULAB_TESTS_POWER_JUDGE_H
#define LULAB_TESTS_POWER_JUDGE_H

#include "reference.h"

/*
 * Prints of what stands alone in the state at hand: the keyring's files, and each read model's (database and -wal). What
 * was judged good once, and is not ahead of this log, is good again and is not opened a second time.
 */
struct prints {
	uint64_t keys, models[MODELS_MAX];
};

struct verdict {
	bool good;
	char why[640];
	uint64_t size; /* events found */
	unsigned models_lost;    /* made anew */
	unsigned opened;         /* bit 0: the keyring, bit 1 + n: read model n; the others were known */
};

struct judge;
struct judge *judge_create(const struct reference *reference);
void judge_destroy(struct judge *j); /* NULL is fine */

/*
 * dir stands for the watched directory after the first `ops` operations of the trace. thorough: opens
 * everything whatever is known, folds each read model to the end of the log and compares again, appends, signs, and
 * opens the log a second time.
 */
void judge_state(struct judge *j, const char *dir, uint32_t ops, const struct prints *prints, bool thorough,
    struct verdict *ret);

#endif
