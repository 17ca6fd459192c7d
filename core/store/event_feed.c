/*
 * The ring and its thread. `lock` guards the ring's bookkeeping and is never
 * held while decoding: a chunk being filled is the thread's alone, a ready one
 * is only read, and one that a reader holds is not filled again.
 */
#include "store/event_feed.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

#include "base/err.h"
#include "base/thread.h"
#include "store/eventlog.h"
#include "store/seal.h"

#define CHUNK_EVENTS 32
#define CHUNK_BYTES ((size_t)128 << 10) /* of entries; after so much a chunk takes no further one */
#define CHUNK_BYTES_MAX ((size_t)8 << 20)
#define AHEAD_DEFAULT 128 /* events; a rebuild, which has rows of thousands to write at once, asks for more */
#define CHUNKS_BEHIND 8 /* the foremost reader, beyond one for each of them */
#define WAIT_MS 200     /* bounds how long a stop takes */

struct feed_chunk {
	uint64_t first;
	unsigned n;
	int rc;           /* why there is nothing behind the n-th */
	uint64_t failure; /* its number, told once to each reader */
	bool ready;
	unsigned holders;
	struct arena arena;
	struct fed_event events[CHUNK_EVENTS];
};

/* Which fields of which types the models bind, as far as it was asked. One thread. */
#define WANTED_SLOTS 512

struct wanted_slot {
	const struct schema_field *field;
	uint16_t type;
	bool yes;
};

struct wanted {
	const struct projection *const *models; /* ends with NULL */
	struct wanted_slot slots[WANTED_SLOTS];
};

struct event_feed {
	struct event_feed_options options;
	struct wanted wanted; /* the thread's */
	uv_thread_t thread;
	bool running;
	uv_mutex_t lock;
	uv_cond_t changed; /* a chunk is ready, a reader has moved, it stops */
	bool stopping;
	bool asked;    /* anybody has read anything yet */
	uint64_t next; /* what the thread decodes next: the ring ends here */
	uint64_t lead; /* the foremost position that was asked for */
	uint64_t n_failures;
	uint64_t n_forgotten; /* times it was told to forget */
	unsigned n_ahead; /* chunks, of the foremost reader */
	unsigned n_chunks;
	struct feed_chunk *chunks;
};

/* What a reader needs to decode for itself. */
struct feed_own {
	struct feed_chunk chunk;
	const struct projection *only[2];
	struct wanted wanted;
};

/* ---- which fields ------------------------------------------------------------ */

/* Whether one path leads to the other or through it: "operator" and "operator.user_name". */
static bool overlaps(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (*a == '\0' && (*b == '\0' || *b == '.')) || (*b == '\0' && *a == '.');
}

static bool statement_binds(const struct projection_statement *s, const char *field)
{
	for (unsigned i = 0; i < s->n_binds; i++)
		if (s->binds[i].source == PROJECTION_FIELD && overlaps(s->binds[i].path, field))
			return true;
	return false;
}

static bool model_binds(const struct projection *model, uint16_t type, const char *field)
{
	const struct projection_handler *h = projection_handler_of(model, type);

	for (unsigned i = 0; h != NULL && i < h->n_statements; i++)
		if (statement_binds(&h->statements[i], field))
			return true;
	return false;
}

/* What the opening of a field needs to know to open only what somebody binds. */
struct opening {
	struct seal_hooks hooks;
	struct wanted *wanted;
	uint16_t type;
};

static bool is_bound(const struct projection *const *models, uint16_t type, const char *field)
{
	for (; *models != NULL; models++)
		if (model_binds(*models, type, field))
			return true;
	return false;
}

/* Opening costs a decryption; fields nobody asks for stay shut, which looks like erased. The answer is always the same
 * for a field of a type, and looking for it in the statements takes long. */
static bool is_wanted(void *arg, const struct schema_field *field)
{
	struct opening *o = arg;
	size_t i = ((uintptr_t)field / sizeof(*field) + (size_t)o->type * 7) % WANTED_SLOTS;
	struct wanted_slot *slot = &o->wanted->slots[i];

	if (slot->field != field || slot->type != o->type)
		*slot = (struct wanted_slot){field, o->type, is_bound(o->wanted->models, o->type, field->path)};
	return slot->yes;
}

static int open_wanted(void *arg, const char *field, struct slice sealed, struct arena *arena, struct slice *ret_json)
{
	struct opening *o = arg;

	return o->hooks.open(o->hooks.arg, field, sealed, arena, ret_json);
}

