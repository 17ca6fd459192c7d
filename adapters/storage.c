/*
 * Object storage as the service shows it: what is kept where, links to it, and its removal when the recording it is of was
 * deleted. What calls it does is in object_store.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "adapters/spool.h"
#include "adapters/storage_private.h"
#include "adapters/vendor_call.h"
#include "app/action.h"
#include "app/api_list.h"
#include "app/app.h"
#include "base/err.h"
#include "base/log.h"
#include "net/http_client.h"

#define USED_PERCENT_MAX 90 /* functional-spec 16.1, of the disk of objects */

/* Figures of integrity.md 16. */
static const struct effect_lane lane = {.name = "storage", .class = EFFECT_HARMLESS, .concurrency = 2, .base_ms = 500,
    .cap_ms = 60000, .tries_max = 6, .age_max_ms = 86400000};

/* ---- looking ---------------------------------------------------------------------------------- */

static void list_objects(struct http_request *rq)
{
	api_list(rq, "storage_objects", NULL, 0);
}

static void get_object(struct http_request *rq)
{
	api_one(rq, "storage_object", http_request_param(rq, "id"),
	    "There is no object with this id; GET /api/v1/storage/objects lists those there are.", false);
}

static void list_files(struct http_request *rq)
{
	struct list_fixed of = {"recordingId", http_request_param(rq, "id")};

	api_list(rq, "recording_files", &of, 1);
}

/* ---- links -------------------------------------------------------------------------------------- */

struct wanted {
	struct slice object, provider, bucket, key, content_type, sha256;
};

static bool find_file(struct action *c, struct wanted *ret)
{
	struct action_param of[] = {{"recording", http_request_param(c->rq, "id"), 0}, {"file", http_request_param(c->rq, "fileId"), 0}};
	struct json_value row;
	int rc = action_row(c, "recording_file", of, 2, &row);

	if (rc == ERR_NOT_FOUND || (rc == 0 && row_bool(row, "deleted")))
		return action_fail(c, 404, "not_found", "The recording has no such file; GET /api/v1/recordings/{id}/files lists those it has.",
		    "该录制没有这个文件");
	if (rc != 0)
		return action_fail_err(c, rc);
	*ret = (struct wanted){row_text(c, row, "object"), row_text(c, row, "provider"), row_text(c, row, "bucket"),
	    row_text(c, row, "key"), row_text(c, row, "contentType"), row_text(c, row, "sha256")};
	return true;
}

/* What a browser calls it: the last segment of its key. */
static struct slice name_of(struct slice key)
{
	size_t at = key.len;

	while (at > 0 && key.ptr[at - 1] != '/')
		at--;
	return slice_of(key.ptr + at, key.len - at);
}

static bool make_link(struct action *c, const struct object_stores *all, const struct wanted *w, int64_t now_s, const char **ret)
{
	struct object_call o = {.store = object_stores_find(all, w->provider, w->bucket), .arena = c->arena, .clock = c->app->clock};
	struct object_link link = {.expires_s = all->link_life_s, .file_name = name_of(w->key), .content_type = w->content_type};
	struct params_storage_content local = {.key = w->key, .type = w->content_type, .name = name_of(w->key),
	    .sha256 = w->sha256, .expires = now_s + all->link_life_s};
	int rc;

	if (o.store == NULL)
		return action_fail(c, 503, "unavailable", "The storage this file lies in is not configured any more.", "该文件所在的存储已不再配置");
	if (o.store == &all->local) {
		*ret = action_made(c, storage_link(all, c->arena, &local));
		return c->err == 0;
	}
	rc = object_presign(&o, w->key, &link, ret);
	return rc == 0 || action_fail_err(c, rc);
}

/* Whoever has the link has the file: it is told only once the log knows that it was given. */
static bool note(struct action *c, const struct object_stores *all, const struct wanted *w, int64_t now_s)
{
	const struct principal *who = c->rq->principal;
	struct event_object_linked data = {.object_id = w->object, .recording_id = http_request_param(c->rq, "id"),
	    .expires_at_ms = (now_s + all->link_life_s) * 1000};
	struct action_events e = {.c = c};

	if (who != NULL && who->user_id[0] != '\0')
		data.user_id = slice_str(who->user_id);
	action_event(&e, EVENT_OBJECT_LINKED, &data, NULL, NULL);
	return action_ok(c, action_append(&e));
}

static void run_download(struct action *c)
{
	const struct object_stores *all = app_adapter_state(c->app, &adapter_storage);
	int64_t now_s = clock_wall_us(c->app->clock) / 1000000;
	struct wanted w;
	const char *link;

	if (!find_file(c, &w) || !make_link(c, all, &w, now_s, &link) || !note(c, all, &w, now_s))
		return;
	c->status = 302;
	action_header(c, "Location", link);
}

static void download(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_download);
}

/* ---- removal --------------------------------------------------------------------------------------- */

