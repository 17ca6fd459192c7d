/*
 * A log that takes the place of one that lost events (integrity.md section 10)
 * says so in its first record: the old log's last signed note, how many events were
 * found of it, their root, and why. What an auditor makes of that:
 *
 *     the note is one of the log named, signed by the key he was given for it;
 *     no more was found than was signed;
 *     the old log, where it is at hand, has that root at that size.
 */
#ifndef LULAB_AUDIT_VERIFY_SUCCESSION_H
#define LULAB_AUDIT_VERIFY_SUCCESSION_H

#include "audit/verify.h"
#include "base/arena.h"

struct succession {
	struct slice origin, reason, note; /* of the log before; in the arena */
	uint64_t found;                    /* events of it that were found */
	uint64_t signed_size;              /* events its last note tells of */
	bool has_root;
	struct merkle_hash root; /* at `found` */
};

/*
 * From the first record of a log of that size. ERR_NOT_FOUND: it is no successor (or has no record that can be read: verify_log()
 * tells of that); ERR_MALFORMED with a sentence in *ret_reason (static).
 */
int succession_read(struct succession *ret, const struct verify_source *source, uint64_t size, struct arena *a,
    const char **ret_reason);

/* Is the note by one of these keys of the old log? */
bool succession_is_signed(const struct succession *s, const struct note_key *keys, unsigned n_keys);

/*
 * Does the old log begin with what was found of it? 0; ERR_CORRUPT: it has another root there;
 * ERR_NOT_FOUND: it has not so many records, or the first record tells no root. Errors are the source's.
 */
int succession_root_holds(const struct succession *s, const struct verify_source *old);

#endif
