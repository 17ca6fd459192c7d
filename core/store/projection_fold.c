/* See projection_fold.h. */
#include "store/projection_fold.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/planted.h"
#include "domain/event.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"
#include "store/seal.h"

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

/* ---- which log --------------------------------------------------------------- */

/* Where the event before this place is; false when there is none. */
static bool place_before(const struct fold *f, uint64_t place, uint64_t *ret)
{
	unsigned n = LOG_PLACE_LOG(place), last = eventlog_n_before(f->log);
	struct eventlog *log;

	if (LOG_PLACE_POSITION(place) > 0) {
		*ret = place - 1;
		return true;
	}
	n = n == 0 ? last : n - 1;
	log = n == 0 ? NULL : eventlog_before(f->log, n);
	if (log == NULL || eventlog_size(log) == 0)
		return false;
	*ret = LOG_PLACE(n, eventlog_size(log) - 1);
	return true;
}

static uint64_t in_the_log(uint64_t place)
{
	return LOG_PLACE_LOG(place) > 0 ? 0 : place;
}

uint64_t fold_position(const struct fold *f)
{
	return in_the_log(projection_file_position(f->file));
}

uint64_t fold_saved(const struct fold *f)
{
	return in_the_log(projection_file_saved(f->file));
}

static bool is_new(const struct fold *f)
{
	static const uint8_t none[SHA256_LEN];
	uint8_t hash[SHA256_LEN];

	projection_file_last_hash(f->file, hash);
	return projection_file_position(f->file) == 0 && memcmp(hash, none, sizeof(none)) == 0;
}

void fold_finish(struct fold *f)
{
	feed_reader_finish(&f->before_reader);
	event_feed_close(f->before_feed);
	sealer_destroy(f->before_sealer);
	f->before = 0;
	f->before_feed = NULL;
	f->before_sealer = NULL;
}

/* Its events are decoded here: nobody else is likely to read them at the same time. */
static int open_before(struct fold *f, unsigned n)
{
	const struct projection *only[] = {f->model, NULL};
	struct buf origin = BUF_INIT(LOG_ORIGIN_MAX + 1);
	int rc = 0;

	if (f->before == n)
		return 0;
	fold_finish(f);
	if (f->sealer != NULL)
		rc = eventlog_before_origin(f->log, n, &origin);
	if (rc == 0 && f->sealer != NULL)
		rc = sealer_create_opener(&f->before_sealer, f->sealer, origin.ptr);
	if (rc == 0)
		rc = event_feed_open(&f->before_feed, &(struct event_feed_options){.log = eventlog_before(f->log, n),
		    .number = n, .sealer = f->before_sealer, .models = only});
	buf_finish(&origin);
	if (rc != 0)
		return rc;
	feed_reader_init(&f->before_reader, f->before_feed, f->model);
	f->before = n;
	return 0;
}

/* What reads the event at this place. */
static int reader_of(struct fold *f, uint64_t place, struct feed_reader **ret)
{
	unsigned n = LOG_PLACE_LOG(place);
	int rc = n == 0 ? 0 : open_before(f, n);

	if (n == 0 && f->before != 0)
		fold_finish(f);
	*ret = n == 0 ? &f->reader : &f->before_reader;
	return rc;
}

/* ---- checking --------------------------------------------------------------- */

