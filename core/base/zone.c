/*
 * Reads TZif files (RFC 9636). Version 2 holds everything twice; the first part,
 * of 32-bit times, is passed over:
 *
 *     header (44 bytes: "TZif", version, 15 unused, six counts) and data, old
 *     header and data: times (8 bytes each), types of them (1), types (offset 4, dst 1, name 1), names, leaps (12), flags
 *     "\n" RULE "\n"    what goes on after the last of the times: "EST5EDT,M3.2.0,M11.1.0"
 *
 * A rule tells two changes a year. Changes that leave the offset as it is are dropped.
 */
#include "base/zone.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/calendar.h"
#include "base/err.h"
#include "base/io.h"

#define FILE_MAX 262144
#define HEADER_LEN 44
#define OFFSET_MAX_S (26 * 3600)
#define RULE_HOURS_MAX 167

struct change {
	int64_t at_s;
	int32_t offset_s; /* from then on */
};

/* When in a year: the n-th weekday of a month (5 = the last), or a day counted. */
struct rule_day {
	enum { BY_WEEKDAY, BY_DAY, BY_DAY_NO_LEAP } form;
	unsigned month, nth, weekday; /* BY_WEEKDAY */
	unsigned day;                 /* BY_DAY: from 0; BY_DAY_NO_LEAP: from 1, without the 29th of February */
	int32_t time_s;               /* of the clock as it was */
};

struct rule {
	int32_t standard_s, summer_s;
	bool has_summer;
	struct rule_day start, end; /* of summer */
};

struct zone {
	int32_t first_s; /* before all changes */
	struct change *changes;
	size_t n;
	struct rule rule;
	bool has_rule;
};

/* ---- the rule at the end ----------------------------------------------------------- */

static bool take_char(struct slice *s, char c)
{
	if (s->len == 0 || s->ptr[0] != c)
		return false;
	s->ptr++;
	s->len--;
	return true;
}

static bool take_number(struct slice *s, unsigned max, unsigned *ret)
{
	unsigned n = 0, digits = 0;

	for (; s->len > 0 && s->ptr[0] >= '0' && s->ptr[0] <= '9' && digits < 4; digits++) {
		n = n * 10 + (unsigned)(s->ptr[0] - '0');
		s->ptr++;
		s->len--;
	}
	*ret = n;
	return digits > 0 && n <= max;
}

/* "CST" or "<+08>". */
static bool take_name(struct slice *s)
{
	bool quoted = take_char(s, '<');
	size_t n = 0;

	for (; s->len > 0; s->ptr++, s->len--, n++) {
		char c = s->ptr[0];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-')))
			break;
	}
	return n >= 3 && (!quoted || take_char(s, '>'));
}

/* [+-]h[:mm[:ss]] */
static bool take_time(struct slice *s, int32_t *ret_s)
{
	unsigned h, m = 0, sec = 0;
	bool minus = take_char(s, '-');

	if (!minus)
		take_char(s, '+');
	if (!take_number(s, RULE_HOURS_MAX, &h))
		return false;
	if (take_char(s, ':') && (!take_number(s, 59, &m) || (take_char(s, ':') && !take_number(s, 59, &sec))))
		return false;
	*ret_s = (int32_t)(h * 3600 + m * 60 + sec) * (minus ? -1 : 1);
	return true;
}

static bool take_day(struct slice *s, struct rule_day *ret)
{
	*ret = (struct rule_day){.time_s = 2 * 3600};
	if (!take_char(s, ','))
		return false;
	if (take_char(s, 'M')) {
		ret->form = BY_WEEKDAY;
		if (!take_number(s, 12, &ret->month) || ret->month < 1 || !take_char(s, '.') ||
		    !take_number(s, 5, &ret->nth) || ret->nth < 1 || !take_char(s, '.') || !take_number(s, 6, &ret->weekday))
			return false;
	} else {
		ret->form = take_char(s, 'J') ? BY_DAY_NO_LEAP : BY_DAY;
		if (!take_number(s, 365, &ret->day) || (ret->form == BY_DAY_NO_LEAP && ret->day < 1))
			return false;
	}
	return !take_char(s, '/') || take_time(s, &ret->time_s);
}

