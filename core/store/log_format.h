/*
 * How the event log lies on disk. All integers little-endian in values,
 * big-endian in keys, so that keys sort by number.
 *
 * DATA/log, an LMDB environment written by one thread. Every commit writes at
 * the right-hand end of these tables and nowhere else:
 *
 *     TABLE    KEY                          VALUE
 *     meta     "format"                     u32, LOG_FORMAT
 *     entries  position (8)                 header (32), entry
 *     blobs    position (8), number (4)     the bytes
 *     tiles    255 - level (1), chunk (8)   up to 16 hashes of 32 bytes
 *     notes    size (8)                     a signed note
 *
 * A Merkle tile is 16 chunks, so that a lone append rewrites 512 bytes and not
 * 8 KiB; level 0 has the greatest keys, so that its chunks are appended.
 *
 * The header of a record is not hashed; all of it follows from the entries:
 *
 *     OFFSET  SIZE  MEANING
 *          0     1  1, the form of this header
 *          1     1  0
 *          2     2  event type, the x-id of its schema
 *          4     2  flags
 *          6     2  where in the entry the 20 digits of `sequence` begin
 *          8     4  version of the stream with this event: 1 for its first
 *         12     2  where the 27 characters of `time` begin
 *         14     2  0
 *         16     8  time, microseconds since 1970
 *         24     8  number of the stream: the position of its first event
 *
 * DATA/index, another environment, a fold of the entries (log_index.h):
 *
 *     meta           "format"                     u32, INDEX_FORMAT
 *                    "state"                      position (8), leaf hash of the record before it (32)
 *                    "carried"                    u32, of how many logs before this one it has the keys
 *                    "once runs"                  64 times: kind (1), level (1), 0 (2), pieces of its filter (4), keys (8),
 *                                                 the runs it is being made of, a bit each (8); see log_once.h
 *     once_00 ...    key (32)                     place (8)
 *     once_filters   run (1), piece (4)           a piece of a run's Bloom filter (4032)
 *     claims         the name                     place (8) of the event that holds it
 *     streams        the name                     number (8), events in it (8)
 *     stream_events  stream number (8), position (8)   -
 *     types          type (2), position (8)       -
 *     type_counts    type (2)                     events of it (8)
 *     subjects       ref (32)                     subject id (16), place (8)
 *
 * A place is a position, or one in a log before this one (eventlog.h).
 */
#ifndef LULAB_STORE_LOG_FORMAT_H
#define LULAB_STORE_LOG_FORMAT_H

#include "base/slice.h"

#define LOG_FORMAT 1u
#define INDEX_FORMAT 3u

#define RECORD_HEADER_LEN 32
#define TILE_CHUNK 16 /* hashes */

struct record_header {
	uint16_t type, flags;
	uint16_t time_at, sequence_at;
	uint32_t stream_version;
	uint64_t stream;
	int64_t time_us;
};

static inline void put_be16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *at, uint32_t v)
{
	put_be16(at, (uint16_t)(v >> 16));
	put_be16(at + 2, (uint16_t)v);
}

static inline void put_be64(uint8_t *at, uint64_t v)
{
	put_be32(at, (uint32_t)(v >> 32));
	put_be32(at + 4, (uint32_t)v);
}

static inline uint64_t get_be64(const void *from)
{
	const uint8_t *at = from;
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | at[i];
	return v;
}

static inline void put_le(uint8_t *at, uint64_t v, int n)
{
	for (int i = 0; i < n; i++)
		at[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t get_le(const void *from, int n)
{
	const uint8_t *at = from;
	uint64_t v = 0;

	for (int i = n - 1; i >= 0; i--)
		v = v << 8 | at[i];
	return v;
}

static inline void record_header_put(uint8_t at[RECORD_HEADER_LEN], const struct record_header *h)
{
	at[0] = 1;
	at[1] = 0;
	put_le(at + 2, h->type, 2);
	put_le(at + 4, h->flags, 2);
	put_le(at + 6, h->sequence_at, 2);
	put_le(at + 8, h->stream_version, 4);
	put_le(at + 12, h->time_at, 2);
	put_le(at + 14, 0, 2);
	put_le(at + 16, (uint64_t)h->time_us, 8);
	put_le(at + 24, h->stream, 8);
}

/* False when it is not one of ours. */
static inline bool record_header_get(struct record_header *ret, const void *from)
{
	const uint8_t *at = from;

	if (at[0] != 1)
		return false;
	ret->type = (uint16_t)get_le(at + 2, 2);
	ret->flags = (uint16_t)get_le(at + 4, 2);
	ret->sequence_at = (uint16_t)get_le(at + 6, 2);
	ret->stream_version = (uint32_t)get_le(at + 8, 4);
	ret->time_at = (uint16_t)get_le(at + 12, 2);
	ret->time_us = (int64_t)get_le(at + 16, 8);
	ret->stream = get_le(at + 24, 8);
	return true;
}

/* Position as the 20 digits of `sequence`. */
static inline void sequence_put(char *at, uint64_t position)
{
	for (int i = 19; i >= 0; i--) {
		at[i] = (char)('0' + position % 10);
		position /= 10;
	}
}

static inline bool sequence_is(const char *at, uint64_t position)
{
	char expected[20];

	sequence_put(expected, position);
	return memcmp(at, expected, sizeof(expected)) == 0;
}

#endif
