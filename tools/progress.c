/*
 * Progress lines. A call costs a comparison unless it is time to draw; the
 * clock is asked every time, which is a few nanoseconds.
 */
#include "progress.h"

#include <string.h>
#include <unistd.h>

enum {
	QUIET_US = 1000000,          /* work shorter than this is not worth a line */
	REDRAW_US = 100000,          /* on a terminal */
	NEXT_LINE_US = 10 * 1000000, /* in a log */
};

void progress_start(struct progress *p, FILE *out, const struct clock *clock, const char *what,
    const char *unit, uint64_t total)
{
	*p = (struct progress){.out = out, .clock = clock, .what = what, .unit = unit, .total = total};
	p->terminal = fileno(out) >= 0 && isatty(fileno(out)) == 1;
	p->started_us = clock_monotonic_us(clock);
	p->next_us = p->started_us + (p->terminal ? QUIET_US : NEXT_LINE_US);
}

/* 3725 s -> "1:02:05"; 65 s -> "1:05" */
static void span_text(char *ret_text, size_t cap, double seconds)
{
	unsigned long long s = seconds < 1e9 ? (unsigned long long)seconds : 999999999;

	if (s >= 3600)
		snprintf(ret_text, cap, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(ret_text, cap, "%llu:%02llu", s / 60, s % 60);
}

static void draw(struct progress *p, int64_t now_us, bool last)
{
	double seconds = (double)(now_us - p->started_us) / 1e6;
	double rate = seconds > 0 ? (double)p->done / seconds : 0;
	char text[160], span[32];
	int len;

	len = snprintf(text, sizeof(text), "%s: %llu", p->what, (unsigned long long)p->done);
	if (p->total > 0)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " of %llu %s, %.0f%%",
		    (unsigned long long)p->total, p->unit, 100.0 * (double)p->done / (double)p->total);
	else
		len += snprintf(text + len, sizeof(text) - (size_t)len, " %s", p->unit);
	len += snprintf(text + len, sizeof(text) - (size_t)len, ", %.0f/s", rate);
	if (last) {
		span_text(span, sizeof(span), seconds);
		snprintf(text + len, sizeof(text) - (size_t)len, ", took %s", span);
	} else if (p->total > p->done && rate > 0) {
		span_text(span, sizeof(span), (double)(p->total - p->done) / rate);
		snprintf(text + len, sizeof(text) - (size_t)len, ", %s left", span);
	}
	fprintf(p->out, p->terminal ? "\r%s\033[K%s" : "%s%s", text, !p->terminal || last ? "\n" : "");
	fflush(p->out);
	p->drawn = true;
}

void progress_set(struct progress *p, uint64_t done)
{
	int64_t now_us = clock_monotonic_us(p->clock);

	p->done = done;
	if (now_us < p->next_us)
		return;
	draw(p, now_us, false);
	p->next_us = now_us + (p->terminal ? REDRAW_US : NEXT_LINE_US);
}

void progress_finish(struct progress *p)
{
	if (p->drawn)
		draw(p, clock_monotonic_us(p->clock), true);
	*p = (struct progress){0};
}