/* Offsets are told the other way round there: west is positive. */
static bool parse_rule(struct slice s, struct rule *ret)
{
	*ret = (struct rule){0};
	if (!take_name(&s) || !take_time(&s, &ret->standard_s))
		return false;
	ret->standard_s = -ret->standard_s;
	if (s.len == 0)
		return true;
	ret->has_summer = true;
	ret->summer_s = ret->standard_s + 3600;
	if (!take_name(&s))
		return false;
	if (s.len > 0 && s.ptr[0] != ',') {
		if (!take_time(&s, &ret->summer_s))
			return false;
		ret->summer_s = -ret->summer_s;
	}
	return take_day(&s, &ret->start) && take_day(&s, &ret->end) && s.len == 0;
}

static int64_t day_in_year(const struct rule_day *r, int64_t year)
{
	struct civil at = {year, 1, 1};
	int64_t days, first;
	unsigned day;

	if (r->form != BY_WEEKDAY) {
		days = days_from_civil(at) + r->day;
		if (r->form == BY_DAY_NO_LEAP)
			days += (r->day >= 60 && civil_month_days(year, 2) == 29) - 1;
		return days;
	}
	at.month = r->month;
	first = days_from_civil(at);
	day = (r->weekday + 7 - weekday_from_days(first)) % 7 + 7 * (r->nth - 1);
	return first + day - (day >= civil_month_days(year, r->month) ? 7 : 0);
}

/* The two changes of a year, the earlier one first. */
static void changes_of(const struct rule *r, int64_t year, struct change ret[2])
{
	struct change start = {day_in_year(&r->start, year) * S_PER_DAY + r->start.time_s - r->standard_s, r->summer_s};
	struct change end = {day_in_year(&r->end, year) * S_PER_DAY + r->end.time_s - r->summer_s, r->standard_s};
	bool in_order = start.at_s <= end.at_s;

	ret[0] = in_order ? start : end;
	ret[1] = in_order ? end : start;
}

/* ---- the file ------------------------------------------------------------------------ */

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t get64(const unsigned char *p)
{
	return (int64_t)((uint64_t)get32(p) << 32 | get32(p + 4));
}

struct header {
	uint64_t n_ut, n_std, n_leaps, n_times, n_types, n_chars;
};

static bool take_header(struct slice *s, struct header *ret)
{
	const unsigned char *p = (const unsigned char *)s->ptr;

	if (s->len < HEADER_LEN || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return false;
	*ret = (struct header){get32(p + 20), get32(p + 24), get32(p + 28), get32(p + 32), get32(p + 36), get32(p + 40)};
	s->ptr += HEADER_LEN;
	s->len -= HEADER_LEN;
	return true;
}

static uint64_t data_len(const struct header *h, unsigned time_len)
{
	return h->n_times * (time_len + 1) + h->n_types * 6 + h->n_chars + h->n_leaps * (time_len + 4) + h->n_std + h->n_ut;
}

/* Drops what changes nothing. */
static int keep_changes(struct zone *z, const unsigned char *p, const struct header *h)
{
	const unsigned char *of = p + h->n_times * 8, *types = of + h->n_times;
	int32_t last_s = (int32_t)get32(types);

	z->first_s = last_s;
	z->changes = calloc(h->n_times + 1, sizeof(z->changes[0]));
	if (z->changes == NULL)
		return ERR_NOMEM;
	for (uint64_t i = 0; i < h->n_times; i++) {
		struct change change = {.at_s = get64(p + i * 8)};

		if (of[i] >= h->n_types || (i > 0 && change.at_s <= get64(p + (i - 1) * 8)))
			return ERR_MALFORMED;
		change.offset_s = (int32_t)get32(types + 6 * (size_t)of[i]);
		if (change.offset_s > OFFSET_MAX_S || change.offset_s < -OFFSET_MAX_S)
			return ERR_MALFORMED;
		if (change.offset_s != last_s)
			z->changes[z->n++] = change;
		last_s = change.offset_s;
	}
	return 0;
}

static int parse(struct zone *z, struct slice s)
{
	struct header h;
	int rc;

	if (!take_header(&s, &h) || data_len(&h, 4) > s.len)
		return ERR_MALFORMED;
	s = slice_of(s.ptr + data_len(&h, 4), s.len - data_len(&h, 4));
	/* Leap seconds are of clocks that count them, and ours does not. */
	if (!take_header(&s, &h) || h.n_types == 0 || h.n_leaps != 0 || data_len(&h, 8) > s.len)
		return ERR_MALFORMED;
	rc = keep_changes(z, (const unsigned char *)s.ptr, &h);
	if (rc != 0)
		return rc;
	s = slice_of(s.ptr + data_len(&h, 8), s.len - data_len(&h, 8));
	if (!take_char(&s, '\n') || !slice_cut(s, '\n', &s, &(struct slice){0}))
		return ERR_MALFORMED;
	z->has_rule = s.len > 0;
	return !z->has_rule || parse_rule(s, &z->rule) ? 0 : ERR_MALFORMED;
}

int zone_parse(struct zone **ret, struct slice file)
{
	struct zone *z = calloc(1, sizeof(*z));
	int rc = z == NULL ? ERR_NOMEM : parse(z, file);

	if (rc != 0) {
		zone_close(z);
		return rc;
	}
	*ret = z;
	return 0;
}

void zone_close(struct zone *z)
{
	if (z == NULL)
		return;
	free(z->changes);
	free(z);
}

/* ---- by name ----------------------------------------------------------------------------- */

/* "America/Argentina/Ushuaia": words that begin with a capital, so that no path leads elsewhere, nor to posix/ and right/. */
static bool is_name(struct slice name)
{
	bool begins = true;

	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool capital = c >= 'A' && c <= 'Z';

		if (begins && !capital)
			return false;
		if (!capital && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && strchr("_+-/", c) == NULL)
			return false;
		begins = c == '/';
	}
	return name.len > 0 && name.len <= ZONE_NAME_MAX && !begins;
}

