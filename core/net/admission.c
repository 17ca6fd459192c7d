/* See admission.h. */
#include "net/admission.h"

#define QUEUE_MIN 8

void admission_init(struct admission *a)
{
	*a = (struct admission){0};
	list_init(&a->waiting);
}

bool admission_refuses(const struct admission *a, int64_t now_us, int64_t limit_us)
{
	const struct admission_wait *oldest = container_of(a->waiting.next, struct admission_wait, link);

	return a->n_waiting >= QUEUE_MIN && now_us - oldest->since_us >= limit_us;
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
