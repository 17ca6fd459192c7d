/*
 * What a verifier knows about one record (integrity.md 2.4), read from the
 * specification and not from the code that writes them.
 */
#ifndef LULAB_AUDIT_VERIFY_RECORD_H
#define LULAB_AUDIT_VERIFY_RECORD_H

#include "base/slice.h"

#define RECORD_ONCE_LEN 32

struct record_facts {
	int64_t time_us;
	struct slice type; /* in the record */
	struct slice data; /* its JSON */
	bool has_once;
	uint8_t once[RECORD_ONCE_LEN];
};

/*
 * 0, or ERR_MALFORMED with the reason (static text): strict JSON without white
 * space, exactly the known members in their order, each of its form, the
 * sequence equal to `index`.
 */
int record_check(struct slice record, uint64_t index, struct record_facts *ret, const char **ret_reason);

/* Calls back for every {"$blob":"<64 hex digits>","size":n} in the data; its first error ends the walk. ERR_MALFORMED for a wrong form. */
typedef int record_blob_cb(void *arg, struct slice hex, uint64_t size);
int record_blobs(const struct record_facts *facts, record_blob_cb *cb, void *arg);

#endif
