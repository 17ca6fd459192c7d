/*
 * Spans of days that are summed up: days, weeks from Monday, months, quarters and
 * years of Asia/Shanghai, which has been UTC+8 without summer time since 1992. Pure.
 */
#ifndef LULAB_ADAPTERS_SUMMARY_DAYS_H
#define LULAB_ADAPTERS_SUMMARY_DAYS_H

#include "base/slice.h"

enum period { PERIOD_DAILY, PERIOD_WEEKLY, PERIOD_MONTHLY, PERIOD_QUARTERLY, PERIOD_YEARLY };

/* "DAILY", ... ERR_INVALID. */
int period_parse(struct slice name, enum period *ret);
const char *period_name(enum period p);
/* As people call it: "本周", "week". */
const char *period_word(enum period p, bool english);

#define PERIOD_DAY_LEN 10 /* "2026-11-28" */

struct period_span {
	int64_t from_ms, to_ms; /* first and last millisecond */
	char from[PERIOD_DAY_LEN + 1], to[PERIOD_DAY_LEN + 1]; /* first and last day */
};

/* The one an instant is in (1970 to 9999). */
struct period_span period_around(enum period p, int64_t at_ms);
/* The last one that was over at that instant. */
struct period_span period_before(enum period p, int64_t now_ms);
/* The one a day of the calendar is in. ERR_INVALID: it is none. */
int period_of_day(enum period p, struct slice day, struct period_span *ret);

#endif