int fold_check(struct fold *f)
{
	uint64_t position = projection_file_position(f->file), before;
	struct eventlog *log = eventlog_before(f->log, LOG_PLACE_LOG(position));
	uint8_t stored[SHA256_LEN], now[SHA256_LEN] = {0};
	int rc;

	if (is_new(f))
		return 0;
	if (log == NULL || LOG_PLACE_POSITION(position) > eventlog_size(log)) {
		buf_append_str(f->problem, "it is ahead of the log");
		return ERR_CORRUPT;
	}
	rc = place_before(f, position, &before) ? hash_of(f, before, now) : 0;
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
static int is_skipped_in(struct fold *f, struct eventlog *log, uint64_t from, uint64_t position, bool *ret)
{
	struct log_filter filter = {.type = EVENT_PROJECTION_SKIPPED};
	struct arena arena = ARENA_INIT(1u << 20);
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc;

	eventlog_cursor_init(&cursor, log, from, &filter);
	while ((rc = eventlog_cursor_next(&cursor, &record)) == 0 && !*ret) {
		arena_reset(&arena);
		*ret = skips(&record, f->model->name, position, &arena);
	}
	eventlog_cursor_finish(&cursor);
	arena_finish(&arena);
	return log_error(f, rc == ERR_END ? 0 : rc);
}

/* In its own log, or by its place in the log that goes on. */
static int is_skipped(struct fold *f, uint64_t place, bool *ret)
{
	unsigned n = LOG_PLACE_LOG(place);
	uint64_t position = LOG_PLACE_POSITION(place);
	int rc;

	*ret = false;
	rc = is_skipped_in(f, eventlog_before(f->log, n), position + 1, position, ret);
	return rc == 0 && !*ret && n > 0 ? is_skipped_in(f, f->log, 0, place, ret) : rc;
}

/* The event where the file stands, and a note of its time. */
static int read_next(struct fold *f, struct feed_reader *reader, const struct fed_event **ret)
{
	uint64_t place = projection_file_position(f->file);
	int rc = feed_reader_at(reader, LOG_PLACE_POSITION(place), ret);

	assert(place - f->batch_start < FOLD_BATCH);
	if (rc == 0)
		f->recorded_us[place - f->batch_start] = (*ret)->time_us;
	return rc;
}

/* Up to `until` or the first event that concerns the model. No row changes: readers need not hear of it by a transaction. */
static int pass(struct fold *f, uint64_t until)
{
	const struct fed_event *event;
	struct feed_reader *reader;
	int rc = reader_of(f, until, &reader);

	while (rc == 0 && projection_file_position(f->file) < until) {
		rc = read_next(f, reader, &event);
		if (rc == 0 && projection_handler_of(f->model, event->type) != NULL)
			break;
		if (rc == 0)
			projection_file_skip(f->file);
	}
	return log_error(f, rc);
}

/* Applies up to `until`; the position of the event that failed is left in the file. */
static int apply_some(struct fold *f, uint64_t until)
{
	const struct fed_event *event;
	struct feed_reader *reader;
	int rc = reader_of(f, until, &reader);

	if (rc != 0)
		return log_error(f, rc);
	while (rc == 0 && projection_file_position(f->file) < until) {
		rc = read_next(f, reader, &event);
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
	uint64_t before;
	int rc = place_before(f, projection_file_position(f->file), &before) ? hash_of(f, before, hash) : 0;

	if (rc == 0)
		rc = projection_file_commit(f->file, hash);
	if (rc != 0 && f->problem->len == 0)
		buf_append_str(f->problem, "the rows could not be committed");
	return rc;
}

static int attempt(struct fold *f, uint64_t until)
{
	int rc = projection_file_begin(f->file);

	if (rc == 0)
		rc = apply_some(f, until);
	f->err_position = projection_file_position(f->file);
	if (rc == 0)
		rc = projection_file_flush(f->file, f->problem);
	/* Events that the model knows and that change none of its rows are as those it does not know. */
	if (rc == 0 && !projection_file_changed(f->file) && until - projection_file_saved(f->file) < FOLD_UNSAVED_MAX)
		projection_file_pass(f->file);
	else if (rc == 0)
		rc = commit(f);
	if (rc != 0)
		projection_file_rollback(f->file);
	return rc;
}

/* One transaction up to `until`; on an error nothing of it stays and f->err_position tells where. */
static int transact(struct fold *f, uint64_t until)
{
	int rc = attempt(f, until);

	if (rc == 0 || f->log_failed || !fold_is_event_error(rc) || f->model->n_gathers == 0)
		return rc;
	/* The rows of many events were written together. One by one it shows which could not be. */
	buf_clear(f->problem);
	projection_file_singly(f->file, true);
	rc = attempt(f, until);
	projection_file_singly(f->file, false);
	return rc;
}

/* On to a place, without an event. */
static int move_to(struct fold *f, uint64_t place)
{
	int rc = projection_file_begin(f->file);

	if (rc != 0)
		return rc;
	projection_file_move(f->file, place);
	rc = commit(f);
	if (rc != 0)
		projection_file_rollback(f->file);
	return rc;
}

int fold_save(struct fold *f)
{
	uint64_t place = projection_file_position(f->file);

	return place == projection_file_saved(f->file) ? 0 : move_to(f, place);
}

/* What came before the event that failed is worth keeping; then either a person has said to pass over it, or this is the end. */
static int settle(struct fold *f, int failed)
{
	uint64_t at = f->err_position;
	bool skipped;
	int rc = 0;

	if (at > projection_file_saved(f->file))
		rc = transact(f, at);
	if (rc == 0)
		rc = fold_save(f);
	if (rc == 0)
		rc = is_skipped(f, at, &skipped);
	if (rc != 0)
		return rc;
	f->err_position = at;
	if (!skipped)
		return failed;
	buf_clear(f->problem);
	return move_to(f, at + 1);
}

int fold_batch(struct fold *f, uint64_t until, uint64_t *ret_applied)
{
	uint64_t start = projection_file_position(f->file), end = start + (f->batch_max > 0 ? f->batch_max : FOLD_BATCH), size;
	unsigned n = LOG_PLACE_LOG(start), n_before = eventlog_n_before(f->log);
	int rc;

	*ret_applied = 0;
	f->log_failed = false;
	f->batch_start = start;
	if (start == until)
		return 0;
	/* All of a log before was applied: on to the next one, a new file to the first. */
	if (n == 0 && n_before > 0 && is_new(f)) {
		*ret_applied = 1;
		return move_to(f, LOG_PLACE(1, 0));
	}
	size = LOG_PLACE(n, eventlog_size(eventlog_before(f->log, n)));
	if (n > 0 && start == size) {
		*ret_applied = 1;
		return move_to(f, LOG_PLACE(n == n_before ? 0 : n + 1, 0));
	}
	/* What is to be read up to may lie in another log. */
	if (LOG_PLACE_LOG(until) == n || until == UINT64_MAX)
		end = end < until ? end : until;
	end = end < size ? end : size;
	if (end <= start)
		return 0;
	rc = pass(f, end);
	f->err_position = projection_file_position(f->file);
	if (rc == 0 && f->err_position < end)
		rc = transact(f, end);
	else if (rc == 0 && end - projection_file_saved(f->file) >= FOLD_UNSAVED_MAX)
		rc = fold_save(f);
	if (rc != 0 && !f->log_failed && fold_is_event_error(rc))
		rc = settle(f, rc);
	*ret_applied = projection_file_position(f->file) - start;
	return rc;
}
