/* What the parts of object_store.h share: how a kind of store is plugged in, and a put in the making. */
#ifndef LULAB_ADAPTERS_OBJECT_PRIVATE_H
#define LULAB_ADAPTERS_OBJECT_PRIVATE_H

#include "adapters/object_store.h"
#include "adapters/object_xml.h"
#include "adapters/sigv4.h"
#include "net/address.h"

/* Requests of a put and fetches of its bytes are made again so often, one after the other, before the call ends. */
#define OBJECT_TRIES 5

/* ---- stores ------------------------------------------------------------------------- */

struct config;
struct object_kind;

/* Read-only after the start. */
struct object_store {
	const struct object_kind *kind;
	struct object_stores *all;
	struct slice bucket; /* "" of the local one */
	const char *prefix;
	const char *host;    /* for a header and for people; "local" */

	const char *dir;     /* local: without "/" at its end */

	/* The others. */
	struct sigv4_keys keys;
	const char *base;    /* "https://bucket.s3.example.com:9000" */
	const char *ca_file; /* or NULL */
	bool path_style;
};

/* The state of the adapter. */
struct object_stores {
	struct object_store local, remote;
	bool has_remote;
	const struct object_store *current; /* NULL: it is not configured */
	const char *unready;                /* why, static; or NULL */
	const char *uploads;                /* directory of journals */
	struct slice fetch_hosts;
	struct address_ranges fetch_addresses;
	int64_t link_life_s;
	uint8_t link_key[32];
	_Atomic int64_t swept_at_ms;
	struct arena arena; /* what all of them hold; the main thread's, before the start is over */
};

/* ---- a kind of store ------------------------------------------------------------------ */

/* A part of a whole, or the whole. */
struct object_piece {
	unsigned number; /* from 1 */
	uint64_t offset;
	struct slice bytes;
};

struct object_whole {
	uint64_t size, crc;
};

/* Keys have their prefix and are checked. Each once: whoever calls tries again. Results in the call's arena. */
struct object_kind {
	const char *provider;
	bool with_http;
	/* name: the upload's. */
	int (*put)(struct object_call *o, struct slice key, struct slice content_type, const char *name, struct slice bytes);
	/* In parts: *ret_id is what the store calls it. */
	int (*begin)(struct object_call *o, struct slice key, struct slice content_type, const char *name, struct slice *ret_id);
	int (*part)(struct object_call *o, struct slice key, struct slice id, const struct object_piece *piece, struct slice *ret_etag);
	/* How many of these, without a gap from the first, the store has as they are told. ERR_NOT_FOUND: it knows nothing of it. */
	int (*check)(struct object_call *o, struct slice key, struct slice id, const struct object_part *parts, size_t n, size_t *ret_n);
	int (*complete)(struct object_call *o, struct slice key, struct slice id, const struct object_part *parts, size_t n,
	    const struct object_whole *whole);
	int (*abandon)(struct object_call *o, struct slice key, struct slice id);
	int (*head)(struct object_call *o, struct slice key, struct object_head *ret);
	int (*get)(struct object_call *o, struct slice key, uint64_t from, uint64_t len,
	    int (*on_bytes)(void *arg, struct slice bytes), void *arg);
	int (*remove)(struct object_call *o, struct slice key);
	int (*presign)(struct object_call *o, struct slice key, const struct object_link *link, const char **ret_url);
};

extern const struct object_kind object_kind_local, object_kind_s3, object_kind_oss, object_kind_cos;

/* By the settings; unready says what is missing. ERR_NOMEM, ERR_CONFIG. */
int object_stores_open(struct object_stores *all, const struct config *c, const char *data_dir);
void object_stores_close(struct object_stores *all);
const struct object_store *object_stores_find(const struct object_stores *all, struct slice provider, struct slice bucket);

/* The kind's own word for a failure that is none of an answer. */
int object_fail(struct object_call *o, int rc, const char *message);
/* Is it worth asking once more? */
bool object_is_passing(int rc);
/* So long, or until the service stops: then ERR_CANCELLED. */
int object_pause(struct object_call *o, unsigned ms);
/* With the prefix, in the arena. ERR_INVALID, ERR_NOMEM. */
int object_key_make(struct object_call *o, struct slice key, struct slice *ret);
bool object_upload_ok(const char *name);
/* A Content-Disposition that has the reader keep the file under this name, in the arena; NULL: no memory. */
const char *object_disposition(struct arena *a, struct slice file_name);
/* Path of a key in the local store, in the arena; NULL: no memory. */
const char *object_local_path(struct object_call *o, struct slice key);

/* ---- what is remembered of a put in parts -------------------------------------------------- */

/*
 * A file per put: what was begun, where its bytes come from, and a line for each part that the store has, with the state of the
 * hashes after it. A line is durable before the next part is sent; one that was cut short does not
 * count, and neither does what follows it.
 */
struct object_journal {
	int fd; /* -1: closed */
	const char *path;
	struct arena arena; /* of what was read */

	struct slice provider, bucket, key, content_type, id;
	int64_t begun_ms;
	bool has_source;
	uint64_t source_size; /* UINT64_MAX = not known */
	struct slice source_etag, source_modified;
	struct object_part *parts; /* sizes filled in */
	struct journal_mark *marks;
	size_t n_parts, cap;
	size_t head_end; /* of what is before the first part, in the file */
	bool is_done;
	uint64_t done_size;
	char done_sha256[2 * SHA256_LEN + 1];
};

/* The hashes after a part. */
struct journal_mark {
	uint64_t size; /* of all parts so far */
	uint64_t crc;
	uint8_t sha256[SHA256_STATE_LEN];
	size_t end; /* of its line in the file, when it was read from there */
};

/* Of a new j, which is to be closed in any case. ERR_NOT_FOUND: there is none, or none that can be gone on with. */
int object_journal_load(struct object_journal *j, const char *dir, const char *name);
/* What j says of the put is written, in place of what a journal of that name said. */
int object_journal_begin(struct object_journal *j, const char *dir, const char *name);
int object_journal_part(struct object_journal *j, const struct object_part *part, const struct journal_mark *mark);
/* Of the parts that were read the first n stay. */
int object_journal_cut(struct object_journal *j, size_t n);
int object_journal_done(struct object_journal *j, uint64_t size, const char *sha256);
void object_journal_close(struct object_journal *j);
void object_journal_remove(struct object_journal *j);

/* ---- a put in the making ---------------------------------------------------------------------- */

struct object_upload {
	struct object_call *o;
	const struct object_put *put;
	struct slice key;
	uint64_t want_size;       /* UINT64_MAX = any */
	const char *want_sha256;  /* hex; NULL = any */

	struct object_journal journal;
	bool begun, is_done;
	char *part;               /* OBJECT_PART_LEN bytes */
	size_t filled;
	struct sha256_stream *sha256;
	uint64_t crc;
	uint64_t size;            /* taken so far: where to go on */
};

/* What was begun under that name is gone on with: u->size says from where. close in any case. */
int object_upload_open(struct object_upload *u, struct object_call *o, const struct object_put *put);
int object_upload_write(struct object_upload *u, struct slice bytes);
/* ERR_CORRUPT: it is not what it should be; it was given up. */
int object_upload_finish(struct object_upload *u, struct object_stored *ret);
/* From the beginning: what was begun is given up. */
int object_upload_restart(struct object_upload *u);
/* Keeps what a later open goes on with. */
void object_upload_close(struct object_upload *u);

#endif
