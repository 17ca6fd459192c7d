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

#include "memo.h"
#include "parts.h"
#include "reference.h"

struct verdict {
	bool good;
	char why[640];
	uint64_t size; /* events found */
	unsigned models_lost;    /* made anew */
	bool core;               /* log, index, and who it is were judged; else they were known */
	unsigned opened;         /* bit 0: the keyring, bit 1 + n: read model n; the others were known */
};

struct judge;
/* memo: what was found good, which the judges of several processes may share. */
struct judge *judge_create(const struct reference *reference, struct memo *memo);
void judge_destroy(struct judge *j); /* NULL is fine */

/*
 * Whether the state with these prints is good because each of its parts is known to be, and what is promised of them together
 * holds. Each part was opened for real before it is called known:
 *
 *     the log        its events, roots and notes were what the run wrote; so its size and newest note tell all of it
 *     the index      was good beside a log of that size
 *     who it is      was good beside a log of that size and with that note: the signer's file, keys, name
 *     the keyring    held the keys of at least so many events
 *     a read model   stood at a position that this log has
 *
 * and no fewer events than were acknowledged after `ops` operations, the admin token as it was once somebody had an answer.
 * False: not known, look at it.
 */
bool judge_known(const struct judge *j, uint32_t ops, const struct prints *prints);

/*
 * dir stands for the watched directory after the first `ops` operations of the trace. What is known of the
 * parts is not looked at again, but for thorough: that opens everything, folds each read model to the end of the log and compares again, appends, signs, and
 * opens the log a second time.
 */
void judge_state(struct judge *j, const char *dir, uint32_t ops, const struct prints *prints, bool thorough,
    struct verdict *ret);

#endif
