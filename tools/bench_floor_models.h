/*
 * What rows a webhook of the bench makes in the read models, and how to make them with the fewest means: an upsert each,
 * with values that are made up and not read from anywhere, once for all webhooks of a meeting in a transaction.
 *
 * They are as many, as long, and lie as far from each other as ours, in the same tables with the same indexes; of values
 * that tell one moment from the next only the newest to come counts, not the newest to have happened.
 */
#ifndef LULAB_TOOLS_BENCH_FLOOR_MODELS_H
#define LULAB_TOOLS_BENCH_FLOOR_MODELS_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#define FLOOR_MODELS 6
#define FLOOR_UPSERTS_MAX 5

struct floor_upserts {
	sqlite3 *db;
	sqlite3_stmt *stmts[FLOOR_UPSERTS_MAX]; /* of the model's texts */
	uint64_t position;                      /* in the log, of the first at hand */
};

struct floor_model {
	const char *name; /* of the read model */
	unsigned kinds;   /* a bit for each kind of webhook (bench_webhook.h) that changes it */
	const char *sql[FLOOR_UPSERTS_MAX]; /* NULL after the last */
	/* Makes the rows of these webhooks, whose numbers ascend, in a transaction. 0 or ERR_IO. */
	int (*make)(const struct floor_upserts *u, const uint64_t *numbers, size_t n);
};

extern const struct floor_model floor_models[FLOOR_MODELS];

#endif
