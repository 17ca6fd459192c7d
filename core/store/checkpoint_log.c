/* The signer's view of an eventlog; apart, so that the signer can be tested on any log. */
#include "base/err.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"

static int log_size(void *arg, uint64_t *ret_size)
{
	*ret_size = eventlog_size(arg);
	return 0;
}

static int log_wait(void *arg, uint64_t size, unsigned timeout_ms)
{
	int rc = eventlog_wait(arg, size, (int)timeout_ms);

	return rc == ERR_TIMEOUT ? 0 : rc;
}

static int log_noted_size(void *arg, uint64_t *ret_size)
{
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	int rc = eventlog_last_note(arg, ret_size, &note);

	buf_finish(&note);
	if (rc != ERR_NOT_FOUND)
		return rc;
	*ret_size = 0;
	return 0;
}

static int log_put_note(void *arg, uint64_t size, struct slice note)
{
	return eventlog_put_note(arg, size, note);
}

static void log_refuse(void *arg, const char *reason)
{
	eventlog_refuse(arg, reason);
}

struct signed_log signed_log_of(struct eventlog *log)
{
	return (struct signed_log){
	    .arg = log,
	    .tiles = eventlog_tiles(log),
	    .size = log_size,
	    .wait = log_wait,
	    .noted_size = log_noted_size,
	    .put_note = log_put_note,
	    .refuse_writes = log_refuse,
	};
}
