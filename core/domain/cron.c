/* See cron.h. */
#include "domain/cron.h"

#include "base/calendar.h"
#include "base/err.h"

#define SEARCH_S (INT64_C(12) * 366 * S_PER_DAY) /* the 29th of February may be eight years away */
#define NONE INT64_MAX

/* ---- the text ------------------------------------------------------------------------- */

struct field {
	const char *name;
	unsigned min, max; /* weekdays: 7 is 0 */
	const char *names; /* three letters each */
	const char *range, *range_zh;
};

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, N_FIELDS };

#define RANGE(text) "holds a number that is not from " text
#define RANGE_ZH(text) "的数字必须在 " text " 之间"

static const struct field fields[N_FIELDS] = {
	{"second", 0, 59, NULL, RANGE("0 to 59"), RANGE_ZH("0 到 59")},
	{"minute", 0, 59, NULL, RANGE("0 to 59"), RANGE_ZH("0 到 59")},
	{"hour", 0, 23, NULL, RANGE("0 to 23"), RANGE_ZH("0 到 23")},
	{"day", 1, 31, NULL, RANGE("1 to 31"), RANGE_ZH("1 到 31")},
	{"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", RANGE("1 to 12, nor a name from JAN to DEC"),
	    RANGE_ZH("1 到 12 或 JAN 到 DEC")},
	{"weekday", 0, 7, "SUNMONTUEWEDTHUFRISAT", RANGE("0 to 7, nor a name from SUN to SAT"),
	    RANGE_ZH("0 到 7 或 SUN 到 SAT")},
};

static bool fail(struct cron_problem *p, const struct field *f, const char *says, const char *says_zh)
{
	*p = (struct cron_problem){f->name, says, says_zh};
	return false;
}

static bool read_number(const struct field *f, struct slice text, unsigned *ret)
{
	uint64_t n;

	if (text.len == 3 && f->names != NULL)
		for (unsigned i = 0; f->names[3 * (size_t)i] != '\0'; i++)
			if (slice_same_nocase(text.ptr, f->names + 3 * (size_t)i, 3)) {
				*ret = f->min + i;
				return true;
			}
	if (slice_to_u64(text, &n) != 0 || n < f->min || n > f->max)
		return false;
	*ret = (unsigned)n;
	return true;
}

static bool read_span(const struct field *f, struct slice text, unsigned *ret_from, unsigned *ret_to, bool *ret_one,
    struct cron_problem *p)
{
	struct slice from, to;
	bool range;

	*ret_from = f->min;
	*ret_to = f == &fields[WEEKDAY] ? 6 : f->max;
	*ret_one = false;
	if (slice_is(text, "*"))
		return true;
	range = slice_cut(text, '-', &from, &to);
	if (!read_number(f, from, ret_from) || (range && !read_number(f, to, ret_to)))
		return fail(p, f, f->range, f->range_zh);
	*ret_one = !range;
	/* Sunday may end a week as well as begin it. */
	if (range && f == &fields[WEEKDAY] && *ret_to == 0 && *ret_from > 0)
		*ret_to = 7;
	if (range && *ret_from > *ret_to)
		return fail(p, f, "holds a range that goes backwards", "的范围前后颠倒");
	return true;
}

static bool read_part(const struct field *f, struct slice text, uint64_t *bits, struct cron_problem *p)
{
	struct slice span, step_text;
	unsigned from, to;
	uint64_t step = 1;
	bool stepped = slice_cut(text, '/', &span, &step_text), one;

	if (!read_span(f, span, &from, &to, &one, p))
		return false;
	if (stepped && (slice_to_u64(step_text, &step) != 0 || step < 1 || step > f->max))
		return fail(p, f, "holds a step that is no number, 0, or longer than the field", "的步长无效");
	if (one)
		to = !stepped ? from : f == &fields[WEEKDAY] && from < 7 ? 6 : f->max;
	for (; from <= to; from += (unsigned)step)
		*bits |= UINT64_C(1) << (f == &fields[WEEKDAY] ? from % 7 : from);
	return true;
}

static bool read_field(const struct field *f, struct slice text, uint64_t *ret, struct cron_problem *p)
{
	bool more = true;

	for (*ret = 0; more;) {
		struct slice part;

		more = slice_cut(text, ',', &part, &text);
		if (part.len == 0)
			return fail(p, f, "holds a list with an empty place", "的列表中有空项");
		if (!read_part(f, part, ret, p))
			return false;
	}
	return true;
}

/* Words between spaces and tabs; more than max of them count as max + 1. */
static size_t split(struct slice text, struct slice *words, size_t max)
{
	size_t n = 0, at = 0;

	for (; at < text.len; at++) {
		size_t from = at;

		while (at < text.len && text.ptr[at] != ' ' && text.ptr[at] != '\t')
			at++;
		if (at == from)
			continue;
		if (n == max)
			return max + 1;
		words[n++] = slice_of(text.ptr + from, at - from);
	}
	return n;
}

