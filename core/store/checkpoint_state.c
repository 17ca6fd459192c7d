/*
 * What the signer leaves in the data directory, its state file and the log's name,
 * and the questions that need no running signer: under which name the log is, and
 * what was signed last.
 *
 * The signer's thread alone writes the state file, once it runs; it is replaced
 * whole, so whoever asks meanwhile reads the one before or the one after.
 */
#include <stdio.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "store/checkpoint_private.h"

#define STATE_HEAD "lulab-signer/1\n"
#define STATE_BYTES_MAX 1024

int signer_path(char ret[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(ret, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? 0 : ERR_TOO_BIG;
}

int signer_state_read(const char *path, char ret_origin[LOG_ORIGIN_MAX + 1], struct checkpoint *ret)
{
	struct buf file = BUF_INIT(STATE_BYTES_MAX);
	struct checkpoint c;
	struct slice text;
	int rc;

	rc = file_read(&file, path);
	if (rc == 0) {
		text = buf_slice(&file);
		rc = ERR_CORRUPT;
		if (slice_starts_with(text, SLICE(STATE_HEAD))) {
			text.ptr += sizeof(STATE_HEAD) - 1;
			text.len -= sizeof(STATE_HEAD) - 1;
			if (checkpoint_parse(&c, text) == 0 && c.origin.len <= LOG_ORIGIN_MAX)
				rc = 0;
		}
	}
	if (rc == 0) {
		memcpy(ret_origin, c.origin.ptr, c.origin.len);
		ret_origin[c.origin.len] = '\0';
		c.origin = (struct slice){0};
		*ret = c;
	}
	buf_finish(&file);
	return rc;
}

int signer_state_write(const char *path, struct slice checkpoint_text)
{
	struct buf state = BUF_INIT(STATE_BYTES_MAX);
	int rc;

	buf_append_str(&state, STATE_HEAD);
	rc = buf_append(&state, checkpoint_text);
	if (rc == 0)
		rc = file_replace(path, buf_slice(&state), 0600);
	buf_finish(&state);
	return rc;
}

static int origin_make(char ret[LOG_ORIGIN_MAX + 1], const char *path, const struct rng *rng)
{
	char text[64], digits[17];
	uint8_t random[8];
	int len, rc;

	rng_fill(rng, random, sizeof(random));
	hex_encode(digits, random, sizeof(random));
	len = snprintf(text, sizeof(text), "log-%s.lulab.invalid/events\n", digits);
	rc = file_create(path, slice_of(text, (size_t)len), 0644);
	if (rc == 0) {
		memcpy(ret, text, (size_t)len - 1);
		ret[len - 1] = '\0';
	}
	return rc;
}

static int origin_read(char ret[LOG_ORIGIN_MAX + 1], const char *path)
{
	struct buf file = BUF_INIT(LOG_ORIGIN_MAX + 2);
	struct slice text;
	int rc;

	rc = file_read(&file, path);
	if (rc == 0) {
		text = slice_trim(buf_slice(&file));
		if (text.len == 0 || text.len > LOG_ORIGIN_MAX) {
			rc = ERR_CONFIG;
		} else {
			memcpy(ret, text.ptr, text.len);
			ret[text.len] = '\0';
		}
	}
	buf_finish(&file);
	return rc;
}

int log_origin(char ret[LOG_ORIGIN_MAX + 1], const char *data_dir, const char *configured, const struct rng *rng)
{
	static const uint8_t any_key[ED25519_PUBLIC_LEN];
	char path[PATH_MAX], origin[LOG_ORIGIN_MAX + 1], before[LOG_ORIGIN_MAX + 1];
	struct checkpoint last;
	struct note_key key;
	int rc;

	rc = signer_path(path, data_dir, "origin");
	if (rc != 0)
		return rc;
	if (configured != NULL && configured[0] != '\0') {
		if (strlen(configured) > LOG_ORIGIN_MAX)
			return ERR_CONFIG;
		memcpy(origin, configured, strlen(configured) + 1);
	} else {
		rc = origin_read(origin, path);
		if (rc == ERR_NOT_FOUND)
			rc = origin_make(origin, path, rng);
		if (rc != 0)
			return rc;
	}
	/* A name that could not be a key's could never be signed under. */
	if (note_key_make(&key, slice_str(origin), NOTE_ED25519, any_key) != 0)
		return ERR_CONFIG;
	rc = signer_path(path, data_dir, "signer.state");
	if (rc == 0)
		rc = signer_state_read(path, before, &last);
	if (rc == 0 && strcmp(before, origin) != 0)
		return ERR_CONFIG;
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return rc;
	memcpy(ret, origin, sizeof(origin));
	return 0;
}

int signer_origin(char ret[LOG_ORIGIN_MAX + 1], const char *data_dir)
{
	char path[PATH_MAX], origin[LOG_ORIGIN_MAX + 1];
	struct checkpoint last;
	int rc;

	rc = signer_path(path, data_dir, "signer.state");
	if (rc == 0)
		rc = signer_state_read(path, origin, &last);
	if (rc == 0)
		memcpy(ret, origin, sizeof(origin));
	return rc;
}

int signer_record(const char *data_dir, uint64_t *ret_size, struct merkle_hash *ret_root)
{
	char path[PATH_MAX], origin[LOG_ORIGIN_MAX + 1];
	struct checkpoint last;
	int rc;

	rc = signer_path(path, data_dir, "signer.state");
	if (rc == 0)
		rc = signer_state_read(path, origin, &last);
	if (rc != 0)
		return rc;
	*ret_size = last.size;
	*ret_root = last.root;
	return 0;
}

bool signer_was_here(const char *data_dir)
{
	static const char *const left[] = {"signer.key", "signer.state", "log.vkey"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		if (signer_path(path, data_dir, left[i]) == 0 && file_exists(path))
			return true;
	return false;
}

int signer_last_note(const char *data_dir, struct buf *ret_note)
{
	struct buf seed = BUF_INIT(ED25519_SEED_LEN), text = BUF_INIT(STATE_BYTES_MAX);
	uint8_t public_key[ED25519_PUBLIC_LEN], secret[ED25519_SECRET_LEN];
	char path[PATH_MAX], origin[LOG_ORIGIN_MAX + 1];
	struct checkpoint last;
	struct note_key key;
	int rc;

	rc = signer_path(path, data_dir, "signer.state");
	if (rc == 0)
		rc = signer_state_read(path, origin, &last);
	if (rc == 0)
		rc = signer_path(path, data_dir, "signer.key");
	if (rc == 0)
		rc = file_read(&seed, path);
	if (rc == 0 && seed.len != ED25519_SEED_LEN)
		rc = ERR_CORRUPT;
	if (rc == 0) {
		ed25519_from_seed(public_key, secret, (const uint8_t *)seed.ptr);
		last.origin = slice_str(origin);
		rc = note_key_make(&key, last.origin, NOTE_ED25519, public_key);
	}
	if (rc == 0)
		rc = checkpoint_format(&text, &last);
	if (rc == 0)
		rc = note_sign(ret_note, buf_slice(&text), &key, secret);
	crypto_wipe(secret, sizeof(secret));
	buf_wipe(&seed);
	buf_finish(&text);
	return rc;
}
