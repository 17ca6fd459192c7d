/* See calendar.h. */
#include "base/calendar.h"

/*
 * Years are counted from March, so that the leap day is the last of its year,
 * and eras of 400 years are alike.
 */
struct civil civil_from_days(int64_t days)
{
	int64_t shifted = days + 719468;
	int64_t era = floor_div(shifted, 146097);
	int64_t day_of_era = shifted - era * 146097;
	int64_t year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t march_month = (5 * day_of_year + 2) / 153;
	unsigned month = (unsigned)(march_month < 10 ? march_month + 3 : march_month - 9);

	return (struct civil){
	    .year = year_of_era + era * 400 + (month <= 2),
	    .month = month,
	    .day = (unsigned)(day_of_year - (153 * march_month + 2) / 5 + 1),
	};
}

int64_t days_from_civil(struct civil c)
{
	int64_t year = c.year - (c.month <= 2);
	int64_t era = floor_div(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t march_month = c.month > 2 ? c.month - 3 : c.month + 9;
	int64_t day_of_year = (153 * march_month + 2) / 5 + c.day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

unsigned civil_month_days(int64_t year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}
