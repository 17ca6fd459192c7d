/* See log_keys.h. */
#include "store/log_keys.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/io.h"
#include "domain/event.h"
#include "store/eventlog.h"

#define OVERLAP_US (INT64_C(86400) * 1000000 * LOG_KEY_OVERLAP_DAYS)
#define KEY_FILE "signer.key"
#define NEXT_KEY_FILE "signer.next.key"

/* ---- what the log says ------------------------------------------------------------------ */

static struct log_key *find(struct log_key *keys, unsigned n, const struct note_key *key)
{
	for (unsigned i = 0; i < n; i++)
		if (memcmp(keys[i].key.public_key, key->public_key, sizeof(key->public_key)) == 0)
			return &keys[i];
	return NULL;
}

static void note_down(struct log_key *keys, unsigned *n, const struct log_record *r, bool ended, struct slice vkey)
{
	struct log_key *known;
	struct note_key key;

	if (note_key_parse(&key, vkey) != 0)
		return; /* the log is not read-only for a record that names no key; the verifier passes over it too */
	known = find(keys, *n, &key);
	if (ended && known != NULL) {
		known->retired = true;
		known->retired_at = r->position;
		known->retired_us = r->time_us;
	} else if (!ended && known == NULL && *n < LOG_KEYS_MAX) {
		keys[(*n)++] = (struct log_key){.key = key, .added_at = r->position, .added_us = r->time_us};
	}
}

static int list_type(struct eventlog *log, enum event_type type, struct log_key *keys, unsigned *n)
{
	struct log_filter filter = {.type = (uint16_t)type};
	struct arena arena = ARENA_INIT(1 << 20);
	struct eventlog_cursor cursor;
	struct log_record record;
	struct event event;
	int rc;

	eventlog_cursor_init(&cursor, log, 0, &filter);
	while ((rc = eventlog_cursor_next(&cursor, &record)) == 0) {
		rc = event_decode(record.entry, record.position, NULL, &arena, &event);
		if (rc != 0)
			break;
		if (type == EVENT_LOG_CREATED)
			note_down(keys, n, &record, false, ((struct event_log_created *)event.data)->vkey);
		else if (type == EVENT_LOG_KEY_ADDED)
			note_down(keys, n, &record, false, ((struct event_log_key_added *)event.data)->vkey);
		else
			note_down(keys, n, &record, true, ((struct event_log_key_retired *)event.data)->vkey);
	}
	eventlog_cursor_finish(&cursor);
	arena_finish(&arena);
	return rc == ERR_END ? 0 : rc;
}

int log_keys_list(struct eventlog *log, struct log_key ret[LOG_KEYS_MAX], unsigned *ret_n)
{
	int rc;

	*ret_n = 0;
	rc = list_type(log, EVENT_LOG_CREATED, ret, ret_n);
	if (rc == 0)
		rc = list_type(log, EVENT_LOG_KEY_ADDED, ret, ret_n);
	if (rc == 0)
		rc = list_type(log, EVENT_LOG_KEY_RETIRED, ret, ret_n);
	return rc;
}

/* ---- key files ------------------------------------------------------------------------------ */

static int path_of(char ret[PATH_MAX], const struct log_key_change *c, const char *name)
{
	return snprintf(ret, PATH_MAX, "%s/%s", c->data_dir, name) < PATH_MAX ? 0 : ERR_TOO_BIG;
}

/* The key in a file; the seed is read for its public half only. */
static int read_key(const struct log_key_change *c, const char *name, struct note_key *ret)
{
	struct buf file = BUF_INIT(ED25519_SEED_LEN);
	uint8_t public_key[ED25519_PUBLIC_LEN], secret[ED25519_SECRET_LEN];
	char path[PATH_MAX];
	int rc;

	rc = path_of(path, c, name);
	if (rc == 0)
		rc = file_read(&file, path);
	if (rc == ERR_TOO_BIG || (rc == 0 && file.len != ED25519_SEED_LEN))
		rc = ERR_BAD_KEY;
	if (rc == 0) {
		ed25519_from_seed(public_key, secret, (const uint8_t *)file.ptr);
		rc = note_key_make(ret, slice_str(c->origin), NOTE_ED25519, public_key);
	}
	crypto_wipe(secret, sizeof(secret));
	buf_wipe(&file);
	return rc;
}

