/* See verify_watch.h. */
#include "verify_watch.h"

#include "base/json.h"
#include "command.h"

static void on_finding(void *arg, const struct verify_finding *f)
{
	struct verify_watch *w = arg;

	if (w->findings == NULL) {
		fprintf(w->out, "%s: %s\n", f->evidence ? "bad" : "unknown", f->text);
		return;
	}
	json_begin_object(w->findings);
	json_name(w->findings, "kind");
	json_put_str(w->findings, f->evidence ? "bad" : "unknown");
	json_name(w->findings, "index");
	if (f->has_index)
		json_put_u64(w->findings, f->index);
	else
		json_put_null(w->findings);
	json_name(w->findings, "text");
	json_put_str(w->findings, f->text);
	json_end_object(w->findings);
}

static void on_progress(void *arg, const struct verify_summary *so_far, uint64_t done, uint64_t total)
{
	struct verify_watch *w = arg;

	(void)so_far;
	(void)total;
	progress_set(&w->progress, done);
}

static bool is_interrupted(void *arg)
{
	(void)arg;
	return command_interrupted();
}

void verify_watch_start(struct verify_watch *w, struct verify_options *o)
{
	o->on_finding = on_finding;
	o->on_progress = on_progress;
	o->stopped = is_interrupted;
	o->arg = w;
	progress_start(&w->progress, stderr, &clock_system, "verifying", "records", 0);
}

void verify_watch_finish(struct verify_watch *w)
{
	progress_finish(&w->progress);
}
