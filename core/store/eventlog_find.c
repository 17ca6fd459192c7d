/*
 * Looking things up in the log by other keys than the position: in the tail
 * first, then in the index.
 *
 * The order matters. The writer alone drops facts from the tail, and only those
 * its own index transaction shows; so what it misses in the tail is in there.
 * Others open their index transaction after they have looked in the tail, and
 * what was dropped before then was committed to the index before that.
 */
#include "store/eventlog_private.h"

/* What the tail knows of a key. A name given back is held by nobody, whatever the index says: ERR_NOT_FOUND. */
static bool in_tail(struct eventlog *log, enum fact_kind kind, struct slice key, bool all, struct log_fact *ret,
    int *ret_rc)
{
	if (!log_tail_find(&log->tail, kind, key, all, ret))
		return false;
	*ret_rc = ret->kind == FACT_RELEASE ? ERR_NOT_FOUND : 0;
	return true;
}

static int in_index(struct eventlog *log, MDB_txn *txn, enum fact_kind kind, struct slice key, struct log_fact *ret)
{
	struct log_index *x = &log->index;
	uint64_t version;
	int rc;

	*ret = (struct log_fact){.kind = kind, .key = key};
	switch (kind) {
	case FACT_ONCE:
		return log_index_once(x, txn, (const uint8_t *)key.ptr, &ret->position);
	case FACT_CLAIM:
		return log_index_claim(x, txn, key, &ret->position);
	case FACT_EVENT:
		rc = log_index_stream(x, txn, key, &ret->stream, &version);
		if (rc == 0)
			ret->version = (uint32_t)version;
		return rc;
	case FACT_SUBJECT:
		return log_index_subject(x, txn, (const uint8_t *)key.ptr, &ret->id);
	case FACT_RELEASE:
		break; /* found by its claim */
	}
	return ERR_INVALID;
}

/* ---- the writer's ------------------------------------------------------- */

static int writer_find(struct eventlog *log, enum fact_kind kind, struct slice key, struct log_fact *ret)
{
	int rc;

	return in_tail(log, kind, key, TAIL_ALL, ret, &rc) ? rc : in_index(log, log->index_txn, kind, key, ret);
}

int log_find_once(struct eventlog *log, const uint8_t once[ONCE_KEY_LEN], uint64_t *ret_position)
{
	struct log_fact fact;
	int rc = writer_find(log, FACT_ONCE, slice_of(once, ONCE_KEY_LEN), &fact);

	if (rc == 0)
		*ret_position = fact.position;
	return rc;
}

int log_find_claim(struct eventlog *log, struct slice claim, uint64_t *ret_position)
{
	struct log_fact fact;
	int rc = writer_find(log, FACT_CLAIM, claim, &fact);

	if (rc == 0)
		*ret_position = fact.position;
	return rc;
}

int log_find_stream(struct eventlog *log, struct slice stream, uint64_t *ret_number, uint64_t *ret_version)
{
	struct log_fact fact;
	int rc = writer_find(log, FACT_EVENT, stream, &fact);

	if (rc == 0) {
		*ret_number = fact.stream;
		*ret_version = fact.version;
	}
	return rc;
}

/* ---- everyone's --------------------------------------------------------- */

/* A read-only log has nobody who fills its tail: fold what the index lacks into it here. */
struct catching_up {
	struct eventlog *log;
	struct log_record *record;
};

static int keep(void *arg, const struct log_fact *fact)
{
	struct catching_up *c = arg;
	struct log_fact known = *fact;

	known.stream = c->record->stream;
	known.version = c->record->stream_version;
	return log_tail_add(&c->log->tail, &known);
}

static int catch_up(struct eventlog *log)
{
	struct log_record record;
	struct catching_up c = {.log = log, .record = &record};
	MDB_txn *txn = NULL;
	uint64_t size;
	int rc;

	if (!log->readonly)
		return 0;
	pthread_mutex_lock(&log->catch_up_lock);
	rc = log_size_now(log, &size);
	if (rc == 0 && log->catch_up_position < size)
		rc = log_env_read(&log->env, &txn);
	while (rc == 0 && log->catch_up_position < size) {
		rc = log_record_at(log, txn, log->catch_up_position, &record);
		if (rc == 0)
			rc = facts_of_entry(record.entry, record.position, record.type, log->o.type_number, keep, &c);
		if (rc == 0)
			log->catch_up_position++;
	}
	log_tail_commit(&log->tail);
	log_env_done(&log->env, &txn);
	pthread_mutex_unlock(&log->catch_up_lock);
	return rc;
}

