/*
 * The ring of recent facts; see log_tail.h.
 *
 * A fact begins at a multiple of 16 and never runs over the ring's end; where
 * the next one would, a filler (kind FILLER) takes the rest. Doubling the ring
 * keeps every offset: what does not cross a multiple of the old size does not
 * cross one of the new.
 */
#include "store/log_tail.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"

#define HEADS ((uint64_t)1 << 17)
#define RING_BYTES_MIN ((uint64_t)1 << 20)
#define FILLER 0xff

struct node {
	uint64_t previous; /* as heads: offset + 1 */
	uint32_t hash;
	uint16_t len; /* of the whole, header and padding included */
	uint8_t kind, key_len;
	uint64_t position;
	uint64_t stream;
	uint32_t version;
	uint16_t type, unused;
	struct id id;
	/* then the key */
};
#define NODE_ALIGN 16
_Static_assert(sizeof(struct node) % 8 == 0, "the key follows at once");
_Static_assert(STREAM_LEN_MAX <= UINT8_MAX && CLAIM_LEN_MAX <= UINT8_MAX, "key_len is a byte");

/* A filler is as short as 16 bytes: what comes before position. */
_Static_assert(offsetof(struct node, position) == NODE_ALIGN, "fillers have no position");

static struct node *node_at(const struct log_tail *t, uint64_t offset)
{
	return (struct node *)(void *)(t->ring + (offset & (t->size - 1)));
}

/* Claims and releases of a name are one history. */
static uint8_t history_of(enum fact_kind kind)
{
	return kind == FACT_RELEASE ? FACT_CLAIM : (uint8_t)kind;
}

static uint32_t hash_of(enum fact_kind kind, struct slice key)
{
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15) * (history_of(kind) + 1u) ^ key.len;
	uint64_t word;

	while (key.len > 0) {
		size_t n = key.len < 8 ? key.len : 8;

		word = 0;
		memcpy(&word, key.ptr, n);
		h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
		key.ptr += n;
		key.len -= n;
	}
	return (uint32_t)(h ^ h >> 29);
}

int log_tail_init(struct log_tail *t)
{
	*t = (struct log_tail){.size = RING_BYTES_MIN};
	t->ring = malloc(t->size);
	t->heads = calloc(HEADS, sizeof(*t->heads));
	if (t->ring == NULL || t->heads == NULL) {
		free(t->ring);
		free(t->heads);
		*t = (struct log_tail){0};
		return ERR_NOMEM;
	}
	pthread_mutex_init(&t->lock, NULL);
	return 0;
}

void log_tail_finish(struct log_tail *t)
{
	if (t->ring == NULL)
		return;
	free(t->ring);
	free(t->heads);
	pthread_mutex_destroy(&t->lock);
	*t = (struct log_tail){0};
}

uint64_t log_tail_mark(struct log_tail *t)
{
	uint64_t end;

	pthread_mutex_lock(&t->lock);
	end = t->end;
	pthread_mutex_unlock(&t->lock);
	return end;
}

/* Twice the ring; every offset stays what it is. */
static int grow(struct log_tail *t)
{
	uint64_t size = t->size * 2;
	uint8_t *ring = malloc(size);

	if (ring == NULL)
		return ERR_NOMEM;
	for (uint64_t at = t->begin; at < t->end;) {
		uint64_t n = t->size - (at & (t->size - 1)); /* up to where the old ring wraps */

		if (n > t->end - at)
			n = t->end - at;
		memcpy(ring + (at & (size - 1)), t->ring + (at & (t->size - 1)), n);
		at += n;
	}
	free(t->ring);
	t->ring = ring;
	t->size = size;
	return 0;
}

/* Room for len bytes in one piece at the end, a filler before it where needed. */
static int make_room(struct log_tail *t, uint64_t len)
{
	for (;;) {
		uint64_t rest = t->size - (t->end & (t->size - 1));
		uint64_t need = rest < len ? rest + len : len;
		int rc;

		if (t->end - t->begin + need <= t->size) {
			if (rest < len) {
				struct node *filler = node_at(t, t->end);

				filler->kind = FILLER;
				filler->len = (uint16_t)rest;
				t->end += rest;
			}
			return 0;
		}
		rc = grow(t);
		if (rc != 0)
			return rc;
	}
}

/* The first fact at or behind an offset. */
static uint64_t skip_filler(const struct log_tail *t, uint64_t at)
{
	if (at < t->end && node_at(t, at)->kind == FILLER)
		return at + node_at(t, at)->len;
	return at;
}

