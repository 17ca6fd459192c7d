/*
 * Erasing a person (integrity.md 12): the keys that what the log holds of them is
 * sealed with are destroyed, the epoch turned so that they cannot be found on the
 * disk either, and every read model made anew without them. The log stays as it
 * is, and every proof of it.
 *
 *     privacy.erasure.requested --> keys, epoch --> read models --> privacy.erasure.completed
 *
 * From the commit of the first on there is no way back, and nothing of the person is
 * answered: what is sealed does not open, the read models blank them as they read it.
 * The rest takes as long as a rebuild. One thread does it, for all that are asked
 * for at once; it goes on after a start where it stopped. A person is several subjects: the
 * account, and who they are on the meeting platforms as far as that was linked.
 * With them go the keys of raw deliveries that name one of these.
 */
#ifndef LULAB_APP_ERASE_H
#define LULAB_APP_ERASE_H

#include "app/app.h"

#define ERASE_SUBJECTS_MAX 64
#define ERASE_DUE_MS (15 * INT64_C(86400000))

/* `once` keys: one request and one completion for a subject. */
void erase_once_requested(uint8_t ret[ONCE_KEY_LEN], const struct id *subject);
void erase_once_completed(uint8_t ret[ONCE_KEY_LEN], const struct id *subject);

/* Destroys all keys that what is known of these is sealed with. Looks at the whole log; not for loops. */
int erase_keys(struct app *app, const struct id *subjects, size_t n);

/*
 * What a start does before anything sealed is opened: the keys of who was erased are destroyed if they are there (a crash, or a
 * keyring from a backup).
 */
int erase_keys_at_start(struct app *app);

/* Is there one that was requested and not completed? */
int erase_is_pending(struct app *app, bool *ret);
/* All that follows a request, for every one that is in the log and not completed; *ret_n of them. Not for loops, one at a time. */
int erase_finish_pending(struct app *app, size_t *ret_n);

/*
 * Whether this identity was erased after `at_ms`: then what was then is not told of it any more, wherever it comes from. *ret_id: the
 * subject it was, as text in the arena; empty: it was not. Of somebody who returned only the new one is known. Any thread.
 */
int erase_find(struct app *app, struct slice kind, struct slice identity, int64_t at_ms, struct arena *a, struct slice *ret_id);

/* ---- erase_work.c: the thread ------------------------------------------------ */

struct erasures;

/*
 * Read models run. Goes on with what was interrupted; returns when they have read that it was asked for, so that what is answered from here
 * on is without these people, or, where that takes too long, when it is done.
 */
int erasures_open(struct erasures **ret, struct app *app);
/* From here on nobody waits there: ERR_CANCELLED. NULL is fine. */
void erasures_cancel(struct erasures *e);
void erasures_close(struct erasures *e); /* after projector_interrupt(), or it takes as long as a rebuild; NULL is fine */

/*
 * Waits until all that was asked for before is done. Not for loops. ERR_BUSY: as many wait as may; it is done nevertheless.
 * ERR_*: it is tried again in a minute, and at the next start.
 */
int erasures_wait(struct erasures *e);

#endif
