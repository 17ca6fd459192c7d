/* See keyring_backup.h. */
#include "store/keyring_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "crypto/secret.h"
#include "domain/event.h"
#include "store/eventlog.h"
#include "store/id_set.h"
#include "store/key_store_private.h"
#include "store/log_facts.h"

#define HEAD "lulab-keyring/1\n"
#define HEAD_LEN (sizeof(HEAD) - 1)
#define CHUNK ((size_t)64 << 10) /* of records */
#define SEALED(n) (XCHACHA_NONCE_LEN + (n) + XCHACHA_TAG_LEN)
#define AT_ONCE 512 /* keys read or added in one transaction */
#define DAY_MS INT64_C(86400000)
#define RECORD_ARENA ((size_t)1 << 20)

/* What must not be written to a disk in clear. */
struct work {
	struct key_store store;
	struct key_entry entries[AT_ONCE];
	size_t n_entries;
	uint8_t root[KEYRING_KEY_LEN], key[KEYRING_KEY_LEN];
	uint8_t plain[CHUNK];
	size_t len;
};

struct file {
	FILE *f;
	uint64_t chunk; /* number of the next */
};

static struct slice chunk_data(uint8_t ret[32], uint64_t number, bool last)
{
	memcpy(ret, "chunk/v1", 9);
	key_put_be(ret + 9, number, 8);
	ret[17] = last;
	return slice_of(ret, 18);
}

/* ---- writing ----------------------------------------------------------------- */

static int put_bytes(struct file *file, const void *bytes, size_t len)
{
	if (fwrite(bytes, 1, len, file->f) == len)
		return 0;
	return errno == ENOSPC ? ERR_DISK_FULL : ERR_IO;
}

static int put_head(struct file *file, struct work *w, const struct rng *rng, int64_t made_at_ms)
{
	uint8_t head[HEAD_LEN + 8 + KEY_WRAPPED_LEN];

	memcpy(head, HEAD, HEAD_LEN);
	key_put_be(head + HEAD_LEN, (uint64_t)made_at_ms, 8);
	rng_fill(rng, w->key, sizeof(w->key));
	key_wrap(head + HEAD_LEN + 8, rng, w->key, 0, "backup/v1", slice_of(head + HEAD_LEN, 8), w->store.root);
	return put_bytes(file, head, sizeof(head));
}

static int put_chunk(struct file *file, struct work *w, bool last)
{
	uint8_t aad[32], nonce[XCHACHA_NONCE_LEN], length[4];
	uint8_t *sealed = malloc(w->len + XCHACHA_TAG_LEN);
	int rc;

	if (sealed == NULL)
		return ERR_NOMEM;
	rng_fill(w->store.rng, nonce, sizeof(nonce));
	xchacha_seal(sealed, slice_of(w->plain, w->len), chunk_data(aad, file->chunk++, last), nonce, w->key);
	key_put_be(length, SEALED(w->len), 4);
	rc = put_bytes(file, length, sizeof(length));
	if (rc == 0)
		rc = put_bytes(file, nonce, sizeof(nonce));
	if (rc == 0)
		rc = put_bytes(file, sealed, w->len + XCHACHA_TAG_LEN);
	free(sealed);
	crypto_wipe(w->plain, w->len);
	w->len = 0;
	return rc;
}

static int put_record(struct file *file, struct work *w, char letter, struct slice a, struct slice b)
{
	int rc = 0;

	if (w->len + 1 + a.len + b.len > CHUNK)
		rc = put_chunk(file, w, false);
	w->plain[w->len++] = (uint8_t)letter;
	memcpy(w->plain + w->len, a.ptr, a.len);
	w->len += a.len;
	if (b.len > 0)
		memcpy(w->plain + w->len, b.ptr, b.len);
	w->len += b.len;
	return rc;
}

