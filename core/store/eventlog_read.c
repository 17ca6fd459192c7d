/*
 * Reading the log in place from the memory map, by position, stream or type.
 *
 * A filter is followed through the index as far as that has come, and from
 * there on by looking at the headers of the records one by one: type and stream
 * number are in there. So a reader never waits for the index.
 */
#include "store/eventlog_private.h"

#include <assert.h>

#include "store/log_format.h"

/* A read transaction keeps freed pages from being used again: at most this long (integrity.md 11.7). */
#define TXN_US_MAX 1000000
#define TXN_RECORDS 256
#define CACHE_LINE 64
#define AHEAD_LEN 256

int log_record_check(uint64_t position, MDB_val value, struct log_record *ret)
{
	const char *entry = (const char *)value.mv_data + RECORD_HEADER_LEN;
	struct record_header h;
	size_t len;

	if (value.mv_size < RECORD_HEADER_LEN + 2 || value.mv_size > RECORD_HEADER_LEN + ENTRY_LEN_MAX)
		return ERR_CORRUPT;
	len = value.mv_size - RECORD_HEADER_LEN;
	if (!record_header_get(&h, value.mv_data) || entry[0] != '{' || entry[len - 1] != '}')
		return ERR_CORRUPT;
	if ((size_t)h.sequence_at + ENTRY_SEQUENCE_LEN > len || !sequence_is(entry + h.sequence_at, position))
		return ERR_CORRUPT;
	*ret = (struct log_record){
	    .position = position,
	    .type = h.type,
	    .flags = h.flags,
	    .stream_version = h.stream_version,
	    .stream = h.stream,
	    .time_us = h.time_us,
	    .entry = slice_of(entry, len),
	};
	return 0;
}

int log_record_at(struct eventlog *log, MDB_txn *txn, uint64_t position, struct log_record *ret)
{
	uint8_t place[8];
	MDB_val key = val_of(place, sizeof(place)), value;
	int rc;

	put_be64(place, position);
	rc = mdb_err(mdb_get(txn, log->entries, &key, &value));
	if (rc != 0)
		return rc;
	return log_record_check(position, value, ret);
}

int log_size_now(struct eventlog *log, uint64_t *ret)
{
	MDB_txn *txn = NULL;
	MDB_stat stat;
	int rc = 0;

	if (log->readonly) {
		rc = log_env_read(&log->env, &txn);
		if (rc == 0)
			rc = mdb_err(mdb_stat(txn, log->entries, &stat));
		if (rc == 0)
			atomic_store(&log->size, stat.ms_entries);
		log_env_done(&log->env, &txn);
	}
	*ret = atomic_load_explicit(&log->size, memory_order_acquire);
	return rc;
}

uint64_t eventlog_size(const struct eventlog *log)
{
	uint64_t size;

	log_size_now((struct eventlog *)(uintptr_t)log, &size); /* else the size it had last */
	return size;
}

/* ---- a few direct looks -------------------------------------------------- */

int log_read_start(struct log_read *r, struct eventlog *log)
{
	*r = (struct log_read){.log = log};
	return log_env_read(&log->env, &r->txn);
}

static void stop_before(struct log_read *r)
{
	if (r->before_txn != NULL)
		log_env_done(&r->before->env, &r->before_txn);
	r->before = NULL;
}

void log_read_stop(struct log_read *r)
{
	stop_before(r);
	if (r->txn != NULL)
		log_env_done(&r->log->env, &r->txn);
}

static int read_before(struct log_read *r, uint64_t place, struct log_record *ret_record)
{
	struct eventlog *before = eventlog_before(r->log, LOG_PLACE_LOG(place));
	int rc;

	if (before == NULL)
		return ERR_NOT_FOUND;
	if (before != r->before) {
		stop_before(r);
		rc = log_env_read(&before->env, &r->before_txn);
		if (rc != 0)
			return rc;
		r->before = before;
	}
	return log_record_at(before, r->before_txn, LOG_PLACE_POSITION(place), ret_record);
}

