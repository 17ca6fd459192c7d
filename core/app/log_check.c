/* See log_check.h. */
#include "app/log_check.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/eventlog.h"

#define DAMAGE_FILE "log.damage"
#define DAMAGE_BYTES_MAX 4096
#define UNCLEAR_RETRY_S 60
#define TOLD_MAX 20      /* findings of a run that get a line in the log */
#define NAP_MS_MAX 60000 /* a long sleep is many: a clock that was set does not matter then */

struct log_check {
	struct eventlog *log;
	const struct clock *clock;
	struct verify_options verify;
	unsigned interval_s;
	uint64_t bytes_per_s;
	char damage_path[PATH_MAX];

	/* The thread alone. */
	int64_t began_us; /* monotonic */
	unsigned n_told;
	char first_text[240]; /* the first piece of evidence */

	pthread_mutex_t lock; /* guards what is below */
	pthread_cond_t wake;  /* to stop */
	bool stopping;
	struct log_check_status status;
	pthread_t thread;
};

/* ---- waiting ---------------------------------------------------------------------- */

static bool is_stopping(void *arg)
{
	struct log_check *c = arg;
	bool stopping;

	pthread_mutex_lock(&c->lock);
	stopping = c->stopping;
	pthread_mutex_unlock(&c->lock);
	return stopping;
}

static void nap(struct log_check *c, uint64_t ms)
{
	struct timespec at = thread_deadline((unsigned)ms);

	pthread_mutex_lock(&c->lock);
	while (!c->stopping && pthread_cond_timedwait(&c->wake, &c->lock, &at) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&c->lock);
}

static void nap_s(struct log_check *c, uint64_t s)
{
	for (uint64_t ms = s * 1000; ms > 0 && !is_stopping(c);) {
		uint64_t some = ms < NAP_MS_MAX ? ms : NAP_MS_MAX;

		nap(c, some);
		ms -= some;
	}
}

/* After a tile: as long as what was read so far should have taken longer. */
static void on_progress(void *arg, const struct verify_summary *so_far, uint64_t done, uint64_t total)
{
	struct log_check *c = arg;
	int64_t took_ms, should_ms;

	pthread_mutex_lock(&c->lock);
	c->status.done = done;
	c->status.total = total;
	pthread_mutex_unlock(&c->lock);
	if (c->bytes_per_s == 0)
		return;
	took_ms = (clock_monotonic_us(c->clock) - c->began_us) / 1000;
	should_ms = (int64_t)((double)(so_far->bytes + so_far->blob_bytes) * 1000 / (double)c->bytes_per_s);
	if (should_ms > took_ms)
		nap(c, (uint64_t)(should_ms - took_ms));
}

/* ---- what was found ------------------------------------------------------------------ */

static void on_finding(void *arg, const struct verify_finding *f)
{
	struct log_check *c = arg;

	if (f->evidence && c->first_text[0] == '\0')
		memcpy(c->first_text, f->text, sizeof(c->first_text));
	if (c->n_told++ >= TOLD_MAX)
		return;
	if (f->evidence)
		log_error("verify", "the log is not as it was signed", "finding", f->text);
	else
		log_warn("verify", "a part of the log could not be checked", "finding", f->text);
}

static void refuse(struct log_check *c, const char *problem)
{
	int rc = file_replace(c->damage_path, slice_str(problem), 0644);

	if (rc != 0)
		log_error("verify", "the damage found cannot be noted down for the next start", "file", DAMAGE_FILE, "error",
		    err_text(rc));
	eventlog_refuse(c->log, problem);
}

/* The run's outcome, into the status and the log. */
static void conclude(struct log_check *c, const struct verify_summary *s)
{
	enum log_verdict verdict = s->n_evidence > 0 ? LOG_BAD : s->n_unknown > 0 ? LOG_UNCLEAR : LOG_GOOD;
	double seconds = (double)(clock_monotonic_us(c->clock) - c->began_us) / 1e6;
	char problem[sizeof(c->status.problem)] = "", records[24], took[24], index[24] = "";
	struct log_check_status *status = &c->status;

	if (s->has_bad)
		snprintf(index, sizeof(index), " at index %" PRIu64, s->first_bad);
	if (verdict == LOG_BAD)
		snprintf(problem, sizeof(problem), "verification found damage%s: %.180s", index, c->first_text);
	else if (verdict == LOG_UNCLEAR)
		snprintf(problem, sizeof(problem), "%" PRIu64 " parts could not be read", s->n_unknown);
	snprintf(records, sizeof(records), "%" PRIu64, s->records);
	snprintf(took, sizeof(took), "%.3f", seconds);
	/* Refused before it is told: who hears of the damage finds nothing accepted any more. */
	if (verdict == LOG_BAD) {
		log_error("verify", "the log is damaged: it takes no more events", "problem", problem, "records", records);
		refuse(c, problem);
	}
	pthread_mutex_lock(&c->lock);
	status->verdict = verdict;
	status->runs[verdict]++;
	status->size = s->records;
	status->ended_us = clock_wall_us(c->clock);
	status->seconds = seconds;
	status->has_bad = s->has_bad;
	status->first_bad = s->first_bad;
	if (verdict == LOG_GOOD)
		status->good_us = status->ended_us;
	memcpy(status->problem, problem, sizeof(problem));
	pthread_mutex_unlock(&c->lock);

	if (verdict == LOG_UNCLEAR) {
		log_warn("verify", "the log could not be verified as a whole; it is tried again", "problem", problem);
	} else if (verdict == LOG_GOOD) {
		log_info("verify", "every record, blob, tile and checkpoint is as it was signed", "records", records, "seconds",
		    took);
		if (unlink(c->damage_path) == 0)
			log_warn("verify", "the damage found before is mended: start the service again to let it write");
	}
}