/* The server may turn the epoch between two batches: its new key is looked for, then. */
static int list(struct work *w, enum key_kind kind, const struct id *after)
{
	struct epoch_key epochs[2];
	int rc = ERR_BAD_KEY;

	for (int i = 0; i < 3 && rc == ERR_BAD_KEY; i++) {
		rc = i == 0 ? 0 : key_store_reload(&w->store, epochs);
		if (i > 0 && rc == 0)
			memcpy(w->store.epochs, epochs, sizeof(epochs));
		if (rc == 0)
			rc = key_store_list(&w->store, kind, after, w->entries, AT_ONCE, &w->n_entries);
	}
	crypto_wipe(epochs, sizeof(epochs));
	return rc;
}

static int put_keys(struct file *file, struct work *w, enum key_kind kind, uint64_t *n)
{
	struct id after = {{0}};
	int rc;

	do {
		rc = list(w, kind, &after);
		for (size_t i = 0; rc == 0 && i < w->n_entries; i++) {
			rc = put_record(file, w, 'K', slice_of(w->entries[i].id.bytes, ID_LEN), slice_of(w->entries[i].key, KEYRING_KEY_LEN));
			after = w->entries[i].id;
			(*n)++;
		}
	} while (rc == 0 && w->n_entries == AT_ONCE);
	return rc;
}

struct burying {
	struct file *file;
	struct work *w;
	uint64_t n;
};

static int put_tombstone(void *arg, const struct id *id)
{
	struct burying *b = arg;

	b->n++;
	return put_record(b->file, b->w, 'T', slice_of(id->bytes, ID_LEN), SLICE(""));
}

/* As it is stored: sealed by the root key. */
static int put_secret(struct file *file, struct work *w, const char *name)
{
	uint8_t wrapped[KEY_WRAPPED_LEN], text[1 + KEY_SECRET_NAME_MAX];
	char entry[8 + KEY_SECRET_NAME_MAX];
	size_t len = strlen(name);
	int rc;

	snprintf(entry, sizeof(entry), "secret/%s", name);
	rc = key_store_meta_get(&w->store, entry, wrapped, sizeof(wrapped));
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	text[0] = (uint8_t)len;
	memcpy(text + 1, name, len);
	return put_record(file, w, 'S', slice_of(text, 1 + len), slice_of(wrapped, sizeof(wrapped)));
}

/* Keys before tombstones: what is erased meanwhile is in both. */
static int put_all(struct file *file, struct work *w, struct keyring_backup *told)
{
	struct burying burying = {.file = file, .w = w};
	struct id horizon;
	uint8_t epoch[4];
	int rc;

	key_put_be(epoch, w->store.epochs[0].number, 4);
	rc = put_record(file, w, 'E', slice_of(epoch, 4), SLICE(""));
	for (int kind = 0; rc == 0 && kind < N_KEY_KINDS; kind++)
		rc = kind == KEY_CODE ? 0 : put_keys(file, w, kind, &told->keys); /* over before anybody could restore them */
	if (rc == 0)
		rc = put_secret(file, w, "lookup");
	if (rc == 0)
		rc = key_store_tombstones(&w->store, put_tombstone, &burying);
	told->tombstones = burying.n;
	if (rc == 0) {
		rc = key_store_meta_get(&w->store, "swept", horizon.bytes, ID_LEN);
		rc = rc == ERR_NOT_FOUND ? 0 : rc == 0 ? put_record(file, w, 'H', slice_of(horizon.bytes, ID_LEN), SLICE("")) : rc;
	}
	return rc == 0 ? put_chunk(file, w, true) : rc;
}

static int write_file(const struct keyring_options *options, const char *path, struct keyring_backup *told)
{
	struct work *w = secret_alloc(sizeof(*w));
	int fd = io_calls->open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct file file = {.f = fd < 0 ? NULL : fdopen(fd, "wb")};
	struct keyring_options readonly = *options;
	int rc = 0;

	readonly.readonly = true;
	told->made_at_ms = clock_wall_ms(options->clock);
	if (w == NULL || file.f == NULL)
		rc = fd < 0 ? err_from_errno(errno) : ERR_NOMEM;
	else
		setvbuf(file.f, NULL, _IOFBF, CHUNK);
	if (rc == 0)
		rc = key_store_open(&w->store, &readonly);
	if (rc == 0) {
		rc = put_head(&file, w, options->rng, told->made_at_ms);
		if (rc == 0)
			rc = put_all(&file, w, told);
		key_store_close(&w->store);
	}
	if (rc == 0 && (fflush(file.f) != 0 || io_calls->fsync(fd) != 0))
		rc = err_from_errno(errno);
	if (file.f != NULL)
		fclose(file.f);
	else if (fd >= 0)
		io_calls->close(fd);
	secret_free(w, sizeof(*w));
	return rc;
}