/* ERR_NOT_FOUND also where a tool found no index at all. */
static int index_read(struct eventlog *log, MDB_txn **ret_txn)
{
	return log->index.env.env == NULL ? ERR_NOT_FOUND : log_env_read(&log->index.env, ret_txn);
}

static int find(struct eventlog *log, enum fact_kind kind, struct slice key, bool all, struct log_fact *ret)
{
	MDB_txn *txn = NULL;
	int rc, found_rc;

	rc = catch_up(log);
	if (rc != 0)
		return rc;
	if (in_tail(log, kind, key, all, ret, &found_rc))
		return found_rc;
	rc = index_read(log, &txn);
	if (rc == 0)
		rc = in_index(log, txn, kind, key, ret);
	log_env_done(&log->index.env, &txn);
	return rc;
}

int eventlog_find_once(struct eventlog *log, const uint8_t once[ONCE_KEY_LEN], uint64_t *ret_position)
{
	struct log_fact fact;
	int rc = find(log, FACT_ONCE, slice_of(once, ONCE_KEY_LEN), TAIL_DURABLE, &fact);

	if (rc == 0)
		*ret_position = fact.position;
	return rc;
}

int eventlog_find_claim(struct eventlog *log, struct slice claim, uint64_t *ret_position)
{
	struct log_fact fact;
	int rc = find(log, FACT_CLAIM, claim, TAIL_DURABLE, &fact);

	if (rc == 0)
		*ret_position = fact.position;
	return rc;
}

int eventlog_stream_version(struct eventlog *log, struct slice stream, uint64_t *ret_version)
{
	struct log_fact fact;
	int rc = find(log, FACT_EVENT, stream, TAIL_DURABLE, &fact);

	if (rc != 0 && rc != ERR_NOT_FOUND)
		return rc;
	*ret_version = rc == 0 ? fact.version : 0;
	return 0;
}

int log_stream_number(struct eventlog *log, struct slice stream, uint64_t *ret_number)
{
	struct log_fact fact;
	int rc = find(log, FACT_EVENT, stream, TAIL_DURABLE, &fact);

	if (rc == 0)
		*ret_number = fact.stream;
	return rc;
}

int eventlog_find_subject(struct eventlog *log, const uint8_t ref[SUBJECT_REF_LEN], struct id *ret_id)
{
	struct log_fact fact;
	int rc = find(log, FACT_SUBJECT, slice_of(ref, SUBJECT_REF_LEN), TAIL_ALL, &fact);

	if (rc == 0)
		*ret_id = fact.id;
	return rc;
}

/* ---- counting ------------------------------------------------------------ */

/* What the index has counted, and up to where. */
static int counted(struct eventlog *log, uint16_t type, uint64_t *ret_n, uint64_t *ret_position)
{
	struct log_index_state state;
	MDB_txn *txn = NULL;
	int rc = index_read(log, &txn);

	*ret_n = *ret_position = 0;
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc == 0)
		rc = log_index_state(&log->index, txn, &state);
	if (rc == 0)
		rc = log_index_type_count(&log->index, txn, type, ret_n);
	if (rc == 0)
		*ret_position = state.position;
	log_env_done(&log->index.env, &txn);
	return rc;
}

static int count_from(struct eventlog *log, const struct log_filter *filter, uint64_t from, uint64_t *n)
{
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc;

	eventlog_cursor_init(&cursor, log, from, filter);
	while ((rc = eventlog_cursor_next(&cursor, &record)) == 0)
		(*n)++;
	eventlog_cursor_finish(&cursor);
	return rc == ERR_END ? 0 : rc;
}

int eventlog_count(struct eventlog *log, const struct log_filter *filter, uint64_t from, uint64_t *ret_n)
{
	uint64_t n = 0;
	int rc = 0;

	if (filter->type == 0 && filter->stream.len == 0) {
		rc = log_size_now(log, &n);
		*ret_n = n > from ? n - from : 0;
		return rc;
	}
	if (filter->type == 0 && from == 0)
		return eventlog_stream_version(log, filter->stream, ret_n);
	if (filter->stream.len == 0 && from == 0)
		rc = counted(log, filter->type, &n, &from);
	if (rc == 0)
		rc = count_from(log, filter, from, &n);
	if (rc == 0)
		*ret_n = n;
	return rc;
}
