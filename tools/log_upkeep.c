/* lulab log stats and reindex: the state of the log, and its indexes made again. */
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "log_commands.h"
#include "progress.h"
#include "table.h"

#define JSON_MAX 8192

/* ---- stats ------------------------------------------------------------------ */

struct figures {
	struct eventlog_stats stats;
	char root[65];
	bool has_note;
	uint64_t note_size;
};

static int gather(struct eventlog *log, struct figures *f)
{
	struct buf note = BUF_INIT(65536);
	struct merkle_hash root;
	uint64_t size;
	int rc;

	eventlog_stats(log, &f->stats);
	eventlog_root(log, &size, &root);
	f->stats.size = size; /* the moment the root is of */
	hex_encode(f->root, root.bytes, sizeof(root.bytes));
	rc = eventlog_last_note(log, &f->note_size, &note);
	f->has_note = rc == 0;
	buf_finish(&note);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int print_json(const struct figures *f)
{
	const struct eventlog_stats *s = &f->stats;
	char time[TIME_TEXT_LEN + 1];
	struct buf out = BUF_INIT(JSON_MAX);
	struct json_writer w = JSON_WRITER(&out);
	int rc;

	time_format_us(time, s->last_time_us);
	json_begin_object(&w);
	json_name(&w, "size");
	json_put_u64(&w, s->size);
	json_name(&w, "root");
	json_put_str(&w, f->root);
	json_name(&w, "lastTime");
	json_put_str(&w, s->size == 0 ? NULL : time);
	json_name(&w, "checkpointSize");
	if (f->has_note)
		json_put_u64(&w, f->note_size);
	else
		json_put_null(&w);
	json_name(&w, "indexPosition");
	json_put_u64(&w, s->index_position);
	json_name(&w, "logBytes");
	json_put_u64(&w, s->map_used_bytes);
	json_name(&w, "indexBytes");
	json_put_u64(&w, s->index_used_bytes);
	json_name(&w, "mapBytes");
	json_put_u64(&w, s->map_bytes);
	json_end_object(&w);
	rc = buf_append_char(&out, '\n');
	if (rc == 0 && fwrite(out.ptr, 1, out.len, stdout) != out.len)
		rc = ERR_IO;
	buf_finish(&out);
	return rc;
}

static void row_number(struct table *t, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	table_put_str(t, name);
	table_put_str(t, text);
}

static int print_table(const struct figures *f)
{
	static const struct table_column columns[] = {{"FIGURE", "figure", TABLE_TEXT}, {"VALUE", "value", TABLE_TEXT}, {0}};
	const struct eventlog_stats *s = &f->stats;
	char time[TIME_TEXT_LEN + 1];
	struct table *t;
	int rc = table_open(&t, stdout, columns, false);

	if (rc != 0)
		return rc;
	time_format_us(time, s->last_time_us);
	row_number(t, "events", s->size);
	table_put_str(t, "root");
	table_put_str(t, f->root);
	table_put_str(t, "newest event");
	table_put_str(t, s->size == 0 ? "none" : time);
	if (f->has_note) {
		row_number(t, "newest checkpoint covers", f->note_size);
	} else {
		table_put_str(t, "newest checkpoint covers");
		table_put_str(t, "none signed yet");
	}
	row_number(t, "indexed", s->index_position);
	row_number(t, "bytes of the log", s->map_used_bytes);
	row_number(t, "bytes of the index", s->index_used_bytes);
	row_number(t, "bytes of address space", s->map_bytes);
	return table_close(t);
}

static int run_stats(struct invocation *in)
{
	struct figures f = {0};
	struct eventlog *log;
	int status = STATUS_OK, rc;

	if (!log_tool_open(&log, in, &status))
		return status;
	rc = gather(log, &f);
	if (rc == 0)
		rc = option_is_set(in, "json") ? print_json(&f) : print_table(&f);
	if (rc != 0)
		status = command_fail_err(in, rc, "the log in %s cannot be read", option_data_dir(in));
	eventlog_close(log);
	return status;
}

static const struct option stats_options[] = {OPTION_DATA, OPTION_JSON, {0}};
static const struct example stats_examples[] = {
    {"lulab log stats", "how long the log is and what it takes"},
    {"lulab log stats --json | jq -r .root", "the root of its tree"},
    {0},
};

const struct command log_stats = {
    .name = "stats",
    .summary = "Show how long the log is and what it takes",
    .options = stats_options,
    .examples = stats_examples,
    .run = run_stats,
};

/* ---- reindex ---------------------------------------------------------------- */

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct progress *p = arg;

	p->total = total;
	progress_set(p, done);
}

