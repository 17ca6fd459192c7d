/* See projection_fold.h. */
#include "store/projection_fold.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/planted.h"
#include "domain/event.h"
#include "store/eventlog.h"

bool fold_is_event_error(int err)
{
	return err == ERR_INVALID || err == ERR_MALFORMED || err == ERR_TOO_BIG || err == ERR_VERSION || err == ERR_BAD_KEY ||
	    err == ERR_RANGE;
}

static int log_error(struct fold *f, int err)
{
	if (err == 0)
		return 0;
	f->log_failed = true;
	buf_printf(f->problem, "the log cannot be read: %s", err_text(err));
	return err;
}

static int hash_of(struct fold *f, uint64_t position, uint8_t ret[SHA256_LEN])
{
	struct log_record record;
	struct log_read read = {0};
	int rc = log_read_start(&read, f->log);

	if (rc == 0)
		rc = eventlog_read_one(&read, position, &record);
	if (rc == 0)
		sha256(ret, &record.entry, 1);
	log_read_stop(&read);
	return log_error(f, rc);
}

int fold_check(struct fold *f)
{
	uint64_t position = projection_file_position(f->file);
	uint8_t stored[SHA256_LEN], now[SHA256_LEN];
	int rc;

	if (position == 0)
		return 0;
	if (position > eventlog_size(f->log)) {
		buf_append_str(f->problem, "it is ahead of the log");
		return ERR_CORRUPT;
	}
	rc = hash_of(f, position - 1, now);
	if (rc != 0)
		return rc;
	projection_file_last_hash(f->file, stored);
	if (memcmp(stored, now, SHA256_LEN) != 0) {
		buf_append_str(f->problem, "it was read from another log");
		return ERR_CORRUPT;
	}
	return 0;
}

static bool skips(const struct log_record *record, const char *model, uint64_t position, struct arena *arena)
{
	struct event event = {0};
	const struct event_projection_skipped *skipped;

	if (event_decode(record->entry, record->position, NULL, arena, &event) != 0 || event.data == NULL)
		return false;
	skipped = event.data;
	return slice_is(skipped->projection, model) && skipped->position >= 0 && (uint64_t)skipped->position == position;
}

/* A person's decision, which lies behind the event it is about. Looked for only when an event fails, so that a
 * replay passes over exactly what was passed over before. */
static int is_skipped(struct fold *f, uint64_t position, bool *ret)
{
	struct log_filter filter = {.type = EVENT_PROJECTION_SKIPPED};
	struct arena arena = ARENA_INIT(1u << 20);
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc;

	*ret = false;
	eventlog_cursor_init(&cursor, f->log, position + 1, &filter);
	while ((rc = eventlog_cursor_next(&cursor, &record)) == 0 && !*ret) {
		arena_reset(&arena);
		*ret = skips(&record, f->model->name, position, &arena);
	}
	eventlog_cursor_finish(&cursor);
	arena_finish(&arena);
	return log_error(f, rc == ERR_END ? 0 : rc);
}

/* Applies up to `until`; the position of the event that failed is left in the file. */
static int apply_some(struct fold *f, uint64_t until)
{
	const struct fed_event *event;
	int rc = 0;

	while (rc == 0 && projection_file_position(f->file) < until) {
		rc = feed_reader_at(&f->reader, projection_file_position(f->file), &event);
		if (rc != 0)
			return log_error(f, rc);
		if (PLANTED(skip_event) && event->position % 100 == 99) {
			projection_file_skip(f->file);
			continue;
		}
		rc = projection_file_apply(f->file, event, f->problem);
	}
	return rc;
}

static int commit(struct fold *f)
{
	uint8_t hash[SHA256_LEN] = {0};
	uint64_t position = projection_file_position(f->file);
	int rc = position == 0 ? 0 : hash_of(f, position - 1, hash);

	if (rc == 0)
		rc = projection_file_commit(f->file, hash);
	if (rc != 0 && f->problem->len == 0)
		buf_append_str(f->problem, "the rows could not be committed");
	return rc;
}

/* One transaction up to `until`; on an error nothing of it stays and f->err_position tells where. */
static int transact(struct fold *f, uint64_t until)
{
	int rc = projection_file_begin(f->file);

	if (rc == 0)
		rc = apply_some(f, until);
	f->err_position = projection_file_position(f->file);
	if (rc == 0)
		rc = commit(f);
	if (rc != 0)
		projection_file_rollback(f->file);
	return rc;
}

static int pass_over(struct fold *f)
{
	int rc = projection_file_begin(f->file);

	if (rc != 0)
		return rc;
	projection_file_skip(f->file);
	rc = commit(f);
	if (rc != 0)
		projection_file_rollback(f->file);
	return rc;
}

/* What came before the event that failed is worth keeping; then either a person has said to pass over it, or this is the end. */
static int settle(struct fold *f, int failed)
{
	uint64_t at = f->err_position;
	bool skipped;
	int rc = 0;

	if (at > projection_file_position(f->file))
		rc = transact(f, at);
	if (rc == 0)
		rc = is_skipped(f, at, &skipped);
	if (rc != 0)
		return rc;
	f->err_position = at;
	if (!skipped)
		return failed;
	buf_clear(f->problem);
	return pass_over(f);
}

int fold_batch(struct fold *f, uint64_t until, uint64_t *ret_applied)
{
	uint64_t start = projection_file_position(f->file), size = eventlog_size(f->log);
	uint64_t end = start + FOLD_BATCH;
	int rc;

	*ret_applied = 0;
	f->log_failed = false;
	end = end < until ? end : until;
	end = end < size ? end : size;
	if (end <= start)
		return 0;
	rc = transact(f, end);
	if (rc != 0 && !f->log_failed && fold_is_event_error(rc))
		rc = settle(f, rc);
	*ret_applied = projection_file_position(f->file) - start;
	return rc;
}
