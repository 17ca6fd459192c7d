/*
 * The system clock, the one tests move, and times as text. The calendar is our
 * own: the C library's depends on a locale and a time zone.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

#include "base/calendar.h"
#include "base/err.h"

#define US_PER_S 1000000
#define WALL_S_MIN (-62135596800) /* 0001-01-01 */
#define WALL_S_MAX 253402300799   /* 9999-12-31T23:59:59 */

static int64_t read_clock(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

static int64_t system_wall(void *arg)
{
	(void)arg;
	return read_clock(CLOCK_REALTIME);
}

static int64_t system_monotonic(void *arg)
{
	(void)arg;
	return read_clock(CLOCK_MONOTONIC);
}

const struct clock clock_system = {system_wall, system_monotonic, NULL};

static int64_t manual_wall(void *arg)
{
	return atomic_load(&((struct clock_manual *)arg)->wall);
}

static int64_t manual_monotonic(void *arg)
{
	return atomic_load(&((struct clock_manual *)arg)->monotonic);
}

void clock_manual_init(struct clock_manual *m, int64_t wall_us)
{
	m->clock = (struct clock){manual_wall, manual_monotonic, m};
	atomic_init(&m->wall, wall_us);
	atomic_init(&m->monotonic, 0);
}

void clock_manual_advance(struct clock_manual *m, int64_t us)
{
	atomic_fetch_add(&m->wall, us);
	atomic_fetch_add(&m->monotonic, us);
}

void clock_manual_set_wall(struct clock_manual *m, int64_t wall_us)
{
	atomic_store(&m->wall, wall_us);
}

static void put_digits(char *at, uint64_t value, int n)
{
	while (n-- > 0) {
		at[n] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* "2026-11-23T22:39:15", 19 bytes. */
static void put_date_time(char *at, int64_t wall_s)
{
	int64_t days = floor_div(wall_s, S_PER_DAY);
	uint64_t s = floor_mod(wall_s, S_PER_DAY);
	struct civil c = civil_from_days(days);

	put_digits(at, (uint64_t)c.year, 4);
	at[4] = '-';
	put_digits(at + 5, c.month, 2);
	at[7] = '-';
	put_digits(at + 8, c.day, 2);
	at[10] = 'T';
	put_digits(at + 11, s / 3600, 2);
	at[13] = ':';
	put_digits(at + 14, s / 60 % 60, 2);
	at[16] = ':';
	put_digits(at + 17, s % 60, 2);
}

static int64_t clamp_s(int64_t wall_s)
{
	if (wall_s < WALL_S_MIN)
		return WALL_S_MIN;
	return wall_s > WALL_S_MAX ? WALL_S_MAX : wall_s;
}

void time_format_us(char ret_text[TIME_TEXT_LEN + 1], int64_t wall_us)
{
	put_date_time(ret_text, clamp_s(floor_div(wall_us, US_PER_S)));
	ret_text[19] = '.';
	put_digits(ret_text + 20, floor_mod(wall_us, US_PER_S), 6);
	ret_text[26] = 'Z';
	ret_text[27] = '\0';
}

void time_format_ms(char ret_text[TIME_TEXT_MS_LEN + 1], int64_t wall_ms)
{
	put_date_time(ret_text, clamp_s(floor_div(wall_ms, 1000)));
	ret_text[19] = '.';
	put_digits(ret_text + 20, floor_mod(wall_ms, 1000), 3);
	ret_text[23] = 'Z';
	ret_text[24] = '\0';
}

void time_format_http(char ret_text[TIME_TEXT_HTTP_LEN + 1], int64_t wall_s)
{
	static const char days_of_week[] = "ThuFriSatSunMonTueWed"; /* 1970 began on a Thursday */
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char iso[19];
	int64_t days = floor_div(clamp_s(wall_s), S_PER_DAY);
	uint64_t weekday = floor_mod(days, 7); /* from Thursday on */
	struct civil c = civil_from_days(days);

	put_date_time(iso, clamp_s(wall_s));
	memcpy(ret_text, days_of_week + 3 * weekday, 3);
	memcpy(ret_text + 3, ", ", 2);
	memcpy(ret_text + 5, iso + 8, 2);
	ret_text[7] = ' ';
	memcpy(ret_text + 8, months + 3 * (c.month - 1), 3);
	ret_text[11] = ' ';
	memcpy(ret_text + 12, iso, 4);
	ret_text[16] = ' ';
	memcpy(ret_text + 17, iso + 11, 8);
	memcpy(ret_text + 25, " GMT", 5);
}

/* n digits at the front of *text, taken off it. */
static bool take_digits(struct slice *text, int n, int64_t *ret_value)
{
	int64_t value = 0;

	if (text->len < (size_t)n)
		return false;
	for (int i = 0; i < n; i++) {
		if (text->ptr[i] < '0' || text->ptr[i] > '9')
			return false;
		value = value * 10 + (text->ptr[i] - '0');
	}
	text->ptr += n;
	text->len -= (size_t)n;
	*ret_value = value;
	return true;
}

static bool take_char(struct slice *text, char c)
{
	if (text->len == 0 || text->ptr[0] != c)
		return false;
	text->ptr++;
	text->len--;
	return true;
}

static bool take_date(struct slice *text, int64_t *ret_days)
{
	int64_t year, month, day;

	if (!take_digits(text, 4, &year) || !take_char(text, '-') || !take_digits(text, 2, &month) ||
	    !take_char(text, '-') || !take_digits(text, 2, &day))
		return false;
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > (int64_t)civil_month_days(year, (unsigned)month))
		return false;
	*ret_days =
	    days_from_civil((struct civil){year, .month = (unsigned)month, .day = (unsigned)day});
	return true;
}

/* 1 to 9 digits after the point; finer than a microsecond is dropped. */
static bool take_fraction(struct slice *text, int64_t *ret_us)
{
	int64_t us = 0;
	int n = 0;

	*ret_us = 0;
	if (!take_char(text, '.'))
		return true;
	for (; text->len > 0 && text->ptr[0] >= '0' && text->ptr[0] <= '9'; n++) {
		if (n < 6)
			us = us * 10 + (text->ptr[0] - '0');
		text->ptr++;
		text->len--;
	}
	if (n == 0 || n > 9)
		return false;
	for (; n < 6; n++)
		us *= 10;
	*ret_us = us;
	return true;
}

static bool take_offset(struct slice *text, int64_t *ret_offset_s)
{
	int64_t hours, minutes;
	bool west;

	*ret_offset_s = 0;
	if (take_char(text, 'Z') || take_char(text, 'z'))
		return true;
	west = take_char(text, '-');
	if (!west && !take_char(text, '+'))
		return false;
	if (!take_digits(text, 2, &hours) || !take_char(text, ':') ||
	    !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_offset_s = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
	return true;
}

int time_parse_us(struct slice text, int64_t *ret_wall_us)
{
	int64_t days, h, m, s, us, offset_s, wall_s;

	if (!take_date(&text, &days))
		return ERR_MALFORMED;
	if (text.len == 0) {
		*ret_wall_us = days * S_PER_DAY * US_PER_S;
		return 0;
	}
	if (!take_char(&text, 'T') && !take_char(&text, 't'))
		return ERR_MALFORMED;
	if (!take_digits(&text, 2, &h) || !take_char(&text, ':') || !take_digits(&text, 2, &m) ||
	    !take_char(&text, ':') || !take_digits(&text, 2, &s))
		return ERR_MALFORMED;
	/* A leap second reads as the first second after it. */
	if (h > 23 || m > 59 || s > 60)
		return ERR_MALFORMED;
	if (!take_fraction(&text, &us) || !take_offset(&text, &offset_s) || text.len != 0)
		return ERR_MALFORMED;
	wall_s = days * S_PER_DAY + h * 3600 + m * 60 + s - offset_s;
	if (wall_s < WALL_S_MIN || wall_s > WALL_S_MAX)
		return ERR_MALFORMED;
	*ret_wall_us = wall_s * US_PER_S + us;
	return 0;
}
