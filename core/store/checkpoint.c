/*
 * See checkpoint.h. The signing: one thread that decides when, proves that the log
 * extends what was signed last, and signs. `last` is its alone once it runs; what the
 * others see is under `lock`. The state file is checkpoint_state.c's.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/planted.h"
#include "base/thread.h"
#include "crypto/secret.h"
#include "store/checkpoint_private.h"

#define INTERVAL_MS_DEFAULT 1000u
#define EVENTS_MAX_DEFAULT UINT64_C(65536)
#define RETRY_MS 1000
#define WAIT_MS_MAX 200 /* how long the thread may not notice that it is to stop */

struct signer {
	struct signed_log log;
	const struct clock *clock;
	char state_path[PATH_MAX];
	unsigned interval_ms;
	uint64_t events_max;
	struct signing_key {
		struct note_key key;
		uint8_t *secret; /* ED25519_SECRET_LEN bytes of secret memory */
	} keys[SIGNER_KEYS_MAX];
	unsigned n_keys;

	/* The signer's thread alone, once it runs. */
	struct checkpoint last; /* what was signed last; its origin is keys[0].key.name */

	pthread_mutex_t lock;   /* guards what is below */
	pthread_cond_t changed; /* something was signed, refused, or failed */
	pthread_cond_t wake;    /* the thread: asked for */
	uint64_t signed_size, wanted;
	uint64_t n_tries; /* signatures tried, good or bad */
	int rc;           /* of the last try */
	char refusal[256];
	bool refused, stopping, started;
	pthread_t thread;
};

/* ---- signing ------------------------------------------------------------------------ */

