/* What object storage is in front of its kinds: the settings, keys, and the verbs that others call. */
#include "adapters/object_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapters/storage_private.h"
#include "adapters/vendor_call.h"
#include "app/app.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/thread.h"

#define READ_LEN ((size_t)256 << 10)
#define SEGMENT_MAX 200
#define STORES_MAX ((size_t)64 << 10)
#define PAUSE_MS 50

/* ---- which stores there are ------------------------------------------------------------------ */

static const struct object_kind *const kinds[] = {&object_kind_local, &object_kind_s3, &object_kind_oss, &object_kind_cos};

static const char *text_of(struct arena *a, struct slice text)
{
	return arena_dup(a, text).ptr;
}

/* A prefix is the beginning of keys; with its "/" when it has one. */
static bool prefix_ok(struct slice prefix)
{
	while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
		prefix.len--;
	return prefix.len == 0 || object_key_ok(prefix);
}

/* "https", "host:port" without the port everybody uses: as the Host header has it. */
static void split_endpoint(struct slice endpoint, struct slice *ret_scheme, struct slice *ret_host)
{
	bool tls = slice_starts_with(endpoint, SLICE("https://"));
	struct slice port = tls ? SLICE(":443") : SLICE(":80"), host;

	*ret_scheme = tls ? SLICE("https") : SLICE("http");
	host = slice_of(endpoint.ptr + ret_scheme->len + 3, endpoint.len - ret_scheme->len - 3);
	if (host.len > port.len && memcmp(host.ptr + host.len - port.len, port.ptr, port.len) == 0)
		host.len -= port.len;
	*ret_host = host;
}

static const char *missing_of(const struct config *c)
{
	if (c->storage_endpoint.len == 0)
		return "Object storage is not configured: set LULAB_STORAGE_ENDPOINT, or LULAB_STORAGE to LOCAL.";
	if (c->storage_bucket.len == 0)
		return "Object storage is not configured: set LULAB_STORAGE_BUCKET.";
	if (c->storage_key_id.len == 0 || c->storage_secret.len == 0)
		return "Object storage is not configured: set LULAB_STORAGE_KEY_ID and LULAB_STORAGE_SECRET.";
	if (c->storage_path_style && !slice_is(c->storage, "S3"))
		return "LULAB_STORAGE_PATH_STYLE is for S3: OSS and COS take the bucket in the host's name only.";
	return NULL;
}

static int open_remote(struct object_stores *all, const struct config *c, const struct object_kind *kind)
{
	struct object_store *s = &all->remote;
	struct arena *a = &all->arena;
	struct slice scheme, host;

	split_endpoint(c->storage_endpoint, &scheme, &host);
	*s = (struct object_store){.kind = kind, .all = all, .path_style = c->storage_path_style};
	s->bucket = arena_dup(a, c->storage_bucket);
	s->prefix = text_of(a, c->storage_prefix);
	s->host = s->path_style ? text_of(a, host) :
	    arena_printf(a, "%.*s.%.*s", SLICE_ARG(c->storage_bucket), SLICE_ARG(host));
	s->base = s->host == NULL ? NULL : arena_printf(a, "%.*s://%s", SLICE_ARG(scheme), s->host);
	s->keys = (struct sigv4_keys){arena_dup(a, c->storage_key_id), arena_dup(a, c->storage_secret),
	    arena_dup(a, c->storage_session_token), arena_dup(a, c->storage_region)};
	if (c->storage_ca_file.len > 0)
		s->ca_file = text_of(a, c->storage_ca_file);
	all->has_remote = true;
	all->current = s;
	return s->bucket.ptr == NULL || s->base == NULL || s->prefix == NULL || s->keys.region.ptr == NULL ? ERR_NOMEM : 0;
}

