/*
 * A put in the making: bytes gather in a part, a full part goes to the store, and the journal notes it. What fits
 * into one part is put at once and needs no journal.
 *
 *     open --> write ... write --> finish --> close
 *       `--- goes on behind the last part the store has; hashes go on from their state after it
 */
#include "object_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "adapters/crc64.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "store/effect.h"

#define PAUSE_MS 100
#define ARENA_BYTES_MAX ((size_t)16 << 20)
#define SWEEP_EVERY_MS 3600000
#define STALE_MS (48 * INT64_C(3600000)) /* effects end after 24 h */

/* ---- tries -------------------------------------------------------------------------------- */

/* Asks once more after what passes; the store may take any of these requests twice. */
#define AGAIN(o, rc, call) \
	do { \
		(rc) = (call); \
		for (unsigned again_ = 0; object_is_passing(rc) && again_ < OBJECT_TRIES; again_++) { \
			if (object_pause((o), PAUSE_MS << again_) != 0) { \
				(rc) = ERR_CANCELLED; \
				break; \
			} \
			(rc) = (call); \
		} \
	} while (0)

/* ---- open ------------------------------------------------------------------------------------ */

static struct object_journal no_journal(void)
{
	return (struct object_journal){.fd = -1, .source_size = UINT64_MAX, .arena = ARENA_INIT(ARENA_BYTES_MAX)};
}

static void start_over(struct object_upload *u)
{
	uint8_t ignored[SHA256_LEN];

	sha256_stream_finish(u->sha256, ignored);
	u->crc = 0;
	u->size = 0;
	u->filled = 0;
	u->begun = u->is_done = false;
}

/* The same put, to the same place? A setting may have changed since. */
static bool is_of(const struct object_upload *u, const struct object_journal *j)
{
	return slice_is(j->provider, u->o->store->kind->provider) && slice_eq(j->bucket, u->o->store->bucket) &&
	    slice_eq(j->key, u->key) && slice_eq(j->content_type, u->put->content_type);
}

static int go_on(struct object_upload *u)
{
	struct object_journal *j = &u->journal;
	const struct object_kind *kind = u->o->store->kind;
	const struct journal_mark *mark;
	struct object_head head;
	size_t n = 0;
	int rc;

	if (j->is_done) {
		AGAIN(u->o, rc, kind->head(u->o, u->key, &head));
		u->is_done = rc == 0 && head.size == j->done_size;
		return rc == 0 && !u->is_done ? ERR_NOT_FOUND : rc;
	}
	AGAIN(u->o, rc, kind->check(u->o, u->key, j->id, j->parts, j->n_parts, &n));
	if (rc != 0)
		return rc;
	/* A last part that is shorter ends a put that was not completed: its hash has no state between blocks. */
	while (n > 0 && j->parts[n - 1].size != (int64_t)OBJECT_PART_LEN)
		n--;
	/* What the store does not have is sent again under the same numbers. */
	rc = object_journal_cut(j, n);
	if (rc != 0)
		return rc;
	u->begun = true;
	if (n == 0)
		return 0;
	mark = &j->marks[n - 1];
	u->size = mark->size;
	u->crc = mark->crc;
	return sha256_stream_restore(u->sha256, mark->sha256);
}

static void sweep(struct object_call *o);

int object_upload_open(struct object_upload *u, struct object_call *o, const struct object_put *put)
{
	int rc;

	*u = (struct object_upload){.o = o, .put = put, .want_size = UINT64_MAX, .journal = no_journal()};
	if (!object_upload_ok(put->upload))
		return ERR_INVALID;
	rc = object_key_make(o, put->key, &u->key);
	if (rc == 0)
		rc = sha256_stream_create(&u->sha256);
	if (rc != 0)
		return rc;
	u->part = malloc(OBJECT_PART_LEN);
	if (u->part == NULL)
		return ERR_NOMEM;
	sweep(o);
	object_journal_close(&u->journal);
	rc = object_journal_load(&u->journal, o->store->all->uploads, put->upload);
	if (rc == 0)
		rc = is_of(u, &u->journal) ? go_on(u) : ERR_NOT_FOUND;
	if (rc == ERR_NOT_FOUND)
		rc = object_upload_restart(u);
	return rc;
}

