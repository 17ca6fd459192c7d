/*
 * The ceiling program: what the webhook path costs when nothing but the work
 * itself is done. libuv loops, llhttp, signature, AES, JSON parse, one LMDB put
 * an event, group commit by one thread, answer. No limits, no routing, no
 * duplicates, no Merkle tree, no sealing, no read models.
 *
 * The same server without the work is the bare HTTP echo; with what the design demands of a
 * record besides (bench_floor.h) it is the floor, and with the rows that must follow (bench_floor_rows.h) the floor of
 * all that a webhook costs.
 */
#ifndef LULAB_TOOLS_BENCH_CEILING_H
#define LULAB_TOOLS_BENCH_CEILING_H

#include "bench_floor_rows.h"
#include "tencent_wire.h"

struct ceiling;

struct ceiling_options {
	unsigned loops;
	/* Webhooks: the keys, and where the store goes (must exist). NULL keys: echo. */
	const struct tencent_keys *keys;
	const char *dir;
	bool demanded; /* what bench_floor.h does as well */
	bool rows;     /* and bench_floor_rows.h, which goes by `clock`; webhooks are the bench's own */
	const struct clock *clock;
	/* An echo: its whole answer, copied; without one it is a 200 with a body of so many bytes. */
	struct slice answer;
	size_t body_len;
};

/* Listens on a free port of 127.0.0.1. 0 or ERR_*. */
int ceiling_start(struct ceiling **ret, const struct ceiling_options *options);
unsigned ceiling_port(const struct ceiling *c);
/* Records and commits so far; any thread. */
void ceiling_counts(struct ceiling *c, uint64_t *ret_records, uint64_t *ret_commits);
/* With rows: floor_rows_finish(), when all answers have come. */
int ceiling_finish_rows(struct ceiling *c, struct floor_rows_result *ret);
/* Breaks all connections, ends the threads and frees. NULL is fine. */
void ceiling_stop(struct ceiling *c);

#endif
