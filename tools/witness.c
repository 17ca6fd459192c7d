/* See witness.h. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/planted.h"
#include "crypto/secret.h"

#define SEEN_HEAD "lulab-witness/1\n"
#define SEEN_BYTES_MAX 1024
#define KEY_TEXT_MAX 512

struct witness {
	const struct clock *clock;
	char dir[PATH_MAX];
	struct policy logs;
	struct note_key key;
	uint8_t *secret; /* ED25519_SECRET_LEN bytes of secret memory */
	int lock_fd;
	pthread_mutex_t lock; /* held with lock_fd's: a file lock does not keep threads of one process apart */
};

/* What is remembered of one log. Nothing remembered is an empty tree. */
struct seen {
	uint64_t size;
	struct merkle_hash root;
};

static int join(char ret[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(ret, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? 0 : ERR_TOO_BIG;
}

/* ---- the records --------------------------------------------------------------------- */

static char unstored[SEEN_BYTES_MAX + 1]; /* of the planted bug alone */

static int seen_path(char ret[PATH_MAX], const struct witness *w, struct slice origin)
{
	char name[8 + 2 * SHA256_LEN + 1] = "seen/";
	uint8_t hash[SHA256_LEN];

	sha256(hash, &origin, 1);
	hex_encode(name + 5, hash, sizeof(hash));
	return join(ret, w->dir, name);
}

static int seen_read(const struct witness *w, struct slice origin, struct seen *ret)
{
	struct buf file = BUF_INIT(SEEN_BYTES_MAX);
	struct checkpoint c;
	char path[PATH_MAX];
	int rc;

	rc = seen_path(path, w, origin);
	if (PLANTED(witness_unstored) && unstored[0] != '\0')
		rc = buf_append_str(&file, unstored);
	else if (rc == 0)
		rc = file_read(&file, path);
	if (rc == 0 && !slice_starts_with(buf_slice(&file), SLICE(SEEN_HEAD)))
		rc = ERR_CORRUPT;
	if (rc == 0) {
		buf_consume(&file, sizeof(SEEN_HEAD) - 1);
		if (checkpoint_parse(&c, buf_slice(&file)) != 0 || !slice_eq(c.origin, origin))
			rc = ERR_CORRUPT;
	}
	if (rc == 0)
		*ret = (struct seen){c.size, c.root};
	buf_finish(&file);
	return rc == ERR_TOO_BIG ? ERR_CORRUPT : rc;
}

/* On the disk, name and all, when it returns 0. */
static int seen_write(const struct witness *w, struct slice checkpoint_text, struct slice origin)
{
	struct buf file = BUF_INIT(SEEN_BYTES_MAX);
	char path[PATH_MAX];
	int rc;

	rc = seen_path(path, w, origin);
	buf_append_str(&file, SEEN_HEAD);
	buf_append(&file, checkpoint_text);
	if (rc == 0)
		rc = file.rc;
	if (PLANTED(witness_unstored) && rc == 0)
		memcpy(unstored, file.ptr, file.len + 1);
	else if (rc == 0)
		rc = file_replace(path, buf_slice(&file), 0600);
	buf_finish(&file);
	return rc;
}

/* ---- one request ------------------------------------------------------------------------ */

static int say(struct buf *answer, int status, const char *text)
{
	buf_printf(answer, "%s\n", text);
	return status;
}

static int fail(struct buf *answer, int err, const char *what)
{
	log_error("witness", what, "error", err_name(err), "reason", err_text(err));
	return say(answer, 500, what);
}

/* Keys of the log of that name, of which there may be two. */
static unsigned keys_of(const struct witness *w, struct slice origin, struct note_key ret[POLICY_LOGS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->logs.n_logs; i++)
		if (slice_is(origin, w->logs.logs[i].name))
			ret[n++] = w->logs.logs[i];
	return n;
}

static int sign(struct witness *w, struct slice text, struct buf *answer)
{
	uint64_t seconds = (uint64_t)(clock_wall_us(w->clock) / 1000000);
	int rc = note_cosign_line(answer, text, &w->key, w->secret, seconds);

	return rc == 0 ? 200 : fail(answer, rc, "cannot sign");
}

static void lock(struct witness *w)
{
	if (PLANTED(witness_race))
		return;
	pthread_mutex_lock(&w->lock);
	while (flock(w->lock_fd, LOCK_EX) != 0 && errno == EINTR)
		;
}

static void unlock(struct witness *w)
{
	if (PLANTED(witness_race))
		return;
	flock(w->lock_fd, LOCK_UN);
	pthread_mutex_unlock(&w->lock);
}

/* Under the lock: from the comparison with the record to the record's replacement. */
static int compare_and_store(struct witness *w, const struct cosign_request *request, const struct checkpoint *c,
    struct slice text, struct buf *answer)
{
	struct seen seen = {0};
	int rc = seen_read(w, c->origin, &seen);

	if (rc == ERR_NOT_FOUND)
		rc = merkle_root(&seen.root, 0, NULL);
	if (rc != 0)
		return fail(answer, rc, "the record of this log cannot be read");
	if (request->old_size != seen.size) {
		buf_printf(answer, "%llu\n", (unsigned long long)seen.size);
		return 409;
	}
	if (!merkle_consistency_holds(&request->proof, seen.size, c->size, &seen.root, &c->root))
		return say(answer, 422, "the proof does not show that this extends what was seen");
	rc = seen_write(w, text, c->origin);
	return rc == 0 ? 200 : fail(answer, rc, "the record of this log cannot be stored");
}

static int add(struct witness *w, const struct cosign_request *request, struct note *note, struct buf *answer)
{
	struct note_key keys[POLICY_LOGS_MAX];
	struct checkpoint c;
	unsigned n_keys;
	int status;

	if (note_parse(note, request->note) != 0 || checkpoint_parse(&c, note->text) != 0)
		return say(answer, 400, "what follows the proof is not a signed checkpoint");
	n_keys = keys_of(w, c.origin, keys);
	if (n_keys == 0)
		return say(answer, 404, "this log is not served here");
	if (note_verify(note, keys, n_keys, NULL) != 0)
		return say(answer, 403, "no good signature by the log");
	if (request->old_size > c.size)
		return say(answer, 400, "old is more than the size of the checkpoint");
	lock(w);
	status = compare_and_store(w, request, &c, note->text, answer);
	unlock(w);
	if (status == 200)
		status = sign(w, note->text, answer);
	return status;
}

int witness_add_checkpoint(struct witness *w, struct slice bytes, struct buf *answer)
{
	struct note *note = malloc(sizeof(*note));
	struct cosign_request request;
	int status;

	if (note == NULL)
		return fail(answer, ERR_NOMEM, "cannot look at this now");
	if (cosign_request_parse(&request, bytes) != 0)
		status = say(answer, 400, "not a request for a cosignature");
	else
		status = add(w, &request, note, answer);
	free(note);
	return status;
}

int witness_seen(struct witness *w, struct slice origin, uint64_t *ret_size, struct merkle_hash *ret_root)
{
	struct seen seen;
	int rc;

	lock(w);
	rc = seen_read(w, origin, &seen);
	unlock(w);
	if (rc == 0) {
		*ret_size = seen.size;
		*ret_root = seen.root;
	}
	return rc;
}

/* ---- setting it up -------------------------------------------------------------------------- */

static int write_key(const char *dir, const char *name, const struct rng *rng)
{
	uint8_t seed[ED25519_SEED_LEN], public_key[ED25519_PUBLIC_LEN], secret[ED25519_SECRET_LEN];
	struct buf text = BUF_INIT(KEY_TEXT_MAX);
	struct note_key key;
	char path[PATH_MAX];
	int rc;

	rng_fill(rng, seed, sizeof(seed));
	ed25519_from_seed(public_key, secret, seed);
	rc = note_key_make(&key, slice_str(name), NOTE_COSIGNATURE, public_key);
	if (rc == 0)
		rc = join(path, dir, "witness.key");
	if (rc == 0)
		rc = file_create(path, slice_of(seed, sizeof(seed)), 0400);
	note_key_format(&text, &key);
	buf_append_char(&text, '\n');
	if (rc == 0)
		rc = join(path, dir, "witness.vkey");
	/* Last, so that a directory with it is complete. */
	if (rc == 0)
		rc = file_replace(path, buf_slice(&text), 0644);
	crypto_wipe(seed, sizeof(seed));
	crypto_wipe(secret, sizeof(secret));
	buf_finish(&text);
	return rc;
}

int witness_init(const char *dir, const char *name, const struct note_key *logs, unsigned n_logs,
    const struct rng *rng)
{
	static const uint8_t any_key[ED25519_PUBLIC_LEN];
	struct buf text = BUF_INIT(POLICY_FILE_MAX);
	struct note_key key;
	char path[PATH_MAX];
	int rc;

	if (note_key_make(&key, slice_str(name), NOTE_COSIGNATURE, any_key) != 0)
		return ERR_INVALID;
	rc = join(path, dir, "seen");
	if (rc == 0)
		rc = dir_create(path, 0700);
	if (rc == 0)
		rc = join(path, dir, "witness.key");
	if (rc == 0 && file_exists(path))
		rc = ERR_EXISTS;
	buf_append_str(&text, "# The logs this witness serves: log <verifier key>. Read when the witness starts.\n");
	for (unsigned i = 0; i < n_logs; i++) {
		buf_append_str(&text, "log ");
		note_key_format(&text, &logs[i]);
		buf_append_char(&text, '\n');
	}
	if (rc == 0)
		rc = text.rc;
	if (rc == 0)
		rc = join(path, dir, "logs");
	if (rc == 0)
		rc = file_replace(path, buf_slice(&text), 0644);
	buf_finish(&text);
	return rc != 0 ? rc : write_key(dir, name, rng);
}

static int load_key(struct witness *w, struct buf *problem)
{
	struct buf seed = BUF_INIT(ED25519_SEED_LEN), text = BUF_INIT(KEY_TEXT_MAX);
	uint8_t public_key[ED25519_PUBLIC_LEN];
	char path[PATH_MAX];
	int rc;

	rc = join(path, w->dir, "witness.vkey");
	if (rc == 0)
		rc = file_read(&text, path);
	if (rc == 0)
		rc = note_key_parse(&w->key, slice_trim(buf_slice(&text)));
	if (rc == 0)
		rc = join(path, w->dir, "witness.key");
	if (rc == 0)
		rc = file_read(&seed, path);
	if (rc == ERR_NOT_FOUND) {
		buf_printf(problem, "there is no witness in %s: make one with lulab witness init", w->dir);
	} else if (rc != 0) {
		buf_printf(problem, "%s cannot be used: %s", path, err_text(rc));
	} else {
		w->secret = secret_alloc(ED25519_SECRET_LEN);
		if (seed.len != ED25519_SEED_LEN)
			rc = ERR_BAD_KEY;
		else if (w->secret == NULL)
			rc = ERR_NOMEM;
		else
			ed25519_from_seed(public_key, w->secret, (const uint8_t *)seed.ptr);
		if (rc == 0 && (w->key.type != NOTE_COSIGNATURE || memcmp(public_key, w->key.public_key, sizeof(public_key)) != 0))
			rc = ERR_BAD_KEY;
		if (rc != 0)
			buf_printf(problem, "witness.key and witness.vkey in %s do not belong together", w->dir);
	}
	buf_wipe(&seed);
	buf_finish(&text);
	return rc;
}

int witness_open(struct witness **ret, const char *dir, const struct clock *clock, struct buf *problem)
{
	struct witness *w = calloc(1, sizeof(*w));
	char path[PATH_MAX];
	int rc;

	if (w == NULL)
		return ERR_NOMEM;
	w->clock = clock;
	w->lock_fd = -1;
	pthread_mutex_init(&w->lock, NULL);
	rc = snprintf(w->dir, sizeof(w->dir), "%s", dir) < (int)sizeof(w->dir) ? 0 : ERR_TOO_BIG;
	if (rc == 0)
		rc = load_key(w, problem);
	if (rc == 0)
		rc = join(path, dir, "logs");
	if (rc == 0)
		rc = policy_read(&w->logs, path, problem);
	if (rc == 0)
		rc = join(path, dir, "seen");
	if (rc == 0)
		rc = dir_create(path, 0700);
	if (rc == 0)
		rc = join(path, dir, "lock");
	if (rc == 0) {
		w->lock_fd = io_calls->open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (w->lock_fd < 0)
			rc = err_from_errno(errno);
	}
	if (rc == 0) {
		*ret = w;
		return 0;
	}
	if (problem->len == 0)
		buf_printf(problem, "%s cannot be used: %s", path, err_text(rc));
	witness_close(w);
	return rc;
}

void witness_close(struct witness *w)
{
	if (w == NULL)
		return;
	if (w->lock_fd >= 0)
		io_calls->close(w->lock_fd);
	secret_free(w->secret, ED25519_SECRET_LEN);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

const struct note_key *witness_key(const struct witness *w)
{
	return &w->key;
}

bool witness_log(const struct witness *w, unsigned i, const struct note_key **ret_key)
{
	if (i >= w->logs.n_logs)
		return false;
	*ret_key = &w->logs.logs[i];
	return true;
}