/* The directory of a path, whose name has to last. */
static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
	int rc = dir == NULL ? ERR_NOMEM : dir_sync(dir);

	free(dir);
	return rc;
}

int keyring_backup(const struct keyring_options *options, const char *path, struct keyring_backup *ret)
{
	struct keyring_backup told = {0}, read = {0};
	char partial[PATH_MAX];
	int rc;

	if (file_exists(path))
		return ERR_EXISTS;
	if (snprintf(partial, sizeof(partial), "%s.partial", path) >= (int)sizeof(partial))
		return ERR_TOO_BIG;
	rc = write_file(options, partial, &told);
	if (rc == 0)
		rc = keyring_backup_check(partial, options->root_key_path, &read);
	if (rc == 0 && (read.keys != told.keys || read.tombstones != told.tombstones))
		rc = ERR_CORRUPT;
	if (rc == 0 && io_calls->rename(partial, path) != 0)
		rc = err_from_errno(errno);
	if (rc == 0)
		rc = sync_parent(path);
	if (rc != 0)
		io_calls->unlink(partial);
	else
		*ret = told;
	return rc;
}

/* ---- reading ----------------------------------------------------------------- */

/* A record of a file; the bytes are in secret memory until the next chunk. */
typedef int record_fn(void *arg, char letter, const uint8_t *bytes, size_t len);

/* Bytes of the record after its letter; 0: there is no such letter. */
static size_t record_len(const uint8_t *at, size_t left)
{
	switch (at[0]) {
	case 'E':
		return 4;
	case 'K':
		return ID_LEN + KEYRING_KEY_LEN;
	case 'T':
	case 'H':
		return ID_LEN;
	case 'S':
		return left > 1 && at[1] > 0 && at[1] <= KEY_SECRET_NAME_MAX ? 1u + at[1] + KEY_WRAPPED_LEN : 0;
	default:
		return 0;
	}
}

static int each_record(struct work *w, record_fn *fn, void *arg)
{
	int rc = 0;

	for (size_t at = 0; rc == 0 && at < w->len;) {
		size_t len = record_len(w->plain + at, w->len - at);

		if (len == 0 || len > w->len - at - 1)
			return ERR_CORRUPT;
		rc = fn(arg, (char)w->plain[at], w->plain + at + 1, len);
		at += 1 + len;
	}
	return rc;
}

static int get_bytes(struct file *file, void *bytes, size_t len)
{
	if (fread(bytes, 1, len, file->f) == len)
		return 0;
	return ferror(file->f) ? ERR_IO : ERR_CORRUPT;
}

static int get_head(struct file *file, struct work *w, int64_t *ret_made_at_ms)
{
	uint8_t head[HEAD_LEN + 8 + KEY_WRAPPED_LEN];
	int rc = get_bytes(file, head, sizeof(head));

	if (rc == 0 && memcmp(head, HEAD, HEAD_LEN) != 0)
		rc = ERR_CORRUPT;
	if (rc == 0)
		rc = key_unwrap(w->key, head + HEAD_LEN + 8, "backup/v1", slice_of(head + HEAD_LEN, 8), w->root) == 0 ? 0 : ERR_BAD_KEY;
	if (rc == 0)
		*ret_made_at_ms = (int64_t)key_get_be(head + HEAD_LEN, 8);
	return rc;
}

