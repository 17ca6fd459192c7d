/* See object_list.h. */
#include "object_list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "events.gen.h"
#include "store/eventlog.h"

#define KEYS_MAX ((size_t)4 << 30) /* bytes of all keys */
#define EVENT_MAX ((size_t)1 << 20)
#define READ_LEN ((size_t)1 << 18)
#define LOCAL "LOCAL"

/* ---- the fold ------------------------------------------------------------------------------ */

/* The log is verified or our own; a path out of the directory is refused all the same. */
static bool stays_inside(struct slice key)
{
	bool begins = true;

	for (size_t i = 0; i < key.len; i++) {
		if (key.ptr[i] == '\0' || (begins && (key.ptr[i] == '.' || key.ptr[i] == '/')))
			return false;
		begins = key.ptr[i] == '/';
	}
	return key.len > 0 && !begins;
}

static struct listed_object *add(struct object_list *l)
{
	size_t cap = l->cap == 0 ? 256 : 2 * l->cap;
	struct listed_object *more;

	if (l->n == l->cap) {
		more = realloc(l->items, cap * sizeof(*more));
		if (more == NULL)
			return NULL;
		l->items = more;
		l->cap = cap;
	}
	return &l->items[l->n++];
}

static int add_stored(struct object_list *l, const struct event_object_stored *e)
{
	struct listed_object *o = add(l);
	struct slice key = arena_dup(&l->arena, e->key);

	if (o == NULL || key.ptr == NULL)
		return ERR_NOMEM;
	*o = (struct listed_object){.key = key, .size = (uint64_t)e->size, .order = l->n,
	    .is_there = slice_eq(e->provider, l->provider) && (slice_is(e->provider, LOCAL) || slice_eq(e->bucket, l->bucket))};
	snprintf(o->id, sizeof(o->id), "%.*s", SLICE_ARG(e->object_id));
	snprintf(o->sha256, sizeof(o->sha256), "%.*s", SLICE_ARG(e->sha256));
	return o->is_there && slice_is(e->provider, LOCAL) && !stays_inside(key) ? ERR_CORRUPT : 0;
}

static int add_deleted(struct object_list *l, const struct event_object_deleted *e)
{
	struct listed_object *o = add(l);

	if (o == NULL)
		return ERR_NOMEM;
	*o = (struct listed_object){.order = l->n};
	snprintf(o->id, sizeof(o->id), "%.*s", SLICE_ARG(e->object_id));
	return 0;
}

static int add_record(struct object_list *l, const struct log_record *r, struct arena *arena)
{
	struct event event;
	int rc;

	if (r->type != EVENT_OBJECT_STORED && r->type != EVENT_OBJECT_DELETED)
		return 0;
	rc = event_decode(r->entry, r->position, NULL, arena, &event);
	if (rc == 0 && r->type == EVENT_OBJECT_STORED)
		rc = add_stored(l, event.data);
	else if (rc == 0)
		rc = add_deleted(l, event.data);
	arena_reset(arena);
	return rc;
}

/* Walked without its index, which no backup has. */
static int add_log(struct object_list *l, const char *dir, uint64_t from, uint64_t *ret_size)
{
	struct eventlog_options o = {.dir = dir, .clock = &clock_system, .type_number = event_type_number};
	struct arena arena = ARENA_INIT(EVENT_MAX);
	struct eventlog *log = NULL;
	struct eventlog_cursor c = {0};
	struct log_record r;
	int rc = eventlog_open_readonly(&log, &o);

	if (rc == 0) {
		eventlog_cursor_init(&c, log, from, NULL);
		while ((rc = eventlog_cursor_next(&c, &r)) == 0 && (rc = add_record(l, &r, &arena)) == 0)
			continue;
		rc = rc == ERR_END ? 0 : rc;
		*ret_size = eventlog_cursor_position(&c);
	}
	eventlog_cursor_finish(&c);
	eventlog_close(log);
	arena_finish(&arena);
	return rc;
}

