/*
 * A directory with an event log in it, and drafts to append. Everything a test
 * needs to speak of events by stream, once key and claims only.
 */
#ifndef LULAB_TESTS_LOG_FIXTURE_H
#define LULAB_TESTS_LOG_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "domain/envelope.h"
#include "domain/note.h"
#include "store/eventlog.h"
#include "lib/temp_dir.h"

#define FIXTURE_TIME_US INT64_C(1795473555000000) /* 2026-11-23T22:39:15Z */
#define TEST_EVENT 7
#define TEST_EVENT_NAME "test.happened"

struct log_fixture {
	char dir[TEMP_DIR_LEN];
	struct clock_manual clock;
	struct eventlog_options options;
	struct eventlog *log;
	struct buf problem;
};

static inline void log_fixture_init(struct log_fixture *f)
{
	ck_assert_int_eq(crypto_init(), 0);
	*f = (struct log_fixture){.problem = BUF_INIT(1024)};
	temp_dir_make(f->dir, "log");
	clock_manual_init(&f->clock, FIXTURE_TIME_US);
	f->options = (struct eventlog_options){
	    .dir = f->dir,
	    .clock = &f->clock.clock,
	    .map_bytes = (uint64_t)256 << 20,
	    .reserve_off = true,
	    .problem = &f->problem,
	};
}

static inline void log_fixture_open(struct log_fixture *f)
{
	int rc = eventlog_open(&f->log, &f->options);

	ck_assert_msg(rc == 0, "%s: %s", err_name(rc), f->problem.ptr == NULL ? "" : f->problem.ptr);
}

static inline void log_fixture_close(struct log_fixture *f)
{
	eventlog_close(f->log);
	f->log = NULL;
}

static inline void log_fixture_finish(struct log_fixture *f)
{
	log_fixture_close(f);
	buf_finish(&f->problem);
	temp_dir_remove(f->dir);
}

/* A checkpoint as the signer would leave it, over so many events with that root. */
static inline void checkpoint_make(struct buf *ret_note, uint64_t size, const struct merkle_hash *root)
{
	struct checkpoint c = {.origin = SLICE("log.example.test/events"), .size = size, .root = *root};
	uint8_t public_key[ED25519_PUBLIC_LEN], secret[ED25519_SECRET_LEN], seed[ED25519_SEED_LEN] = {1};
	struct buf text = BUF_INIT(1000);
	struct note_key key;

	ed25519_from_seed(public_key, secret, seed);
	ck_assert_int_eq(note_key_make(&key, c.origin, NOTE_ED25519, public_key), 0);
	ck_assert_int_eq(checkpoint_format(&text, &c), 0);
	ck_assert_int_eq(note_sign(ret_note, buf_slice(&text), &key, secret), 0);
	buf_finish(&text);
}

/* What a test says of an event; all but stream may be left out. */
struct test_event {
	const char *stream;
	const char *once; /* any text; hashed */
	bool has_expect;
	int64_t expect;
	const char *claims[4], *releases[4];
	const char *subjects[4]; /* any text; the reference is its hash, the subject id that of "id" and it */
	const char *blob;
	const char *filler; /* goes into data */
};

static inline struct slice arena_str(struct arena *a, const char *text)
{
	return arena_dup(a, slice_str(text));
}

static inline void names_write(struct json_writer *w, const char *name, const char *const *names)
{
	if (names[0] == NULL)
		return;
	json_name(w, name);
	json_begin_array(w);
	for (int i = 0; i < 4 && names[i] != NULL; i++)
		json_put_str(w, names[i]);
	json_end_array(w);
}

static inline void subject_of(struct subject_ref *ret, const char *name)
{
	uint8_t hash[32];

	sha256(ret->ref, (struct slice[]){slice_str(name)}, 1);
	sha256(hash, (struct slice[]){SLICE("id"), slice_str(name)}, 2);
	memcpy(ret->id.bytes, hash, ID_LEN);
}

static inline void data_write(struct buf *out, const struct test_event *e)
{
	struct json_writer w = JSON_WRITER(out);
	char text[65], name[16];

	json_begin_object(&w);
	if (e->subjects[0] != NULL) {
		json_name(&w, "subjects");
		json_begin_object(&w);
		for (int i = 0; i < 4 && e->subjects[i] != NULL; i++) {
			struct subject_ref s;

			subject_of(&s, e->subjects[i]);
			snprintf(name, sizeof(name), "s%d", i);
			json_name(&w, name);
			json_begin_object(&w);
			json_name(&w, "id");
			id_format(text, &s.id);
			json_put_str(&w, text);
			json_name(&w, "ref");
			base64url_encode_to(text, s.ref, sizeof(s.ref));
			json_put_str(&w, text);
			json_end_object(&w);
		}
		json_end_object(&w);
	}
	names_write(&w, "claims", e->claims);
	names_write(&w, "releases", e->releases);
	if (e->filler != NULL) {
		json_name(&w, "filler");
		json_put_str(&w, e->filler);
	}
	if (e->blob != NULL) {
		uint8_t hash[32];

		sha256(hash, (struct slice[]){slice_str(e->blob)}, 1);
		hex_encode(text, hash, 32);
		json_name(&w, "raw");
		json_begin_object(&w);
		json_name(&w, "$blob");
		json_put_str(&w, text);
		json_name(&w, "size");
		json_put_u64(&w, strlen(e->blob));
		json_end_object(&w);
	}
	json_end_object(&w);
}