/* The last one is followed by nothing. */
static int get_chunk(struct file *file, struct work *w, bool *ret_last)
{
	uint8_t aad[32], length[4], *sealed = NULL;
	size_t len;
	int c, rc = get_bytes(file, length, sizeof(length));

	if (rc != 0)
		return rc;
	len = key_get_be(length, 4);
	if (len < SEALED(1) || len > SEALED(CHUNK))
		return ERR_CORRUPT;
	sealed = malloc(len);
	rc = sealed == NULL ? ERR_NOMEM : get_bytes(file, sealed, len);
	if (rc == 0) {
		c = getc(file->f);
		*ret_last = c == EOF;
		if (c != EOF)
			ungetc(c, file->f);
		w->len = len - SEALED(0);
		rc = xchacha_open(w->plain, slice_of(sealed + XCHACHA_NONCE_LEN, len - XCHACHA_NONCE_LEN),
		    chunk_data(aad, file->chunk++, *ret_last), sealed, w->key) == 0 ? 0 : ERR_CORRUPT;
	}
	free(sealed);
	return rc;
}

/* *w->root is set. */
static int each_of_file(struct work *w, const char *path, int64_t *ret_made_at_ms, record_fn *fn, void *arg)
{
	struct file file = {.f = fopen(path, "rbe")};
	bool last = false;
	int rc;

	if (file.f == NULL)
		return err_from_errno(errno);
	rc = get_head(&file, w, ret_made_at_ms);
	while (rc == 0 && !last) {
		rc = get_chunk(&file, w, &last);
		if (rc == 0)
			rc = each_record(w, fn, arg);
	}
	fclose(file.f);
	crypto_wipe(w->plain, sizeof(w->plain));
	return rc;
}

int keyring_backup_made_at(const char *path, int64_t *ret_made_at_ms)
{
	uint8_t head[HEAD_LEN + 8];
	struct file file = {.f = fopen(path, "rbe")};
	int rc;

	if (file.f == NULL)
		return err_from_errno(errno);
	rc = get_bytes(&file, head, sizeof(head));
	fclose(file.f);
	if (rc == 0 && memcmp(head, HEAD, HEAD_LEN) != 0)
		rc = ERR_CORRUPT;
	if (rc == 0)
		*ret_made_at_ms = (int64_t)key_get_be(head + HEAD_LEN, 8);
	return rc;
}

static int count(void *arg, char letter, const uint8_t *bytes, size_t len)
{
	struct keyring_backup *told = arg;

	(void)bytes;
	(void)len;
	told->keys += letter == 'K';
	told->tombstones += letter == 'T';
	return 0;
}

int keyring_backup_check(const char *path, const char *root_key_path, struct keyring_backup *ret)
{
	struct keyring_backup told = {0};
	struct work *w = secret_alloc(sizeof(*w));
	int rc = w == NULL ? ERR_NOMEM : key_file_root_read(w->root, root_key_path);

	if (rc == 0)
		rc = each_of_file(w, path, &told.made_at_ms, count, &told);
	secret_free(w, sizeof(*w));
	if (rc == 0)
		*ret = told;
	return rc;
}

/* ---- what the log says ----------------------------------------------------------- */

struct restoring {
	struct work *w;
	struct keyring_backup told;
	struct id_set erased; /* by the log */
	struct id_set given;  /* by the log: who has which key */
	struct id_set held;   /* keys that the new keyring has */
	struct id_set buried; /* its tombstones */
	struct id codes;      /* the highest of a code, by the log */
	uint32_t epoch;
	enum key_kind kind; /* of the keys in w->entries */
};

static int note_subject(void *arg, const struct log_fact *fact)
{
	struct restoring *r = arg;

	if (fact->kind != FACT_SUBJECT)
		return 0;
	if (key_kind_of(&fact->id) != KEY_CODE)
		return id_set_add(&r->given, &fact->id);
	/* None is in the file, and none leaves a tombstone: it is enough to know that they were made. */
	if (memcmp(fact->id.bytes, r->codes.bytes, ID_LEN) > 0)
		r->codes = fact->id;
	return 0;
}