/* ---- decoding ------------------------------------------------------------------ */

static bool is_handled(const struct projection *const *models, uint16_t type)
{
	for (; *models != NULL; models++)
		if (projection_handler_of(*models, type) != NULL)
			return true;
	return false;
}

/* The entry is copied first: what is decoded points into it and outlives the log's transaction. */
static int decode(struct sealer *sealer, struct seal_memo *memo, struct wanted *wanted,
    const struct log_record *record, struct arena *arena, struct event *ret)
{
	struct slice entry = arena_dup(arena, record->entry);
	struct seal_scope scope = {.sealer = sealer, .memo = memo};
	struct opening opening = {.wanted = wanted, .type = record->type};
	struct seal_hooks hooks = {.open = open_wanted, .wants = is_wanted, .arg = &opening};
	struct envelope envelope = {0};
	int rc = entry.ptr == NULL ? ERR_NOMEM : envelope_decode(entry, record->position, arena, &envelope);

	if (rc != 0)
		return rc;
	if (sealer == NULL)
		return event_decode_data(&envelope, NULL, arena, ret);
	scope.event_id = envelope.id;
	seal_scope_hooks(&opening.hooks, &scope);
	return event_decode_data(&envelope, &hooks, arena, ret);
}

/* Errors of the moment, which must not stay with the event. */
static bool passes(int rc)
{
	return rc == ERR_NOMEM || rc == ERR_IO || rc == ERR_DENIED || rc == ERR_BUSY;
}

/* From c->first up to the end of the log, or as much as one chunk takes. */
static void fill(const struct event_feed *feed, struct feed_chunk *c, struct wanted *wanted)
{
	struct eventlog_cursor cursor;
	struct log_record record;
	struct seal_memo memo = {0};
	size_t bytes = 0;
	int rc = 0;

	/* At the end of the log chunks are small, and the memory of all that were full would be a lot to keep. */
	if (c->n < CHUNK_EVENTS / 4)
		arena_finish(&c->arena);
	else
		arena_reset(&c->arena);
	c->n = 0;
	eventlog_cursor_init(&cursor, feed->options.log, c->first, NULL);
	while (c->n < CHUNK_EVENTS && bytes < CHUNK_BYTES) {
		struct fed_event *e = &c->events[c->n];

		rc = eventlog_cursor_next(&cursor, &record);
		if (rc != 0)
			break;
		*e = (struct fed_event){.position = record.position,
		    .place = LOG_PLACE(feed->options.number, record.position), .time_us = record.time_us, .type = record.type,
		    .stream_version = record.stream_version};
		if (is_handled(wanted->models, record.type)) {
			e->decoded = true;
			e->rc = decode(feed->options.sealer, &memo, wanted, &record, &c->arena, &e->event);
			if (passes(e->rc)) {
				rc = e->rc;
				break;
			}
		}
		bytes += record.entry.len;
		c->n++;
	}
	eventlog_cursor_finish(&cursor);
	crypto_wipe(&memo, sizeof(memo));
	c->rc = rc == ERR_END ? 0 : rc;
}

/* ---- the thread ------------------------------------------------------------------ */

/* With the lock, but for a reader's own. Nobody holds it. */
static void drop(struct feed_chunk *c)
{
	c->ready = false;
	c->n = 0;
	c->rc = 0;
	crypto_wipe(c->events, sizeof(c->events));
	arena_wipe(&c->arena);
}

void event_feed_forget(struct event_feed *feed)
{
	uv_mutex_lock(&feed->lock);
	feed->n_forgotten++;
	for (unsigned i = 0; i < feed->n_chunks; i++) {
		struct feed_chunk *c = &feed->chunks[i];

		if (c->ready && c->holders == 0)
			drop(c);
		c->ready = false; /* one that is held is dropped by the last that lets go of it */
	}
	uv_mutex_unlock(&feed->lock);
}

/* With the lock. The oldest that nobody holds; there are more chunks than readers. */
static struct feed_chunk *oldest(struct event_feed *feed)
{
	struct feed_chunk *found = NULL;

	for (unsigned i = 0; i < feed->n_chunks; i++) {
		struct feed_chunk *c = &feed->chunks[i];

		if (c->holders == 0 && (found == NULL || !c->ready || (found->ready && c->first < found->first)))
			found = c;
	}
	assert(found != NULL);
	return found;
}

