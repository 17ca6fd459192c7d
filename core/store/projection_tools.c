/* Read models without a running projector: for the command line. */
#include <sqlite3.h>
#include <stdio.h>

#include "base/err.h"
#include "base/io.h"
#include "store/eventlog.h"
#include "store/projection_fold.h"
#include "store/projector.h"

#define PATH_BYTES_MAX 4096
#define AHEAD (FOLD_BATCH / 2) /* decoded while the batch before is written; nothing else here needs the memory */

int projection_path(struct buf *out, const char *dir, const struct projection *model)
{
	return buf_printf(out, "%s/read/%s-%s.db", dir, model->name, model->version);
}

int projection_inspect(const char *dir, const struct projection *model, struct projection_status *ret)
{
	struct buf path = BUF_INIT(PATH_BYTES_MAX), problem = BUF_INIT(sizeof(ret->problem) - 1);
	struct sqlite3 *db = NULL;
	int rc;

	*ret = (struct projection_status){.model = model, .state = PROJECTION_BUILDING};
	rc = projection_path(&path, dir, model);
	if (rc == 0 && !file_exists(path.ptr))
		rc = ERR_NOT_FOUND;
	if (rc == 0)
		rc = projection_open_readonly(&db, path.ptr);
	if (rc == 0)
		rc = projection_read_position(db, &ret->position);
	if (rc == 0) {
		ret->serving = true;
		ret->serving_position = ret->position;
		ret->state = PROJECTION_LIVE;
		if (projection_read_problem(db, &problem)) {
			ret->state = PROJECTION_STOPPED;
			ret->err = ERR_INVALID;
			projection_read_place(db, &ret->err_position);
			snprintf(ret->problem, sizeof(ret->problem), "%.*s", SLICE_ARG(buf_slice(&problem)));
		}
	}
	projection_close_readonly(db);
	buf_finish(&path);
	buf_finish(&problem);
	return rc;
}

int projection_build(const struct projector_options *options, const struct projection *model, const char *path,
    uint64_t until, projection_progress *progress, void *arg, struct buf *problem)
{
	struct buf words = BUF_INIT(180);
	struct fold fold = {.model = model, .log = options->log, .sealer = options->sealer, .problem = &words};
	const struct projection *const only[] = {model, NULL};
	struct event_feed *feed = NULL;
	uint64_t size = eventlog_size(options->log), applied = 1;
	int rc;

	if (file_exists(path))
		return ERR_EXISTS;
	if (LOG_PLACE_LOG(until) == 0 || until == UINT64_MAX)
		until = until < size ? until : size;
	rc = event_feed_open(&feed, &(struct event_feed_options){.log = options->log, .sealer = options->sealer,
	    .models = only, .readers_max = 1, .ahead = AHEAD});
	if (rc == 0)
		rc = projection_file_open(&fold.file, model, path, &words);
	feed_reader_init(&fold.reader, feed, model);
	while (rc == 0 && applied > 0) {
		buf_clear(&words);
		rc = fold_batch(&fold, until, &applied);
		if (rc == 0 && progress != NULL && !progress(arg, fold_position(&fold), LOG_PLACE_LOG(until) > 0 ? size : until))
			rc = ERR_CANCELLED;
	}
	if (rc == 0)
		rc = fold_save(&fold);
	if (rc != 0 && fold.file != NULL && problem != NULL && rc != ERR_CANCELLED)
		buf_printf(problem, "position %llu: ", (unsigned long long)fold.err_position);
	if (problem != NULL)
		buf_append(problem, buf_slice(&words));
	projection_file_close(fold.file);
	feed_reader_finish(&fold.reader);
	fold_finish(&fold);
	event_feed_close(feed);
	buf_finish(&words);
	return rc;
}

/* The directory is stopped (the caller holds the log), so nobody has the old file open. */
int projection_rebuild(const struct projector_options *options, const struct projection *model,
    projection_progress *progress, void *arg, struct buf *problem)
{
	struct buf path = BUF_INIT(PATH_BYTES_MAX), fresh = BUF_INIT(PATH_BYTES_MAX);
	int rc;

	rc = buf_printf(&path, "%s/read", options->dir);
	if (rc == 0)
		rc = dir_create(path.ptr, 0700);
	buf_clear(&path);
	if (rc == 0)
		rc = projection_path(&path, options->dir, model);
	if (rc == 0)
		rc = buf_printf(&fresh, "%s.new", path.ptr);
	if (rc != 0)
		goto out;
	projection_file_remove(fresh.ptr);
	rc = projection_build(options, model, fresh.ptr, UINT64_MAX, progress, arg, problem);
	if (rc == 0) {
		projection_file_remove(path.ptr);
		if (io_calls->rename(fresh.ptr, path.ptr) != 0)
			rc = ERR_IO;
	}
	if (rc != 0)
		projection_file_remove(fresh.ptr);
out:
	buf_finish(&path);
	buf_finish(&fresh);
	return rc;
}

int projection_verify(const struct projector_options *options, const struct projection *model,
    struct projection_verdict *ret, projection_progress *progress, void *arg, struct buf *problem)
{
	struct buf path = BUF_INIT(PATH_BYTES_MAX), fresh = BUF_INIT(PATH_BYTES_MAX);
	struct projection_verdict verdict = {0};
	uint64_t position = 0;
	int rc;

	rc = projection_path(&path, options->dir, model);
	if (rc == 0 && !file_exists(path.ptr))
		rc = ERR_NOT_FOUND;
	if (rc == 0)
		rc = projection_digest(path.ptr, model, verdict.stored, &verdict.position);
	if (rc == 0)
		rc = buf_printf(&fresh, "%s.verify", path.ptr);
	if (rc != 0)
		goto out;
	projection_file_remove(fresh.ptr);
	rc = projection_build(options, model, fresh.ptr, verdict.position, progress, arg, problem);
	if (rc == 0)
		rc = projection_digest(fresh.ptr, model, verdict.fresh, &position);
	projection_file_remove(fresh.ptr);
	if (rc == 0) {
		/* A log shorter than the file was read from cannot give the same rows. */
		verdict.equal = position == verdict.position && memcmp(verdict.stored, verdict.fresh, SHA256_LEN) == 0;
		*ret = verdict;
	}
out:
	buf_finish(&path);
	buf_finish(&fresh);
	return rc;
}