static int print_report(const struct reindex_report *r, bool json)
{
	struct buf out = BUF_INIT(JSON_MAX);
	struct json_writer w = JSON_WRITER(&out);
	const struct {
		const char *name;
		uint64_t value;
	} members[] = {
	    {"size", r->size}, {"once", r->once}, {"claims", r->claims}, {"streams", r->streams},
	    {"types", r->types}, {"subjects", r->subjects}, {"oldPosition", r->old_position},
	    {"differences", r->differences}, {"headers", r->headers},
	};
	int rc;

	if (!json) {
		buf_printf(&out, "%llu events, %llu streams, %llu once keys, %llu claims, %llu subjects: ",
		    (unsigned long long)r->size, (unsigned long long)r->streams, (unsigned long long)r->once,
		    (unsigned long long)r->claims, (unsigned long long)r->subjects);
		if (r->differences + r->headers > 0)
			buf_printf(&out, "%llu keys and %llu headers differed and were put right\n",
			    (unsigned long long)r->differences, (unsigned long long)r->headers);
		else
			buf_append_str(&out, r->had_old ? "the old index was equal\n" : "there was no old index\n");
	} else {
		json_begin_object(&w);
		for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
			json_name(&w, members[i].name);
			json_put_u64(&w, members[i].value);
		}
		json_name(&w, "hadOld");
		json_put_bool(&w, r->had_old);
		json_name(&w, "first");
		json_put_str(&w, r->first[0] == '\0' ? NULL : r->first);
		json_end_object(&w);
		buf_append_char(&out, '\n');
	}
	rc = out.rc;
	if (rc == 0 && fwrite(out.ptr, 1, out.len, stdout) != out.len)
		rc = ERR_IO;
	buf_finish(&out);
	return rc;
}

static int run_reindex(struct invocation *in)
{
	struct buf problem = BUF_INIT(1024);
	struct eventlog_options options = {
	    .dir = option_data_dir(in),
	    .clock = &clock_system,
	    .type_number = event_type_number,
	    .problem = &problem,
	};
	struct reindex_report report;
	struct progress progress = {0};
	struct eventlog *log;
	int status = STATUS_OK, rc = crypto_init();

	/* Looked at first, so that a wrong --data does not make a log there. */
	if (!log_tool_open(&log, in, &status))
		return status;
	eventlog_close(log);
	progress_start(&progress, stderr, &clock_system, "reindexing", "events", 0);
	if (rc == 0)
		rc = eventlog_reindex(&options, &report, on_progress, &progress);
	progress_finish(&progress);
	if (rc == ERR_LOCKED)
		status = command_fail(in, STATUS_CONFLICT, "the server is running: stop it first");
	else if (rc != 0)
		status = command_fail(in, status_of(rc), "%s", problem.ptr == NULL ? err_text(rc) : problem.ptr);
	else if (print_report(&report, option_is_set(in, "json")) != 0)
		status = command_fail_err(in, ERR_IO, "cannot write the report");
	else if (report.differences + report.headers > 0)
		status = command_fail(in, STATUS_NOT_VERIFIED, "the old index differed: %s", report.first);
	buf_finish(&problem);
	return status;
}

static const struct option reindex_options[] = {OPTION_DATA, OPTION_JSON, {0}};
static const struct example reindex_examples[] = {
    {"lulab log reindex", "make every index again from the events and compare"},
    {0},
};

const struct command log_reindex = {
    .name = "reindex",
    .summary = "Make every index again from the events alone",
    .description = "The old index is compared with the new one, which takes its place. Exit status 4 when they "
		   "differed. The server must be stopped.",
    .options = reindex_options,
    .examples = reindex_examples,
    .run = run_reindex,
};
