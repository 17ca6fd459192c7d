/* See witnesses.h. */
#include "app/witnesses.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "domain/cosign.h"
#include "net/http_client.h"
#include "store/eventlog.h"

#define LOOK_MS 250       /* how soon a new checkpoint is noticed */
#define CALL_MS 5000      /* how long one request may take */
#define LAST_CALL_MS 2000 /* and one that the end of the service waits for */
#define RETRY_MS_MIN 1000 /* after a failure, doubled up to the next */
#define RETRY_MS_MAX 60000
#define ANSWER_MAX 65536
#define ROUNDS_MAX 3 /* of "that is not what I hold" in one go */

struct feed {
	struct witnesses *all;
	const struct policy_witness *who;
	struct http_client *client;
	pthread_t thread;
	bool started;

	/* Its thread's alone. */
	uint64_t held; /* what it holds, as far as it told */
	bool held_known;
	unsigned retry_ms;
	unsigned call_ms;

	/* Guarded by all->lock. */
	enum witness_state state;
	uint64_t signed_size;
	char reason[256];
};

struct witnesses {
	struct eventlog *log;
	struct policy policy;
	struct feed feeds[POLICY_WITNESSES_MAX];
	pthread_mutex_t keeping; /* held while a note is replaced by itself with one line more; taken before `lock` */
	pthread_mutex_t lock;    /* guards what feeds tell, published and stopping */
	pthread_cond_t changed;
	uint64_t published; /* size of the newest checkpoint with a quorum; 0 = none yet */
	bool stopping;
};

/* ---- what a witness answered ---------------------------------------------------------------- */

static void tell(struct feed *f, enum witness_state state, const char *reason)
{
	struct witnesses *w = f->all;
	bool news;

	pthread_mutex_lock(&w->lock);
	news = (f->state != state || strcmp(f->reason, reason) != 0) && (state != WITNESS_OK || f->signed_size > 0);
	f->state = state;
	snprintf(f->reason, sizeof(f->reason), "%s", reason);
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (!news)
		return;
	if (state == WITNESS_OK)
		log_info("witnesses", "a witness signs", "witness", f->who->key.name);
	else
		log_warn("witnesses", "a witness does not sign", "witness", f->who->key.name, "reason", reason);
}

static unsigned count_cosignatures(const struct witnesses *w, struct slice bytes)
{
	struct note *note = malloc(sizeof(*note));
	unsigned n = 0;

	if (note != NULL && note_parse(note, bytes) == 0)
		for (unsigned i = 0; i < w->policy.n_witnesses; i++)
			n += note_verify(note, &w->policy.witnesses[i].key, 1, NULL) == 0;
	free(note);
	return n;
}

/* Under the note as it is now: another witness may have signed it meanwhile. */
static int keep(struct feed *f, uint64_t size, struct slice lines)
{
	struct witnesses *w = f->all;
	struct buf note = BUF_INIT(NOTE_BYTES_MAX), whole = BUF_INIT(NOTE_BYTES_MAX);
	bool enough = false;
	uint64_t at;
	int rc;

	pthread_mutex_lock(&w->keeping);
	rc = eventlog_next_note(w->log, size, &at, &note);
	if (rc == 0 && at != size)
		rc = ERR_NOT_FOUND;
	if (rc == 0)
		rc = cosign_note_add(&whole, buf_slice(&note), lines, &f->who->key);
	if (rc == 0 && whole.len != note.len)
		rc = eventlog_put_note(w->log, size, buf_slice(&whole));
	if (rc == 0)
		enough = w->policy.quorum > 0 && count_cosignatures(w, buf_slice(&whole)) >= w->policy.quorum;
	pthread_mutex_lock(&w->lock);
	if (rc == 0)
		f->signed_size = size;
	if (enough && size > w->published)
		w->published = size;
	pthread_mutex_unlock(&w->lock);
	pthread_mutex_unlock(&w->keeping);
	buf_finish(&note);
	buf_finish(&whole);
	return rc;
}

/* Events were lost, or there are two histories: nothing more is written under this name. */
static void give_alarm(struct feed *f, const char *what)
{
	char reason[NOTE_NAME_MAX + 256];

	snprintf(reason, sizeof(reason), "the witness %s %s; only a successor log may go on", f->who->key.name, what);
	log_error("witnesses", reason);
	eventlog_refuse(f->all->log, reason);
	tell(f, WITNESS_REFUSING, what);
}

