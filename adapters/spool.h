/*
 * Files of the object storage for programs that read files: where they lie
 * when that is this machine, else a copy in spool/ of the data directory, for the while. Copies
 * that a killed process left there are removed at the next start.
 */
#ifndef LULAB_ADAPTERS_SPOOL_H
#define LULAB_ADAPTERS_SPOOL_H

#include "object_store.h"

struct spool {
	const char *path; /* in the arena of the object_call; for reading only */
	bool is_copy;
};

#define SPOOL_BYTES_MAX ((uint64_t)16 << 30) /* bigger files are not fetched back to look into them */

/*
 * size: of the object. name: of the copy, [0-9a-z-], nobody else's at that time (an effect's id). As object_get_file(); ERR_TOO_BIG:
 * it lies elsewhere and is larger than SPOOL_BYTES_MAX.
 */
int spool_take(struct spool *ret, const char *data_dir, struct object_call *o, struct slice key, uint64_t size, const char *name);
/* A zeroed one is fine. */
void spool_drop(struct spool *s);

/* Before anybody takes one. */
void spool_clean(const char *data_dir);

#endif
