/* lulab log tail and show: events as they are in the log. */
#include <stdio.h>
#include <stdlib.h>

#include "domain/event.h"
#include "log_commands.h"
#include "table.h"

#define FOLLOW_MS 500
#define ARENA_MAX ((size_t)1 << 20)

/* ---- tail ------------------------------------------------------------------ */

struct tail {
	struct invocation *in;
	struct eventlog *log;
	struct log_filter filter;
	bool json;
	uint64_t next;       /* where following goes on */
	uint64_t *positions; /* of what will be shown, when there is a filter */
	size_t n, cap;
};

static const struct table_column columns[] = {
    {"POSITION", "position", TABLE_NUMBER},
    {"TIME", "time", TABLE_TIME},
    {"TYPE", "type", TABLE_TEXT},
    {"STREAM", "stream", TABLE_TEXT},
    {"VERSION", "version", TABLE_NUMBER},
    {"SIZE", "size", TABLE_BYTES},
    {0},
};

/* A line of its own is the entry itself, so that jq and sha256sum see what was hashed. */
static int print_entry(const struct log_record *r)
{
	return fwrite(r->entry.ptr, 1, r->entry.len, stdout) == r->entry.len && putchar('\n') != EOF ? 0 : ERR_IO;
}

static int envelope_of(const struct log_record *r, struct arena *arena, struct envelope *ret)
{
	return envelope_decode(r->entry, r->position, arena, ret);
}

static int put_row(struct table *t, const struct log_record *r)
{
	struct arena arena = ARENA_INIT(ARENA_MAX);
	struct envelope e;
	int rc = envelope_of(r, &arena, &e);

	if (rc == 0) {
		table_put_u64(t, r->position);
		table_put_time(t, r->time_us);
		table_put(t, e.type);
		table_put(t, e.subject);
		table_put_u64(t, r->stream_version);
		table_put_u64(t, r->entry.len);
	}
	arena_finish(&arena);
	return rc;
}

static int print_line(const struct tail *t, const struct log_record *r)
{
	struct arena arena = ARENA_INIT(ARENA_MAX);
	char time[TIME_TEXT_LEN + 1];
	struct envelope e;
	int rc;

	if (t->json)
		return print_entry(r);
	rc = envelope_of(r, &arena, &e);
	time_format_us(time, r->time_us);
	if (rc == 0)
		rc = printf("%llu  %s  %.*s  %.*s\n", (unsigned long long)r->position, time, SLICE_ARG(e.type),
		    SLICE_ARG(e.subject)) < 0 ? ERR_IO : 0;
	arena_finish(&arena);
	return rc;
}

/* Where to begin so that the newest `limit` matches are shown. */
static int find_start(struct tail *t, uint64_t limit, uint64_t *ret_from)
{
	struct eventlog_cursor cursor;
	struct log_record r;
	uint64_t size = eventlog_size(t->log);
	int rc;

	if (t->filter.type == 0 && t->filter.stream.len == 0) {
		*ret_from = size > limit ? size - limit : 0;
		return 0;
	}
	eventlog_cursor_init(&cursor, t->log, 0, &t->filter);
	while ((rc = eventlog_cursor_next(&cursor, &r)) == 0 && !command_interrupted()) {
		if (t->n == t->cap) {
			size_t cap = t->cap == 0 ? 1024 : t->cap * 2;
			uint64_t *grown = realloc(t->positions, cap * sizeof(*grown));

			if (grown == NULL) {
				rc = ERR_NOMEM;
				break;
			}
			t->positions = grown;
			t->cap = cap;
		}
		t->positions[t->n++] = r.position;
	}
	eventlog_cursor_finish(&cursor);
	if (rc != ERR_END && rc != 0)
		return rc;
	*ret_from = t->n == 0 ? size : t->positions[t->n > limit ? t->n - limit : 0];
	return 0;
}

static int show_range(struct tail *t, uint64_t from, uint64_t limit)
{
	struct eventlog_cursor cursor;
	struct table *table = NULL;
	struct log_record r;
	int rc = 0, closed;

	if (!t->json)
		rc = table_open(&table, stdout, columns, false);
	eventlog_cursor_init(&cursor, t->log, from, &t->filter);
	for (uint64_t i = 0; rc == 0 && i < limit && !command_interrupted(); i++) {
		rc = eventlog_cursor_next(&cursor, &r);
		if (rc == 0)
			rc = t->json ? print_entry(&r) : put_row(table, &r);
	}
	t->next = eventlog_cursor_position(&cursor);
	eventlog_cursor_finish(&cursor);
	closed = table_close(table);
	return rc == ERR_END || rc == 0 ? closed : rc;
}

static int follow(struct tail *t)
{
	struct eventlog_cursor cursor;
	struct log_record r;
	int rc = 0;

	eventlog_cursor_init(&cursor, t->log, t->next, &t->filter);
	while (rc == 0 && !command_interrupted()) {
		rc = eventlog_cursor_next(&cursor, &r);
		if (rc == 0) {
			rc = print_line(t, &r);
			continue;
		}
		if (rc != ERR_END)
			break;
		if (fflush(stdout) != 0) {
			rc = ERR_IO;
			break;
		}
		rc = eventlog_wait(t->log, eventlog_cursor_position(&cursor), FOLLOW_MS);
		if (rc == ERR_TIMEOUT)
			rc = 0;
	}
	eventlog_cursor_finish(&cursor);
	return rc;
}

