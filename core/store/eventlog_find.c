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

/* ---- the writer's ------------------------------------------------------- */

int log_find_once(struct eventlog *log, const uint8_t once[ONCE_KEY_LEN], uint64_t *ret_position)
{
	struct log_fact fact;

	if (log_tail_find(&log->tail, FACT_ONCE, slice_of(once, ONCE_KEY_LEN), TAIL_ALL, &fact)) {
		*ret_position = fact.position;
		return 0;
	}
	return log_index_once(&log->index, log->index_txn, once, ret_position);
}

int log_find_claim(struct eventlog *log, struct slice claim, uint64_t *ret_position)
{
	struct log_fact fact;

	if (log_tail_find(&log->tail, FACT_CLAIM, claim, TAIL_ALL, &fact)) {
		*ret_position = fact.position;
		return fact.kind == FACT_CLAIM ? 0 : ERR_NOT_FOUND;
	}
	return log_index_claim(&log->index, log->index_txn, claim, ret_position);
}

int log_find_stream(struct eventlog *log, struct slice stream, uint64_t *ret_number, uint64_t *ret_version)
{
	struct log_fact fact;

	if (log_tail_find(&log->tail, FACT_EVENT, stream, TAIL_ALL, &fact)) {
		*ret_number = fact.stream;
		*ret_version = fact.version;
		return 0;
	}
	return log_index_stream(&log->index, log->index_txn, stream, ret_number, ret_version);
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
	int rc = 0;

	if (!log->readonly)
		return 0;
	pthread_mutex_lock(&log->catch_up_lock);
	size = eventlog_size(log);
	if (log->catch_up_position < size)
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

int eventlog_find_once(struct eventlog *log, const uint8_t once[ONCE_KEY_LEN], uint64_t *ret_position)
{
	struct log_fact fact;
	MDB_txn *txn = NULL;
	int rc;

	rc = catch_up(log);
	if (rc != 0)
		return rc;
	if (log_tail_find(&log->tail, FACT_ONCE, slice_of(once, ONCE_KEY_LEN), TAIL_DURABLE, &fact)) {
		*ret_position = fact.position;
		return 0;
	}
	rc = index_read(log, &txn);
	if (rc == 0)
		rc = log_index_once(&log->index, txn, once, ret_position);
	log_env_done(&log->index.env, &txn);
	return rc;
}

int eventlog_find_claim(struct eventlog *log, struct slice claim, uint64_t *ret_position)
{
	struct log_fact fact;
	MDB_txn *txn = NULL;
	int rc;

	rc = catch_up(log);
	if (rc != 0)
		return rc;
	if (log_tail_find(&log->tail, FACT_CLAIM, claim, TAIL_DURABLE, &fact)) {
		if (fact.kind != FACT_CLAIM)
			return ERR_NOT_FOUND;
		*ret_position = fact.position;
		return 0;
	}
	rc = index_read(log, &txn);
	if (rc == 0)
		rc = log_index_claim(&log->index, txn, claim, ret_position);
	log_env_done(&log->index.env, &txn);
	return rc;
}

static int find_stream(struct eventlog *log, struct slice stream, uint64_t *ret_number, uint64_t *ret_version)
{
	struct log_fact fact;
	MDB_txn *txn = NULL;
	int rc;

	rc = catch_up(log);
	if (rc != 0)
		return rc;
	if (log_tail_find(&log->tail, FACT_EVENT, stream, TAIL_DURABLE, &fact)) {
		*ret_number = fact.stream;
		*ret_version = fact.version;
		return 0;
	}
	rc = index_read(log, &txn);
	if (rc == 0)
		rc = log_index_stream(&log->index, txn, stream, ret_number, ret_version);
	log_env_done(&log->index.env, &txn);
	return rc;
}

int eventlog_stream_version(struct eventlog *log, struct slice stream, uint64_t *ret_version)
{
	uint64_t number;
	int rc = find_stream(log, stream, &number, ret_version);

	if (rc == ERR_NOT_FOUND) {
		*ret_version = 0;
		return 0;
	}
	return rc;
}

int log_stream_number(struct eventlog *log, struct slice stream, uint64_t *ret_number)
{
	uint64_t version;

	return find_stream(log, stream, ret_number, &version);
}

int eventlog_find_subject(struct eventlog *log, const uint8_t ref[SUBJECT_REF_LEN], struct id *ret_id)
{
	struct log_fact fact;
	MDB_txn *txn = NULL;
	int rc;

	rc = catch_up(log);
	if (rc != 0)
		return rc;
	if (log_tail_find(&log->tail, FACT_SUBJECT, slice_of(ref, SUBJECT_REF_LEN), TAIL_ALL, &fact)) {
		*ret_id = fact.id;
		return 0;
	}
	rc = index_read(log, &txn);
	if (rc == 0)
		rc = log_index_subject(&log->index, txn, ref, ret_id);
	log_env_done(&log->index.env, &txn);
	return rc;
}