/* ---- what it comes to -------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	const struct listed_object *x = a, *y = b;
	int order = strcmp(x->id, y->id);

	return order != 0 ? order : x->order < y->order ? -1 : 1;
}

static int by_key(const void *a, const void *b)
{
	const struct listed_object *x = a, *y = b;

	return slice_cmp(x->key, y->key);
}

static void settle_all(struct object_list *l)
{
	size_t n = 0;

	if (l->n == 0)
		return;
	qsort(l->items, l->n, sizeof(*l->items), by_id);
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].is_there && (i + 1 == l->n || strcmp(l->items[i].id, l->items[i + 1].id) != 0)) {
			l->bytes += l->items[i].size;
			l->items[n++] = l->items[i];
		}
	l->n = n;
	qsort(l->items, l->n, sizeof(*l->items), by_key);
}

int object_list_read(struct object_list *l, const char *dir)
{
	return object_list_read_of(l, dir, SLICE(LOCAL), SLICE(""));
}

int object_list_read_of(struct object_list *l, const char *dir, struct slice provider, struct slice bucket)
{
	char previous[PATH_MAX];
	uint64_t size;
	int rc = 0;

	*l = (struct object_list){.arena = ARENA_INIT(KEYS_MAX), .provider = provider, .bucket = bucket};
	for (unsigned n = 1; rc == 0; n++) {
		if (snprintf(previous, sizeof(previous), "%s/previous/%u", dir, n) >= (int)sizeof(previous))
			return ERR_TOO_BIG;
		if (!file_exists(previous))
			break;
		rc = add_log(l, previous, 0, &size);
	}
	if (rc == 0)
		rc = add_log(l, dir, 0, &l->events);
	if (rc == 0)
		settle_all(l);
	return rc;
}

void object_list_finish(struct object_list *l)
{
	free(l->items);
	arena_finish(&l->arena);
	*l = (struct object_list){.n = 0};
}

struct listed_object *object_list_find(struct object_list *l, struct slice key)
{
	struct listed_object like = {.key = key};

	return l->n == 0 ? NULL : bsearch(&like, l->items, l->n, sizeof(*l->items), by_key);
}

int object_list_settle(struct object_list *l, const char *dir, size_t *ret_missing)
{
	struct object_list later = {.arena = ARENA_INIT(KEYS_MAX), .provider = l->provider, .bucket = l->bucket};
	int rc = add_log(&later, dir, l->events, &later.events);

	*ret_missing = 0;
	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		for (size_t j = 0; l->items[i].is_missing && j < later.n; j++)
			if (strcmp(l->items[i].id, later.items[j].id) == 0 && !later.items[j].is_there)
				l->items[i].is_missing = l->items[i].is_there = false;
		*ret_missing += l->items[i].is_missing;
	}
	object_list_finish(&later);
	return rc;
}

/* ---- a file ---------------------------------------------------------------------------------- */

static int hash_fd(int fd, char *bytes, uint8_t digest[SHA256_LEN], uint64_t *ret_size)
{
	struct sha256_stream *sha256 = NULL;
	int rc = sha256_stream_create(&sha256);
	ssize_t n = 1;

	*ret_size = 0;
	while (rc == 0 && n != 0) {
		n = io_calls->read(fd, bytes, READ_LEN);
		if (n < 0 && errno != EINTR)
			rc = err_from_errno(errno);
		else if (n > 0) {
			sha256_stream_update(sha256, slice_of(bytes, (size_t)n));
			*ret_size += (uint64_t)n;
		}
	}
	if (rc == 0)
		sha256_stream_finish(sha256, digest);
	sha256_stream_destroy(sha256);
	return rc;
}

int object_list_hash(const char *path, char ret_sha256[2 * SHA256_LEN + 1], uint64_t *ret_size)
{
	uint8_t digest[SHA256_LEN];
	char *bytes = malloc(READ_LEN);
	struct stat st;
	int fd, rc;

	if (bytes == NULL)
		return ERR_NOMEM;
	fd = io_calls->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0)
		rc = errno == ENOTDIR || errno == ELOOP ? ERR_NOT_FOUND : err_from_errno(errno);
	else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = ERR_NOT_FOUND;
	else
		rc = hash_fd(fd, bytes, digest, ret_size);
	if (fd >= 0)
		io_calls->close(fd);
	if (rc == 0)
		hex_encode(ret_sha256, digest, SHA256_LEN);
	free(bytes);
	return rc;
}