/* With the lock. Chunks that lie ready before the foremost reader: counted, as few big events fill one. */
static unsigned count_ahead(const struct event_feed *feed)
{
	unsigned n = 0;

	for (unsigned i = 0; i < feed->n_chunks; i++)
		n += feed->chunks[i].ready && feed->chunks[i].first > feed->lead;
	return n;
}

/*
 * With the lock; waits until there is something to decode that a reader will want soon. False: stop.
 * Ahead of the readers only whole chunks are made: live events come a few at a time, and a ring of
 * chunks with a few each would soon be past the slower readers, who would have to decode for themselves.
 */
static bool wait_for_work(struct event_feed *feed)
{
	uint64_t next;
	int rc;

	while (!feed->stopping) {
		uint64_t size = eventlog_size(feed->options.log);
		bool wanted;

		if (feed->next < feed->lead)
			feed->next = feed->lead; /* nobody else is in between */
		wanted = feed->asked && (feed->next == feed->lead ||
		    (feed->next + CHUNK_EVENTS <= size && count_ahead(feed) < feed->n_ahead));
		if (wanted && feed->next < size)
			return true;
		if (!wanted) {
			uv_cond_wait(&feed->changed, &feed->lock);
			continue;
		}
		next = feed->next;
		uv_mutex_unlock(&feed->lock);
		rc = eventlog_wait(feed->options.log, next, WAIT_MS);
		uv_mutex_lock(&feed->lock);
		if (rc == ERR_CANCELLED && !feed->stopping) /* the log is being closed: so is this, in a moment */
			uv_cond_timedwait(&feed->changed, &feed->lock, (uint64_t)WAIT_MS * 1000000);
	}
	return false;
}

static void run(void *arg)
{
	struct event_feed *feed = arg;

	/* Rows may be late; an append somebody waits for may not. */
	thread_name("event feed");
	if (feed->options.yields)
		thread_yield_to_others(THREAD_MAY_LAG);
	uv_mutex_lock(&feed->lock);
	while (wait_for_work(feed)) {
		struct feed_chunk *c = oldest(feed);
		uint64_t n_forgotten = feed->n_forgotten;

		c->ready = false;
		c->first = feed->next;
		uv_mutex_unlock(&feed->lock);
		fill(feed, c, &feed->wanted);
		uv_mutex_lock(&feed->lock);
		if (n_forgotten != feed->n_forgotten) { /* opened, maybe, with a key that is gone by now */
			drop(c);
			continue;
		}
		c->ready = true;
		feed->next = c->first + c->n;
		if (c->rc != 0) { /* told to whoever asks; tried again when asked again */
			c->failure = ++feed->n_failures;
			feed->asked = false;
		}
		uv_cond_broadcast(&feed->changed);
	}
	uv_mutex_unlock(&feed->lock);
}

int event_feed_open(struct event_feed **ret, const struct event_feed_options *options)
{
	struct event_feed *feed = calloc(1, sizeof(*feed));

	if (feed == NULL)
		return ERR_NOMEM;
	feed->options = *options;
	feed->wanted.models = options->models;
	uv_mutex_init(&feed->lock);
	uv_cond_init(&feed->changed);
	*ret = feed;
	if (options->readers_max == 0)
		return 0;
	feed->n_ahead = (options->ahead == 0 ? AHEAD_DEFAULT : options->ahead) / CHUNK_EVENTS + 1;
	feed->n_chunks = feed->n_ahead + CHUNKS_BEHIND + options->readers_max;
	feed->chunks = calloc(feed->n_chunks, sizeof(*feed->chunks));
	for (unsigned i = 0; feed->chunks != NULL && i < feed->n_chunks; i++)
		feed->chunks[i].arena = (struct arena)ARENA_INIT(CHUNK_BYTES_MAX);
	feed->running = feed->chunks != NULL && uv_thread_create(&feed->thread, run, feed) == 0;
	if (feed->running)
		return 0;
	*ret = NULL;
	event_feed_close(feed);
	return ERR_NOMEM;
}

