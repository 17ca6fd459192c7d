/*
 * Admission: whether a webhook that has come can still be answered in time.
 *
 * A loop that is given more than it can take would answer everybody late, when
 * the vendor has given up already. What waits is judged by the age of the oldest
 * that is with its handler. That tells of the log, which it waits for, and also of
 * the requests that lie unread in their sockets: the log's answer is one of the
 * things that the loop gets round to, and takes its turn among them. While the
 * oldest is older than the limit, who comes next is refused at once (integrity.md
 * 13.6), so that the time goes to those whose answer is not yet late.
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
	unsigned n_waiting;
};

/* One that waits for its handler; zeroed before. Embed it in what waits. */
struct admission_wait {
	struct list link;
	int64_t since_us;
};

void admission_init(struct admission *a);

/* Whether who comes now is to be refused. */
bool admission_refuses(const struct admission *a, int64_t now_us, int64_t limit_us);

void admission_enter(struct admission *a, struct admission_wait *w, int64_t now_us);
void admission_leave(struct admission *a, struct admission_wait *w); /* fine when it never entered, and twice */

#endif