int object_stores_open(struct object_stores *all, const struct config *c, const char *data_dir)
{
	struct arena *a;

	*all = (struct object_stores){.arena = ARENA_INIT(STORES_MAX), .link_life_s = c->storage_link_life};
	a = &all->arena;
	all->local = (struct object_store){.kind = &object_kind_local, .all = all, .bucket = {"", 0}, .host = "local",
	    .prefix = text_of(a, c->storage_prefix),
	    .dir = c->storage_dir.len > 0 ? text_of(a, c->storage_dir) : arena_printf(a, "%s/objects", data_dir)};
	all->uploads = arena_printf(a, "%s/uploads", data_dir);
	all->fetch_hosts = arena_dup(a, c->fetch_hosts);
	if (all->local.dir == NULL || all->local.prefix == NULL || all->uploads == NULL || all->fetch_hosts.ptr == NULL)
		return ERR_NOMEM;
	if (address_ranges_parse(c->fetch_addresses, &all->fetch_addresses) != 0)
		all->unready = "LULAB_FETCH_ADDRESSES is no list of addresses and ranges.";
	else if (!prefix_ok(c->storage_prefix))
		all->unready = "LULAB_STORAGE_PREFIX cannot begin a key.";
	else if (slice_is(c->storage, "LOCAL"))
		all->current = &all->local;
	else
		all->unready = missing_of(c);
	for (size_t i = 0; all->unready == NULL && all->current == NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (slice_is(c->storage, kinds[i]->provider))
			return open_remote(all, c, kinds[i]);
	return 0;
}

void object_stores_close(struct object_stores *all)
{
	crypto_wipe(all->link_key, sizeof(all->link_key));
	arena_wipe(&all->arena);
}

int object_stores_create(struct object_stores **ret, const struct config *c, const char *data_dir)
{
	struct object_stores *all = calloc(1, sizeof(*all));
	int rc = all == NULL ? ERR_NOMEM : object_stores_open(all, c, data_dir);

	if (rc != 0)
		object_stores_destroy(all);
	else
		*ret = all;
	return rc;
}

void object_stores_destroy(struct object_stores *all)
{
	if (all != NULL)
		object_stores_close(all);
	free(all);
}

const struct object_store *object_stores_current(const struct object_stores *all, const char **ret_unready)
{
	*ret_unready = all->unready;
	return all->current;
}

const struct object_store *object_stores_find(const struct object_stores *all, struct slice provider, struct slice bucket)
{
	if (slice_is(provider, all->local.kind->provider))
		return &all->local;
	return all->has_remote && slice_is(provider, all->remote.kind->provider) && slice_eq(bucket, all->remote.bucket) ?
	    &all->remote : NULL;
}

static const struct object_stores *stores_of(const struct app *app)
{
	return app_adapter_state(app, &adapter_storage);
}

const struct object_store *object_store_current(const struct app *app)
{
	return stores_of(app) == NULL ? NULL : stores_of(app)->current;
}

const char *object_store_unready(const struct app *app)
{
	return stores_of(app) == NULL ? "Object storage is not there." : stores_of(app)->unready;
}

const struct object_store *object_store_find(const struct app *app, struct slice provider, struct slice bucket)
{
	return stores_of(app) == NULL ? NULL : object_stores_find(stores_of(app), provider, bucket);
}

const char *object_store_host(const struct object_store *store)
{
	return store->host;
}

const char *object_store_provider(const struct object_store *store)
{
	return store->kind->provider;
}

struct slice object_store_bucket(const struct object_store *store)
{
	return store->bucket;
}

/* ---- calls -------------------------------------------------------------------------------------- */

struct object_call object_call_of(struct effect_call *call, const struct app *app, struct http_client *http)
{
	return (struct object_call){.store = object_store_current(app), .http = http, .arena = call->arena,
	    .clock = call->clock, .stopping = call->stopping, .progress = call->progress};
}

static const struct { int rc; enum effect_outcome outcome; const char *class; } outcomes[] = {
	{ERR_NOT_FOUND, EFFECT_REFUSED, "not_found"},
	{ERR_DENIED, EFFECT_REFUSED, "refused"},
	{ERR_INVALID, EFFECT_REFUSED, "refused"},
	{ERR_TOO_BIG, EFFECT_REFUSED, "too_big"},
	{ERR_RANGE, EFFECT_REFUSED, "refused"},
	{ERR_CONFIG, EFFECT_STOP, "config"},
	{ERR_CORRUPT, EFFECT_RETRY, "corrupt"},
	{ERR_CANCELLED, EFFECT_RETRY, "stopped"},
	{ERR_DISK_FULL, EFFECT_RETRY, "disk_full"},
	{ERR_BUSY, EFFECT_RETRY, "limit"},
	{ERR_NOMEM, EFFECT_RETRY, "memory"},
	{ERR_UNAVAILABLE, EFFECT_RETRY, "unavailable"}, /* and any other */
};

void object_outcome(struct effect_call *call, const struct object_call *o, int rc)
{
	size_t i = 0;

	while (outcomes[i].rc != rc && outcomes[i].rc != ERR_UNAVAILABLE)
		i++;
	call->status = o->status;
	call->vendor_id = o->vendor_id;
	call->outcome = rc == 0 ? EFFECT_DONE : outcomes[i].outcome;
	call->class = rc == 0 ? NULL : outcomes[i].class;
	call->message = rc == 0 ? NULL : o->message;
	call->host_failed = !o->of_source && (rc == ERR_UNAVAILABLE || rc == ERR_BUSY);
}

int object_fail(struct object_call *o, int rc, const char *message)
{
	o->class = ANSWER_OK;
	o->message = message;
	return rc;
}

bool object_is_passing(int rc)
{
	return rc == ERR_UNAVAILABLE || rc == ERR_BUSY || rc == ERR_CORRUPT;
}

int object_pause(struct object_call *o, unsigned ms)
{
	return thread_pause(ms, o->stopping) ? 0 : ERR_CANCELLED;
}

/* ---- keys ----------------------------------------------------------------------------------------- */

static bool is_of_key(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool object_key_ok(struct slice key)
{
	size_t begin = 0;

	if (key.len == 0 || key.len > OBJECT_KEY_MAX)
		return false;
	for (size_t i = 0; i <= key.len; i++) {
		if (i < key.len && key.ptr[i] != '/') {
			if (!is_of_key(key.ptr[i]))
				return false;
			continue;
		}
		if (i == begin || key.ptr[begin] == '.' || i - begin > SEGMENT_MAX)
			return false;
		begin = i + 1;
	}
	return true;
}

int object_key_make(struct object_call *o, struct slice key, struct slice *ret)
{
	if (!object_key_ok(key))
		return object_fail(o, ERR_INVALID, "An object cannot be called that.");
	*ret = slice_str(arena_printf(o->arena, "%s%.*s", o->store->prefix, SLICE_ARG(key)));
	if (ret->ptr == NULL)
		return ERR_NOMEM;
	return object_key_ok(*ret) ? 0 : object_fail(o, ERR_INVALID, "An object cannot be called that.");
}

bool object_upload_ok(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || (name[i] == '-' && i > 0)))
			return false;
	return len > 0 && len <= OBJECT_UPLOAD_MAX;
}

