/*
 * Admission: whether a webhook that has come can still be answered in time.
 *
 * A loop that is given more than it can take would answer everybody late, when
 * the vendor has given up already. What waits at a loop is judged by the age of
 * the oldest: of those with their handlers, which wait for the log, since they
 * were handed over; of those that lie in the sockets, which nobody has counted,
 * since the beginning of the turn of the loop that reads them. Past the limit
 * who comes next is refused at once (integrity.md 13.6), so that the time goes
 * to those whose answer is not yet late.
 *
 * Few make no queue: when hardly anybody waits and it took long, the machine
 * slept, and the next one is welcome.
 *
 * One for each loop, and only its thread touches it.
 */
#ifndef LULAB_NET_ADMISSION_H
#define LULAB_NET_ADMISSION_H

#include <stdint.h>

#include "base/list.h"

struct admission {
	/* Private. */
	struct list waiting; /* oldest first */
	unsigned n_waiting, n_asked; /* the latter in this turn */
	bool in_turn;
	int64_t turn_at_us;
};

/* One that waits for its handler; zeroed before. Embed it in what waits. */
struct admission_wait {
	struct list link;
	int64_t since_us;
};

void admission_init(struct admission *a);

/* Something was read. The first call after the end of a turn begins the next one. */
void admission_turn(struct admission *a, int64_t now_us);
void admission_turn_ends(struct admission *a);

/* One asks: true when it is to be refused, for it would wait longer than the limit. */
bool admission_refuses(struct admission *a, int64_t now_us, int64_t limit_us);

void admission_enter(struct admission *a, struct admission_wait *w, int64_t now_us);
void admission_leave(struct admission *a, struct admission_wait *w); /* fine when it never entered, and twice */

#endif
