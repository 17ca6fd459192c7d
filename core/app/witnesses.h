/*
 * Where our checkpoints go: each new one is sent to the witnesses of the policy
 * (domain/policy.h), and what they sign is kept under the checkpoint.
 *
 * A thread a witness, which may wait for it as long as it likes: nothing else
 * does, but for a moment at the start, when a witness is asked how far it has seen this
 * log. One that saw more than there is, or another history, means that events
 * were lost: the log is told to refuse further writing (integrity.md section 10).
 */
#ifndef LULAB_APP_WITNESSES_H
#define LULAB_APP_WITNESSES_H

#include "domain/policy.h"

struct eventlog;
struct witnesses;

enum witness_state {
	WITNESS_ASKED,       /* it has not answered yet */
	WITNESS_OK,          /* it signed the newest checkpoint it was sent */
	WITNESS_UNREACHABLE, /* no answer, or none that makes sense; tried again */
	WITNESS_REFUSING,    /* it will not sign for this log, or what this log shows it */
};

struct witness_status {
	const char *name; /* of its key; the witnesses' */
	enum witness_state state;
	uint64_t size;     /* of the newest checkpoint it signed for us; 0 = none since the start */
	char reason[200];  /* "" when all is well */
};

/*
 * Starts a thread for each witness that has a URL and waits until each has answered or failed
 * once, wait_ms at most. The policy is copied. ERR_NOMEM, ERR_UNAVAILABLE.
 */
int witnesses_start(struct witnesses **ret, struct eventlog *log, const struct policy *policy, unsigned wait_ms);
/*
 * Waits for calls under way and shows the last checkpoint, which must be signed by now, to the witnesses that signed
 * the one before: a few seconds at most. The log must still take notes. NULL is fine.
 */
void witnesses_stop(struct witnesses *w);

/* The i-th witness, also one that has no URL; false past the last. NULL has none. Any thread. */
bool witnesses_status(struct witnesses *w, unsigned i, struct witness_status *ret);
/* How many of them a checkpoint needs; 0 for NULL. */
unsigned witnesses_quorum(const struct witnesses *w);

/*
 * The checkpoint to show to others: the newest that as many witnesses as the quorum have signed. Without a
 * quorum, or as long as none has been reached since the start, the newest of all. As eventlog_last_note(). Any thread.
 */
int witnesses_note(struct witnesses *w, struct eventlog *log, uint64_t *ret_size, struct buf *ret_note);

#endif
