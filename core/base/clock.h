/*
 * Time comes in through here and nowhere else, so that a test can move it.
 * Wall time is microseconds since 1970 UTC and may jump; monotonic time only
 * measures spans.
 */
#ifndef LULAB_BASE_CLOCK_H
#define LULAB_BASE_CLOCK_H

#include <stdint.h>

#include "slice.h"

struct clock {
	int64_t (*wall_us)(void *arg);
	int64_t (*monotonic_us)(void *arg);
	void *arg;
};

/* The machine's clock; any thread. */
extern const struct clock clock_system;

/* A clock a test moves by hand. Reads are atomic; setting too. */
struct clock_manual {
	struct clock clock; /* pass &m->clock */
	_Atomic int64_t wall, monotonic;
};
void clock_manual_init(struct clock_manual *m, int64_t wall_us);
void clock_manual_advance(struct clock_manual *m, int64_t us); /* both */
void clock_manual_set_wall(struct clock_manual *m, int64_t wall_us);

static inline int64_t clock_wall_us(const struct clock *c)
{
	return c->wall_us(c->arg);
}

static inline int64_t clock_wall_ms(const struct clock *c)
{
	return c->wall_us(c->arg) / 1000;
}

static inline int64_t clock_monotonic_us(const struct clock *c)
{
	return c->monotonic_us(c->arg);
}

/* RFC 3339 UTC: "2026-11-23T22:39:15.123456Z", always 27 bytes (years 0001-9999), and its NUL. */
#define TIME_TEXT_LEN 27
void time_format_us(char ret_text[TIME_TEXT_LEN + 1], int64_t wall_us);

/* With milliseconds, 24 bytes: "2026-11-23T22:39:15.123Z". */
#define TIME_TEXT_MS_LEN 24
void time_format_ms(char ret_text[TIME_TEXT_MS_LEN + 1], int64_t wall_ms);

/* RFC 3339 with any offset and up to 9 fraction digits, or a bare date (midnight UTC). ERR_MALFORMED. */
int time_parse_us(struct slice text, int64_t *ret_wall_us);

/* IMF-fixdate (RFC 9110 5.6.7): "Mon, 23 Nov 2026 22:39:15 GMT", 29 bytes. */
#define TIME_TEXT_HTTP_LEN 29
void time_format_http(char ret_text[TIME_TEXT_HTTP_LEN + 1], int64_t wall_s);

#endif
