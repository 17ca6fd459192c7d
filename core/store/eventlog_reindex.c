/*
 * Making the indexes again from the entries alone, and comparing.
 *
 * The new index is made beside the old one, in <index>.new. The old one is
 * brought forward from the entries to the same size, so that what is compared is
 * what it said and not how far it had come. Then the new one takes its place:
 * the old directory is removed, the new one renamed, the parent synced. A
 * crash in between costs nothing, for an absent index is made again at start.
 */
#include "store/eventlog_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/log.h"
#include "store/log_format.h"

#define FIXES_MAX 4096 /* headers put right in one transaction */

struct fix {
	uint64_t position;
	struct record_header header;
};

struct reindexing {
	struct eventlog *log; /* without threads */
	struct reindex_report *report;
	struct log_index fresh;
	char *fresh_dir;
	struct fix *fixes;
	size_t n_fixes;
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
};

/* ---- headers ------------------------------------------------------------- */

/* Where a member's value begins. Quotes inside strings are escaped, so this text occurs as a member only. */
static int find_member(struct slice entry, struct slice member, uint16_t *ret_at)
{
	const char *at = memmem(entry.ptr, entry.len, member.ptr, member.len);

	if (at == NULL)
		return ERR_CORRUPT;
	*ret_at = (uint16_t)(at - entry.ptr + (ptrdiff_t)member.len);
	return 0;
}

static int header_of_entry(struct record_header *ret, const struct log_record *record, uint16_t type,
    uint64_t stream, uint32_t version)
{
	int rc;

	*ret = (struct record_header){
	    .type = type,
	    .flags = record->flags,
	    .stream = stream,
	    .stream_version = version,
	};
	rc = facts_time(record->entry, record->position, &ret->time_us);
	if (rc == 0)
		rc = find_member(record->entry, SLICE(",\"time\":\""), &ret->time_at);
	if (rc == 0)
		rc = find_member(record->entry, SLICE(",\"sequence\":\""), &ret->sequence_at);
	return rc;
}

static int put_fixes(struct reindexing *r)
{
	struct eventlog *log = r->log;
	MDB_txn *txn;
	int rc;

	if (r->n_fixes == 0)
		return 0;
	rc = mdb_err(mdb_txn_begin(log->env.env, NULL, 0, &txn));
	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < r->n_fixes; i++) {
		uint8_t place[8], copy[RECORD_HEADER_LEN + ENTRY_LEN_MAX];
		MDB_val key = val_of(place, sizeof(place)), value;

		put_be64(place, r->fixes[i].position);
		rc = mdb_err(mdb_get(txn, log->entries, &key, &value));
		if (rc == 0 && value.mv_size > sizeof(copy))
			rc = ERR_CORRUPT;
		if (rc != 0)
			break;
		memcpy(copy, value.mv_data, value.mv_size);
		record_header_put(copy, &r->fixes[i].header);
		value.mv_data = copy;
		rc = mdb_err(mdb_put(txn, log->entries, &key, &value, 0));
	}
	r->n_fixes = 0;
	if (rc == 0)
		return mdb_err(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return rc;
}

static int check_header(void *arg, const struct log_record *record, uint16_t type, uint64_t stream,
    uint32_t version)
{
	struct reindexing *r = arg;
	uint8_t right[RECORD_HEADER_LEN];
	struct fix fix = {.position = record->position};
	int rc;

	rc = header_of_entry(&fix.header, record, type, stream, version);
	if (rc != 0)
		return rc;
	record_header_put(right, &fix.header);
	if (memcmp(right, record->entry.ptr - RECORD_HEADER_LEN, sizeof(right)) == 0)
		return 0;
	if (r->report->headers++ == 0 && r->report->first[0] == '\0')
		snprintf(r->report->first, sizeof(r->report->first), "position %llu: its header does not fit the entry",
		    (unsigned long long)record->position);
	r->fixes[r->n_fixes++] = fix;
	return r->n_fixes == FIXES_MAX ? put_fixes(r) : 0;
}

static int header_is_right(void *arg, const struct log_record *record, uint16_t type, uint64_t stream,
    uint32_t version)
{
	(void)arg, (void)record, (void)type, (void)stream, (void)version;
	return 0;
}

/* ---- the two indexes ----------------------------------------------------- */

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct reindexing *r = arg;

	if (r->progress != NULL)
		r->progress(r->progress_arg, done, total);
}

