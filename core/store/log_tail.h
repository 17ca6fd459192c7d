/*
 * The tail: the facts of the newest events, in memory, until the index on disk
 * has them. A lookup asks here first.
 *
 * Facts lie one after another in a ring of bytes, oldest first, each linked to
 * the previous one of its hash bucket; a bucket's head is the newest. So what a
 * failed append added is undone by going back to a mark, and what the index
 * has taken over is dropped by moving the ring's begin; links that lead before
 * it are simply not followed.
 *
 * The writer adds, undoes, commits and drops. Others only find, and then see
 * what is durable. One mutex inside guards all; it is never held over I/O.
 */
#ifndef LULAB_STORE_LOG_TAIL_H
#define LULAB_STORE_LOG_TAIL_H

#include <pthread.h>

#include "store/log_facts.h"

struct log_tail {
	pthread_mutex_t lock; /* guards all of it */
	uint8_t *ring;
	uint64_t size;                  /* of the ring, a power of two */
	uint64_t begin, committed, end; /* offsets that only grow; at = offset & (size - 1) */
	uint64_t *heads;                /* offset + 1 of the newest fact in the bucket; 0: none */
};

int log_tail_init(struct log_tail *t); /* ERR_NOMEM */
void log_tail_finish(struct log_tail *t); /* accepts a zeroed one */

/* Writer: where the next fact will go. */
uint64_t log_tail_mark(struct log_tail *t);
/* Writer. ERR_NOMEM; nothing is added then. */
int log_tail_add(struct log_tail *t, const struct log_fact *fact);
/* Writer: forgets everything added since the mark, which must not be committed. */
void log_tail_undo(struct log_tail *t, uint64_t mark);
/* Writer: what was added is durable. */
void log_tail_commit(struct log_tail *t);
/* Writer: forgets facts of positions before this one. */
void log_tail_drop(struct log_tail *t, uint64_t position);

/*
 * The newest fact with this key, *ret->key being the key asked for; false when
 * there is none. FACT_CLAIM finds claims and releases. TAIL_ALL: also
 * what is not durable yet.
 */
#define TAIL_DURABLE false
#define TAIL_ALL true
bool log_tail_find(struct log_tail *t, enum fact_kind kind, struct slice key, bool all, struct log_fact *ret);

/*
 * For the index thread: copies durable facts from offset *at on into buf, whole
 * ones, and moves *at behind them. Gives the bytes copied, 0 when there is no
 * more. Start with *at = 0: it is moved up to the begin.
 */
#define TAIL_COPY_MIN 4096
size_t log_tail_copy(struct log_tail *t, uint64_t *at, uint8_t *buf, size_t buf_len);
/* Takes the first fact off such a copy; false when it is empty. key points into the copy. */
bool log_tail_take(const uint8_t **at, size_t *left, struct log_fact *ret);

uint64_t log_tail_bytes(struct log_tail *t);

#endif
