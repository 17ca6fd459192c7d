/* See summary_days.h. */
#include "summary_days.h"

#include <stdio.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "base/err.h"

#define DAY_MS 86400000
#define OFFSET_MS (8 * 3600 * (int64_t)1000)

static const struct { const char *name, *zh, *en; } periods[] = {
	[PERIOD_DAILY] = {"DAILY", "本日", "day"},
	[PERIOD_WEEKLY] = {"WEEKLY", "本周", "week"},
	[PERIOD_MONTHLY] = {"MONTHLY", "本月", "month"},
	[PERIOD_QUARTERLY] = {"QUARTERLY", "本季度", "quarter"},
	[PERIOD_YEARLY] = {"YEARLY", "本年", "year"},
};

int period_parse(struct slice name, enum period *ret)
{
	for (unsigned p = PERIOD_DAILY; p <= PERIOD_YEARLY; p++) {
		if (!slice_is(name, periods[p].name))
			continue;
		*ret = (enum period)p;
		return 0;
	}
	return ERR_INVALID;
}

const char *period_name(enum period p)
{
	return periods[p].name;
}

const char *period_word(enum period p, bool english)
{
	return english ? periods[p].en : periods[p].zh;
}

/* The first days, counted from 1970, of the period a day is in and of the one after it. */
static void bounds(enum period p, int64_t day, int64_t *ret_first, int64_t *ret_next)
{
	struct civil c = civil_from_days(day), first = c;
	unsigned months = p == PERIOD_MONTHLY ? 1 : p == PERIOD_QUARTERLY ? 3 : 12;

	if (p == PERIOD_DAILY || p == PERIOD_WEEKLY) {
		*ret_first = p == PERIOD_DAILY ? day : day - (day + 3) % 7; /* that first day was a Thursday */
		*ret_next = *ret_first + (p == PERIOD_DAILY ? 1 : 7);
		return;
	}
	first.day = 1;
	first.month = (c.month - 1) / months * months + 1;
	*ret_first = days_from_civil(first);
	first.month += months;
	if (first.month > 12) {
		first.month -= 12;
		first.year++;
	}
	*ret_next = days_from_civil(first);
}

static void write_day(char ret[PERIOD_DAY_LEN + 1], int64_t day)
{
	char text[TIME_TEXT_MS_LEN + 1];

	time_format_ms(text, day * DAY_MS);
	memcpy(ret, text, PERIOD_DAY_LEN);
	ret[PERIOD_DAY_LEN] = '\0';
}

static struct period_span of_day(enum period p, int64_t day)
{
	struct period_span span;
	int64_t first, next;

	bounds(p, day, &first, &next);
	span.from_ms = first * DAY_MS - OFFSET_MS;
	span.to_ms = next * DAY_MS - OFFSET_MS - 1;
	write_day(span.from, first);
	write_day(span.to, next - 1);
	return span;
}

struct period_span period_around(enum period p, int64_t at_ms)
{
	return of_day(p, (at_ms + OFFSET_MS) / DAY_MS);
}

struct period_span period_before(enum period p, int64_t now_ms)
{
	return period_around(p, period_around(p, now_ms).from_ms - 1);
}

int period_of_day(enum period p, struct slice day, struct period_span *ret)
{
	int64_t us;

	if (day.len != PERIOD_DAY_LEN || time_parse_us(day, &us) != 0 || us < 0)
		return ERR_INVALID;
	*ret = of_day(p, us / 1000 / DAY_MS);
	return 0;
}
