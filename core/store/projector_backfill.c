/*
 * What the WAL of a live read model holds goes into its file: SQLite's checkpoint, which syncs the WAL, copies its pages and
 * syncs the file. Of sixteen megabytes that takes a few tenths of a second, in which no rows would come forward if the model's
 * thread did it. So one thread does it for all models, by a connection of its own and while they go on. What came meanwhile,
 * a few dozen pages, is left to the model's thread, for a WAL begins anew only when all of it is in the file.
 *
 * A model's `backfill`:
 *
 *     NONE --model asks--> ASKED --this thread--> UNDERWAY --> DONE --model does the rest--> NONE
 */
#include "store/projector_private.h"

#include "base/err.h"
#include "base/thread.h"

/* When this thread does not get to it (so little is left of the processors), or cannot, the model does without it. */
#define OVERDUE 4

static struct model *next_asked(struct projector *p)
{
	for (unsigned i = 0; i < p->n_models; i++)
		if (p->models[i].backfill == BACKFILL_ASKED)
			return &p->models[i];
	return NULL;
}

static void work(void *arg)
{
	struct projector *p = arg;

	thread_name("backfill");
	if (p->options.yields)
		thread_yield_to_others(THREAD_MAY_LAG);
	uv_mutex_lock(&p->lock);
	while (!p->stopping) {
		struct model *m = next_asked(p);

		if (m == NULL) {
			uv_cond_wait(&p->backfill, &p->lock);
			continue;
		}
		m->backfill = BACKFILL_UNDERWAY;
		uv_mutex_unlock(&p->lock);
		projection_backfill(m->path.ptr);
		uv_mutex_lock(&p->lock);
		m->backfill = BACKFILL_DONE;
		uv_cond_broadcast(&p->backfill);
	}
	uv_mutex_unlock(&p->lock);
}

void model_backfill(struct model *m)
{
	struct projector *p = m->p;
	unsigned most = p->options.backfill_pages > 0 ? p->options.backfill_pages : PROJECTION_WAL_PAGES;
	unsigned pages = projection_file_wal_pages(m->fold.file);
	bool own = false;

	if (pages < most)
		return;
	uv_mutex_lock(&p->lock);
	if (m->backfill == BACKFILL_NONE && pages < OVERDUE * most) {
		m->backfill = BACKFILL_ASKED;
		uv_cond_broadcast(&p->backfill);
	} else if (m->backfill == BACKFILL_DONE || (m->backfill != BACKFILL_UNDERWAY && pages >= OVERDUE * most)) {
		m->backfill = BACKFILL_NONE;
		own = true;
	}
	uv_mutex_unlock(&p->lock);
	if (own)
		projection_file_backfill(m->fold.file);
}

void model_backfill_end(struct model *m)
{
	struct projector *p = m->p;

	uv_mutex_lock(&p->lock);
	while (m->backfill == BACKFILL_UNDERWAY)
		uv_cond_wait(&p->backfill, &p->lock);
	m->backfill = BACKFILL_NONE;
	uv_mutex_unlock(&p->lock);
}

int backfill_start(struct projector *p)
{
	p->backfills = uv_thread_create(&p->backfill_thread, work, p) == 0;
	return p->backfills ? 0 : ERR_NOMEM;
}

void backfill_stop(struct projector *p)
{
	if (p->backfills)
		uv_thread_join(&p->backfill_thread);
	p->backfills = false;
}