/* 0: it told what it holds, ask again from there. */
static int on_conflict(struct feed *f, uint64_t size, struct slice text)
{
	uint64_t held, have = eventlog_size(f->all->log);
	char what[120];

	if (slice_to_u64(slice_trim(text), &held) != 0) {
		tell(f, WITNESS_UNREACHABLE, "its answer 409 does not say what it holds");
		return ERR_MALFORMED;
	}
	f->held = held;
	f->held_known = true;
	if (held > have) {
		snprintf(what, sizeof(what), "has seen %" PRIu64 " events and the log has %" PRIu64, held, have);
		give_alarm(f, what);
		return ERR_CORRUPT;
	}
	return held > size ? ERR_RANGE : 0; /* seen already what we are about to sign again: with the next one */
}

static int on_answer(struct feed *f, uint64_t size, const struct http_result *answer)
{
	char text[80];
	int rc;

	switch (answer->status) {
	case 200:
		rc = keep(f, size, buf_slice(&answer->body));
		if (rc != 0) {
			snprintf(text, sizeof(text), "its signature was not kept: %s", err_text(rc));
			tell(f, rc == ERR_UNAVAILABLE ? WITNESS_OK : WITNESS_UNREACHABLE, text);
			return rc;
		}
		f->held = size;
		f->held_known = true;
		tell(f, WITNESS_OK, "");
		return 0;
	case 409:
		return on_conflict(f, size, buf_slice(&answer->body));
	case 422:
		snprintf(text, sizeof(text), "has seen another history than this one of %" PRIu64 " events", size);
		give_alarm(f, text);
		return ERR_CORRUPT;
	case 404:
		tell(f, WITNESS_REFUSING, "it does not serve this log: its operator has to add the log's key");
		return ERR_DENIED;
	case 403:
		tell(f, WITNESS_REFUSING, "it knows another key of this log");
		return ERR_DENIED;
	default:
		snprintf(text, sizeof(text), "it answers with status %d", answer->status);
		tell(f, WITNESS_UNREACHABLE, text);
		return ERR_UNAVAILABLE;
	}
}

/* ---- asking it ------------------------------------------------------------------------------- */

static int ask(struct feed *f, uint64_t old_size, uint64_t size, struct slice note)
{
	static const char *const headers[] = {"Content-Type: text/plain; charset=utf-8", NULL};
	struct tile_reader tiles = eventlog_tiles(f->all->log);
	struct cosign_request request = {.old_size = old_size, .note = note};
	struct buf body = BUF_INIT(COSIGN_REQUEST_MAX);
	struct http_result answer = {0};
	char url[POLICY_URL_MAX + 32];
	size_t len = strlen(f->who->url);
	int rc;

	snprintf(url, sizeof(url), "%s%sadd-checkpoint", f->who->url, len > 0 && f->who->url[len - 1] == '/' ? "" : "/");
	rc = merkle_consistency_make(&request.proof, old_size, size, &tiles);
	if (rc == 0)
		rc = cosign_request_format(&body, &request);
	if (rc == 0) {
		struct http_call call = {.method = "POST", .url = url, .headers = headers, .body = buf_slice(&body),
		    .has_body = true, .timeout_ms = f->call_ms, .answer_max = ANSWER_MAX};

		rc = http_client_call(f->client, &call, &answer);
	}
	if (rc != 0)
		tell(f, WITNESS_UNREACHABLE, answer.message[0] != '\0' ? answer.message : err_text(rc));
	else
		rc = on_answer(f, size, &answer);
	http_result_finish(&answer);
	buf_finish(&body);
	return rc;
}

/*
 * One checkpoint. A witness that we know nothing of is first asked as if it held just
 * this: either it does, or it says what it holds.
 */
static int show(struct feed *f, uint64_t size, struct slice note)
{
	int rc = 0;

	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		uint64_t old_size = f->held_known && f->held <= size ? f->held : size;

		rc = ask(f, old_size, size, note);
		if (rc != 0 || f->held == size)
			return rc;
	}
	tell(f, WITNESS_UNREACHABLE, "it says another size each time it is asked");
	return ERR_CONFLICT;
}

