/*
 * Reading the log again: every entry read and hashed; the whole verified as an
 * auditor does; proofs for single events; and every entry folded into a new
 * `meetings` read model, as a rebuild does.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/verify.h"
#include "base/io.h"
#include "bench_server.h"
#include "bench_webhook.h"
#include "bench_work.h"
#include "domain/merkle.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"
#include "store/projector.h"
#include "store/seal.h"

#define PROOFS 5000

static struct bench_row *replay(struct bench *b, struct eventlog *log, size_t *ret_entry_len, int *ret_rc)
{
	struct bench_row *row = bench_row(b, "replay: read and hash every entry");
	struct eventlog_cursor cursor;
	struct merkle_hash hash;
	struct log_record record;
	uint64_t n = 0, bytes = 0;
	int64_t start_us = bench_now_us(b);

	eventlog_cursor_init(&cursor, log, 0, NULL);
	while ((*ret_rc = eventlog_cursor_next(&cursor, &record)) == 0) {
		merkle_leaf(&hash, record.entry);
		n++;
		bytes += record.entry.len;
	}
	eventlog_cursor_finish(&cursor);
	if (*ret_rc == ERR_END)
		*ret_rc = 0;
	bench_row_fill(row, "events", n, bench_now_us(b) - start_us, NULL);
	*ret_entry_len = n > 0 ? (size_t)(bytes / n) : 1;
	snprintf(row->note, sizeof(row->note), "%zu bytes an entry", *ret_entry_len);
	return row;
}

/* In one thread, as the scan it is compared with. */
static int audit(struct bench *b, const char *dir, struct bench_row **ret_row)
{
	struct verify_options *o = calloc(1, sizeof(*o));
	struct buf vkey = BUF_INIT(4096);
	struct verify_summary summary = {0};
	struct verify_source source = {0};
	char path[BENCH_PATH_MAX + 16];
	struct slice line, rest;
	int64_t start_us;
	int rc;

	if (o == NULL)
		return ERR_NOMEM;
	snprintf(path, sizeof(path), "%s/log.vkey", dir);
	rc = file_read(&vkey, path);
	slice_cut(buf_slice(&vkey), '\n', &line, &rest);
	if (rc == 0)
		rc = note_key_parse(&o->keys[0], line);
	if (rc == 0)
		rc = verify_data_open(&source, dir);
	o->n_log_keys = 1;
	o->threads = 1;
	*ret_row = bench_row(b, "audit: verify every record, tile and checkpoint");
	start_us = bench_now_us(b);
	if (rc == 0)
		rc = verify_log(&source, o, &summary);
	if (rc == 0 && summary.n_evidence + summary.n_unknown > 0)
		rc = ERR_CORRUPT;
	bench_row_fill(*ret_row, "events", summary.records, bench_now_us(b) - start_us, NULL);
	verify_data_close(&source);
	buf_finish(&vkey);
	free(o);
	return rc;
}

/* Proofs that single events are in the log, made from its tiles and checked. */
static int prove(struct bench *b, struct eventlog *log)
{
	struct bench_histogram *h = calloc(1, sizeof(*h));
	struct bench_row *row = bench_row(b, "audit: make and check one inclusion proof");
	struct tile_reader tiles = eventlog_tiles(log);
	int64_t start_us = bench_now_us(b);
	struct merkle_hash root, leaf;
	struct merkle_proof proof = {0};
	uint64_t size, n = 0;
	int rc = h == NULL ? ERR_NOMEM : 0;

	eventlog_root(log, &size, &root);
	for (uint64_t index = 0; rc == 0 && n < PROOFS; n++) {
		int64_t from_us = bench_now_us(b);

		index = (index + UINT64_C(0x9e3779b97f4a7c15)) % size; /* all over the log */
		rc = merkle_inclusion_make(&proof, index, size, &tiles);
		if (rc == 0)
			rc = tiles.read(tiles.arg, 0, index / MERKLE_TILE_WIDTH, (unsigned)(index % MERKLE_TILE_WIDTH), 1, &leaf);
		if (rc == 0 && !merkle_inclusion_holds(&proof, index, size, &leaf, &root))
			rc = ERR_CORRUPT;
		bench_histogram_add(h, bench_now_us(b) - from_us);
	}
	if (rc == 0)
		bench_row_fill(row, "proofs", n, bench_now_us(b) - start_us, h);
	snprintf(row->note, sizeof(row->note), "%u hashes", proof.n);
	free(h);
	return rc;
}