/* A log that was begun just now is verified once there is something signed to hold it against. */
static void wait_for_signature(struct log_check *c)
{
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	uint64_t size;

	while (!is_stopping(c) && eventlog_last_note(c->log, &size, &note) == ERR_NOT_FOUND)
		nap(c, 1000);
	buf_finish(&note);
}

/* One run. False when it should be tried again soon. */
static bool check(struct log_check *c)
{
	struct verify_source source = log_check_source(c->log);
	struct verify_summary summary;
	bool clear;
	int rc;

	c->n_told = 0;
	c->first_text[0] = '\0';
	c->began_us = clock_monotonic_us(c->clock);
	pthread_mutex_lock(&c->lock);
	c->status.running = true;
	c->status.done = 0;
	pthread_mutex_unlock(&c->lock);
	rc = verify_log(&source, &c->verify, &summary);
	if (rc == 0)
		conclude(c, &summary);
	else if (rc != ERR_CANCELLED)
		log_error("verify", "the log could not be verified", "error", err_name(rc), "reason", err_text(rc));
	pthread_mutex_lock(&c->lock);
	c->status.running = false;
	clear = rc == 0 && c->status.verdict != LOG_UNCLEAR;
	pthread_mutex_unlock(&c->lock);
	return clear;
}

static void *run(void *arg)
{
	struct log_check *c = arg;

	thread_name("lulab-verify");
	thread_yield_to_others(THREAD_AT_LEISURE);
	wait_for_signature(c);
	while (!is_stopping(c)) {
		bool clear = check(c);

		nap_s(c, clear || c->interval_s < UNCLEAR_RETRY_S ? c->interval_s : UNCLEAR_RETRY_S);
	}
	return NULL;
}

/* ---- the interface -------------------------------------------------------------------- */

/* What an earlier run found and nobody mended. Not being able to look is no finding: ERR_*. */
static int recall_damage(struct log_check *c)
{
	struct buf text = BUF_INIT(DAMAGE_BYTES_MAX);
	int rc = file_read(&text, c->damage_path);

	if (rc != 0) {
		buf_finish(&text);
		return rc == ERR_NOT_FOUND ? 0 : rc;
	}
	struct slice problem = slice_trim(buf_slice(&text));

	snprintf(c->status.problem, sizeof(c->status.problem), "%.*s", SLICE_ARG(problem));
	c->status.verdict = LOG_BAD;
	log_error("verify", "the log is read-only since damage was found in it", "problem", c->status.problem, "file",
	    DAMAGE_FILE);
	eventlog_refuse(c->log, c->status.problem);
	buf_finish(&text);
	return 0;
}

static void destroy(struct log_check *c)
{
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int log_check_start(struct log_check **ret, const struct log_check_options *options)
{
	struct log_check *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;
	int rc;

	assert(options->n_keys >= 1 && options->n_keys <= VERIFY_KEYS_MAX);
	if (c == NULL)
		return ERR_NOMEM;
	c->log = options->log;
	c->clock = options->clock;
	c->interval_s = options->interval_s;
	c->bytes_per_s = options->bytes_per_s;
	c->verify = (struct verify_options){
	    .n_log_keys = options->n_keys,
	    .threads = 1,
	    .on_finding = on_finding,
	    .on_progress = on_progress,
	    .stopped = is_stopping,
	    .arg = c,
	};
	memcpy(c->verify.keys, options->keys, options->n_keys * sizeof(options->keys[0]));
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (snprintf(c->damage_path, sizeof(c->damage_path), "%s/" DAMAGE_FILE, options->data_dir) >=
	    (int)sizeof(c->damage_path)) {
		destroy(c);
		return ERR_TOO_BIG;
	}
	rc = recall_damage(c);
	if (rc != 0) {
		destroy(c);
		return rc;
	}
	if (pthread_create(&c->thread, NULL, run, c) != 0) {
		destroy(c);
		return ERR_NOMEM;
	}
	*ret = c;
	return 0;
}

void log_check_stop(struct log_check *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	destroy(c);
}

void log_check_status(struct log_check *c, struct log_check_status *ret)
{
	pthread_mutex_lock(&c->lock);
	*ret = c->status;
	pthread_mutex_unlock(&c->lock);
}