static int make_fresh(struct reindexing *r)
{
	struct log_refold how = {.progress = on_progress, .record = check_header, .arg = r};
	struct log_index_counts counts;
	int rc;

	rc = tree_remove(r->fresh_dir);
	if (rc == 0)
		rc = dir_create(r->fresh_dir, 0700);
	if (rc == 0)
		rc = log_index_open(&r->fresh, r->fresh_dir, r->log->o.map_bytes, false);
	if (rc == 0)
		rc = eventlog_index_catch_up(r->log, &r->fresh, &how);
	if (rc == 0)
		rc = log_index_count(&r->fresh, &counts);
	if (rc != 0)
		return rc;
	r->report->once = counts.once;
	r->report->claims = counts.claims;
	r->report->streams = counts.streams;
	r->report->types = counts.types;
	r->report->subjects = counts.subjects;
	return 0;
}

/* Opens the old index when there is one that belongs to this log; an unusable one counts as one difference. */
static int open_old(struct reindexing *r)
{
	struct eventlog *log = r->log;
	struct reindex_report *report = r->report;
	struct log_index_state state;
	MDB_txn *txn = NULL;
	int rc;

	if (!file_exists(log->index_dir))
		return 0;
	rc = log_index_open(&log->index, log->index_dir, log->o.map_bytes, false);
	if (rc == 0)
		rc = log_env_read(&log->index.env, &txn);
	if (rc == 0)
		rc = log_index_state(&log->index, txn, &state);
	log_env_done(&log->index.env, &txn);
	if (rc == 0 && state.position <= report->size) {
		report->had_old = true;
		report->old_position = state.position;
		return 0;
	}
	if (rc != 0 && rc != ERR_CORRUPT && rc != ERR_VERSION)
		return rc;
	report->differences = 1;
	snprintf(report->first, sizeof(report->first), "the old index is unusable or ahead of the log");
	log_index_close(&log->index);
	return 0;
}

static int compare_old(struct reindexing *r)
{
	struct log_refold how = {.record = header_is_right};
	char first[sizeof(r->report->first)];
	int rc;

	rc = open_old(r);
	if (rc != 0 || !r->report->had_old)
		return rc;
	rc = eventlog_index_catch_up(r->log, &r->log->index, &how);
	if (rc == 0)
		rc = log_index_compare(&r->fresh, &r->log->index, &r->report->differences, first, sizeof(first));
	if (rc == 0 && r->report->differences > 0)
		memcpy(r->report->first, first, sizeof(first));
	return rc;
}

static int put_in_place(struct reindexing *r)
{
	const char *dir = r->log->index_dir, *slash = strrchr(dir, '/');
	char *parent = slash == NULL ? strdup(".") : strndup(dir, slash == dir ? 1 : (size_t)(slash - dir));
	int rc;

	log_index_close(&r->log->index);
	log_index_close(&r->fresh);
	rc = parent == NULL ? ERR_NOMEM : tree_remove(dir);
	if (rc == 0 && io_calls->rename(r->fresh_dir, dir) != 0)
		rc = ERR_IO;
	if (rc == 0)
		rc = dir_sync(parent);
	free(parent);
	return rc;
}

int eventlog_reindex(const struct eventlog_options *options, struct reindex_report *ret_report,
    void (*progress)(void *arg, uint64_t done, uint64_t total), void *progress_arg)
{
	struct reindexing r = {.report = ret_report, .progress = progress, .progress_arg = progress_arg};
	int rc;

	*ret_report = (struct reindex_report){0};
	rc = eventlog_open_checked(&r.log, options);
	if (rc != 0)
		return rc;
	ret_report->size = eventlog_size(r.log);
	r.fixes = calloc(FIXES_MAX, sizeof(*r.fixes));
	if (r.fixes == NULL || asprintf(&r.fresh_dir, "%s.new", r.log->index_dir) < 0) {
		r.fresh_dir = NULL;
		rc = ERR_NOMEM;
	}
	if (rc == 0)
		rc = make_fresh(&r);
	if (rc == 0)
		rc = compare_old(&r);
	if (rc == 0)
		rc = put_fixes(&r);
	if (rc == 0)
		rc = put_in_place(&r);
	if (rc != 0 && options->problem != NULL && options->problem->len == 0)
		buf_printf(options->problem, "the index could not be made again: %s", err_text(rc));
	log_index_close(&r.fresh);
	eventlog_destroy(r.log);
	free(r.fresh_dir);
	free(r.fixes);
	return rc;
}
