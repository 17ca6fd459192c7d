/*
 * A log of a few records in memory, with its tiles and notes, as the verifier reads one; and notes over it by any key.
 * Its reads can fail.
 */
#ifndef LULAB_TESTS_MEMORY_LOG_H
#define LULAB_TESTS_MEMORY_LOG_H

#include <stdio.h>

#include "audit/verify.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "lib/run.h"

#define MEMORY_RECORDS_MAX 256 /* one tile: there is none above it */
#define MEMORY_NOTES_MAX 8
#define MEMORY_ORIGIN "log.example.test/events"
#define MEMORY_RECORD_LEN 8192

/* A key from a seed of that one byte. */
struct memory_key {
	struct note_key key;
	uint8_t secret[ED25519_SECRET_LEN];
	char vkey[200];
};

struct memory_log {
	char records[MEMORY_RECORDS_MAX][MEMORY_RECORD_LEN];
	uint64_t n;
	struct {
		uint64_t size;
		char text[2000];
	} notes[MEMORY_NOTES_MAX]; /* the last is the newest */
	size_t n_notes;
	int entries_rc, note_rc, newest_rc; /* what these answer when they fail */
	bool has_size; /* else the source knows none of its own */
};

static struct memory_log memory_log;

static inline void memory_key_make(struct memory_key *ret, const char *name, enum note_key_type type, uint8_t seed_byte)
{
	uint8_t public_key[ED25519_PUBLIC_LEN], seed[ED25519_SEED_LEN] = {seed_byte};
	struct buf text = BUF_INIT(sizeof(ret->vkey) - 1);

	ed25519_from_seed(public_key, ret->secret, seed);
	ck_assert_int_eq(note_key_make(&ret->key, slice_str(name), type, public_key), 0);
	ck_assert_int_eq(note_key_format(&text, &ret->key), 0);
	snprintf(ret->vkey, sizeof(ret->vkey), "%s", text.ptr);
	buf_finish(&text);
}

/* A good record of that type; `data` is a JSON object. Microseconds apart, so that time does not fall. */
static inline void memory_log_add(const char *type, const char *data)
{
	char *to = memory_log.records[memory_log.n];
	int len = snprintf(to, MEMORY_RECORD_LEN,
	    "{\"specversion\":\"1.0\",\"id\":\"0123456789abcdef0123456789abcdef\",\"source\":\"/\",\"type\":\"%s\",\"subject\":\"log\","
	    "\"time\":\"2026-11-24T00:07:27.%06lluZ\",\"sequence\":\"%020llu\",\"actor\":\"system\",\"dataschema\":\"%s/1\","
	    "\"datacontenttype\":\"application/json\",\"data\":%s}",
	    type, (unsigned long long)memory_log.n, (unsigned long long)memory_log.n, type, data);

	ck_assert_int_lt(len, MEMORY_RECORD_LEN);
	memory_log.n++;
}

static inline void memory_log_root(struct merkle_hash *ret, uint64_t size)
{
	struct merkle_edge edge = {0};
	struct merkle_hash leaf;

	for (uint64_t i = 0; i < size; i++) {
		merkle_leaf(&leaf, slice_str(memory_log.records[i]));
		merkle_edge_add(&edge, &leaf, NULL);
	}
	merkle_edge_root(ret, &edge);
}

/* A note over the first `size` records, in the name `origin`. The caller's to finish. */
static inline struct buf memory_log_note(const char *origin, uint64_t size, const struct memory_key *by)
{
	struct checkpoint c = {.origin = slice_str(origin), .size = size};
	struct buf text = BUF_INIT(1000), note = BUF_INIT(2000);

	memory_log_root(&c.root, size);
	ck_assert_int_eq(checkpoint_format(&text, &c), 0);
	ck_assert_int_eq(note_sign(&note, buf_slice(&text), &by->key, by->secret), 0);
	buf_finish(&text);
	return note;
}

static inline void memory_log_sign(uint64_t size, const struct memory_key *by)
{
	struct buf note = memory_log_note(MEMORY_ORIGIN, size, by);

	memory_log.notes[memory_log.n_notes].size = size;
	snprintf(memory_log.notes[memory_log.n_notes++].text, sizeof(memory_log.notes[0].text), "%s", note.ptr);
	buf_finish(&note);
}

/* ---- as a source ------------------------------------------------------------------------ */

static inline int memory_newest(void *arg, struct buf *ret)
{
	(void)arg;
	if (memory_log.newest_rc != 0)
		return memory_log.newest_rc;
	return buf_append_str(ret, memory_log.notes[memory_log.n_notes - 1].text);
}

static inline int memory_note_sizes(void *arg, uint64_t **ret, size_t *ret_n)
{
	(void)arg;
	*ret = calloc(MEMORY_NOTES_MAX, sizeof(**ret));
	for (size_t i = 0; i < memory_log.n_notes; i++)
		(*ret)[i] = memory_log.notes[i].size;
	*ret_n = memory_log.n_notes;
	return 0;
}

static inline int memory_note(void *arg, uint64_t size, struct buf *ret)
{
	(void)arg;
	for (size_t i = 0; memory_log.note_rc == 0 && i < memory_log.n_notes; i++)
		if (memory_log.notes[i].size == size)
			return buf_append_str(ret, memory_log.notes[i].text);
	return memory_log.note_rc != 0 ? memory_log.note_rc : ERR_NOT_FOUND;
}

static inline int memory_size(void *arg, uint64_t *ret)
{
	(void)arg;
	*ret = memory_log.n;
	return memory_log.has_size ? 0 : ERR_IO;
}

static inline int memory_entries(void *arg, uint64_t tile, unsigned width, struct buf *ret)
{
	(void)arg;
	if (memory_log.entries_rc != 0)
		return memory_log.entries_rc;
	for (uint64_t i = tile * MERKLE_TILE_WIDTH; width > 0 && i < memory_log.n; i++, width--) {
		size_t len = strlen(memory_log.records[i]);

		buf_append_char(ret, (char)(len >> 8));
		buf_append_char(ret, (char)len);
		buf_append_str(ret, memory_log.records[i]);
	}
	return ret->rc;
}

static inline int memory_hashes(void *arg, unsigned level, uint64_t tile, unsigned width, struct merkle_hash *ret)
{
	(void)arg;
	if (level > 0 || tile > 0)
		return ERR_NOT_FOUND;
	for (unsigned i = 0; i < width; i++)
		merkle_leaf(&ret[i], slice_str(memory_log.records[i]));
	return 0;
}

static const struct verify_source memory_source = {.newest = memory_newest, .note_sizes = memory_note_sizes,
    .note = memory_note, .size = memory_size, .entries = memory_entries, .hashes = memory_hashes};

#endif
