/* See admission.h. */
#include "net/admission.h"

#define QUEUE_MIN 8

void admission_init(struct admission *a)
{
	*a = (struct admission){0};
	list_init(&a->waiting);
}

void admission_turn(struct admission *a, int64_t now_us)
{
	if (a->in_turn)
		return;
	a->in_turn = true;
	a->turn_at_us = now_us;
	a->n_asked = 0;
}

void admission_turn_ends(struct admission *a)
{
	a->in_turn = false;
}

bool admission_refuses(struct admission *a, int64_t now_us, int64_t limit_us)
{
	int64_t oldest_us = a->in_turn ? a->turn_at_us : now_us;

	a->n_asked++;
	if (a->n_waiting + a->n_asked <= QUEUE_MIN)
		return false;
	if (!list_empty(&a->waiting)) {
		const struct admission_wait *w = container_of(a->waiting.next, struct admission_wait, link);

		if (w->since_us < oldest_us)
			oldest_us = w->since_us;
	}
	return now_us - oldest_us >= limit_us;
}

void admission_enter(struct admission *a, struct admission_wait *w, int64_t now_us)
{
	w->since_us = now_us;
	list_append(&a->waiting, &w->link);
	a->n_waiting++;
}

void admission_leave(struct admission *a, struct admission_wait *w)
{
	if (w->link.next == NULL)
		return;
	list_remove(&w->link);
	*w = (struct admission_wait){0};
	a->n_waiting--;
}
