/*
 * The proleptic Gregorian calendar: days counted from 1970-01-01 and dates,
 * each from the other. No time zone, no locale; any thread.
 */
#ifndef LULAB_BASE_CALENDAR_H
#define LULAB_BASE_CALENDAR_H

#include <stdint.h>

#define S_PER_DAY 86400

struct civil {
	int64_t year;
	unsigned month, day; /* from 1 */
};

struct civil civil_from_days(int64_t days);
int64_t days_from_civil(struct civil c);
unsigned civil_month_days(int64_t year, unsigned month);

/* The quotient towards minus infinity, and the remainder that is then never negative. */
static inline int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static inline uint64_t floor_mod(int64_t a, int64_t b)
{
	return (uint64_t)(a % b + (a % b < 0 ? b : 0));
}

/* 0 = Sunday. 1970 began on a Thursday. */
static inline unsigned weekday_from_days(int64_t days)
{
	return (unsigned)floor_mod(days + 4, 7);
}

#endif
