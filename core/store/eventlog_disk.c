/*
 * A full disk is foreseen (integrity.md 11.3): a short write looks like a broken
 * disk to LMDB, so new events are refused while there is still room. Below the
 * reserve no event is taken; below half of it nothing is written at all, neither
 * checkpoints nor the index. The map has a reserve of its own, a tenth.
 */
#include "store/eventlog_private.h"

#include <sys/statvfs.h>

#include "base/log.h"

static int disk_space(struct eventlog *log, uint64_t *ret_free, uint64_t *ret_total)
{
	struct statvfs fs;

	if (log->o.disk_space != NULL)
		return log->o.disk_space(log->o.arg, ret_free, ret_total);
	if (statvfs(log->log_dir, &fs) != 0)
		return ERR_IO;
	*ret_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	*ret_total = (uint64_t)fs.f_blocks * fs.f_frsize;
	return 0;
}

static uint64_t map_used(struct eventlog *log)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(log->env.env, &info) != 0 || mdb_env_stat(log->env.env, &stat) != 0)
		return 0;
	return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

void eventlog_disk_check(struct eventlog *log)
{
	uint64_t free_bytes = 0, total = 0, reserve, percent, used = map_used(log);
	bool low, critical, was_low;

	if (disk_space(log, &free_bytes, &total) != 0)
		free_bytes = total = 0; /* not knowing is not having */
	percent = total / 100 * log->o.reserve_percent;
	reserve = log->o.reserve_bytes > percent ? log->o.reserve_bytes : percent;
	low = !log->o.reserve_off && free_bytes < reserve;
	critical = !log->o.reserve_off && free_bytes < reserve / 2;
	low |= used > log->o.map_bytes / 10 * 9;
	critical |= used > log->o.map_bytes / 20 * 19;
	was_low = atomic_exchange(&log->disk_low, low);
	atomic_store(&log->disk_critical, critical);

	pthread_mutex_lock(&log->state_lock);
	log->stats.disk_free_bytes = free_bytes;
	log->stats.disk_total_bytes = total;
	log->stats.disk_reserve_bytes = log->o.reserve_off ? 0 : reserve;
	log->stats.map_used_bytes = used;
	pthread_mutex_unlock(&log->state_lock);
	if (low && !was_low)
		log_error("eventlog", "disk or map nearly full: new events are refused", "dir", log->log_dir);
	if (!low && was_low)
		log_info("eventlog", "disk has room again: new events are taken", "dir", log->log_dir);
}
