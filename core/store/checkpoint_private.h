/* What the files of the signer share; private to core/store/checkpoint*.c. */
#ifndef LULAB_STORE_CHECKPOINT_PRIVATE_H
#define LULAB_STORE_CHECKPOINT_PRIVATE_H

#include <limits.h>

#include "store/checkpoint.h"

/* ---- checkpoint_state.c: the files of the signer ---- */

/* ret = dir/name; ERR_TOO_BIG. */
int signer_path(char ret[PATH_MAX], const char *dir, const char *name);

/* Size, root and origin last signed; ret->origin is left empty. ERR_NOT_FOUND when nothing was; ERR_CORRUPT. */
int signer_state_read(const char *path, char ret_origin[LOG_ORIGIN_MAX + 1], struct checkpoint *ret);
/* On the disk when it returns 0. The text is a checkpoint's, as it is signed. */
int signer_state_write(const char *path, struct slice checkpoint_text);

#endif
