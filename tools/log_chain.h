/*
 * The logs before: when a log says in its first record that it takes the place of
 * one that lost events, that one is verified too, and what the record says of it, and so on back.
 * They lie in <dir>/previous/<n>, the latest with the greatest number.
 */
#ifndef LULAB_TOOLS_LOG_CHAIN_H
#define LULAB_TOOLS_LOG_CHAIN_H

#include <limits.h>

#include "audit/verify.h"

struct log_chain {
	const char *dir; /* the export, or the data directory */
	bool is_export;
	const struct note_key *keys; /* of the logs before, as the auditor was handed them */
	unsigned n_keys;
	bool own_keys; /* without one, the log.vkey beside the old log will do */

	/* Filled by log_chain_verify(). */
	bool is_successor;
	char origin[NOTE_NAME_MAX + 1], reason[256]; /* of the log right before, and why it has a successor */
	uint64_t found, signed_size;                 /* how much of it was found, and how much it had signed for */
	unsigned n_verified;                         /* logs before this one */
};

/*
 * Adds to the summary of the log itself what is wrong with those before, telling each by how->on_finding. 0,
 * ERR_CANCELLED, ERR_NOMEM.
 */
int log_chain_verify(struct log_chain *c, const struct verify_source *source, const struct verify_options *how,
    struct verify_summary *summary);

#endif