static int note_erasure(struct restoring *r, const struct log_record *record, struct arena *a)
{
	struct event event = {0};
	const struct event_privacy_erasure_requested *data;
	struct id id;
	int rc = event_decode(record->entry, record->position, NULL, a, &event);

	if (rc != 0 || event.data == NULL)
		return rc != 0 ? rc : ERR_MALFORMED;
	data = event.data;
	rc = hex_decode(id.bytes, ID_LEN, data->subject_id);
	return rc == 0 ? id_set_add(&r->erased, &id) : rc;
}

static int read_log(struct restoring *r, struct eventlog *log)
{
	struct arena a = ARENA_INIT(RECORD_ARENA);
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc;

	eventlog_cursor_init(&cursor, log, 0, NULL);
	while ((rc = eventlog_cursor_next(&cursor, &record)) == 0) {
		rc = facts_of_entry(record.entry, record.position, record.type, NULL, note_subject, r);
		if (rc == 0 && record.type == EVENT_PRIVACY_ERASURE_REQUESTED) {
			arena_reset(&a);
			rc = note_erasure(r, &record, &a);
		}
		if (rc != 0)
			break;
	}
	eventlog_cursor_finish(&cursor);
	arena_finish(&a);
	return rc == ERR_END ? 0 : rc == ERR_MALFORMED ? ERR_CORRUPT : rc;
}

/* ---- restoring --------------------------------------------------------------------- */

/* First time through: the epoch it had, and whom it knew to be erased. */
static int take_first(void *arg, char letter, const uint8_t *bytes, size_t len)
{
	struct restoring *r = arg;
	struct id id;

	count(&r->told, letter, bytes, len);
	if (letter == 'E')
		r->epoch = (uint32_t)key_get_be(bytes, 4);
	if (letter != 'T')
		return 0;
	memcpy(id.bytes, bytes, ID_LEN);
	return id_set_add(&r->buried, &id);
}

static int add_entries(struct restoring *r)
{
	int rc = r->w->n_entries == 0 ? 0 : key_store_add(&r->w->store, r->kind, r->w->entries, r->w->n_entries);

	r->w->n_entries = 0;
	return rc;
}

static int take_key(struct restoring *r, const uint8_t *bytes)
{
	struct key_entry *entry;
	struct id id;
	int rc = 0;

	memcpy(id.bytes, bytes, ID_LEN);
	if (id_set_has(&r->erased, &id) && !id_set_has(&r->buried, &id))
		r->told.erased++;
	if (id_set_has(&r->erased, &id) || id_set_has(&r->buried, &id))
		return 0;
	if (r->w->n_entries == AT_ONCE || key_kind_of(&id) != r->kind)
		rc = add_entries(r);
	r->kind = key_kind_of(&id);
	entry = &r->w->entries[r->w->n_entries++];
	entry->id = id;
	memcpy(entry->key, bytes + ID_LEN, KEYRING_KEY_LEN);
	return rc == 0 ? id_set_add(&r->held, &id) : rc;
}

static int take_secret(struct restoring *r, const uint8_t *bytes)
{
	char entry[8 + KEY_SECRET_NAME_MAX];

	snprintf(entry, sizeof(entry), "secret/%.*s", (int)bytes[0], (const char *)bytes + 1);
	return key_store_meta_put(&r->w->store, entry, bytes + 1 + bytes[0], KEY_WRAPPED_LEN);
}

static int take_rest(void *arg, char letter, const uint8_t *bytes, size_t len)
{
	struct restoring *r = arg;

	(void)len;
	if (letter == 'K')
		return take_key(r, bytes);
	if (letter == 'S')
		return take_secret(r, bytes);
	return letter == 'H' ? key_store_meta_put(&r->w->store, "swept", bytes, ID_LEN) : 0;
}

