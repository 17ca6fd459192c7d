/*
 * Object storage: where recordings, transcripts and pictures are kept. One
 * interface over a directory of our own (the default), S3 and what is compatible with it, OSS and
 * COS; which one is a setting (schemas/config/storage.json).
 *
 * Blocking calls, for effects and commands; any thread, each with an http_client of its own. Nothing
 * here appends events: who puts an object tells the log with object_stored_tell().
 *
 * A put is repeated without harm: the same `upload` goes on where an attempt before it ended, also one of a
 * process that was killed, and is done at once when it was done before. Bytes are never in
 * memory but for one part (OBJECT_PART_LEN), and each part and the whole are compared with what the store says it has.
 */
#ifndef LULAB_ADAPTERS_OBJECT_STORE_H
#define LULAB_ADAPTERS_OBJECT_STORE_H

#include "adapters/answer_class.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "crypto/crypto.h"

struct app;
struct address_ranges;
struct config;
struct effect_call;
struct effect_progress;
struct http_client;
struct object_store;
struct object_stores;

#ifndef OBJECT_PART_LEN /* tests make it smaller, to have many with few bytes */
#define OBJECT_PART_LEN ((size_t)8 << 20)
#endif
#define OBJECT_KEY_MAX 512   /* bytes */
#define OBJECT_ID_LEN 32     /* hex digits */
#define OBJECT_UPLOAD_MAX 64 /* characters */
#define OBJECT_SIZE_MAX ((uint64_t)80 << 30) /* 10000 parts */

/* The store that new objects go to; NULL while it is not configured, and object_store_unready() says why. */
const struct object_store *object_store_current(const struct app *app);
const char *object_store_unready(const struct app *app);
/* The store an object lies in, which may be another than today's; NULL: it is not configured any more. */
const struct object_store *object_store_find(const struct app *app, struct slice provider, struct slice bucket);
/* "s3.example.com": whose failures count together. */
const char *object_store_host(const struct object_store *store);
/* "LOCAL", "S3", "OSS", "COS", and its bucket ("" of the local one): as object.stored names them. */
const char *object_store_provider(const struct object_store *store);
struct slice object_store_bucket(const struct object_store *store);

/* For a command, which has no struct app: by the settings, nothing is asked of a store. *ret: to object_stores_destroy(). ERR_NOMEM, ERR_CONFIG. */
int object_stores_create(struct object_stores **ret, const struct config *c, const char *data_dir);
void object_stores_destroy(struct object_stores *all);
/* Like object_store_current(); where there is none *ret_unready says why. */
const struct object_store *object_stores_current(const struct object_stores *all, const char **ret_unready);

/* ---- a call ---------------------------------------------------------------------- */

/* What calls need around them, and what the store said when one failed. Zero it but for the first part. */
struct object_call {
	const struct object_store *store;
	struct http_client *http;     /* this thread's; not used by the local directory */
	struct arena *arena;          /* what is returned lies there */
	const struct clock *clock;
	const _Atomic bool *stopping; /* NULL = never */
	struct effect_progress *progress; /* of puts; NULL = nobody looks */

	enum answer_class class; /* of the answer; ANSWER_OK: there was none */
	int status;              /* HTTP; 0 = none */
	const char *vendor_id;   /* of the request; or NULL */
	const char *message;     /* our own words, static; or NULL */
	bool of_source;          /* the failure is that of where bytes come from (object_put_from_url), not of the store */
};

/* The current store, with the effect's arena, clock and stop. http: call->thread where the effect uses vendor_thread_open(). */
struct object_call object_call_of(struct effect_call *call, const struct app *app, struct http_client *http);
/* The effect's outcome after one of the calls below gave rc. Reads, puts and removals may all be repeated. */
void object_outcome(struct effect_call *call, const struct object_call *o, int rc);

/*
 * All below give 0 or ERR_NOT_FOUND, ERR_DENIED, ERR_BUSY (limits), ERR_TOO_BIG, ERR_CORRUPT (what the store has is not what
 * was sent), ERR_UNAVAILABLE (5xx, no answer in time, network), ERR_CANCELLED (it stops), ERR_CONFIG (credentials, bucket), ERR_DISK_FULL, ERR_IO,
 * ERR_INVALID (a key that is none), ERR_NOMEM.
 */

/*
 * A key: segments of [a-z0-9A-Z._-] joined by "/", none of them empty or beginning with ".", at most OBJECT_KEY_MAX in all and 200 a
 * segment. Ids go into keys, names of people and meetings never do: keys are in the log in clear.
 */
