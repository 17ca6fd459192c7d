/* Identifiers we make: 128 bits, as 32 lower-case hex digits or as bytes. */
#ifndef LULAB_BASE_ID_H
#define LULAB_BASE_ID_H

#include "rng.h"
#include "slice.h"

#define ID_LEN 16
#define ID_TEXT_LEN 32

struct id {
	uint8_t bytes[ID_LEN];
};

/* 128 random bits. */
struct id id_random(const struct rng *rng);

/*
 * 48 bits of wall_ms, then 80 random bits (the layout of RFC 9562 UUIDv7
 * without its version bits): such ids sort by age, so indexes over them are
 * written in sequence.
 */
struct id id_ordered(const struct rng *rng, int64_t wall_ms);

void id_format(char ret_text[ID_TEXT_LEN + 1], const struct id *id);

/* Exactly 32 lower-case hex digits, else ERR_MALFORMED. */
int id_parse(struct slice text, struct id *ret_id);

#endif
