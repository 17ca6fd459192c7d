/*
 * Effects that were handed out, by their ids. Rows older than what is told of
 * one count for nothing, so it is kept until rows are read that know of its end.
 */
#ifndef LULAB_STORE_EFFECT_FLIGHTS_H
#define LULAB_STORE_EFFECT_FLIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"

#define FLIGHTS_MAX 4096
#define FLIGHT_CHAINS 4096 /* a power of two */

struct flight {
	char id[ID_TEXT_LEN + 1];
	bool is_back;
	uint64_t settled;  /* position of the last event that tells of it */
	unsigned next;     /* of its chain, or of the unused ones; + 1 */
};

/* Embed it, zeroed. One thread's. */
struct flights {
	/* Private, but for n. */
	struct flight slots[FLIGHTS_MAX];
	unsigned chains[FLIGHT_CHAINS]; /* by hash of the id; slot + 1 */
	unsigned n, n_used, unused;
};

/* Room for it must be there: n < FLIGHTS_MAX. */
void flights_add(struct flights *f, const char id[ID_TEXT_LEN + 1]);
bool flights_has(const struct flights *f, const char *id);
void flights_end(struct flights *f, const char *id, uint64_t settled);
/* Rows that hold so many events tell of these all there is to tell. */
void flights_forget(struct flights *f, uint64_t position);

#endif
