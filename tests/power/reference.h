/*
 * What must be found again: the events of the run as they were when it ended
 * well, and at which operation of the trace each was owed to somebody.
 */
#ifndef LULAB_TESTS_POWER_REFERENCE_H
#define LULAB_TESTS_POWER_REFERENCE_H

#include "parts.h"
#include "service.h"

#define KEYS_OF_EVENT_MAX 16

struct known_event {
	struct slice entry, blob; /* blob: NULL when it has none */
	uint8_t once[ONCE_KEY_LEN];
	bool has_once;
	struct slice stream;
	uint64_t version; /* of its stream, with this event */
	unsigned n_keys;  /* that fields of it were sealed with */
	struct {
		struct id id;
		uint8_t ref[SUBJECT_REF_LEN];
		bool has_ref;
		uint8_t key[KEYRING_KEY_LEN];
	} keys[KEYS_OF_EVENT_MAX];
};

struct known_note {
	uint64_t size;
	struct slice bytes;
};

struct reference {
	uint64_t size;
	struct known_event *events;
	struct merkle_hash *roots; /* of the first n events; size + 1 of them */
	struct known_note *notes;
	size_t n_notes;
	char origin[LOG_ORIGIN_MAX + 1];
	struct note_key key; /* the log's */
	struct buf token;
	uint8_t (*digests[MODELS_MAX])[SHA256_LEN]; /* of each read model at each position */
	unsigned n_models;
	uint64_t *owed; /* events that must be there once operation n of the trace is done */
	uint32_t first_answer; /* operation */
	uint64_t acknowledged;
};

/*
 * Plays the whole trace into `dir` (made, empty), opens what is there, and reads it all. sent_dir has one file
 * per webhook, named by its request id: its body, which must be what was recorded. data_dir, which the run left behind,
 * must be equal to what the trace says, file by file. False after a message on stderr.
 */
bool reference_load(struct reference *r, const char *trace_path, const char *sent_dir, const char *data_dir, const char *dir);

#endif