int log_tail_add(struct log_tail *t, const struct log_fact *fact)
{
	uint64_t len = (sizeof(struct node) + fact->key.len + NODE_ALIGN - 1) & ~(uint64_t)(NODE_ALIGN - 1);
	uint32_t hash = hash_of(fact->kind, fact->key);
	uint64_t *head = &t->heads[hash & (HEADS - 1)];
	struct node *node;
	int rc;

	assert(fact->key.len <= UINT8_MAX);
	pthread_mutex_lock(&t->lock);
	rc = make_room(t, len);
	if (rc == 0) {
		node = node_at(t, t->end);
		*node = (struct node){
		    .previous = *head,
		    .hash = hash,
		    .len = (uint16_t)len,
		    .kind = (uint8_t)fact->kind,
		    .key_len = (uint8_t)fact->key.len,
		    .position = fact->position,
		    .stream = fact->stream,
		    .version = fact->version,
		    .type = fact->type,
		    .id = fact->id,
		};
		memcpy(node + 1, fact->key.ptr, fact->key.len);
		*head = t->end + 1;
		t->end += len;
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void log_tail_undo(struct log_tail *t, uint64_t mark)
{
	pthread_mutex_lock(&t->lock);
	assert(mark >= t->committed && mark <= t->end);
	/* Oldest first, so that a head ends up at what it was before the first of them. A node's
	 * bucket then points before the mark or, by a later node, is set there again. */
	for (uint64_t at = skip_filler(t, mark); at < t->end;) {
		struct node *node = node_at(t, at);
		uint64_t *head = &t->heads[node->hash & (HEADS - 1)];

		if (*head > mark && node->previous <= mark)
			*head = node->previous;
		at = skip_filler(t, at + node->len);
	}
	t->end = mark;
	pthread_mutex_unlock(&t->lock);
}

void log_tail_commit(struct log_tail *t)
{
	pthread_mutex_lock(&t->lock);
	t->committed = t->end;
	pthread_mutex_unlock(&t->lock);
}

void log_tail_drop(struct log_tail *t, uint64_t position)
{
	uint64_t at;

	pthread_mutex_lock(&t->lock);
	at = t->begin;
	while (at < t->committed) {
		uint64_t next = skip_filler(t, at);
		struct node *node;

		if (next >= t->committed) {
			at = t->committed;
			break;
		}
		node = node_at(t, next);
		if (node->position >= position)
			break;
		at = next + node->len;
	}
	t->begin = at < t->committed ? at : t->committed;
	pthread_mutex_unlock(&t->lock);
}

static void fact_of(struct log_fact *ret, const struct node *node)
{
	*ret = (struct log_fact){
	    .kind = (enum fact_kind)node->kind,
	    .position = node->position,
	    .key = slice_of(node + 1, node->key_len),
	    .type = node->type,
	    .stream = node->stream,
	    .version = node->version,
	    .id = node->id,
	};
}

bool log_tail_find(struct log_tail *t, enum fact_kind kind, struct slice key, bool all, struct log_fact *ret)
{
	uint32_t hash = hash_of(kind, key);
	uint64_t limit, at;
	bool found = false;

	if (key.len > UINT8_MAX)
		return false;
	pthread_mutex_lock(&t->lock);
	limit = all ? t->end : t->committed;
	for (at = t->heads[hash & (HEADS - 1)]; at > t->begin; at = node_at(t, at - 1)->previous) {
		struct node *node = node_at(t, at - 1);

		if (at - 1 < limit && node->hash == hash && history_of((enum fact_kind)node->kind) == history_of(kind) &&
		    slice_eq(slice_of(node + 1, node->key_len), key)) {
			fact_of(ret, node);
			ret->key = key;
			found = true;
			break;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

size_t log_tail_copy(struct log_tail *t, uint64_t *at, uint8_t *buf, size_t buf_len)
{
	size_t n = 0;

	assert(buf_len >= TAIL_COPY_MIN);
	pthread_mutex_lock(&t->lock);
	if (*at < t->begin)
		*at = t->begin;
	while (*at < t->committed) {
		uint64_t next = skip_filler(t, *at);
		struct node *node;

		if (next >= t->committed) {
			*at = t->committed;
			break;
		}
		node = node_at(t, next);
		if (n + node->len > buf_len)
			break;
		memcpy(buf + n, node, node->len);
		n += node->len;
		*at = next + node->len;
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}

bool log_tail_take(const uint8_t **at, size_t *left, struct log_fact *ret)
{
	const struct node *node = (const struct node *)(const void *)*at;

	if (*left == 0)
		return false;
	assert(node->len <= *left);
	fact_of(ret, node);
	*at += node->len;
	*left -= node->len;
	return true;
}

uint64_t log_tail_bytes(struct log_tail *t)
{
	uint64_t bytes;

	pthread_mutex_lock(&t->lock);
	bytes = t->size + HEADS * sizeof(*t->heads);
	pthread_mutex_unlock(&t->lock);
	return bytes;
}
