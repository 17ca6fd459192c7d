/* What the event log tells of itself: waiting for it to grow, and its figures. */
#include "store/eventlog_private.h"

#include "base/thread.h"

#define POLL_MS 100 /* a tool's log is grown by another process, which cannot call */

int eventlog_wait(struct eventlog *log, uint64_t position, int timeout_ms)
{
	uint64_t until_us = log_monotonic_us() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000;
	int rc;

	for (;;) {
		uint64_t now_us = log_monotonic_us();
		int ms = now_us >= until_us ? 0 : (int)((until_us - now_us + 999) / 1000);
		struct timespec at;
		bool woken;

		if (log->readonly && eventlog_size(log) > position)
			return 0;
		if (log->readonly && ms > POLL_MS)
			ms = POLL_MS;
		at = thread_deadline((unsigned)ms);
		pthread_mutex_lock(&log->state_lock);
		rc = 0;
		while (!log->woken && atomic_load(&log->size) <= position && rc == 0 && ms > 0)
			rc = pthread_cond_timedwait(&log->grown, &log->state_lock, &at);
		woken = log->woken;
		pthread_mutex_unlock(&log->state_lock);
		if (atomic_load(&log->size) > position)
			return 0;
		if (woken)
			return ERR_CANCELLED;
		if (log_monotonic_us() >= until_us)
			return ERR_TIMEOUT;
	}
}

void eventlog_wake(struct eventlog *log)
{
	pthread_mutex_lock(&log->state_lock);
	log->woken = true;
	pthread_cond_broadcast(&log->grown);
	pthread_mutex_unlock(&log->state_lock);
}

static uint64_t used_bytes(struct log_env *e)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (e->env == NULL || mdb_env_info(e->env, &info) != 0 || mdb_env_stat(e->env, &stat) != 0)
		return 0;
	return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

/* A tool has no writer that keeps count. */
static void stats_of_files(struct eventlog *log, struct eventlog_stats *s)
{
	struct log_index_state state = {0};
	struct log_record record;
	struct log_read read = {0};
	MDB_txn *txn = NULL;

	if (s->size > 0 && log_read_start(&read, log) == 0 && eventlog_read_one(&read, s->size - 1, &record) == 0)
		s->last_time_us = record.time_us;
	log_read_stop(&read);
	if (log->index.env.env != NULL && log_env_read(&log->index.env, &txn) == 0)
		log_index_state(&log->index, txn, &state);
	log_env_done(&log->index.env, &txn);
	s->index_position = state.position;
}

void eventlog_stats(struct eventlog *log, struct eventlog_stats *ret_stats)
{
	struct eventlog_stats s;

	pthread_mutex_lock(&log->state_lock);
	s = log->stats;
	pthread_mutex_unlock(&log->state_lock);

	s.size = eventlog_size(log);
	s.index_position = atomic_load(&log->index_position);
	s.map_bytes = log->o.map_bytes;
	s.map_used_bytes = used_bytes(&log->env);
	s.index_used_bytes = used_bytes(&log->index.env);
	s.tail_bytes = log_tail_bytes(&log->tail);
	s.disk_low = atomic_load(&log->disk_low);
	s.read_only = atomic_load(&log->refused);
	s.readers = log_env_readers(&log->env);
	s.readers_max = LOG_READERS_POOL;

	pthread_mutex_lock(&log->queue_lock);
	s.queue_appends = log->queue_appends;
	s.queue_bytes = log->queue_bytes;
	s.queue_oldest_ms = 0;
	if (!list_empty(&log->queue)) {
		const struct append *oldest = container_of(log->queue.next, struct append, link);

		s.queue_oldest_ms = (clock_monotonic_us(log->o.clock) - oldest->queued_us) / 1000;
	}
	pthread_mutex_unlock(&log->queue_lock);
	if (log->readonly)
		stats_of_files(log, &s);
	*ret_stats = s;
}
