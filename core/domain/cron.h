/*
 * Cron expressions and the instants they name (functional-spec 11.2).
 *
 *     [second] minute hour day month weekday       five fields, or six; without seconds: at second 0
 *
 * A field is a list: `*`, a number, a range `a-b`, each with a step `/n` if need be (`a/n` = from a on). Months and weekdays
 * have names of three letters; Sunday is 0 and 7. Where both day and weekday let only some days pass, either is
 * enough; a field that lets all of them pass restricts nothing, however it is written.
 *
 * Times are of the clocks in a zone. Where these are put forward, a time that is skipped comes as much later as the
 * clocks jumped (02:30 at 03:30). Where they are put back, a time that comes twice counts the first time alone, unless the
 * expression is for every hour: then it counts both times.
 */
#ifndef LULAB_DOMAIN_CRON_H
#define LULAB_DOMAIN_CRON_H

#include "base/slice.h"
#include "base/zone.h"

#define CRON_TEXT_MAX 256

struct cron {
	/* Private: a bit for each number. */
	uint64_t seconds, minutes;
	uint32_t hours, days, months;
	uint8_t weekdays;
};

/* What is wrong with one, for people: "hour", "holds a number that is not from 0 to 23". Static. */
struct cron_problem {
	const char *field, *says, *says_zh;
};

/* ERR_MALFORMED, and what is wrong (may be NULL). */
int cron_parse(struct slice text, struct cron *ret, struct cron_problem *ret_problem);

/* The first instant after `after_s` (seconds since 1970 UTC). ERR_NOT_FOUND: there is none within twelve years, so none ever. */
int cron_next(const struct cron *c, const struct zone *z, int64_t after_s, int64_t *ret_s);

/*
 * The last of the instants from..until, both inclusive: at most max, in ret_s, ascending. *ret_all: these are all there are.
 * How many that is; 0 or more.
 */
size_t cron_last(const struct cron *c, const struct zone *z, int64_t from_s, int64_t until_s, int64_t *ret_s, size_t max,
    bool *ret_all);

#endif
