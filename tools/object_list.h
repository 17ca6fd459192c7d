/*
 * Which objects the log says lie in an object store (schemas/events/object.stored.json): a fold of its events, with those
 * of the logs before it, for whoever copies or counts them without a service.
 */
#ifndef LULAB_TOOLS_OBJECT_LIST_H
#define LULAB_TOOLS_OBJECT_LIST_H

#include "base/arena.h"
#include "base/slice.h"
#include "crypto/crypto.h"
#include "domain/event.h"

struct listed_object {
	char id[ID_TEXT_LEN + 1];
	char sha256[2 * SHA256_LEN + 1];
	struct slice key; /* of the local store: its path in the directory, which it never leaves */
	uint64_t size;
	uint64_t order;   /* of the event that says so last */
	bool is_there;    /* stored, and not removed since */
	bool is_missing;  /* for the caller */
};

/* Those that are there, by their keys. Zero it. */
struct object_list {
	struct listed_object *items;
	size_t n, cap;
	uint64_t bytes; /* of all of them */
	uint64_t events; /* of the log itself: whoever looks again begins here */
	struct slice provider, bucket; /* the store's; borrowed */
	struct arena arena;
};

/* Those of the local store. dir: a data directory or what is laid out like one. ERR_NOMEM, or of the log. object_list_finish() in any case. */
int object_list_read(struct object_list *l, const char *dir);
/* Those of any store; provider and bucket as events have them, which must live as long as the list. */
int object_list_read_of(struct object_list *l, const char *dir, struct slice provider, struct slice bucket);
void object_list_finish(struct object_list *l);
/* By its key, or NULL. */
struct listed_object *object_list_find(struct object_list *l, struct slice key);

/* Of those marked as missing: the ones that the log in dir has removed, from `events` on, lose the mark and are is_there no more. Gives how many stay. */
int object_list_settle(struct object_list *l, const char *dir, size_t *ret_missing);

/* The whole file as hex, and its size. ERR_NOT_FOUND also for what is no file. */
int object_list_hash(const char *path, char ret_sha256[2 * SHA256_LEN + 1], uint64_t *ret_size);

#endif