const char *object_disposition(struct arena *a, struct slice file_name)
{
	struct buf text = BUF_INIT(4096);
	struct slice kept = {0};

	buf_append_str(&text, "attachment; filename=\"");
	for (size_t i = 0; i < file_name.len; i++)
		buf_append_char(&text, is_of_key(file_name.ptr[i]) || file_name.ptr[i] == ' ' ? file_name.ptr[i] : '_');
	buf_append_str(&text, "\"; filename*=UTF-8''"); /* RFC 6266: who can reads this one */
	percent_encode(&text, file_name);
	if (text.rc == 0)
		kept = arena_dup(a, buf_slice(&text));
	buf_finish(&text);
	return kept.ptr;
}

/* ---- putting ---------------------------------------------------------------------------------------- */

int object_put_bytes(struct object_call *o, const struct object_put *put, struct slice bytes, struct object_stored *ret)
{
	struct object_upload u;
	int rc = object_upload_open(&u, o, put);

	if (rc == 0 && !u.is_done)
		rc = u.size <= bytes.len ? object_upload_write(&u, slice_of(bytes.ptr + u.size, bytes.len - u.size)) : ERR_CORRUPT;
	if (rc == 0)
		rc = object_upload_finish(&u, ret);
	object_upload_close(&u);
	return rc;
}

static int write_file(struct object_upload *u, int fd)
{
	struct buf piece = BUF_INIT(READ_LEN);
	char *room = buf_reserve(&piece, READ_LEN);
	ssize_t n = 1;
	int rc = room == NULL ? ERR_NOMEM : 0;

	if (rc == 0 && lseek(fd, (off_t)u->size, SEEK_SET) < 0)
		rc = err_from_errno(errno);
	while (rc == 0 && n > 0) {
		n = io_calls->read(fd, room, READ_LEN);
		if (n > 0)
			rc = object_upload_write(u, slice_of(room, (size_t)n));
		else if (n < 0)
			rc = err_from_errno(errno);
	}
	buf_finish(&piece);
	return rc;
}

int object_put_file(struct object_call *o, const struct object_put *put, const char *path, struct object_stored *ret)
{
	struct object_upload u;
	int fd = io_calls->open(path, O_RDONLY | O_CLOEXEC, 0), rc;

	if (fd < 0)
		return object_fail(o, err_from_errno(errno), "The file to be stored cannot be read.");
	rc = object_upload_open(&u, o, put);
	if (rc == 0 && !u.is_done)
		rc = write_file(&u, fd);
	if (rc == 0)
		rc = object_upload_finish(&u, ret);
	object_upload_close(&u);
	io_calls->close(fd);
	return rc;
}

/* ---- what is there ---------------------------------------------------------------------------------------- */

