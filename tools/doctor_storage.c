/* The object storage: which it is, whether it answers or has room, and, when asked for, whether every object is as the log says. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "adapters/object_store.h"
#include "base/err.h"
#include "base/io.h"
#include "doctor.h"
#include "net/http_client.h"
#include "object_list.h"

#define GIB (1024.0 * 1024 * 1024)
#define ANSWER_MS 3000
#define FREE_PERCENT_MIN 10

static bool is_local(const struct config *c)
{
	return slice_is(c->storage, "LOCAL");
}

static const char *directory(const struct doctor *d)
{
	const struct config *c = &d->config->values;

	return c->storage_dir.len > 0 ? arena_printf(d->arena, "%.*s", SLICE_ARG(c->storage_dir)) :
	    arena_printf(d->arena, "%s/objects", d->data_dir);
}

/* ---- which, and does it work -------------------------------------------------------------------- */

static void check_directory(struct doctor *d)
{
	const char *dir = directory(d), *found;
	double free_bytes, total;
	struct statvfs vfs;

	if (dir == NULL || (!file_exists(dir) && !file_exists(d->data_dir)))
		return;
	if (!file_exists(dir)) {
		doctor_note(d, "storage", FINDING_OK, arena_printf(d->arena, "%s is made with the first recording", dir), NULL);
		return;
	}
	if (access(dir, R_OK | W_OK | X_OK) != 0) {
		doctor_note(d, "storage", FINDING_BAD, arena_printf(d->arena, "%s cannot be written: %s", dir, err_text(err_from_errno(errno))),
		    "run as the user the service runs as, or give the directory to it");
		return;
	}
	if (statvfs(dir, &vfs) != 0) {
		doctor_note(d, "storage", FINDING_BAD, err_text(err_from_errno(errno)), "look at the file system");
		return;
	}
	free_bytes = (double)vfs.f_bavail * (double)vfs.f_frsize;
	total = (double)vfs.f_blocks * (double)vfs.f_frsize;
	found = arena_printf(d->arena, "%s, %.1f of %.1f GiB free", dir, free_bytes / GIB, total / GIB);
	if (free_bytes < total * FREE_PERCENT_MIN / 100)
		doctor_note(d, "storage", FINDING_WARNING, found, "make room, or keep recordings elsewhere: LULAB_STORAGE");
	else
		doctor_note(d, "storage", FINDING_OK, found, NULL);
}

/* Any answer will do: without a signature none but a refusal can come. */
static void check_endpoint(struct doctor *d)
{
	const struct config *c = &d->config->values;
	struct http_call call = {.timeout_ms = ANSWER_MS};
	struct http_client *client = NULL;
	struct http_result result = {0};
	int rc;

	if (c->storage_endpoint.len == 0 || c->storage_bucket.len == 0 || c->storage_key_id.len == 0 || c->storage_secret.len == 0) {
		doctor_note(d, "storage", FINDING_WARNING,
		    arena_printf(d->arena, "%.*s, and its endpoint, bucket or key is not set: no recording is kept", SLICE_ARG(c->storage)),
		    "set LULAB_STORAGE_ENDPOINT, _BUCKET, _KEY_ID and _SECRET, or LULAB_STORAGE to LOCAL");
		return;
	}
	if (http_client_create(&client) != 0)
		return;
	call.url = arena_printf(d->arena, "%.*s/", SLICE_ARG(c->storage_endpoint));
	call.ca_file = c->storage_ca_file.len > 0 ? arena_printf(d->arena, "%.*s", SLICE_ARG(c->storage_ca_file)) : NULL;
	rc = call.url == NULL ? ERR_NOMEM : http_client_call(client, &call, &result);
	if (rc != 0)
		doctor_note(d, "storage", FINDING_BAD, arena_printf(d->arena, "%.*s at %.*s does not answer: %s%s%s", SLICE_ARG(c->storage),
		    SLICE_ARG(c->storage_endpoint), err_text(rc), result.message[0] == '\0' ? "" : ": ", result.message),
		    "look at LULAB_STORAGE_ENDPOINT and the way there; what could not be stored is tried again");
	else
		doctor_note(d, "storage", FINDING_OK, arena_printf(d->arena, "%.*s: bucket %.*s at %.*s, which answers", SLICE_ARG(c->storage),
		    SLICE_ARG(c->storage_bucket), SLICE_ARG(c->storage_endpoint)), NULL);
	http_result_finish(&result);
	http_client_destroy(client);
}

static void check_storage(struct doctor *d)
{
	if (is_local(&d->config->values))
		check_directory(d);
	else
		check_endpoint(d);
}

/* ---- every object ---------------------------------------------------------------------------------- */

struct survey {
	struct object_list list;
	uint64_t looked_at, missing, damaged, orphans, orphan_bytes;
	const char *first_bad, *first_orphan; /* keys, in the doctor's arena */
	int rc;
};

static void count_one(struct doctor *d, struct survey *s, const struct listed_object *o, bool is_there, bool is_good)
{
	s->looked_at++;
	s->missing += !is_there;
	s->damaged += is_there && !is_good;
	if (!(is_there && is_good) && s->first_bad == NULL)
		s->first_bad = arena_printf(d->arena, "%.*s", SLICE_ARG(o->key));
}