int zone_open(struct zone **ret, const char *dir, struct slice name)
{
	struct buf path = BUF_INIT(4096), file = BUF_INIT(FILE_MAX);
	const char *from = dir == NULL ? ZONE_DIR : dir;
	struct stat info;
	int rc = is_name(name) ? buf_printf(&path, "%s/%.*s", from, SLICE_ARG(name)) : ERR_NOT_FOUND;

	if (rc == 0)
		rc = stat(path.ptr, &info) == 0 && S_ISDIR(info.st_mode) ? ERR_NOT_FOUND : file_read(&file, path.ptr);
	if (rc == 0)
		rc = zone_parse(ret, buf_slice(&file));
	if (rc == ERR_NOT_FOUND && path.len > 0) { /* the name, or all of them? */
		buf_clear(&path);
		buf_clear(&file);
		if (buf_printf(&path, "%s/%s", from, "UTC") != 0 || file_read(&file, path.ptr) == ERR_NOT_FOUND)
			rc = ERR_UNAVAILABLE;
	}
	buf_finish(&path);
	buf_finish(&file);
	return rc;
}

/* ---- the span at an instant --------------------------------------------------------------- */

static void enter(struct zone_span *s, const struct change *c)
{
	if (c->offset_s == s->offset_s)
		return;
	s->begin_s = c->at_s;
	s->offset_before_s = s->offset_s;
	s->offset_s = c->offset_s;
}

/* True: the change ends the span, and what follows does not matter. */
static bool pass(struct zone_span *s, const struct change *c, int64_t utc_s)
{
	if (c->at_s <= utc_s) {
		enter(s, c);
		return false;
	}
	if (c->offset_s == s->offset_s)
		return false;
	s->end_s = c->at_s;
	return true;
}

/* Walks the rule's changes of the years around, those that come after the file's. */
static void go_on_by_rule(const struct zone *z, struct zone_span *s, int64_t utc_s)
{
	int64_t from_s = z->n == 0 ? INT64_MIN : z->changes[z->n - 1].at_s;
	int64_t year = civil_from_days(floor_div(utc_s, S_PER_DAY)).year;
	struct change two[2];

	for (int64_t y = year - 2; y <= year + 2; y++) {
		changes_of(&z->rule, y, two);
		for (int i = 0; i < 2; i++)
			if (two[i].at_s > from_s && pass(s, &two[i], utc_s))
				return;
	}
}

struct zone_span zone_span_at(const struct zone *z, int64_t utc_s)
{
	struct zone_span s = {INT64_MIN, INT64_MAX, z->first_s, z->first_s};
	size_t low = 0, high = z->n; /* how many changes came by then */

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (z->changes[middle].at_s <= utc_s)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0) {
		s.offset_s = low > 1 ? z->changes[low - 2].offset_s : z->first_s;
		enter(&s, &z->changes[low - 1]);
	}
	if (low < z->n)
		s.end_s = z->changes[low].at_s;
	else if (z->has_rule && z->rule.has_summer)
		go_on_by_rule(z, &s, utc_s);
	return s;
}