void event_feed_close(struct event_feed *feed)
{
	if (feed == NULL)
		return;
	uv_mutex_lock(&feed->lock);
	feed->stopping = true;
	uv_cond_broadcast(&feed->changed);
	uv_mutex_unlock(&feed->lock);
	if (feed->running)
		uv_thread_join(&feed->thread);
	for (unsigned i = 0; feed->chunks != NULL && i < feed->n_chunks; i++) {
		assert(feed->chunks[i].holders == 0);
		arena_finish(&feed->chunks[i].arena);
	}
	free(feed->chunks);
	uv_cond_destroy(&feed->changed);
	uv_mutex_destroy(&feed->lock);
	free(feed);
}

/* ---- readers ------------------------------------------------------------------------ */

void feed_reader_init(struct feed_reader *r, struct event_feed *feed, const struct projection *model)
{
	*r = (struct feed_reader){.feed = feed, .model = model};
}

static bool is_own(const struct feed_reader *r)
{
	return r->own != NULL && r->chunk == &r->own->chunk;
}

static void let_go(struct feed_reader *r)
{
	if (r->chunk != NULL && !is_own(r)) {
		uv_mutex_lock(&r->feed->lock);
		if (--r->chunk->holders == 0 && !r->chunk->ready)
			drop(r->chunk);
		uv_mutex_unlock(&r->feed->lock);
	}
	r->chunk = NULL;
}

void feed_reader_pause(struct feed_reader *r)
{
	let_go(r);
	if (r->own != NULL && r->own->chunk.n > 0)
		drop(&r->own->chunk);
}

void feed_reader_finish(struct feed_reader *r)
{
	feed_reader_pause(r);
	if (r->own != NULL)
		arena_finish(&r->own->chunk.arena);
	free(r->own);
	r->own = NULL;
}

static bool holds(const struct feed_chunk *c, uint64_t position)
{
	return position >= c->first && position - c->first < c->n;
}

/* With the lock. The chunk with this position, when it is ready; one that failed there, too, unless the reader knows. */
static struct feed_chunk *find(struct event_feed *feed, uint64_t position, uint64_t told)
{
	for (unsigned i = 0; i < feed->n_chunks; i++) {
		struct feed_chunk *c = &feed->chunks[i];

		if (c->ready && (holds(c, position) || (c->rc != 0 && c->failure > told && position == c->first + c->n)))
			return c;
	}
	return NULL;
}

/* With the lock: tells the thread that this position is wanted. */
static void ask(struct event_feed *feed, uint64_t position)
{
	if (!feed->asked)
		feed->next = position;
	if (feed->asked && position <= feed->lead)
		return;
	feed->asked = true;
	feed->lead = position;
	uv_cond_broadcast(&feed->changed);
}

/* From the ring; waits for what the thread is about to decode. NULL: the ring is past it. */
static struct feed_chunk *take(struct event_feed *feed, uint64_t position, uint64_t told)
{
	struct feed_chunk *c;

	if (!feed->running)
		return NULL;
	uv_mutex_lock(&feed->lock);
	ask(feed, position);
	while ((c = find(feed, position, told)) == NULL && position >= feed->next) {
		uv_cond_wait(&feed->changed, &feed->lock);
		ask(feed, position); /* after a failure the thread waits to be asked again */
	}
	if (c != NULL)
		c->holders++;
	uv_mutex_unlock(&feed->lock);
	return c;
}

static struct feed_chunk *decode_own(struct feed_reader *r, uint64_t position)
{
	if (r->own == NULL) {
		r->own = calloc(1, sizeof(*r->own));
		if (r->own == NULL)
			return NULL;
		r->own->chunk.arena = (struct arena)ARENA_INIT(CHUNK_BYTES_MAX);
		r->own->only[0] = r->model;
		r->own->wanted.models = r->own->only;
	}
	r->own->chunk.first = position;
	fill(r->feed, &r->own->chunk, &r->own->wanted);
	return &r->own->chunk;
}

int feed_reader_at(struct feed_reader *r, uint64_t position, const struct fed_event **ret)
{
	int rc;

	if (r->chunk == NULL || !holds(r->chunk, position)) {
		let_go(r);
		r->chunk = take(r->feed, position, r->told);
		if (r->chunk == NULL)
			r->chunk = decode_own(r, position);
		if (r->chunk == NULL)
			return ERR_NOMEM;
	}
	if (holds(r->chunk, position)) {
		*ret = &r->chunk->events[position - r->chunk->first];
		return 0;
	}
	rc = r->chunk->rc != 0 ? r->chunk->rc : ERR_END;
	if (!is_own(r))
		r->told = r->chunk->failure;
	feed_reader_pause(r);
	return rc;
}
