/*
 * Erasing a person (integrity.md 12): the keys that what the log holds of them is
 * sealed with are destroyed, the epoch turned so that they cannot be found on the
 * disk either, and every read model made anew without them. The log stays as it
 * is, and every proof of it.
 *
 *     privacy.erasure.requested --> keys, epoch --> read models --> privacy.erasure.completed
 *
 * From the commit of the first on there is no way back: a start finds what was
 * requested and goes on where it stopped. A person is several subjects: the
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

/*
 * All that follows a request, for these subjects: from the keys to the event that says it is done. As long as a rebuild
 * of the read models; not for loops. ERR_BUSY: another one is under way. Whatever failed, the next start does it again.
 */
int erase_finish(struct app *app, const struct id *subjects, size_t n);

/*
 * What a start does: before anything sealed is opened, the keys of who was erased are destroyed if they are there (a crash, or a
 * keyring from a backup); once the read models run, what was requested and not completed is.
 */
int erase_keys_at_start(struct app *app);
int erase_finish_at_start(struct app *app);

#endif