static void *run(void *arg)
{
	struct feed *f = arg;
	struct witnesses *w = f->all;
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	uint64_t done = 0, size;
	bool stopping = false, any = false;

	while (!stopping) {
		unsigned pause_ms = LOOK_MS;
		struct timespec at;
		int rc;

		buf_clear(&note);
		rc = eventlog_last_note(w->log, &size, &note);
		if (rc == 0 && (!any || size != done)) {
			rc = show(f, size, buf_slice(&note));
			if (rc == 0 || rc == ERR_RANGE) {
				done = size;
				any = true;
				f->retry_ms = RETRY_MS_MIN;
			} else {
				pause_ms = f->retry_ms;
				f->retry_ms = f->retry_ms * 2 < RETRY_MS_MAX ? f->retry_ms * 2 : RETRY_MS_MAX;
			}
		} else if (rc == ERR_NOT_FOUND) {
			tell(f, WITNESS_OK, ""); /* nothing to show it yet */
		}
		at = thread_deadline(pause_ms);
		pthread_mutex_lock(&w->lock);
		while (!w->stopping && pthread_cond_timedwait(&w->changed, &w->lock, &at) == 0)
			;
		stopping = w->stopping;
		pthread_mutex_unlock(&w->lock);
	}
	/* What was signed since: who signed the one before is asked once more, others will have it with the next start. */
	buf_clear(&note);
	f->call_ms = LAST_CALL_MS;
	if (f->state == WITNESS_OK && eventlog_last_note(w->log, &size, &note) == 0 && (!any || size != done))
		show(f, size, buf_slice(&note));
	buf_finish(&note);
	return NULL;
}

/* ---- the interface ----------------------------------------------------------------------------- */

static void wait_for_all(struct witnesses *w, unsigned wait_ms)
{
	struct timespec at = thread_deadline(wait_ms);
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < w->policy.n_witnesses && rc == 0; i++)
		while (w->feeds[i].started && w->feeds[i].state == WITNESS_ASKED && rc == 0)
			rc = pthread_cond_timedwait(&w->changed, &w->lock, &at);
	pthread_mutex_unlock(&w->lock);
}

static int start_feed(struct witnesses *w, unsigned i)
{
	struct feed *f = &w->feeds[i];
	int rc;

	*f = (struct feed){.all = w, .who = &w->policy.witnesses[i], .retry_ms = RETRY_MS_MIN, .call_ms = CALL_MS};
	if (f->who->url[0] == '\0') {
		f->state = WITNESS_OK; /* served by hand */
		return 0;
	}
	rc = http_client_create(&f->client);
	if (rc != 0)
		return rc;
	f->started = pthread_create(&f->thread, NULL, run, f) == 0;
	return f->started ? 0 : ERR_NOMEM;
}

int witnesses_start(struct witnesses **ret, struct eventlog *log, const struct policy *policy, unsigned wait_ms)
{
	struct witnesses *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	int rc = 0;

	if (w == NULL)
		return ERR_NOMEM;
	w->log = log;
	w->policy = *policy;
	pthread_mutex_init(&w->keeping, NULL);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	for (unsigned i = 0; rc == 0 && i < w->policy.n_witnesses; i++)
		rc = start_feed(w, i);
	if (rc != 0) {
		witnesses_stop(w);
		return rc;
	}
	wait_for_all(w, wait_ms);
	*ret = w;
	return 0;
}

void witnesses_stop(struct witnesses *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < POLICY_WITNESSES_MAX; i++) {
		if (w->feeds[i].started)
			pthread_join(w->feeds[i].thread, NULL);
		http_client_destroy(w->feeds[i].client);
	}
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->keeping);
	free(w);
}

bool witnesses_status(struct witnesses *w, unsigned i, struct witness_status *ret)
{
	const struct feed *f;

	if (w == NULL || i >= w->policy.n_witnesses)
		return false;
	f = &w->feeds[i];
	pthread_mutex_lock(&w->lock);
	*ret = (struct witness_status){.name = f->who->key.name, .state = f->state, .size = f->signed_size};
	memcpy(ret->reason, f->reason, sizeof(ret->reason));
	pthread_mutex_unlock(&w->lock);
	return true;
}

unsigned witnesses_quorum(const struct witnesses *w)
{
	return w == NULL ? 0 : w->policy.quorum;
}

int witnesses_note(struct witnesses *w, struct eventlog *log, uint64_t *ret_size, struct buf *ret_note)
{
	uint64_t published = 0;

	if (w != NULL) {
		pthread_mutex_lock(&w->lock);
		published = w->published;
		pthread_mutex_unlock(&w->lock);
	}
	return published == 0 ? eventlog_last_note(log, ret_size, ret_note)
	                      : eventlog_next_note(log, published, ret_size, ret_note);
}
