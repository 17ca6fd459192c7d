/*
 * The program's own log: one JSON object a line on stderr with timestamp,
 * level, message, context, traceId, spanId (functional-spec 16.1), then the
 * fields given. Whoever stops passing an error on logs it, once.
 *
 * Values are written as given: never pass a secret or personal data.
 */
#ifndef LULAB_BASE_LOG_H
#define LULAB_BASE_LOG_H

#include "slice.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Default info; any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* ERR_INVALID for other names than error, warn, info, debug. */
int log_level_parse(struct slice name, enum log_level *ret_level);

/* People at a terminal get one plain line instead of JSON. */
void log_set_plain(bool plain);

/* Where lines go; NULL restores stderr. Called with one whole line, newline included, from any thread. */
void log_set_sink(void (*sink)(void *arg, struct slice line), void *arg);

/* W3C trace context of the calling thread's current work; cleared with NULL. Copied. */
void log_set_trace(const char *trace_id, const char *span_id);

/*
 * Fields are name and text pairs closed by NULL:
 *     log_write(LOG_LEVEL_INFO, "store", "log opened", "dir", dir, NULL);
 */
void log_write(enum log_level level, const char *context, const char *message, ...)
    __attribute__((sentinel));

#define log_error(context, ...) log_write(LOG_LEVEL_ERROR, context, __VA_ARGS__, NULL)
#define log_warn(context, ...) log_write(LOG_LEVEL_WARN, context, __VA_ARGS__, NULL)
#define log_info(context, ...) log_write(LOG_LEVEL_INFO, context, __VA_ARGS__, NULL)
#define log_debug(context, ...) log_write(LOG_LEVEL_DEBUG, context, __VA_ARGS__, NULL)

#endif