void object_upload_close(struct object_upload *u)
{
	object_journal_close(&u->journal);
	sha256_stream_destroy(u->sha256);
	free(u->part);
	u->sha256 = NULL;
	u->part = NULL;
}

/* ---- what was begun and is not wanted any more ------------------------------------------------- */

/* The store it was begun in, which may be another than today's; then nothing can be done about its parts. */
static int abandon(struct object_call *o, struct object_journal *j)
{
	struct object_call there = *o;
	int rc = 0;

	there.store = object_stores_find(o->store->all, j->provider, j->bucket);
	if (there.store != NULL && !j->is_done)
		AGAIN(&there, rc, there.store->kind->abandon(&there, j->key, j->id));
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

int object_upload_restart(struct object_upload *u)
{
	int rc = u->journal.path != NULL && u->journal.id.len > 0 ? abandon(u->o, &u->journal) : 0;

	if (rc == 0 || !object_is_passing(rc)) { /* what cannot be given up now never can */
		object_journal_remove(&u->journal);
		rc = 0;
	}
	u->journal = no_journal();
	start_over(u);
	return rc;
}

int object_put_abandon(struct object_call *o, const char *upload)
{
	struct object_journal j;
	int rc;

	if (!object_upload_ok(upload))
		return ERR_INVALID;
	rc = object_journal_load(&j, o->store->all->uploads, upload);
	if (rc == 0)
		rc = abandon(o, &j);
	if (rc == 0)
		object_journal_remove(&j);
	object_journal_close(&j);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* Puts nobody has gone on with for two days are of effects that were given up. */
static void sweep(struct object_call *o)
{
	struct object_stores *all = o->store->all;
	int64_t now_ms = clock_wall_ms(o->clock), last_ms = atomic_load(&all->swept_at_ms);
	struct dirent *entry;
	DIR *dir;

	if (now_ms - last_ms < SWEEP_EVERY_MS || !atomic_compare_exchange_strong(&all->swept_at_ms, &last_ms, now_ms))
		return;
	dir = opendir(all->uploads);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		struct object_call quiet = *o; /* its failures are nobody's */
		struct stat st;

		if (!object_upload_ok(entry->d_name) || fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    now_ms - (int64_t)st.st_mtim.tv_sec * 1000 < STALE_MS)
			continue;
		if (object_put_abandon(&quiet, entry->d_name) == 0)
			log_info("storage", "an upload nobody went on with was given up", "upload", entry->d_name);
	}
	if (dir != NULL)
		closedir(dir);
}

/* ---- write ------------------------------------------------------------------------------------- */

static int begin(struct object_upload *u)
{
	struct object_journal *j = &u->journal;
	struct object_call *o = u->o;
	int rc;

	AGAIN(o, rc, o->store->kind->begin(o, u->key, u->put->content_type, u->put->upload, &j->id));
	if (rc != 0)
		return rc;
	j->provider = slice_str(o->store->kind->provider);
	j->bucket = o->store->bucket;
	j->key = u->key;
	j->content_type = u->put->content_type;
	j->begun_ms = clock_wall_ms(o->clock);
	rc = object_journal_begin(j, o->store->all->uploads, u->put->upload);
	u->begun = rc == 0;
	return rc == 0 ? 0 : object_fail(o, rc, "What is remembered of uploads cannot be written.");
}

static int send_part(struct object_upload *u)
{
	struct object_call *o = u->o;
	struct object_part part = {.number = (int64_t)u->journal.n_parts + 1, .size = (int64_t)u->filled};
	struct object_piece piece = {.number = (unsigned)part.number, .offset = u->size - u->filled,
	    .bytes = slice_of(u->part, u->filled)};
	struct journal_mark mark = {.size = u->size};
	int rc = 0;

	if (part.number > OBJECT_PARTS_MAX)
		return ERR_TOO_BIG;
	if (!u->begun)
		rc = begin(u);
	if (rc == 0)
		AGAIN(o, rc, o->store->kind->part(o, u->key, u->journal.id, &piece, &part.etag));
	if (rc != 0)
		return rc;
	sha256_stream_update(u->sha256, piece.bytes);
	u->crc = crc64(u->crc, piece.bytes);
	u->filled = 0;
	mark.crc = u->crc;
	/* The last part is none that is gone on behind. */
	if (piece.bytes.len == OBJECT_PART_LEN)
		sha256_stream_save(u->sha256, mark.sha256);
	rc = object_journal_part(&u->journal, &part, &mark);
	return rc == 0 ? 0 : object_fail(o, rc, "What is remembered of uploads cannot be written.");
}

int object_upload_write(struct object_upload *u, struct slice bytes)
{
	uint64_t total = u->journal.source_size == UINT64_MAX ? 0 : u->journal.source_size;
	int rc = 0;

	while (rc == 0 && bytes.len > 0) {
		size_t room = OBJECT_PART_LEN - u->filled, n = bytes.len < room ? bytes.len : room;

		if (room == 0) {
			rc = send_part(u);
			continue;
		}
		memcpy(u->part + u->filled, bytes.ptr, n);
		u->filled += n;
		u->size += n;
		bytes = slice_of(bytes.ptr + n, bytes.len - n);
		effect_progress_tell(u->o->progress, u->size, total);
	}
	return rc;
}

/* ---- finish -------------------------------------------------------------------------------------- */

static void describe(const struct object_upload *u, uint64_t size, struct object_stored *ret)
{
	uint8_t digest[32];

	blake2b(digest, sizeof(digest), (struct slice){0},
	    (struct slice[]){slice_of("object/v1", sizeof("object/v1")), slice_str(u->put->upload)}, 2);
	hex_encode(ret->id, digest, OBJECT_ID_LEN / 2);
	ret->provider = u->o->store->kind->provider;
	ret->bucket = u->o->store->bucket;
	ret->key = u->key;
	ret->content_type = u->put->content_type;
	ret->size = size;
}

static int put_whole(struct object_upload *u)
{
	struct object_call *o = u->o;
	struct slice bytes = slice_of(u->part, u->filled);
	int rc;

	AGAIN(o, rc, o->store->kind->put(o, u->key, u->put->content_type, u->put->upload, bytes));
	return rc;
}

static int complete(struct object_upload *u, const char *sha256)
{
	struct object_call *o = u->o;
	struct object_journal *j = &u->journal;
	const struct object_whole whole = {.size = u->size, .crc = u->crc};
	int rc;

	AGAIN(o, rc, o->store->kind->complete(o, u->key, j->id, j->parts, j->n_parts, &whole));
	return rc == 0 ? object_journal_done(j, u->size, sha256) : rc;
}

/* Before the store makes an object of it. */
static bool is_as_wanted(const struct object_upload *u, const char *sha256)
{
	return (u->want_size == UINT64_MAX || u->want_size == u->size) &&
	    (u->want_sha256 == NULL || slice_eq_nocase(slice_str(u->want_sha256), slice_str(sha256)));
}

int object_upload_finish(struct object_upload *u, struct object_stored *ret)
{
	struct object_stored stored = {0};
	uint8_t digest[SHA256_LEN];
	int rc = 0;

	if (u->is_done) {
		describe(u, u->journal.done_size, &stored);
		memcpy(stored.sha256, u->journal.done_sha256, sizeof(stored.sha256));
		*ret = stored;
		return 0;
	}
	if (u->begun && u->filled > 0)
		rc = send_part(u);
	else
		sha256_stream_update(u->sha256, slice_of(u->part, u->filled));
	if (rc != 0)
		return rc;
	describe(u, u->size, &stored);
	sha256_stream_finish(u->sha256, digest);
	hex_encode(stored.sha256, digest, sizeof(digest));
	if (!is_as_wanted(u, stored.sha256)) {
		rc = object_upload_restart(u);
		return rc != 0 ? rc : ERR_CORRUPT;
	}
	rc = u->begun ? complete(u, stored.sha256) : put_whole(u);
	if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT) { /* the store lost a part, or has another: from the beginning, next time */
		int again = object_upload_restart(u);

		return again != 0 ? again : ERR_CORRUPT;
	}
	if (rc == 0)
		*ret = stored;
	return rc;
}