bool object_key_ok(struct slice key);

/* ---- putting ----------------------------------------------------------------------- */

struct object_put {
	struct slice key;          /* without the prefix of the settings */
	struct slice content_type; /* "video/mp4" */
	/*
	 * Names the put over all its attempts: [0-9a-z-], at most OBJECT_UPLOAD_MAX. The effect's id, with "-thumbnail" or so
	 * where an effect puts more than one. The object's id is made of it.
	 */
	const char *upload;
};

/* What lies there now; texts in the arena. */
struct object_stored {
	char id[OBJECT_ID_LEN + 1]; /* always the same for the same upload */
	const char *provider;       /* "LOCAL", "S3", "OSS", "COS" */
	struct slice bucket, key;   /* key with the prefix: by which it is asked for later */
	struct slice content_type;
	uint64_t size;
	char sha256[2 * SHA256_LEN + 1];
};

/* Bytes in memory: transcripts, pictures. */
int object_put_bytes(struct object_call *o, const struct object_put *put, struct slice bytes, struct object_stored *ret);
/* A file of this machine. */
int object_put_file(struct object_call *o, const struct object_put *put, const char *path, struct object_stored *ret);

/* Where bytes are fetched from: an address that a vendor gave us. */
struct object_source {
	const char *url;
	const char *const *headers; /* as http_call.headers; NULL = none */
	uint64_t size;              /* as the vendor said, to be compared; 0 = not known */
	const char *sha256;         /* hex, likewise; NULL = not known */
	uint64_t size_max;          /* 0 = OBJECT_SIZE_MAX */
};

/*
 * Fetches and puts at once, by way of a part in memory. Goes on with a Range where it was cut, as long as the source still
 * has the same (If-Range); the address may have changed between attempts, as signed ones do. Only
 * https to hosts of LULAB_FETCH_HOSTS and public addresses, or those of LULAB_FETCH_ADDRESSES. Cuts are
 * taken up at once while something arrives between them; else the call ends, o->of_source is set, and a later one goes on.
 * ERR_NOT_FOUND with of_source: the address is not (no longer) good; ask the vendor for another one.
 */
int object_put_from_url(struct object_call *o, const struct object_put *put, const struct object_source *source,
    struct object_stored *ret);

/* Gives up what was begun under that name, so that the store forgets its parts. Absent is fine. */
int object_put_abandon(struct object_call *o, const char *upload);

/* ---- what is there ------------------------------------------------------------------- */

struct object_head {
	uint64_t size;
	struct slice content_type, etag; /* "" when the store does not tell */
};

int object_head(struct object_call *o, struct slice key, struct object_head *ret);

/*
 * Bytes from..from+len-1 (len 0: to the end) to on_bytes, as they come; its non-zero ends it with ERR_CANCELLED. Cuts are gone on
 * behind. ERR_RANGE: from lies beyond the end.
 */
int object_get(struct object_call *o, struct slice key, uint64_t from, uint64_t len,
    int (*on_bytes)(void *arg, struct slice bytes), void *arg);
/* The whole into memory, at most out->max: transcripts for those who read them. */
int object_get_bytes(struct object_call *o, struct slice key, struct buf *out);
/* The whole into a new file (0600, replaced when there), for a program that reads files: ffprobe. */
int object_get_file(struct object_call *o, struct slice key, const char *path);
/* Where it lies on this machine, in the arena, for reading only; NULL when the store is elsewhere. */
const char *object_path(struct object_call *o, struct slice key);

/* Absent is fine. */
int object_remove(struct object_call *o, struct slice key);

struct object_link {
	int64_t expires_s;         /* 1 to 604800 */
	struct slice file_name;    /* what a browser calls it; empty = nothing said */
	struct slice content_type; /* empty = as stored */
};
/* A URL that carries its own permission; in the arena. ERR_UNSUPPORTED: local objects are served by the program itself. */
int object_presign(struct object_call *o, struct slice key, const struct object_link *link, const char **ret_url);

/* ---- telling the log --------------------------------------------------------------------- */

/* What an object is of. Empty where it does not apply. */
struct object_about {
	const char *kind;         /* "VIDEO", "AUDIO", "TRANSCRIPT", "CHAT", "THUMBNAIL", "SUMMARY", "OTHER" */
	struct slice recording_id; /* as the API names it: with it goes the object when recording.deleted comes */
};

/* object.stored among the results of the effect, before those that name the object. ERR_NOMEM, ERR_TOO_BIG (no room). */
int object_stored_tell(struct effect_call *call, const struct object_stored *stored, const struct object_about *about);

#endif