int cron_parse(struct slice text, struct cron *ret, struct cron_problem *ret_problem)
{
	static const struct field whole = {.name = "cron"};
	struct slice words[N_FIELDS];
	uint64_t bits[N_FIELDS] = {1};
	struct cron_problem ignored, *p = ret_problem == NULL ? &ignored : ret_problem;
	size_t n = text.len > CRON_TEXT_MAX ? 0 : split(text, words, N_FIELDS);

	if (n != N_FIELDS && n != N_FIELDS - 1) {
		fail(p, &whole, "is five fields (minute hour day month weekday), or six with the second before them",
		    "应为五个字段（分 时 日 月 周），或在前面加秒共六个字段");
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < n; i++)
		if (!read_field(&fields[N_FIELDS - n + i], words[i], &bits[N_FIELDS - n + i], p))
			return ERR_MALFORMED;
	*ret = (struct cron){bits[SECOND], bits[MINUTE], (uint32_t)bits[HOUR], (uint32_t)bits[DAY], (uint32_t)bits[MONTH],
	    (uint8_t)bits[WEEKDAY]};
	return 0;
}

/* ---- local times ---------------------------------------------------------------------------- */

#define ALL_HOURS UINT32_C(0xffffff)
#define ALL_DAYS UINT32_C(0xfffffffe)
#define ALL_WEEKDAYS 0x7f

static bool day_matches(const struct cron *c, struct civil at, int64_t days)
{
	bool any_day = c->days == ALL_DAYS, any_weekday = c->weekdays == ALL_WEEKDAYS;
	bool day = (c->days >> at.day & 1) != 0, weekday = (c->weekdays >> weekday_from_days(days) & 1) != 0;

	return any_day || any_weekday ? day && weekday : day || weekday;
}

/* The first bit from `from` on; 64 when there is none. */
static unsigned first_bit(uint64_t bits, unsigned from)
{
	bits = from > 63 ? 0 : bits >> from << from;
	return bits == 0 ? 64 : (unsigned)__builtin_ctzll(bits);
}

/* The first time of a day from `s` on; NONE. */
static int64_t time_from(const struct cron *c, unsigned s)
{
	unsigned h = first_bit(c->hours, s / 3600), m, sec;

	for (; h < 24; h = first_bit(c->hours, h + 1)) {
		bool same_hour = h == s / 3600;

		m = first_bit(c->minutes, same_hour ? s / 60 % 60 : 0);
		for (; m < 60; m = first_bit(c->minutes, m + 1)) {
			sec = first_bit(c->seconds, same_hour && m == s / 60 % 60 ? s % 60 : 0);
			if (sec < 60)
				return (int64_t)h * 3600 + m * 60 + sec;
		}
	}
	return NONE;
}

/* The first local time from..to, `to` not included; NONE. */
static int64_t local_from(const struct cron *c, int64_t from_s, int64_t to_s)
{
	int64_t days = floor_div(from_s, S_PER_DAY), last = floor_div(to_s - 1, S_PER_DAY), found;
	unsigned s = (unsigned)floor_mod(from_s, S_PER_DAY);

	for (; from_s < to_s && days <= last; s = 0) {
		struct civil at = civil_from_days(days);

		if ((c->months >> at.month & 1) == 0) {
			days += civil_month_days(at.year, at.month) - at.day + 1;
			continue;
		}
		found = day_matches(c, at, days) ? time_from(c, s) : NONE;
		if (found != NONE)
			return days * S_PER_DAY + found < to_s ? days * S_PER_DAY + found : NONE;
		days++;
	}
	return NONE;
}

/* ---- instants --------------------------------------------------------------------------------- */

/* The first instant of a span from `from_s` on, before end_s; NONE. */
static int64_t instant_in(const struct cron *c, const struct zone_span *span, int64_t from_s, int64_t end_s)
{
	int64_t jump = (int64_t)span->offset_s - span->offset_before_s, local, first_s = from_s, at, skipped = NONE;

	if (jump > 0 && from_s < span->begin_s + jump) {
		/* Skipped times, as if the clocks had not jumped yet. */
		local = local_from(c, from_s + span->offset_before_s, span->begin_s + span->offset_s);
		if (local != NONE && local - span->offset_before_s < end_s)
			skipped = local - span->offset_before_s;
	}
	if (jump < 0 && c->hours != ALL_HOURS && first_s < span->begin_s - jump)
		first_s = span->begin_s - jump; /* these times were there before */
	local = local_from(c, first_s + span->offset_s, end_s + span->offset_s);
	at = local == NONE ? NONE : local - span->offset_s;
	return at < skipped ? at : skipped;
}

int cron_next(const struct cron *c, const struct zone *z, int64_t after_s, int64_t *ret_s)
{
	int64_t from_s = after_s + 1, until_s = after_s + SEARCH_S;

	while (from_s < until_s) {
		struct zone_span span = zone_span_at(z, from_s);
		int64_t end_s = span.end_s < until_s ? span.end_s : until_s;
		int64_t found = instant_in(c, &span, from_s, end_s);

		if (found != NONE) {
			*ret_s = found;
			return 0;
		}
		from_s = end_s;
	}
	return ERR_NOT_FOUND;
}

/* Looks back ever farther, twice as far each time, until there are enough. */
size_t cron_last(const struct cron *c, const struct zone *z, int64_t from_s, int64_t until_s, int64_t *ret_s, size_t max,
    bool *ret_all)
{
	size_t n = 0;
	bool whole = from_s > until_s;

	for (int64_t back_s = 1; !whole && n < max; back_s *= 2) {
		int64_t at = until_s - back_s;

		whole = at < from_s;
		at = whole ? from_s - 1 : at;
		for (n = 0; cron_next(c, z, at, &at) == 0 && at <= until_s; n++) {
			if (n >= max)
				memmove(ret_s, ret_s + 1, (max - 1) * sizeof(ret_s[0]));
			ret_s[n < max ? n : max - 1] = at;
		}
	}
	*ret_all = whole && n <= max;
	return n < max ? n : max;
}