/* For ever: what was signed is no longer what the log holds. */
static void refuse(struct signer *s, const char *reason, uint64_t size)
{
	pthread_mutex_lock(&s->lock);
	if (!s->refused) {
		snprintf(s->refusal, sizeof(s->refusal), "%s (log: %llu events, last signed: %llu)", reason,
		    (unsigned long long)size, (unsigned long long)s->last.size);
		s->refused = true;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	log_error("signer", "no checkpoint is signed any more", "reason", s->refusal);
	if (s->log.refuse_writes != NULL)
		s->log.refuse_writes(s->log.arg, s->refusal);
}

/*
 * Root of the log at `size`, proved to extend what was signed last: by a proof
 * made from the tiles and checked against the root in the state file, so that
 * it does not matter what the writer believes. ERR_CORRUPT when it does not extend.
 */
static int extend(struct signer *s, uint64_t size, struct merkle_hash *ret_root)
{
	struct merkle_proof proof;
	int rc;

	if (size < s->last.size)
		return ERR_CORRUPT;
	rc = merkle_root(ret_root, size, &s->log.tiles);
	if (rc == 0)
		rc = merkle_consistency_make(&proof, s->last.size, size, &s->log.tiles);
	if (rc == 0 && !merkle_consistency_holds(&proof, s->last.size, size, &s->last.root, ret_root))
		rc = ERR_CORRUPT;
	return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
}

/* The state is on disk before the signature exists anywhere but here. */
static int sign(struct signer *s, uint64_t size)
{
	struct checkpoint c = {.origin = slice_str(s->keys[0].key.name), .size = size};
	struct buf text = BUF_INIT(NOTE_BYTES_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
	int rc;

	rc = extend(s, size, &c.root);
	if (rc == ERR_CORRUPT) {
		refuse(s, size < s->last.size ? "events that were signed are missing" :
		    "the log does not extend what was signed", size);
		return rc;
	}
	if (rc == 0)
		rc = checkpoint_format(&text, &c);
	if (rc == 0 && !PLANTED(signature_first))
		rc = signer_state_write(s->state_path, buf_slice(&text));
	if (rc == 0) {
		s->last = c;
		rc = note_sign(&note, buf_slice(&text), &s->keys[0].key, s->keys[0].secret);
	}
	for (unsigned i = 1; rc == 0 && i < s->n_keys; i++)
		rc = note_sign_line(&note, buf_slice(&text), &s->keys[i].key, s->keys[i].secret);
	if (rc == 0)
		rc = s->log.put_note(s->log.arg, size, buf_slice(&note));
	if (rc == 0 && PLANTED(signature_first))
		rc = signer_state_write(s->state_path, buf_slice(&text));
	buf_finish(&text);
	buf_finish(&note);
	return rc;
}

/* One try, and everybody who waits is told. */
static int sign_and_tell(struct signer *s, uint64_t size)
{
	int rc = sign(s, size);

	pthread_mutex_lock(&s->lock);
	s->n_tries++;
	s->rc = rc;
	if (rc == 0)
		s->signed_size = size;
	else
		s->wanted = 0; /* whoever asked is told; the next try is the thread's own, a while later */
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (rc != 0 && rc != ERR_CORRUPT)
		log_error("signer", "a checkpoint could not be made", "error", err_name(rc), "reason", err_text(rc));
	return rc;
}

/* Under `lock`: up to so long, or until somebody asks or it is time to stop. */
static void nap(struct signer *s, unsigned ms)
{
	struct timespec at = thread_deadline(ms);

	while (!s->stopping && s->wanted <= s->signed_size &&
	    pthread_cond_timedwait(&s->wake, &s->lock, &at) == 0)
		;
}

/* Is it time? Since the last signature there must be new events, and enough of them or enough time, or a wish. */
static bool is_due(struct signer *s, uint64_t size, int64_t since_us)
{
	if (size <= s->signed_size)
		return false;
	return s->stopping || s->wanted > s->signed_size || size - s->signed_size >= s->events_max ||
	    clock_monotonic_us(s->clock) - since_us >= (int64_t)s->interval_ms * 1000;
}

static void *run(void *arg)
{
	struct signer *s = arg;
	int64_t since_us = clock_monotonic_us(s->clock) - (int64_t)s->interval_ms * 1000;
	unsigned step_ms = s->interval_ms < 100 ? s->interval_ms : 100;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		bool stopping = s->stopping, due;
		uint64_t size = 0, done;
		int rc;

		if (s->refused)
			break;
		rc = s->log.size(s->log.arg, &size);
		due = rc == 0 && is_due(s, size, since_us);
		if (rc == 0 && !due && size < s->wanted)
			s->wanted = 0; /* somebody asked for more than there is, and was told */
		done = s->signed_size;
		pthread_mutex_unlock(&s->lock);
		if (due) {
			since_us = clock_monotonic_us(s->clock); /* of the decision, not of when it was carried out */
			rc = sign_and_tell(s, size);
		} else if (!stopping && rc == 0 && size <= done) {
			rc = s->log.wait(s->log.arg, size, WAIT_MS_MAX);
		}
		pthread_mutex_lock(&s->lock);
		if (stopping)
			break;
		if (rc != 0 && !s->refused)
			nap(s, RETRY_MS);
		else if (!due && size > done)
			nap(s, step_ms);
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the interface -------------------------------------------------------------------- */

/* A seed from its file. ERR_NOT_FOUND, ERR_BAD_KEY. */
static int load_seed(uint8_t ret_seed[ED25519_SEED_LEN], const char *data_dir, const char *name)
{
	struct buf file = BUF_INIT(ED25519_SEED_LEN);
	char path[PATH_MAX];
	int rc;

	rc = signer_path(path, data_dir, name);
	if (rc == 0)
		rc = file_read(&file, path);
	if (rc == ERR_TOO_BIG || (rc == 0 && file.len != ED25519_SEED_LEN))
		rc = ERR_BAD_KEY;
	if (rc == 0)
		memcpy(ret_seed, file.ptr, ED25519_SEED_LEN);
	buf_wipe(&file);
	return rc;
}

static int make_seed(uint8_t ret_seed[ED25519_SEED_LEN], const char *data_dir, const char *name, const struct rng *rng)
{
	char path[PATH_MAX];
	int rc;

	rng_fill(rng, ret_seed, ED25519_SEED_LEN);
	rc = signer_path(path, data_dir, name);
	return rc != 0 ? rc : file_create(path, slice_of(ret_seed, ED25519_SEED_LEN), 0400);
}

static int add_key(struct signer *s, const char *origin, const uint8_t seed[ED25519_SEED_LEN])
{
	struct signing_key *k = &s->keys[s->n_keys];
	uint8_t public_key[ED25519_PUBLIC_LEN];

	k->secret = secret_alloc(ED25519_SECRET_LEN);
	if (k->secret == NULL)
		return ERR_NOMEM;
	s->n_keys++;
	ed25519_from_seed(public_key, k->secret, seed);
	return note_key_make(&k->key, slice_str(origin), NOTE_ED25519, public_key);
}

static int load_keys(struct signer *s, const char *data_dir, const char *origin, const struct rng *rng)
{
	uint8_t seed[ED25519_SEED_LEN];
	int rc;

	rc = load_seed(seed, data_dir, "signer.key");
	if (rc == ERR_NOT_FOUND) {
		/* Where something was signed already a new key would be another log's. */
		rc = s->last.size > 0 ? ERR_BAD_KEY : make_seed(seed, data_dir, "signer.key", rng);
	}
	if (rc == 0)
		rc = add_key(s, origin, seed);
	if (rc == 0) {
		rc = load_seed(seed, data_dir, "signer.next.key");
		if (rc == 0)
			rc = add_key(s, origin, seed);
		else if (rc == ERR_NOT_FOUND)
			rc = 0;
	}
	crypto_wipe(seed, sizeof(seed));
	return rc;
}

/* For people to copy; nothing here reads it. */
static int publish_keys(const struct signer *s, const char *data_dir)
{
	struct buf text = BUF_INIT(2048), before = BUF_INIT(2048);
	char path[PATH_MAX];
	int rc;

	rc = signer_path(path, data_dir, "log.vkey");
	for (unsigned i = 0; i < s->n_keys; i++) {
		note_key_format(&text, &s->keys[i].key);
		buf_append_char(&text, '\n');
	}
	if (rc == 0)
		rc = text.rc;
	if (rc == 0 && (file_read(&before, path) != 0 || !slice_eq(buf_slice(&before), buf_slice(&text))))
		rc = file_replace(path, buf_slice(&text), 0644);
	buf_finish(&text);
	buf_finish(&before);
	return rc;
}

static int load_state(struct signer *s, const char *origin)
{
	char before[LOG_ORIGIN_MAX + 1];
	int rc;

	rc = signer_state_read(s->state_path, before, &s->last);
	if (rc == 0 && strcmp(before, origin) != 0)
		return ERR_CONFIG;
	if (rc == ERR_NOT_FOUND)
		rc = merkle_root(&s->last.root, 0, NULL);
	return rc;
}

static void destroy(struct signer *s)
{
	for (unsigned i = 0; i < SIGNER_KEYS_MAX; i++)
		secret_free(s->keys[i].secret, ED25519_SECRET_LEN);
	pthread_cond_destroy(&s->changed);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int start(struct signer *s, const struct signer_options *options)
{
	struct merkle_hash root;
	uint64_t size, noted;
	int rc;

	rc = signer_path(s->state_path, options->data_dir, "signer.state");
	if (rc == 0)
		rc = load_state(s, options->origin);
	if (rc == 0)
		rc = load_keys(s, options->data_dir, options->origin, options->rng);
	if (rc == 0)
		rc = publish_keys(s, options->data_dir);
	if (rc == 0)
		rc = s->log.size(s->log.arg, &size);
	if (rc != 0)
		return rc;
	/* A crash between state and note leaves a size that was signed but not kept: it is signed again. */
	rc = s->log.noted_size(s->log.arg, &noted);
	if (rc != 0)
		return rc;
	s->signed_size = noted < s->last.size ? noted : s->last.size;
	rc = extend(s, size, &root);
	if (rc == ERR_CORRUPT)
		refuse(s, size < s->last.size ? "events that were signed are missing" :
		    "the log does not extend what was signed", size);
	else if (rc != 0)
		return rc;
	s->started = pthread_create(&s->thread, NULL, run, s) == 0;
	return s->started ? 0 : ERR_NOMEM;
}

int signer_start(struct signer **ret, const struct signer_options *options)
{
	struct signer *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int rc;

	if (s == NULL)
		return ERR_NOMEM;
	s->log = options->log;
	s->clock = options->clock;
	s->interval_ms = options->interval_ms == 0 ? INTERVAL_MS_DEFAULT : options->interval_ms;
	s->events_max = options->events_max == 0 ? EVENTS_MAX_DEFAULT : options->events_max;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attr);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	rc = start(s, options);
	if (rc != 0) {
		destroy(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void signer_stop(struct signer *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	destroy(s);
}

int signer_sign_now(struct signer *s, uint64_t size_min)
{
	uint64_t size, tries;
	int rc;

	rc = s->log.size(s->log.arg, &size);
	if (rc != 0)
		return rc;
	if (size < size_min)
		return ERR_RANGE;
	pthread_mutex_lock(&s->lock);
	tries = s->n_tries;
	if (s->wanted < size_min)
		s->wanted = size_min;
	pthread_cond_signal(&s->wake);
	while (s->signed_size < size_min && !s->refused && !s->stopping && (s->n_tries == tries || s->rc == 0))
		pthread_cond_wait(&s->changed, &s->lock);
	if (s->signed_size >= size_min)
		rc = 0;
	else if (s->refused)
		rc = ERR_CORRUPT;
	else
		rc = s->stopping ? ERR_CANCELLED : s->rc;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

const char *signer_refusal(struct signer *s)
{
	const char *reason;

	pthread_mutex_lock(&s->lock);
	reason = s->refused ? s->refusal : NULL;
	pthread_mutex_unlock(&s->lock);
	return reason;
}

const struct note_key *signer_key(const struct signer *s)
{
	return &s->keys[0].key;
}

const struct note_key *signer_key_nth(const struct signer *s, unsigned i)
{
	return i < s->n_keys ? &s->keys[i].key : NULL;
}

uint64_t signer_size(struct signer *s)
{
	uint64_t size;

	pthread_mutex_lock(&s->lock);
	size = s->signed_size;
	pthread_mutex_unlock(&s->lock);
	return size;
}
