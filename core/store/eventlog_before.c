/*
 * The logs that this one succeeds: DATA/previous/<n>, opened for reading beside it.
 * They are set once when the log is opened and never change; any thread reads.
 */
#include "store/eventlog_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/log.h"
#include "domain/event.h"
#include "store/log_format.h"

#define LOGS_MAX 1000
#define PATH_BYTES 4096
#define RECORD_ARENA ((size_t)1 << 20)

static bool dir_of(char ret[PATH_BYTES], const char *dir, unsigned n)
{
	int len = snprintf(ret, PATH_BYTES, "%s/previous/%u/log", dir, n);

	if (len < 0 || len >= PATH_BYTES || !file_exists(ret))
		return false;
	ret[len - (int)sizeof("/log") + 1] = '\0';
	return true;
}

/* The oldest that is here succeeds another: what that one held is forgotten, and nobody should have to find out. */
static void warn_of_missing(struct eventlog *log, const char *dir)
{
	struct log_read read = {0};
	struct log_record record;

	if (!log->readonly && log_read_start(&read, eventlog_before(log, log->n_before > 0 ? 1 : 0)) == 0 &&
	    eventlog_read_one(&read, 0, &record) == 0 && record.type == EVENT_LOG_SUCCEEDED)
		log_warn("eventlog", "a log before this one is missing: repeats of its events are stored again, and read models lack them",
		    "dir", dir);
	log_read_stop(&read);
}

int eventlog_before_open(struct eventlog *log, const char *dir)
{
	char path[PATH_BYTES];
	unsigned n = 0;
	int rc = 0;

	while (n < LOGS_MAX && dir_of(path, dir, n + 1))
		n++;
	log->before = n == 0 ? NULL : calloc(n, sizeof(struct eventlog *));
	if (n > 0 && log->before == NULL)
		return ERR_NOMEM;
	while (rc == 0 && log->n_before < n) {
		struct eventlog_options o = {.dir = path, .clock = log->o.clock, .type_number = log->o.type_number};

		dir_of(path, dir, log->n_before + 1);
		rc = eventlog_open_readonly(&log->before[log->n_before], &o);
		if (rc != 0)
			return log_problem(log, rc, "the log before this one, in %s, cannot be opened: %s", path, err_text(rc));
		log->n_before++;
	}
	if (rc == 0)
		warn_of_missing(log, dir);
	return rc;
}

void eventlog_before_close(struct eventlog *log)
{
	for (unsigned i = 0; i < log->n_before; i++)
		eventlog_close(log->before[i]);
	free(log->before);
	log->before = NULL;
	log->n_before = 0;
}

unsigned eventlog_n_before(const struct eventlog *log)
{
	return log->n_before;
}

struct eventlog *eventlog_before(struct eventlog *log, unsigned n)
{
	return n == 0 ? log : n <= log->n_before ? log->before[n - 1] : NULL;
}

/* Its successor's first record names it. */
int eventlog_before_origin(struct eventlog *log, unsigned n, struct buf *out)
{
	struct eventlog *next = eventlog_before(log, n == log->n_before ? 0 : n + 1);
	struct arena arena = ARENA_INIT(RECORD_ARENA);
	struct log_read read = {0};
	struct log_record record;
	struct event event = {0};
	int rc = log_read_start(&read, next);

	if (rc == 0)
		rc = eventlog_read_one(&read, 0, &record);
	if (rc == 0)
		rc = event_decode(record.entry, 0, NULL, &arena, &event);
	if (rc == 0 && (event.data == NULL || record.type != EVENT_LOG_SUCCEEDED))
		rc = ERR_MALFORMED;
	if (rc == 0)
		rc = buf_append(out, ((const struct event_log_succeeded *)event.data)->origin);
	log_read_stop(&read);
	arena_finish(&arena);
	return rc;
}
