/* What core/store/projector*.c share. */
#ifndef LULAB_STORE_PROJECTOR_PRIVATE_H
#define LULAB_STORE_PROJECTOR_PRIVATE_H

#include <uv.h>

#include "store/eventlog.h"
#include "store/projection_fold.h"
#include "store/projector.h"

#define PROJECTOR_PATH_MAX 4096

enum backfill {
	BACKFILL_NONE,
	BACKFILL_ASKED,
	BACKFILL_UNDERWAY,
	BACKFILL_DONE,
};

struct model {
	struct projector *p;
	const struct projection *def;
	uv_thread_t thread;
	bool running;
	struct buf path; /* of the file of this version */

	/* The thread's alone. */
	struct fold fold;
	struct buf problem;
	uint64_t tried_at; /* size of the log when it last failed */
	int64_t began_us; /* the newest commit of live rows */
	int64_t fold_us;   /* time spent folding and events folded while catching up */
	uint64_t fold_events;

	/* Behind the lock. */
	struct projection_status status;
	struct buf serving; /* path; empty = none */
	bool awaited; /* somebody waits for rows to come; until the next fold begins */
	enum backfill backfill; /* projector_backfill.c */
	bool renewed;       /* a fresh file lies beside its own, to be taken */
};

struct projector {
	struct projector_options options;
	struct model *models;
	unsigned n_models;
	struct event_feed *feed;
	uv_mutex_t lock; /* guards `stopping` and what models have behind it */
	uv_cond_t changed;
	uv_cond_t hurry; /* a model became awaited, or it stops */
	uv_cond_t backfill; /* that of a model is asked for, or done, or it stops */
	uv_thread_t backfill_thread;
	bool backfills; /* that thread runs */
	bool stopping;
	uv_mutex_t watch_lock; /* guards these two; held while the callback runs */
	projector_watch_cb *watch;
	void *watch_arg;
};

/* ---- projector.c ---------------------------------------------------------- */

bool projector_is_stopping(struct projector *p);
/* With the lock: from now on this file answers; empty = none. */
void model_serve(struct model *m, struct slice path, bool old);
/* The model's thread: opens its file, or makes it anew; closes it. */
int model_open(struct model *m);
void model_close(struct model *m);

/* ---- projector_backfill.c: WALs of live models ------------------------------ */

/* ERR_NOMEM. The thread ends when the projector stops; models close their files after that. */
int backfill_start(struct projector *p);
void backfill_stop(struct projector *p);
/* The model's thread, after a commit. */
void model_backfill(struct model *m);
/* The model's thread: from now on nobody else has its file open for writing. */
void model_backfill_end(struct model *m);

/* ---- projector_renew.c: files beside a model's own ------------------------- */

/* The best of the files of older versions, and where it stands; false: there is none. *ret_path is the caller's. */
bool model_best_old_file(struct model *m, struct buf *ret_path, uint64_t *ret_position);
void model_remove_old_files(struct model *m);
bool model_is_renewed(struct model *m);
/* The model's thread: puts the fresh file in the place of its own. */
void model_take_renewed(struct model *m);

#endif