int object_head(struct object_call *o, struct slice key, struct object_head *ret)
{
	return object_key_ok(key) ? o->store->kind->head(o, key, ret) : ERR_INVALID;
}

struct getting {
	int (*on_bytes)(void *arg, struct slice bytes);
	void *arg;
	uint64_t n;
};

static int count_bytes(void *arg, struct slice bytes)
{
	struct getting *g = arg;

	g->n += bytes.len;
	return g->on_bytes(g->arg, bytes);
}

/* What was cut is gone on with: what lies under a key does not change. */
int object_get(struct object_call *o, struct slice key, uint64_t from, uint64_t len,
    int (*on_bytes)(void *arg, struct slice bytes), void *arg)
{
	struct getting g = {.on_bytes = on_bytes, .arg = arg};
	unsigned tries = 0;
	int rc = ERR_UNAVAILABLE;

	if (!object_key_ok(key))
		return ERR_INVALID;
	while (object_is_passing(rc) && tries < OBJECT_TRIES) {
		uint64_t had = g.n;

		rc = o->store->kind->get(o, key, from + had, len == 0 ? 0 : len - had, count_bytes, &g);
		if (rc == ERR_RANGE && had > 0) /* it was cut behind its last byte */
			rc = 0;
		if (len != 0 && g.n == len)
			rc = 0;
		tries = g.n > had ? 0 : tries + 1;
		if (object_is_passing(rc) && object_pause(o, PAUSE_MS << tries) != 0)
			rc = ERR_CANCELLED;
	}
	return rc;
}

static int to_buf(void *arg, struct slice bytes)
{
	return buf_append(arg, bytes);
}

int object_get_bytes(struct object_call *o, struct slice key, struct buf *out)
{
	int rc = object_get(o, key, 0, 0, to_buf, out);

	return out->rc != 0 ? out->rc : rc;
}

struct to_file {
	int fd, rc;
};

static int to_fd(void *arg, struct slice bytes)
{
	struct to_file *f = arg;

	while (bytes.len > 0 && f->rc == 0) {
		ssize_t n = io_calls->write(f->fd, bytes.ptr, bytes.len);

		if (n <= 0)
			f->rc = n < 0 ? err_from_errno(errno) : ERR_IO;
		else
			bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
	}
	return f->rc;
}

int object_get_file(struct object_call *o, struct slice key, const char *path)
{
	struct to_file f = {.fd = io_calls->open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
	int rc;

	if (f.fd < 0)
		return object_fail(o, err_from_errno(errno), "The file to be made of an object cannot be written.");
	rc = object_get(o, key, 0, 0, to_fd, &f);
	io_calls->close(f.fd);
	return f.rc != 0 ? f.rc : rc;
}

const char *object_path(struct object_call *o, struct slice key)
{
	return o->store->kind == &object_kind_local && object_key_ok(key) ? object_local_path(o, key) : NULL;
}

int object_remove(struct object_call *o, struct slice key)
{
	return object_key_ok(key) ? o->store->kind->remove(o, key) : ERR_INVALID;
}

int object_presign(struct object_call *o, struct slice key, const struct object_link *link, const char **ret_url)
{
	if (!object_key_ok(key) || link->expires_s < 1 || link->expires_s > SIGV4_EXPIRES_S_MAX)
		return ERR_INVALID;
	return o->store->kind->presign(o, key, link, ret_url);
}

/* ---- telling the log ----------------------------------------------------------------------------------------- */

int object_tell(struct effect_call *call, enum event_type type, const void *data)
{
	struct event_context ctx = {call->rng, call->clock, NULL};
	struct event_meta meta = {.source = SLICE("/effects"), .actor = SLICE("system"), .expect = EXPECT_ANY,
	    .causation = call->cause->envelope.id};
	int rc;

	if (call->n_results == EFFECT_RESULTS_MAX)
		return ERR_TOO_BIG;
	rc = event_draft_make(&ctx, type, data, &meta, call->arena, &call->results[call->n_results], NULL);
	call->n_results += rc == 0;
	return rc;
}

int object_stored_tell(struct effect_call *call, const struct object_stored *stored, const struct object_about *about)
{
	struct event_object_stored data = {.object_id = slice_str(stored->id), .provider = slice_str(stored->provider),
	    .bucket = stored->bucket, .key = stored->key, .content_type = stored->content_type, .size = (int64_t)stored->size,
	    .sha256 = slice_str(stored->sha256), .kind = slice_str(about->kind), .recording_id = about->recording_id};

	return object_tell(call, EVENT_OBJECT_STORED, &data);
}