/* The cause is the event that stored it: where it lies is in there. */
static void remove_object(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct object_stores *all = call->state;
	const struct event_object_stored *stored = call->cause->data;
	struct object_call o = {.store = object_stores_find(all, stored->provider, stored->bucket), .http = call->thread,
	    .arena = call->arena, .clock = call->clock, .stopping = call->stopping};
	struct event_object_deleted deleted = {.object_id = stored->object_id, .provider = stored->provider,
	    .bucket = stored->bucket, .key = stored->key, .reason = SLICE("RECORDING_DELETED")};
	int rc;

	(void)n;
	if (o.store == NULL)
		rc = object_fail(&o, ERR_CONFIG, "The storage it lies in is not configured any more.");
	else if (o.http == NULL && o.store->kind->with_http)
		rc = ERR_NOMEM;
	else
		rc = object_remove(&o, stored->key);
	if (rc == 0)
		rc = object_tell(call, EVENT_OBJECT_DELETED, &deleted);
	object_outcome(call, &o, rc);
}

static const struct effect effects[] = {
	{.name = "storage.remove", .lane = &lane, .run = remove_object, .thread_open = vendor_thread_open,
	    .thread_close = vendor_thread_close, .built_in = true},
	{0},
};

/* ---- start and stop ----------------------------------------------------------------------------------- */

static void stop(void *state)
{
	object_stores_close(state);
	free(state);
}

static int start(struct app *app, void **ret_state)
{
	struct object_stores *all = calloc(1, sizeof(*all));
	struct http_client *client; /* makes libcurl ready, before there are threads */
	int rc = all == NULL ? ERR_NOMEM : http_client_create(&client);

	if (rc != 0) {
		free(all);
		return rc;
	}
	http_client_destroy(client);
	spool_clean(app->data_dir);
	rc = object_stores_open(all, app->config, app->data_dir);
	if (rc == 0)
		rc = keyring_secret(app->keyring, "object_link", all->link_key);
	if (rc != 0) {
		stop(all);
		return rc;
	}
	if (all->unready != NULL)
		log_warn("storage", all->unready);
	*ret_state = all;
	return 0;
}

static const char *unready(void *state)
{
	return ((struct object_stores *)state)->unready;
}

/* Nobody is asked here: whether a store that is elsewhere fails is known by its lane. */
static const char *condition(void *state, struct arena *a, bool *ret_ok)
{
	const struct object_stores *all = state;
	struct statvfs fs;
	uint64_t used;

	if (all->current != &all->local)
		return arena_printf(a, "%s at %s", all->current->kind->provider, all->current->host);
	if (statvfs(all->local.dir, &fs) != 0) {
		*ret_ok = errno == ENOENT; /* it is made with the first object */
		return *ret_ok ? "a directory of this machine, empty" : "the directory of objects cannot be looked at";
	}
	used = fs.f_blocks == 0 ? 0 : 100 - (uint64_t)fs.f_bavail * 100 / fs.f_blocks;
	*ret_ok = used <= USED_PERCENT_MAX && access(all->local.dir, W_OK) == 0;
	return arena_printf(a, "a directory of this machine, %" PRIu64 " MiB free, %" PRIu64 " %% used%s",
	    (uint64_t)fs.f_bavail * fs.f_frsize >> 20, used, access(all->local.dir, W_OK) == 0 ? "" : "; it cannot be written");
}

static const struct api_list_doc objects_doc = {"storage_objects", NULL}, files_doc = {"recording_files", "recordingId"};

static const struct route routes[] = {
	{HTTP_GET, "/api/v1/storage/objects", list_objects, "storage:read", .answer = "StoredObjectList", .tag = "storage",
	    .summary = "Objects that are, or were, in the object storage", .extra = &objects_doc},
	{HTTP_GET, "/api/v1/storage/objects/{id}", get_object, "storage:read", .answer = "StoredObject", .tag = "storage",
	    .summary = "One object"},
	{HTTP_GET, "/api/v1/recordings/{id}/files", list_files, "recordings:read", .answer = "RecordingFileList", .tag = "recordings",
	    .summary = "Files of a recording that are kept", .extra = &files_doc},
	{HTTP_GET, "/api/v1/recordings/{id}/files/{fileId}/download", download, "recordings:read", .success = "302",
	    .flags = ROUTE_NO_ETAG, .tag = "recordings", .summary = "A link to a file, good for a few minutes"},
	{HTTP_GET, STORAGE_CONTENT_PATH, storage_serve_content, .flags = ROUTE_PUBLIC | ROUTE_NO_ETAG,
	    .params = &schema_params_storage_content, .tag = "storage", .summary = "A file, for who has a link to it"},
	{0},
};

const struct adapter adapter_storage = {
	.name = "storage",
	.routes = routes,
	.effects = effects,
	.start = start,
	.stop = stop,
	.unready = unready,
	.condition = condition,
};