static inline size_t names_draft(struct arena *a, const struct slice **ret, const char *const *names)
{
	struct slice *list = arena_calloc(a, 4, sizeof(*list));
	size_t n = 0;

	for (; n < 4 && names[n] != NULL; n++)
		list[n] = arena_str(a, names[n]);
	*ret = list;
	return n;
}

/* All of it lies in the arena. */
static inline void draft_make(struct event_draft *ret, struct arena *a, const struct test_event *e)
{
	struct buf data = BUF_INIT(ENTRY_LEN_MAX * 2), text = BUF_INIT(ENTRY_LEN_MAX * 2);
	struct envelope envelope = {
	    .id = SLICE("0123456789abcdef0123456789abcdef"),
	    .source = SLICE("/tests"),
	    .type = SLICE(TEST_EVENT_NAME),
	    .subject = slice_str(e->stream),
	    .actor = SLICE("system"),
	    .dataschema = SLICE(TEST_EVENT_NAME "/1"),
	};
	struct subject_ref *subjects = arena_calloc(a, 4, sizeof(*subjects));
	struct blob_draft *blob = arena_alloc(a, sizeof(*blob));
	struct slice entry;

	*ret = (struct event_draft){.type = TEST_EVENT, .expect = e->has_expect ? e->expect : EXPECT_ANY};
	ret->stream = arena_str(a, e->stream);
	if (e->once != NULL) {
		ret->has_once = envelope.has_once = true;
		sha256(ret->once, (struct slice[]){slice_str(e->once)}, 1);
		memcpy(envelope.once, ret->once, ONCE_KEY_LEN);
	}
	ret->n_claims = names_draft(a, &ret->claims, e->claims);
	ret->n_releases = names_draft(a, &ret->releases, e->releases);
	while (ret->n_subjects < 4 && e->subjects[ret->n_subjects] != NULL) {
		subject_of(&subjects[ret->n_subjects], e->subjects[ret->n_subjects]);
		ret->n_subjects++;
	}
	ret->subjects = subjects;
	if (e->blob != NULL) {
		blob->bytes = arena_str(a, e->blob);
		sha256(blob->sha256, (struct slice[]){blob->bytes}, 1);
		ret->blobs = blob;
		ret->n_blobs = 1;
	}
	data_write(&data, e);
	envelope.data = buf_slice(&data);
	ck_assert_int_eq(envelope_encode(&envelope, &text, &ret->time_at, &ret->sequence_at), 0);
	entry = arena_dup(a, buf_slice(&text));
	ret->entry = (char *)(uintptr_t)entry.ptr;
	ret->entry_len = (uint32_t)entry.len;
	buf_finish(&data);
	buf_finish(&text);
}

/* Appends a batch and gives its answer; *ret may be NULL. */
static inline int append_events(struct eventlog *log, const struct test_event *events, size_t n, struct append *ret)
{
	struct arena arena = ARENA_INIT(64u << 20);
	struct event_draft *drafts = arena_calloc(&arena, n, sizeof(*drafts));
	struct append append = {.events = drafts, .n_events = n};
	int rc;

	if (ret != NULL)
		append.positions = ret->positions;
	for (size_t i = 0; i < n; i++)
		draft_make(&drafts[i], &arena, &events[i]);
	rc = eventlog_append_wait(log, &append);
	ck_assert_int_eq(rc, append.rc);
	if (ret != NULL) {
		*ret = append;
		if (rc == ERR_TAKEN) { /* the name lies in the arena */
			for (size_t i = 0; i < n; i++) {
				for (int k = 0; k < 4 && events[i].claims[k] != NULL; k++) {
					if (slice_is(append.claim_taken, events[i].claims[k]))
						ret->claim_taken = slice_str(events[i].claims[k]);
				}
			}
		}
	}
	arena_finish(&arena);
	return rc;
}

static inline int append_one(struct eventlog *log, const struct test_event *event)
{
	return append_events(log, event, 1, NULL);
}

#endif