static bool not_interrupted(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)done;
	(void)total;
	return !command_interrupted();
}

static int rebuild(struct bench *b, struct eventlog *log, const char *dir, struct keyring *keyring)
{
	struct buf problem = BUF_INIT(4096);
	struct sealer *sealer = NULL;
	struct bench_row *row, *limit = NULL;
	char path[BENCH_PATH_MAX], origin[LOG_ORIGIN_MAX + 1];
	const struct projection *model = projection_find("meetings");
	int64_t start_us;
	int rc;

	bench_path(b, path, "rebuilt.db");
	rc = log_origin(origin, dir, NULL, &rng_system); /* sealed fields open only under the name of their log */
	if (rc == 0)
		rc = sealer_create(&sealer, &(struct sealer_options){
		    .keyring = keyring, .origin = origin, .rng = &rng_system});
	start_us = bench_now_us(b);
	row = bench_row(b, "rebuild of the read model meetings");
	if (rc == 0)
		rc = projection_build(&(struct projector_options){.dir = dir, .log = log, .sealer = sealer,
			.clock = b->clock}, model, path, UINT64_MAX, not_interrupted, NULL, &problem);
	if (rc != 0 && problem.len > 0)
		fprintf(stderr, "%.*s\n", (int)problem.len, problem.ptr);
	bench_row_fill(row, "events", eventlog_size(log), bench_now_us(b) - start_us, NULL);
	if (rc == 0)
		limit = bench_limit_sqlite(b, path, eventlog_size(log), &rc);
	if (rc == 0)
		bench_compare(row, limit);
	sealer_destroy(sealer);
	buf_finish(&problem);
	return rc;
}

static int measure(struct bench *b, const char *dir)
{
	struct eventlog *log = NULL;
	struct keyring *keyring = NULL;
	struct bench_row *row, *limit, *audited = NULL;
	char keys[BENCH_PATH_MAX + 16], root[BENCH_PATH_MAX + 16];
	size_t entry_len;
	int rc;

	snprintf(keys, sizeof(keys), "%s/keys", dir);
	snprintf(root, sizeof(root), "%s/root.key", dir);
	rc = audit(b, dir, &audited); /* opens the store itself, so before anybody else in this process does */
	if (rc == 0)
		rc = eventlog_open_readonly(&log, &(struct eventlog_options){.dir = dir, .clock = b->clock});
	if (rc != 0)
		return rc;
	row = replay(b, log, &entry_len, &rc);
	if (rc == 0) {
		limit = bench_limit_scan(b, row->n, entry_len, &rc);
		bench_compare(row, limit);
		bench_compare(audited, limit);
	}
	if (rc == 0)
		rc = prove(b, log);
	if (rc == 0)
		rc = keyring_open(&keyring, &(struct keyring_options){.dir = keys, .root_key_path = root,
			.readonly = true, .clock = b->clock, .rng = &rng_system});
	if (rc == 0)
		rc = rebuild(b, log, dir, keyring);
	keyring_close(keyring);
	eventlog_close(log);
	return rc;
}

int bench_replay(struct bench *b, uint64_t n)
{
	struct bench_server server = {0};
	struct webhook_maker *maker = NULL;
	int rc, stop_rc;

	rc = webhook_maker_create(&maker, (uint64_t)clock_wall_us(b->clock), b->clock);
	if (rc == 0)
		rc = bench_server_start(&server, b, "replay", NULL);
	if (rc == 0)
		rc = bench_fill(b, &server, maker, n);
	stop_rc = bench_server_stop(&server);
	webhook_maker_destroy(maker);
	if (rc == 0)
		rc = stop_rc;
	return rc != 0 ? rc : measure(b, server.data);
}
