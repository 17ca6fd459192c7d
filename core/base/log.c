/*
 * The program's own log. A line is put together first and written with one call,
 * so that lines of several threads never mix.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"

#define LINE_LEN_MAX ((size_t)64 * 1024)
#define VALUE_LEN_MAX ((size_t)4096)
#define TRACE_ID_LEN 32
#define SPAN_ID_LEN 16

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static atomic_int level_now = LOG_LEVEL_INFO;
static atomic_bool plain_now;

/* Guards the sink, and keeps two lines from interleaving on their way to it. */
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*sink_now)(void *arg, struct slice line);
static void *sink_arg;

static _Thread_local char trace_now[TRACE_ID_LEN + 1];
static _Thread_local char span_now[SPAN_ID_LEN + 1];

void log_set_level(enum log_level level)
{
	atomic_store(&level_now, (int)level);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load(&level_now);
}

int log_level_parse(struct slice name, enum log_level *ret_level)
{
	for (int i = 0; i <= LOG_LEVEL_DEBUG; i++) {
		if (slice_is(name, level_names[i])) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return ERR_INVALID;
}

void log_set_plain(bool plain)
{
	atomic_store(&plain_now, plain);
}

void log_set_sink(void (*sink)(void *arg, struct slice line), void *arg)
{
	pthread_mutex_lock(&sink_lock);
	sink_now = sink;
	sink_arg = arg;
	pthread_mutex_unlock(&sink_lock);
}

void log_set_trace(const char *trace_id, const char *span_id)
{
	snprintf(trace_now, sizeof(trace_now), "%s", trace_id == NULL ? "" : trace_id);
	snprintf(span_now, sizeof(span_now), "%s", span_id == NULL ? "" : span_id);
}

/* At most VALUE_LEN_MAX bytes, cut between characters. */
static struct slice clip(const char *text)
{
	struct slice s = slice_str(text);

	if (s.len > VALUE_LEN_MAX) {
		s.len = VALUE_LEN_MAX;
		while (s.len > 0 && ((uint8_t)s.ptr[s.len] & 0xc0) == 0x80)
			s.len--;
	}
	return s;
}

static void put_json(struct buf *line, enum log_level level, const char *context,
    const char *message, va_list fields)
{
	struct json_writer w = JSON_WRITER(line);
	char timestamp[TIME_TEXT_LEN + 1];
	const char *name;

	time_format_us(timestamp, clock_wall_us(&clock_system));
	json_begin_object(&w);
	json_name(&w, "timestamp");
	json_put_str(&w, timestamp);
	json_name(&w, "level");
	json_put_str(&w, level_names[level]);
	json_name(&w, "message");
	json_put_string(&w, clip(message));
	json_name(&w, "context");
	json_put_string(&w, clip(context));
	if (trace_now[0] != '\0') {
		json_name(&w, "traceId");
		json_put_str(&w, trace_now);
	}
	if (span_now[0] != '\0') {
		json_name(&w, "spanId");
		json_put_str(&w, span_now);
	}
	while ((name = va_arg(fields, const char *)) != NULL) {
		const char *value = va_arg(fields, const char *);

		json_name(&w, name);
		if (value == NULL)
			json_put_null(&w);
		else
			json_put_string(&w, clip(value));
	}
	json_end_object(&w);
}

/* Control characters and broken UTF-8 never reach a terminal. */
static void put_visible(struct buf *line, const char *text)
{
	struct slice s = clip(text == NULL ? "-" : text);

	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_sequence(s.ptr + i, s.len - i);

		if (n == 0 || (uint8_t)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f) {
			buf_printf(line, "\\x%02x", (unsigned)(uint8_t)s.ptr[i]);
			n = 1;
		} else {
			buf_append(line, slice_of(s.ptr + i, n));
		}
		i += n;
	}
}

static void put_plain(struct buf *line, enum log_level level, const char *context,
    const char *message, va_list fields)
{
	char timestamp[TIME_TEXT_MS_LEN + 1];
	const char *name;

	time_format_ms(timestamp, clock_wall_ms(&clock_system));
	buf_printf(line, "%s %-5s ", timestamp, level_names[level]);
	put_visible(line, context);
	buf_append_str(line, ": ");
	put_visible(line, message);
	while ((name = va_arg(fields, const char *)) != NULL) {
		buf_append_char(line, ' ');
		put_visible(line, name);
		buf_append_char(line, '=');
		put_visible(line, va_arg(fields, const char *));
	}
}

static void send_line(struct slice line)
{
	pthread_mutex_lock(&sink_lock);
	if (sink_now != NULL) {
		sink_now(sink_arg, line);
	} else {
		/* Nowhere is left to complain to when stderr is gone. */
		ssize_t n = io_calls->write(STDERR_FILENO, line.ptr, line.len);

		(void)n;
	}
	pthread_mutex_unlock(&sink_lock);
}

void log_write(enum log_level level, const char *context, const char *message, ...)
{
	struct buf line = BUF_INIT(LINE_LEN_MAX);
	va_list fields;

	if ((int)level > atomic_load_explicit(&level_now, memory_order_relaxed))
		return;
	va_start(fields, message);
	if (atomic_load_explicit(&plain_now, memory_order_relaxed))
		put_plain(&line, level, context, message, fields);
	else
		put_json(&line, level, context, message, fields);
	va_end(fields);
	buf_append_char(&line, '\n');
	if (line.rc == 0)
		send_line(buf_slice(&line));
	buf_finish(&line);
}