static int bury(struct restoring *r, const struct id_set *set, bool lost, int64_t now_us)
{
	struct id some[AT_ONCE];
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < set->cap; i++) {
		if (!set->used[i] || (lost && (id_set_has(&r->held, &set->ids[i]) || id_set_has(&r->buried, &set->ids[i]) ||
		    id_set_has(&r->erased, &set->ids[i]))))
			continue;
		r->told.lost += lost;
		some[n++] = set->ids[i];
		if (n == AT_ONCE) {
			rc = key_store_erase(&r->w->store, some, n, now_us, now_us);
			n = 0;
		}
	}
	return rc != 0 || n == 0 ? rc : key_store_erase(&r->w->store, some, n, now_us, now_us);
}

/* Under a number that no epoch had, so that what events say of epochs stays true. */
static int begin_epoch(struct restoring *r)
{
	struct key_store *store = &r->w->store;
	struct epoch_key next;
	uint32_t first = store->epochs[0].number;
	int rc = key_file_epoch_create(&next, store, r->epoch + 1);

	if (rc != 0)
		return rc;
	store->epochs[0] = next;
	crypto_wipe(&next, sizeof(next));
	return key_file_epoch_destroy(store, first);
}

static int fill(struct restoring *r, const struct keyring_options *options, const char *path)
{
	int64_t made_at_ms, now_us = clock_wall_us(options->clock);
	int rc = key_store_open(&r->w->store, options);

	if (rc != 0)
		return rc;
	rc = r->epoch == UINT32_MAX ? ERR_CORRUPT : begin_epoch(r);
	if (rc == 0)
		rc = each_of_file(r->w, path, &made_at_ms, take_rest, r);
	if (rc == 0)
		rc = add_entries(r);
	if (rc == 0)
		rc = bury(r, &r->buried, false, now_us);
	if (rc == 0)
		rc = bury(r, &r->erased, false, now_us);
	if (rc == 0)
		rc = bury(r, &r->given, true, now_us);
	if (rc == 0)
		rc = key_store_meta_put(&r->w->store, "codes", r->codes.bytes, ID_LEN);
	key_store_close(&r->w->store);
	return rc;
}

static int restore(struct restoring *r, const struct keyring_options *options, const char *path, struct eventlog *log)
{
	struct keyring_options fresh = *options;
	char dir[PATH_MAX];
	int64_t age_ms;
	int rc = key_file_root_read(r->w->root, options->root_key_path);

	if (rc == 0)
		rc = each_of_file(r->w, path, &r->told.made_at_ms, take_first, r);
	age_ms = clock_wall_ms(options->clock) - r->told.made_at_ms;
	if (rc == 0 && age_ms > KEYRING_BACKUP_DAYS * DAY_MS)
		rc = ERR_RANGE;
	for (unsigned n = 0; rc == 0 && n <= eventlog_n_before(log); n++)
		rc = read_log(r, eventlog_before(log, n));
	if (rc == 0 && snprintf(dir, sizeof(dir), "%s.tmp", options->dir) >= (int)sizeof(dir))
		rc = ERR_TOO_BIG;
	if (rc != 0)
		return rc;
	rc = tree_remove(dir);
	if (rc == 0)
		rc = dir_create(dir, 0700);
	fresh.dir = dir;
	fresh.readonly = false;
	if (rc == 0)
		rc = fill(r, &fresh, path);
	if (rc == 0 && io_calls->rename(dir, options->dir) != 0)
		rc = err_from_errno(errno);
	return rc == 0 ? sync_parent(options->dir) : rc;
}

int keyring_restore(const struct keyring_options *options, const char *path, struct eventlog *log,
    struct keyring_backup *ret)
{
	struct restoring r = {.w = secret_alloc(sizeof(*r.w))};
	int rc = r.w == NULL ? ERR_NOMEM : file_exists(options->dir) ? ERR_EXISTS : 0;

	if (rc == 0)
		rc = restore(&r, options, path, log);
	if (rc == 0)
		*ret = r.told;
	id_set_finish(&r.erased);
	id_set_finish(&r.given);
	id_set_finish(&r.held);
	id_set_finish(&r.buried);
	secret_free(r.w, sizeof(*r.w));
	return rc;
}