static int run_tail(struct invocation *in)
{
	struct tail t = {.in = in, .json = option_is_set(in, "json")};
	const char *type = option_text(in, "type");
	uint64_t limit = option_number(in, "limit"), from = option_number(in, "from");
	int status = STATUS_OK, rc = 0;

	t.filter.stream = slice_str(option_text(in, "stream"));
	if (type != NULL) {
		t.filter.type = event_type_number(slice_str(type));
		if (t.filter.type == 0)
			return command_fail_usage(in, "there is no event type \"%s\"", type);
	}
	if (!log_tool_open(&t.log, in, &status))
		return status;
	if (!option_is_set(in, "from"))
		rc = find_start(&t, limit, &from);
	if (rc == 0)
		rc = show_range(&t, from, limit);
	if (rc == 0 && option_is_set(in, "follow"))
		rc = follow(&t);
	if (rc == 0 && fflush(stdout) != 0)
		rc = ERR_IO;
	if (rc != 0)
		status = command_fail_err(in, rc, "the log in %s cannot be shown", option_data_dir(in));
	else if (command_interrupted() && !option_is_set(in, "follow"))
		status = STATUS_INTERRUPTED;
	free(t.positions);
	eventlog_close(t.log);
	return status;
}

static const struct option tail_options[] = {
    OPTION_DATA,
    OPTION_JSON,
    {.name = "follow", .letter = 'f', .kind = OPTION_FLAG, .summary = "go on with events as they are appended"},
    {.name = "limit", .letter = 'n', .kind = OPTION_NUMBER, .value = "N", .fallback = "20", .min = 1,
	.summary = "how many events at most (default 20)"},
    {.name = "from", .kind = OPTION_NUMBER, .value = "POSITION",
	.summary = "begin there instead of at the newest ones"},
    {.name = "type", .kind = OPTION_TEXT, .value = "NAME", .summary = "only events of this type"},
    {.name = "stream", .kind = OPTION_TEXT, .value = "NAME", .summary = "only events of this stream"},
    {0},
};

static const struct example tail_examples[] = {
    {"lulab log tail", "the newest twenty events"},
    {"lulab log tail -f --type meeting.started", "meetings as they start"},
    {"lulab log tail --from 0 --limit 1000 --json | jq .data", "the first thousand, as they were written"},
    {0},
};

const struct command log_tail = {
    .name = "tail",
    .summary = "Show the newest events, or follow them",
    .description = "With --json every line is an entry, byte for byte as it was hashed.",
    .options = tail_options,
    .examples = tail_examples,
    .run = run_tail,
};

/* ---- show ------------------------------------------------------------------- */

static int show_blob(const struct invocation *in, struct log_read *read, uint64_t position)
{
	uint32_t n = (uint32_t)option_number(in, "blob");
	struct slice bytes;
	int rc = eventlog_blob(read, position, n, &bytes);

	if (rc == ERR_NOT_FOUND)
		return command_fail(in, STATUS_NOT_FOUND, "event %llu has no blob %u", (unsigned long long)position, n);
	if (rc == 0 && fwrite(bytes.ptr, 1, bytes.len, stdout) != bytes.len)
		rc = ERR_IO;
	return rc == 0 ? STATUS_OK : (int)command_fail_err(in, rc, "blob %u of event %llu", n, (unsigned long long)position);
}

static int run_show(struct invocation *in)
{
	struct log_read read = {0};
	struct eventlog *log;
	struct log_record r;
	uint64_t position;
	int status = STATUS_OK, rc;

	if (slice_to_u64(slice_str(in->arguments[0]), &position) != 0)
		return command_fail_usage(in, "\"%s\" is not a position", in->arguments[0]);
	if (!log_tool_open(&log, in, &status))
		return status;
	rc = log_read_start(&read, log);
	if (rc == 0)
		rc = eventlog_read_one(&read, position, &r);
	if (rc == ERR_NOT_FOUND)
		status = command_fail(in, STATUS_NOT_FOUND, "there is no event at %llu: the log has %llu",
		    (unsigned long long)position, (unsigned long long)eventlog_size(log));
	else if (rc == 0 && option_is_set(in, "blob"))
		status = show_blob(in, &read, position);
	else if (rc == 0)
		rc = print_entry(&r);
	if (rc == 0 && fflush(stdout) != 0)
		rc = ERR_IO;
	if (rc != 0 && rc != ERR_NOT_FOUND)
		status = command_fail_err(in, rc, "event %llu", (unsigned long long)position);
	log_read_stop(&read);
	eventlog_close(log);
	return status;
}

static const struct option show_options[] = {
    OPTION_DATA,
    {.name = "blob", .kind = OPTION_NUMBER, .value = "N", .max = UINT32_MAX,
	.summary = "the bytes of its blob N instead, as stored (sealed)"},
    {0},
};

static const struct example show_examples[] = {
    {"lulab log show 42 | jq", "the event at position 42"},
    {"lulab log show 42 | head -c -1 | sha256sum", "what its leaf is made from"},
    {0},
};

const struct command log_show = {
    .name = "show",
    .summary = "Print one event",
    .arguments = "POSITION",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = show_options,
    .examples = show_examples,
    .run = run_show,
};
