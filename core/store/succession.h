/*
 * Two logs change places: the one that lost events goes to DATA/previous/<n>, its
 * successor, made whole in DATA/successor.tmp, comes to where it was.
 *
 *     DATA/succession   "<n>\n", while the change is under way
 *     DATA/restored     why this log may not be written: it came out of a backup, and nobody
 *                       here can tell whether it is the newest; goes with the old log
 *
 * Every step can be repeated, so a kill at any moment is mended by succession_finish().
 */
#ifndef LULAB_STORE_SUCCESSION_H
#define LULAB_STORE_SUCCESSION_H

#include <stdbool.h>

struct eventlog;

/* From here on the successor is the log: it only remains to move the files. */
int succession_begin(const char *data_dir);
/* Fails when that cannot be told just now, as restore_is_under_way() does. */
int succession_is_under_way(const char *data_dir, bool *ret_is);
/* Moves what is not moved yet, and drops what is made from the log. ret_previous: PATH_MAX bytes, where the old log lies now. */
int succession_finish(const char *data_dir, char *ret_previous);

/* DATA/restore.tmp is there and no log yet: `lulab backup restore` was interrupted, or is at work. */
int restore_is_under_way(const char *data_dir, bool *ret_is);

/* Makes the log read-only when DATA/restored is there, for the reason in it. Fails when nobody can tell: an error of the
 * disk is no sign of a restore. */
int log_refuse_restored(struct eventlog *log, const char *data_dir);

#endif