int eventlog_read_one(struct log_read *r, uint64_t place, struct log_record *ret_record)
{
	if (LOG_PLACE_LOG(place) != 0)
		return read_before(r, place, ret_record);
	return log_record_at(r->log, r->txn, place, ret_record);
}

int eventlog_blob(struct log_read *r, uint64_t position, uint32_t n, struct slice *ret_bytes)
{
	uint8_t place[12];
	MDB_val key = val_of(place, sizeof(place)), value;
	int rc;

	put_be64(place, position);
	put_be32(place + 8, n);
	rc = mdb_err(mdb_get(r->txn, r->log->blobs, &key, &value));
	if (rc == 0)
		*ret_bytes = val_slice(value);
	return rc;
}

/* ---- cursors ------------------------------------------------------------- */

void eventlog_cursor_init(struct eventlog_cursor *c, struct eventlog *log, uint64_t from,
    const struct log_filter *filter)
{
	*c = (struct eventlog_cursor){.log = log, .next = from};
	if (filter == NULL)
		return;
	c->type = filter->type;
	if (filter->stream.len == 0)
		return;
	c->has_stream = true;
	if (filter->stream.len > STREAM_LEN_MAX)
		return; /* stream_len 0: found by nobody */
	c->stream_len = (uint8_t)filter->stream.len;
	memcpy(c->stream_name, filter->stream.ptr, filter->stream.len);
}

void eventlog_cursor_pause(struct eventlog_cursor *c)
{
	if (c->log == NULL)
		return;
	if (c->entries != NULL)
		mdb_cursor_close(c->entries);
	if (c->index != NULL)
		mdb_cursor_close(c->index);
	c->entries = c->index = NULL;
	log_env_done(&c->log->env, &c->txn);
	log_env_done(&c->log->index.env, &c->index_txn);
}

void eventlog_cursor_finish(struct eventlog_cursor *c)
{
	eventlog_cursor_pause(c);
	c->log = NULL;
}

uint64_t eventlog_cursor_position(const struct eventlog_cursor *c)
{
	return c->next;
}

static bool is_filtered(const struct eventlog_cursor *c)
{
	return c->has_stream || c->type != 0;
}

/* The index from its own newest commit; what it does not have yet is read from the headers. */
static int resume_index(struct eventlog_cursor *c)
{
	struct log_index_state state;
	int rc;

	c->index_end = 0;
	if (!is_filtered(c) || c->log->index.env.env == NULL)
		return 0;
	rc = log_env_read(&c->log->index.env, &c->index_txn);
	if (rc == 0)
		rc = log_index_state(&c->log->index, c->index_txn, &state);
	if (rc == 0)
		c->index_end = state.position;
	return rc;
}

static int resume(struct eventlog_cursor *c)
{
	int rc;

	assert(c->log != NULL);
	/* The end before the stream's number: a stream that is not known now has nothing before this end. */
	rc = log_size_now(c->log, &c->end);
	if (rc != 0)
		return rc;
	if (c->has_stream && !c->stream_known) {
		rc = log_stream_number(c->log, slice_of(c->stream_name, c->stream_len), &c->stream);
		if (rc != 0 && rc != ERR_NOT_FOUND)
			return rc;
		c->stream_known = rc == 0;
	}
	rc = resume_index(c);
	if (rc == 0)
		rc = log_env_read(&c->log->env, &c->txn);
	if (rc == 0)
		rc = mdb_err(mdb_cursor_open(c->txn, c->log->entries, &c->entries));
	if (rc != 0) {
		eventlog_cursor_pause(c);
		return rc;
	}
	c->placed = false;
	c->ahead = (struct slice){0};
	c->left = TXN_RECORDS;
	c->since_us = (int64_t)log_monotonic_us();
	return 0;
}

/* Elsewhere than behind the record before. */
static void go_to(struct eventlog_cursor *c, uint64_t position)
{
	c->next = position;
	c->placed = false;
	c->ahead = (struct slice){0};
}