static void look_at_one(struct doctor *d, struct survey *s, const char *dir, const struct listed_object *o)
{
	char path[PATH_MAX], sha256[2 * SHA256_LEN + 1];
	uint64_t size = 0;
	int rc = snprintf(path, sizeof(path), "%s/%.*s", dir, SLICE_ARG(o->key)) < (int)sizeof(path) ?
	    object_list_hash(path, sha256, &size) : ERR_TOO_BIG;

	count_one(d, s, o, rc != ERR_NOT_FOUND, rc == 0 && size == o->size && strcmp(sha256, o->sha256) == 0);
}

/* Names that begin with a point are no objects, but of what is on its way. */
static void find_orphans(struct doctor *d, struct survey *s, const char *root, const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir != NULL && s->rc == 0 && (entry = readdir(dir)) != NULL) {
		char path[PATH_MAX];
		const char *key = path + strlen(root) + 1;
		struct stat st;

		if (entry->d_name[0] == '.' || snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= (int)sizeof(path) ||
		    lstat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			find_orphans(d, s, root, path);
		} else if (object_list_find(&s->list, slice_str(key)) == NULL) {
			s->orphans++;
			s->orphan_bytes += (uint64_t)st.st_size;
			if (s->first_orphan == NULL)
				s->first_orphan = arena_printf(d->arena, "%s", key);
		}
	}
	if (dir != NULL)
		closedir(dir);
	else if (errno != ENOENT)
		s->rc = err_from_errno(errno);
}

static void tell_survey(struct doctor *d, const struct survey *s, bool here)
{
	if (s->missing + s->damaged > 0)
		doctor_note(d, "objects", FINDING_BAD, arena_printf(d->arena, "of %zu that the log names, %" PRIu64 " are missing and %" PRIu64
		    " damaged, the first is %s", s->list.n, s->missing, s->damaged, s->first_bad),
		    here ? "put them back from a backup: its objects/ has them under the same names"
		         : "put them back from the bucket's older versions or its copy; there is none of it here");
	else
		doctor_note(d, "objects", FINDING_OK, arena_printf(d->arena, "%zu, %.1f GiB, each %s", s->list.n,
		    (double)s->list.bytes / GIB, here ? "as it was stored" : "there and as long as it was stored"), NULL);
	if (s->orphans > 0)
		doctor_note(d, "orphans", FINDING_NOTE, arena_printf(d->arena, "the log knows nothing of %" PRIu64 " files (%.1f GiB), the first is %s",
		    s->orphans, (double)s->orphan_bytes / GIB, s->first_orphan),
		    "one that is just being stored is among them until the log has it; what stays so is of no use");
}

/* Their bytes stay where they are: whether each is there, and how long it is. */
static void ask_for_all(struct doctor *d, struct survey *s, const struct object_store *store)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct object_call o = {.store = store, .arena = &arena, .clock = d->clock};
	struct http_client *client = NULL;
	struct object_head head;
	int rc = 0;

	s->rc = object_list_read_of(&s->list, d->data_dir, slice_str(object_store_provider(store)),
	    object_store_bucket(store));
	if (s->rc == 0)
		s->rc = http_client_create(&client);
	o.http = client;
	for (size_t i = 0; s->rc == 0 && i < s->list.n; i++) {
		const struct listed_object *one = &s->list.items[i];

		rc = object_head(&o, one->key, &head);
		if (rc == 0 || rc == ERR_NOT_FOUND)
			count_one(d, s, one, rc == 0, rc == 0 && head.size == one->size);
		else
			s->rc = rc;
		arena_reset(&arena);
	}
	if (s->rc != 0)
		doctor_note(d, "objects", FINDING_BAD, arena_printf(d->arena, "they cannot be looked at: %s; of %zu were %" PRIu64 " looked at, %"
		    PRIu64 " missing, %" PRIu64 " of another length", o.message != NULL ? o.message : err_text(s->rc), s->list.n, s->looked_at,
		    s->missing, s->damaged), NULL);
	else
		tell_survey(d, s, false);
	http_client_destroy(client);
	arena_finish(&arena);
}

static void doctor_objects_elsewhere(struct doctor *d)
{
	struct object_stores *all = NULL;
	const struct object_store *store = NULL;
	struct survey s = {.missing = 0};
	const char *unready = NULL;
	int rc = object_stores_create(&all, &d->config->values, d->data_dir);

	if (rc == 0)
		store = object_stores_current(all, &unready);
	if (store != NULL)
		ask_for_all(d, &s, store);
	else
		doctor_note(d, "objects", FINDING_NOTE, arena_printf(d->arena, "they cannot be looked at: %s", rc != 0 ? err_text(rc) :
		    unready), NULL);
	object_stores_destroy(all);
	object_list_finish(&s.list);
}

void doctor_objects(struct doctor *d)
{
	const char *dir = directory(d);
	struct survey s = {.missing = 0};

	if (!is_local(&d->config->values)) {
		doctor_objects_elsewhere(d);
		return;
	}
	s.rc = dir == NULL ? ERR_NOMEM : object_list_read(&s.list, d->data_dir);
	for (size_t i = 0; s.rc == 0 && i < s.list.n; i++)
		look_at_one(d, &s, dir, &s.list.items[i]);
	if (s.rc == 0)
		find_orphans(d, &s, dir, dir);
	if (s.rc != 0)
		doctor_note(d, "objects", s.rc == ERR_NOT_FOUND ? FINDING_NOTE : FINDING_BAD,
		    arena_printf(d->arena, "they cannot be looked at: %s", err_text(s.rc)), NULL);
	else
		tell_survey(d, &s, true);
	object_list_finish(&s.list);
}

doctor_check *const doctor_storage_checks[] = {check_storage, NULL};