static int make_next_key(const struct log_key_change *c, struct note_key *ret)
{
	uint8_t seed[ED25519_SEED_LEN];
	char path[PATH_MAX];
	int rc;

	rc = path_of(path, c, NEXT_KEY_FILE);
	if (rc == 0) {
		rng_fill(c->rng, seed, sizeof(seed));
		rc = file_create(path, slice_of(seed, sizeof(seed)), 0400);
		crypto_wipe(seed, sizeof(seed));
	}
	return rc != 0 ? rc : read_key(c, NEXT_KEY_FILE, ret);
}

/* The new key in the place of the old one: one rename, so that there is no moment without. */
static int promote(const struct log_key_change *c)
{
	char from[PATH_MAX], to[PATH_MAX];
	int rc;

	rc = path_of(from, c, NEXT_KEY_FILE);
	if (rc == 0)
		rc = path_of(to, c, KEY_FILE);
	if (rc == 0 && io_calls->rename(from, to) != 0)
		rc = err_from_errno(errno);
	return rc != 0 ? rc : dir_sync(c->data_dir);
}

/* ---- the steps --------------------------------------------------------------------------------- */

static int say(const struct log_key_change *c, enum event_type type, const struct note_key *key)
{
	struct event_context ctx = {c->rng, c->clock, NULL};
	struct event_meta meta = {.source = SLICE("/"), .actor = SLICE("system"), .expect = EXPECT_ANY};
	struct slice reason = c->reason == NULL ? (struct slice){0} : slice_str(c->reason);
	struct event_log_key_added added = {.reason = reason};
	struct event_log_key_retired retired = {.reason = reason};
	struct buf vkey = BUF_INIT(1024);
	struct arena arena = ARENA_INIT(1 << 20);
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	int rc;

	rc = note_key_format(&vkey, key);
	added.vkey = retired.vkey = buf_slice(&vkey);
	if (rc == 0)
		rc = event_draft_make(&ctx, type, type == EVENT_LOG_KEY_ADDED ? (const void *)&added : &retired, &meta, &arena,
		    &draft, NULL);
	if (rc == 0)
		rc = eventlog_append_wait(c->log, &append);
	arena_finish(&arena);
	buf_finish(&vkey);
	return rc;
}

int log_key_add(const struct log_key_change *c, struct log_key *ret)
{
	struct log_key keys[LOG_KEYS_MAX], *known;
	struct note_key next;
	unsigned n;
	int rc;

	rc = log_keys_list(c->log, keys, &n);
	if (rc == 0)
		rc = read_key(c, NEXT_KEY_FILE, &next);
	if (rc == 0 && (known = find(keys, n, &next)) != NULL) {
		*ret = *known;
		return ERR_EXISTS;
	}
	if (rc == ERR_NOT_FOUND)
		rc = make_next_key(c, &next);
	if (rc == 0)
		rc = say(c, EVENT_LOG_KEY_ADDED, &next);
	if (rc == 0)
		rc = log_keys_list(c->log, keys, &n);
	if (rc != 0)
		return rc;
	known = find(keys, n, &next);
	assert(known != NULL);
	*ret = *known;
	return 0;
}

int log_key_retire(const struct log_key_change *c, int (*sign)(void *arg), void *arg, struct log_key *ret,
    int64_t *ret_ready_us)
{
	struct log_key keys[LOG_KEYS_MAX], *added, *old;
	struct note_key next, current;
	unsigned n;
	int rc;

	rc = log_keys_list(c->log, keys, &n);
	if (rc == 0)
		rc = read_key(c, NEXT_KEY_FILE, &next);
	if (rc == 0)
		rc = read_key(c, KEY_FILE, &current);
	if (rc != 0)
		return rc;
	added = find(keys, n, &next);
	if (added == NULL)
		return ERR_NOT_FOUND; /* made, and not yet told of: `add` goes on there */
	*ret = *added;
	*ret_ready_us = added->added_us + OVERLAP_US;
	if (clock_wall_us(c->clock) < *ret_ready_us)
		return ERR_RANGE;
	old = find(keys, n, &current);
	if (old == NULL || !old->retired)
		rc = say(c, EVENT_LOG_KEY_RETIRED, &current);
	if (rc == 0 && sign != NULL)
		rc = sign(arg);
	return rc != 0 ? rc : promote(c);
}