/* Moves c->next to the first indexed match; to the index's end when there is none. */
static int seek_in_index(struct eventlog_cursor *c)
{
	uint64_t position = 0;
	int rc;

	if (c->has_stream)
		rc = log_index_next_of_stream(&c->log->index, c->index_txn, &c->index, c->stream, c->next, &position);
	else
		rc = log_index_next_of_type(&c->log->index, c->index_txn, &c->index, c->type, c->next, &position);
	if (rc == ERR_NOT_FOUND || (rc == 0 && position >= c->index_end)) {
		go_to(c, c->index_end);
		return 0;
	}
	if (rc == 0 && position != c->next)
		go_to(c, position);
	return rc;
}

static int value_at_next(struct eventlog_cursor *c, MDB_val *ret)
{
	uint8_t place[8];
	MDB_val key = val_of(place, sizeof(place));
	int rc;

	put_be64(place, c->next);
	rc = mdb_err(mdb_cursor_get(c->entries, &key, ret, c->placed ? MDB_NEXT : MDB_SET_KEY));
	if (rc == ERR_NOT_FOUND)
		return ERR_CORRUPT; /* below the end there are no gaps */
	if (rc != 0)
		return rc;
	return key.mv_size != sizeof(place) || get_be64(key.mv_data) != c->next ? ERR_CORRUPT : 0;
}

/*
 * Records lie apart from each other, with blobs in between, so that the processor does not see where the next one is
 * and a reader waits for memory at each. Got one ahead, it comes while the one before is looked at.
 */
static void look_ahead(struct eventlog_cursor *c)
{
	MDB_val value;

	if (value_at_next(c, &value) != 0) { /* told when it is asked for */
		c->placed = false;
		return;
	}
	c->ahead = slice_of(value.mv_data, value.mv_size);
	for (size_t at = 0; at < c->ahead.len && at < AHEAD_LEN; at += CACHE_LINE)
		__builtin_prefetch(c->ahead.ptr + at);
	if (c->ahead.len > 0)
		__builtin_prefetch(c->ahead.ptr + c->ahead.len - 1);
}

static int record_next(struct eventlog_cursor *c, struct log_record *ret)
{
	MDB_val value = val_of(c->ahead.ptr, c->ahead.len);
	bool follows = c->placed;
	int rc = c->ahead.ptr == NULL ? value_at_next(c, &value) : 0;

	if (rc == 0)
		rc = log_record_check(c->next, value, ret);
	if (rc != 0)
		return rc;
	c->next++;
	c->placed = true;
	c->ahead = (struct slice){0};
	if (follows && c->next < c->end)
		look_ahead(c);
	return 0;
}

static bool matches(const struct eventlog_cursor *c, const struct log_record *r)
{
	return (c->type == 0 || r->type == c->type) && (!c->has_stream || r->stream == c->stream);
}

/* Renews the transaction now and then; looks at the clock rarely, for that costs more than a record. */
static void age(struct eventlog_cursor *c)
{
	if (c->left > 0) {
		c->left--;
		return;
	}
	c->left = TXN_RECORDS;
	if ((int64_t)log_monotonic_us() - c->since_us > TXN_US_MAX)
		eventlog_cursor_pause(c);
}

int eventlog_cursor_next(struct eventlog_cursor *c, struct log_record *ret_record)
{
	struct log_record record;
	bool fresh = false;
	int rc;

	for (;;) {
		if (c->txn != NULL)
			age(c);
		if (c->txn == NULL) {
			rc = resume(c);
			if (rc != 0)
				return rc;
			fresh = true;
		}
		if (c->has_stream && !c->stream_known)
			c->next = c->next > c->end ? c->next : c->end;
		else if (is_filtered(c) && c->next < c->index_end) {
			rc = seek_in_index(c);
			if (rc != 0)
				return rc;
		}
		if (c->next >= c->end) {
			eventlog_cursor_pause(c);
			if (fresh)
				return ERR_END;
			continue;
		}
		rc = record_next(c, &record);
		if (rc != 0)
			return rc;
		if (matches(c, &record)) {
			*ret_record = record;
			return 0;
		}
	}
}
