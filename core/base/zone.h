/*
 * Time zones by their IANA names ("Asia/Shanghai"): how far local time is from UTC
 * at an instant, from the files of the system's zone database (Debian: tzdata).
 *
 * A zone is a row of spans in which the offset is constant. The C library knows
 * the same, but one zone at a time and for the whole process.
 */
#ifndef LULAB_BASE_ZONE_H
#define LULAB_BASE_ZONE_H

#include "slice.h"

#define ZONE_NAME_MAX 64
#define ZONE_DIR "/usr/share/zoneinfo"

struct zone; /* read-only once it is open: any thread */

/*
 * dir: NULL = ZONE_DIR. ERR_NOT_FOUND: there is no such zone, or that is no name of one; ERR_UNAVAILABLE: there is no
 * database; ERR_MALFORMED: its file is damaged, or older than version 2 of RFC 9636; ERR_NOMEM, ERR_IO.
 */
int zone_open(struct zone **ret, const char *dir, struct slice name);
void zone_close(struct zone *z); /* NULL is fine */

/* The bytes of a zone's file, for zone_open() and tests. ERR_MALFORMED, ERR_NOMEM. */
int zone_parse(struct zone **ret, struct slice file);

/* Local time is UTC plus the offset from begin_s on, until just before end_s. */
struct zone_span {
	int64_t begin_s, end_s; /* INT64_MIN, INT64_MAX: for ever */
	int32_t offset_s;
	int32_t offset_before_s; /* of the span that ended; the same where none did */
};
struct zone_span zone_span_at(const struct zone *z, int64_t utc_s);

#endif
