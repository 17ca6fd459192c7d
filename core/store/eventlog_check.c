/*
 * What is checked before the first append is taken (integrity.md 10): that the
 * tail of the log is what was written, and that the tree over it is the one that
 * was signed. A log that is damaged does not open; one that is shorter than
 * what was signed opens to be read.
 */
#include "store/eventlog_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "domain/note.h"
#include "store/log_format.h"

#define LEAVES_CHECKED 65536
#define TEXT_MAX 512

/* Last position and count agree: below the end there is no gap. */
static int check_count(struct eventlog *log, MDB_txn *txn, uint64_t *ret_size)
{
	MDB_cursor *cursor = NULL;
	struct log_record record;
	MDB_val key, value;
	MDB_stat stat;
	int rc;

	rc = mdb_err(mdb_stat(txn, log->entries, &stat));
	if (rc != 0)
		return rc;
	*ret_size = stat.ms_entries;
	if (stat.ms_entries == 0)
		return 0;
	rc = mdb_err(mdb_cursor_open(txn, log->entries, &cursor));
	if (rc != 0)
		return rc;
	rc = mdb_err(mdb_cursor_get(cursor, &key, &value, MDB_LAST));
	if (rc == 0 && (key.mv_size != 8 || get_be64(key.mv_data) + 1 != stat.ms_entries))
		rc = log_problem(log, ERR_CORRUPT, "%s: the last position and the number of records do not fit", log->log_dir);
	if (rc == 0) {
		rc = log_record_check(stat.ms_entries - 1, value, &record);
		if (rc == 0)
			log->last_time_us = record.time_us;
	}
	mdb_cursor_close(cursor);
	return rc;
}

/* The newest records are what their leaf hashes say. Older ones are the daily verification's. */
static int check_leaves(struct eventlog *log, MDB_txn *txn, uint64_t size)
{
	uint64_t at = size > LEAVES_CHECKED ? size - LEAVES_CHECKED : 0;
	struct merkle_hash stored[MERKLE_TILE_WIDTH], leaf;
	int rc = 0;

	while (rc == 0 && at < size) {
		struct merkle_place place = merkle_place(at, 0);
		unsigned n = MERKLE_TILE_WIDTH - place.at;

		if (n > size - at)
			n = (unsigned)(size - at);
		rc = log_tiles_read(log, txn, 0, place.number, place.at, n, stored);
		for (unsigned i = 0; rc == 0 && i < n; i++) {
			struct log_record record;

			rc = log_record_at(log, txn, at + i, &record);
			if (rc == 0)
				merkle_leaf(&leaf, record.entry);
			if (rc != 0 || !merkle_hash_eq(&leaf, &stored[i]))
				rc = log_problem(log, ERR_CORRUPT, "%s: the record at position %llu is not the one that was written",
				    log->log_dir, (unsigned long long)(at + i));
		}
		at += n;
	}
	return rc == ERR_NOT_FOUND ? log_problem(log, ERR_CORRUPT, "%s: tree hashes are missing", log->log_dir) : rc;
}

/* A tree of that size has that root; a log shorter than it has lost events and becomes read-only. */
static int check_signed(struct eventlog *log, uint64_t signed_size, const struct merkle_hash *signed_root,
    const char *whose)
{
	struct tile_reader tiles = eventlog_tiles(log);
	struct merkle_hash root;
	char reason[TEXT_MAX];
	uint64_t size = atomic_load(&log->size);
	int rc;

	if (signed_size > size) {
		snprintf(reason, sizeof(reason),
		    "events were lost: the log has %llu, %s %llu; only a successor log may go on",
		    (unsigned long long)size, whose, (unsigned long long)signed_size);
		log_error("eventlog", reason, "dir", log->log_dir);
		eventlog_refuse(log, reason);
		return 0;
	}
	rc = merkle_root(&root, signed_size, &tiles);
	if (rc == 0 && !merkle_hash_eq(&root, signed_root))
		rc = ERR_CORRUPT;
	return log_problem(log, rc, "%s: the root over %llu events is not the one %s", log->log_dir,
	    (unsigned long long)signed_size, whose);
}

static int check_last_note(struct eventlog *log)
{
	struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
	struct checkpoint checkpoint;
	struct note *note = malloc(sizeof(*note));
	uint64_t size;
	int rc = note == NULL ? ERR_NOMEM : eventlog_last_note(log, &size, &bytes);

	if (rc == ERR_NOT_FOUND) {
		rc = 0;
		goto out;
	}
	if (rc == 0)
		rc = note_parse(note, buf_slice(&bytes));
	if (rc == 0)
		rc = checkpoint_parse(&checkpoint, note->text);
	if (rc != 0) {
		rc = log_problem(log, ERR_CORRUPT, "%s: the newest checkpoint cannot be read", log->log_dir);
		goto out;
	}
	rc = check_signed(log, checkpoint.size, &checkpoint.root, "its newest checkpoint says");
out:
	free(note);
	buf_finish(&bytes);
	return rc;
}

int eventlog_check(struct eventlog *log)
{
	MDB_txn *txn = NULL;
	uint64_t size = 0;
	int rc;

	rc = log_env_read(&log->env, &txn);
	if (rc == 0)
		rc = check_count(log, txn, &size);
	if (rc == 0)
		rc = check_leaves(log, txn, size);
	if (rc == 0)
		rc = log_tiles_load(log, txn, size);
	log_env_done(&log->env, &txn);
	if (rc != 0)
		return log_problem(log, rc, "%s: the tail of the log cannot be read: %s", log->log_dir, err_text(rc));
	atomic_store(&log->size, size);
	log->edge = log->tree->edge;
	log->stats.last_time_us = log->last_time_us;
	rc = check_last_note(log);
	if (rc == 0 && log->o.signed_size > 0)
		rc = check_signed(log, log->o.signed_size, &log->o.signed_root, "was signed for");
	return rc;
}
