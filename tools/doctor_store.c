/* The log, its indexes and the read models, as far as a reader can tell while the service may be running. */
#include "base/err.h"
#include "base/io.h"
#include "doctor.h"
#include "store/eventlog.h"
#include "store/projection.h"
#include "store/projector.h"

/* Read models behind by more than this are worth a word. */
enum { LAG_MAX = 10000 };

static void note_newest(struct doctor *d, struct eventlog *log, const struct eventlog_stats *stats)
{
	struct log_read read = {0};
	struct log_record record;
	char time[TIME_TEXT_LEN + 1];
	int rc;

	if (stats->size == 0) {
		doctor_note(d, "log", FINDING_NOTE, "no events yet", NULL);
		return;
	}
	rc = log_read_start(&read, log);
	if (rc == 0)
		rc = eventlog_read_one(&read, stats->size - 1, &record);
	time_format_us(time, stats->last_time_us);
	if (rc != 0)
		doctor_note(d, "log", FINDING_BAD,
		    arena_printf(d->arena, "event %llu cannot be read: %s", (unsigned long long)stats->size - 1,
		        err_text(rc)),
		    "stop the service, keep a copy of the data directory, then: lulab log verify");
	else if (stats->last_time_us > clock_wall_us(d->clock) + 300 * INT64_C(1000000))
		doctor_note(d, "log", FINDING_WARNING,
		    arena_printf(d->arena, "%llu events, the newest from the future: %s",
		        (unsigned long long)stats->size, time),
		    "the clock was ahead, or is behind now; compare: date -u");
	else
		doctor_note(d, "log", FINDING_OK,
		    arena_printf(d->arena, "%llu events, the newest of %.19s", (unsigned long long)stats->size, time), NULL);
	log_read_stop(&read);
}

static void note_index(struct doctor *d, const struct eventlog_stats *stats)
{
	uint64_t behind = stats->size > stats->index_position ? stats->size - stats->index_position : 0;

	if (stats->index_position > stats->size)
		doctor_note(d, "indexes", FINDING_BAD, "they know more events than the log has",
		    "stop the service, then: lulab log reindex");
	else
		doctor_note(d, "indexes", FINDING_OK,
		    behind == 0 ? "up to date"
		                : arena_printf(d->arena, "%llu events behind; the service brings them forward",
		                      (unsigned long long)behind),
		    NULL);
}

/* What a file of a read model says of itself. */
struct model_file {
	struct projection_status status;
	int rc;
};

/* In the order of `projections`; NULL without memory. */
static struct model_file *look_at_models(struct doctor *d)
{
	struct model_file *files;
	size_t n = 0;

	while (projections[n] != NULL)
		n++;
	files = arena_calloc(d->arena, n, sizeof(*files));
	for (size_t i = 0; files != NULL && i < n; i++)
		files[i].rc = projection_inspect(d->data_dir, projections[i], &files[i].status);
	return files;
}

static void note_model(struct doctor *d, const struct projection *model, const struct model_file *file, uint64_t size)
{
	const struct projection_status *s = &file->status;
	const char *what = arena_printf(d->arena, "read model %s", model->name);
	int rc = file->rc;

	if (what == NULL)
		what = "read model";
	if (rc == ERR_NOT_FOUND)
		doctor_note(d, what, FINDING_NOTE, "not built yet", "lulab serve builds it");
	else if (rc != 0)
		doctor_note(d, what, FINDING_BAD, arena_printf(d->arena, "cannot be read: %s", err_text(rc)),
		    arena_printf(d->arena, "lulab projection rebuild %s", model->name));
	else if (s->err != 0)
		doctor_note(d, what, FINDING_BAD, arena_printf(d->arena, "%s", s->problem),
		    arena_printf(d->arena, "mend what it says, then: lulab projection rebuild %s", model->name));
	else if (s->position > size)
		doctor_note(d, what, FINDING_BAD, "it knows more events than the log has",
		    arena_printf(d->arena, "lulab projection rebuild %s", model->name));
	else
		doctor_note(d, what, size - s->position > LAG_MAX ? FINDING_WARNING : FINDING_OK,
		    s->position == size ? "up to date"
		                            : arena_printf(d->arena, "%llu events behind",
		                                  (unsigned long long)(size - s->position)),
		    size - s->position > LAG_MAX ? "it catches up while lulab serve runs" : NULL);
}

static void check_store(struct doctor *d)
{
	struct eventlog_options options = {.dir = d->data_dir, .clock = d->clock};
	struct eventlog *log = NULL;
	struct eventlog_stats stats;
	struct model_file *models;
	int rc;

	if (!file_exists(d->data_dir))
		return;
	models = look_at_models(d); /* before the log: a service at work takes both on */
	rc = eventlog_open_readonly(&log, &options);
	if (rc == ERR_NOT_FOUND) {
		doctor_note(d, "log", FINDING_NOTE, "there is none yet", "lulab serve makes it");
		return;
	}
	if (rc != 0) {
		doctor_note(d, "log", FINDING_BAD, arena_printf(d->arena, "cannot be opened: %s", err_text(rc)),
		    "run as the user the service runs as; if that is so, keep a copy and: lulab log verify");
		return;
	}
	eventlog_stats(log, &stats);
	note_newest(d, log, &stats);
	note_index(d, &stats);
	for (size_t i = 0; models != NULL && projections[i] != NULL; i++)
		note_model(d, projections[i], &models[i], stats.size);
	eventlog_close(log);
}

doctor_check *const doctor_store_checks[] = {check_store, NULL};
