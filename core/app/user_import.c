/* See user_import.h. */
#include "app/user_import.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "app/users.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"

#define ROW_ARENA (1 << 20)
#define FILE_ARENA (4 << 20)
#define AGAIN_MS 1000u
#define PERIOD_MS 60000u
#define FILE_FIELD "file" /* the event id of the sealed field is the import id */
#define SLOT "running"

struct user_imports {
	struct app *app;
	pthread_t thread;
	bool swept; /* its thread's: destroy_left_keys() is done */
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	bool told; /* there may be one to do */
	bool stopping;
};

/* The one at hand; its thread's alone. */
struct import {
	struct user_imports *l;
	struct arena arena;
	struct slice id;
	struct id key;
	struct event_user_import_started started;
	struct principal caller;
	const char *permissions[2];
	size_t n_done;
	struct buf plain; /* the file; wiped */
	struct import_file file;
};

/* What stands in for the request of a client. */
struct errand {
	struct http_request rq;
	struct action c;
};

static void errand_init(struct errand *e, struct app *app, struct principal *caller, struct arena *arena)
{
	static const struct route route = {.path = "/api/v1/users/imports"};

	*e = (struct errand){.rq = {.arena = arena, .app = app, .route = &route, .principal = caller}};
	e->c = (struct action){.rq = &e->rq, .app = app, .arena = arena, .body = BUF_INIT(0), .problems = PROBLEMS_INIT(arena)};
}

static bool keeps_going(struct user_imports *l)
{
	bool goes;

	pthread_mutex_lock(&l->lock);
	goes = !l->stopping;
	pthread_mutex_unlock(&l->lock);
	return goes;
}

/* Not the row's fault: it is tried again. A conflict shows that the log stands elsewhere than was thought. */
static bool is_of_the_moment(int rc)
{
	return rc == ERR_UNAVAILABLE || rc == ERR_TIMEOUT || rc == ERR_BUSY || rc == ERR_CANCELLED || rc == ERR_DISK_FULL ||
	    rc == ERR_IO || rc == ERR_CONFLICT;
}

/* ---- a row -------------------------------------------------------------------------------------------- */

/* The column that a unique name comes from. */
static const char *column_of_claim(struct slice claim)
{
	return slice_starts_with(claim, SLICE("username:")) ? "username" : slice_starts_with(claim, SLICE("email:")) ? "email"
	     : slice_starts_with(claim, SLICE("legacy:"))   ? "legacyId" : "phone";
}

/* The word that the row is done. It goes into the log as the next of the import, or not at all. */
static void add_done(struct action_events *e, const struct import *im, struct event_user_import_row_done *done)
{
	struct event_meta meta = action_meta(e->c);

	done->import_id = im->id;
	done->row = (int64_t)im->n_done + 1;
	meta.expect = done->row;
	action_event(e, EVENT_USER_IMPORT_ROW_DONE, done, NULL, &meta);
}

/* The account and the word of it. False: c has the error; *ret_field: the column that is meant, when it is known. */
static bool make_account(struct action *c, const struct import *im, uint64_t line, struct slice hash, const char **ret_field)
{
	struct account_new n = {.how = "IMPORT"};
	struct event_user_import_row_done done = {.line = (int64_t)line, .outcome = SLICE("CREATED")};
	struct action_events e = {.c = c};
	int rc;

	if (!account_new_read(c, &n))
		return false;
	n.hash = hash.len == 0 ? NULL : action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(hash)));
	rc = account_new_add(&e, &n);
	if (rc == 0) {
		done.user_id = n.user_text;
		add_done(&e, im, &done);
		rc = action_append(&e);
	}
	if (rc != ERR_TAKEN)
		return action_ok(c, rc);
	*ret_field = column_of_claim(e.append.claim_taken);
	return account_new_taken(c, e.append.claim_taken);
}

/* Names the column and the code, never values. */
static int note_failure(struct action *c, const struct import *im, uint64_t line, const char *field)
{
	struct event_user_import_row_done done = {.line = (int64_t)line, .outcome = SLICE("FAILED"),
	    .code = slice_str(c->err != 0 ? "failed" : c->code)};
	struct action_events e = {.c = c};

	if (field == NULL && c->problems.n > 0)
		field = import_column_told(slice_str(c->problems.items[0].path));
	else if (field == NULL && c->err == 0)
		field = import_column_told(slice_str(c->said.en));
	if (field != NULL)
		done.field = slice_str(field);
	c->err = 0;
	add_done(&e, im, &done);
	return action_append(&e);
}

/* As if the row were a request of the caller's. 0: what became of it is in the log. */
static int take_row(struct import *im, const struct import_row *row)
{
	struct arena arena = ARENA_INIT(ROW_ARENA);
	struct buf body = BUF_INIT(ROW_ARENA);
	struct errand on;
	struct said why;
	struct slice hash;
	const char *field;
	int rc;

	errand_init(&on, im->l->app, &im->caller, &arena);
	rc = import_row_body(&im->file, row, &body, &hash, &why, &field);
	if (rc == ERR_INVALID) {
		action_fail_said(&on.c, 400, "invalid", why);
	} else if (action_ok(&on.c, rc)) {
		on.rq.body = buf_slice(&body);
		if (make_account(&on.c, im, row->line, hash, &field))
			goto out;
	}
	rc = is_of_the_moment(on.c.err) ? on.c.err : note_failure(&on.c, im, row->line, field);
out:
	buf_wipe(&body);
	arena_finish(&arena);
	return rc;
}

/* From the first that is not done. */
static int take_rows(struct import *im)
{
	struct said why;
	int rc = import_file_open(&im->file, buf_slice(&im->plain), &im->arena, &why);

	for (size_t i = 0; rc == 0 && i < (size_t)im->started.rows; i++) {
		struct arena arena = ARENA_INIT(FILE_ARENA);
		struct import_row row;

		rc = keeps_going(im->l) ? import_file_next(&im->file, &arena, &row) : ERR_CANCELLED;
		if (rc == 0 && i == im->n_done) {
			rc = take_row(im, &row);
			im->n_done += rc == 0;
		}
		arena_finish(&arena);
	}
	return rc;
}

/* ---- one of them ------------------------------------------------------------------------------------------ */

static int read_started(struct import *im, struct action *c, uint64_t place)
{
	struct event event;
	int64_t time_us;
	uint64_t version;
	const char *actor;
	int rc = action_event_at(c, place, &event, &time_us);

	if (rc != 0)
		return rc;
	assert(event.type != NULL && event.type->id == EVENT_USER_IMPORT_STARTED);
	im->started = *(struct event_user_import_started *)event.data;
	im->id = im->started.import_id;
	actor = arena_printf(c->arena, "%.*s", SLICE_ARG(event.envelope.actor));
	if (actor == NULL)
		return ERR_NOMEM;
	im->caller = (struct principal){.id = actor, .permissions = im->permissions};
	rc = id_parse(im->id, &im->key);
	if (rc == 0)
		rc = eventlog_stream_version(c->app->log, event.envelope.subject, &version);
	if (rc == 0)
		im->n_done = version - 1;
	return rc;
}

/* Nobody does by an import what they may not do any more when it is gone on with. ERR_DENIED: not even that. */
static int read_rights(struct import *im, struct action *c)
{
	const struct event_user_import_started *s = &im->started;
	struct action_param of[] = {{"user", s->user_id, 0}, {"key", s->key_id.len > 0 ? s->key_id : SLICE(""), 0},
	    {"now", {0}, clock_wall_ms(c->app->clock)}};
	bool is_operator = s->user_id.len == 0;
	struct json_value row;
	int rc = is_operator ? 0 : action_row(c, "user_import_rights", of, 3, &row);

	if (rc != 0)
		return rc == ERR_NOT_FOUND ? ERR_DENIED : rc;
	if (!is_operator && !row_bool(row, "write"))
		return ERR_DENIED;
	im->permissions[0] = s->may_all && (is_operator || row_bool(row, "all"))       ? "*"
	                   : s->may_grant && (is_operator || row_bool(row, "grant")) ? "roles:grant" : NULL;
	return 0;
}

/* ERR_ERASED: it does not open any more. */
static int open_file(struct import *im, struct app *app, uint64_t place)
{
	struct log_read read = {0};
	struct slice sealed;
	int rc = log_read_start(&read, app->log);

	im->plain = (struct buf)BUF_INIT(IMPORT_BYTES_MAX + 64);
	if (rc == 0)
		rc = eventlog_blob(&read, place, 0, &sealed);
	if (rc == 0)
		rc = seal_open_to(app->sealer, im->id, SLICE(FILE_FIELD), sealed, &im->plain);
	log_read_stop(&read);
	return rc == ERR_NOT_FOUND || rc == ERR_CORRUPT || rc == ERR_MALFORMED || rc == ERR_BAD_KEY ? ERR_ERASED : rc;
}

/* First the key, then the word of it: a crash between the two does it again. */
static int end(struct import *im, struct action *c, const char *how)
{
	struct event_user_import_ended data = {.import_id = im->id, .slot = SLICE(SLOT), .how = slice_str(how)};
	struct event_meta meta = {.source = SLICE("imports"), .actor = SLICE("system"), .expect = (int64_t)im->n_done + 1};
	struct action_events e = {.c = c};
	int rc = keyring_erase(c->app->keyring, &im->key, 1);

	if (rc != 0)
		return rc;
	action_event(&e, EVENT_USER_IMPORT_ENDED, &data, NULL, &meta);
	return action_append(&e);
}

static int finish(struct import *im, struct action *c, uint64_t place)
{
	int rc = read_started(im, c, place);

	if (rc != 0)
		return rc;
	if (im->n_done < (size_t)im->started.rows) {
		rc = read_rights(im, c);
		if (rc == 0)
			rc = open_file(im, c->app, place);
		if (rc == 0)
			rc = take_rows(im);
	}
	if (rc == ERR_DENIED || rc == ERR_ERASED) {
		log_warn("import", rc == ERR_DENIED ? "who sent a file of accounts may not any more; the import is over"
		                                    : "a file of accounts does not open any more; the import is over");
		return end(im, c, rc == ERR_DENIED ? "FORBIDDEN" : "UNREADABLE");
	}
	return rc == 0 ? end(im, c, "DONE") : rc;
}

/* A keyring out of a backup may have the key of one that ended since. */
static int destroy_left_keys(struct user_imports *l)
{
	struct arena arena = ARENA_INIT(FILE_ARENA);
	struct json_value rows, row;
	struct json_reader r;
	struct errand on;
	struct id key;
	int rc;

	errand_init(&on, l->app, NULL, &arena);
	rc = action_rows(&on.c, "user_imports_ended", NULL, 0, &rows);
	if (rc == 0)
		json_enter(&r, rows);
	while (rc == 0 && json_next(&r, NULL, &row)) {
		rc = id_parse(row_text(&on.c, row, "id"), &key);
		if (rc == 0 && !keyring_is_erased(l->app->keyring, &key))
			rc = keyring_erase(l->app->keyring, &key, 1);
	}
	arena_finish(&arena);
	return rc;
}

/* The oldest that has not ended. ERR_NOT_FOUND: there is none. */
static int do_one(struct user_imports *l)
{
	struct import im = {.l = l, .arena = ARENA_INIT(FILE_ARENA)};
	struct json_value row;
	struct errand on;
	int rc;

	errand_init(&on, l->app, NULL, &im.arena);
	rc = action_row(&on.c, "user_import_open", NULL, 0, &row);
	if (rc == 0)
		rc = finish(&im, &on.c, (uint64_t)row_i64(row, "position"));
	buf_wipe(&im.plain);
	arena_finish(&im.arena);
	return rc;
}

/* ---- the thread ---------------------------------------------------------------------------------------------- */

/* Under the lock, which it lets go meanwhile. What became of one could not be told to a log that takes nothing. */
static int look(struct user_imports *l)
{
	int rc = 0;

	l->told = false;
	pthread_mutex_unlock(&l->lock);
	if (!l->swept)
		rc = destroy_left_keys(l);
	l->swept |= rc == 0;
	if (rc == 0)
		rc = eventlog_refusal(l->app->log) == NULL ? do_one(l) : ERR_NOT_FOUND;
	if (rc != 0 && rc != ERR_NOT_FOUND && !is_of_the_moment(rc))
		log_warn("import", "an import of accounts could not be gone on with; it is tried again", "error", err_name(rc));
	pthread_mutex_lock(&l->lock);
	return rc;
}

static void *run(void *arg)
{
	struct user_imports *l = arg;

	thread_name("lulab-import");
	pthread_mutex_lock(&l->lock);
	while (!l->stopping) {
		int rc = look(l);
		struct timespec until = thread_deadline(rc == ERR_NOT_FOUND ? PERIOD_MS : AGAIN_MS);

		while (rc != 0 && !l->stopping && !(l->told && rc == ERR_NOT_FOUND))
			if (pthread_cond_timedwait(&l->wake, &l->lock, &until) != 0)
				break;
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static void tell(struct user_imports *l, bool stopping)
{
	pthread_mutex_lock(&l->lock);
	l->told = true;
	l->stopping |= stopping;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
}

static void destroy(struct user_imports *l)
{
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int user_imports_open(struct user_imports **ret, struct app *app)
{
	struct user_imports *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;

	if (l == NULL)
		return ERR_NOMEM;
	l->app = app;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&l->thread, NULL, run, l) != 0) {
		destroy(l);
		return ERR_NOMEM;
	}
	*ret = l;
	return 0;
}

void user_imports_close(struct user_imports *l)
{
	if (l == NULL)
		return;
	tell(l, true);
	pthread_join(l->thread, NULL);
	destroy(l);
}

/* ---- starting ---------------------------------------------------------------------------------------------- */

static bool is_running(struct action *c)
{
	return action_fail(c, 409, "busy", "Another import runs; wait until it is done.", "正在进行另一个导入");
}

static bool check_file(struct action *c, struct slice csv, size_t *ret_rows)
{
	struct import_file file;
	struct said why;
	int rc = import_file_check(&file, csv, c->arena, &why);

	*ret_rows = file.n_rows;
	return rc == ERR_INVALID ? action_fail_said(c, 400, "invalid", why) : action_ok(c, rc);
}

static int seal_file(struct action *c, const struct id *key, struct slice id, struct slice csv, struct buf *out,
    struct blob_draft *blob, struct event_blob *ret)
{
	char *hex = arena_alloc(c->arena, SHA256_LEN * 2 + 1);
	int rc = hex == NULL ? ERR_NOMEM : seal_field(c->app->sealer, key, id, SLICE(FILE_FIELD), csv, out);

	if (rc != 0)
		return rc;
	blob->bytes = buf_slice(out);
	sha256(blob->sha256, &blob->bytes, 1);
	hex_encode(hex, blob->sha256, SHA256_LEN);
	*ret = (struct event_blob){.blob = slice_of(hex, SHA256_LEN * 2), .size = (int64_t)blob->bytes.len};
	return 0;
}

static int append_started(struct action *c, struct slice csv, const struct id *key, struct event_user_import_started *data)
{
	struct buf sealed = BUF_INIT(SEALED_LEN(csv.len));
	struct action_events e = {.c = c};
	struct event_meta meta = action_meta(c);
	struct blob_draft blob;
	int rc = seal_file(c, key, data->import_id, csv, &sealed, &blob, &data->file);

	if (rc == 0) {
		meta.blobs = &blob;
		meta.n_blobs = 1;
		meta.expect = EXPECT_NONE;
		action_event(&e, EVENT_USER_IMPORT_STARTED, data, NULL, &meta);
		rc = action_append(&e);
	}
	buf_finish(&sealed);
	return rc;
}

bool user_import_start(struct action *c, struct slice csv, struct slice *ret_id, size_t *ret_rows)
{
	const struct principal *who = c->rq->principal;
	struct event_user_import_started data = {.slot = SLICE(SLOT), .may_grant = principal_may(who, "roles:grant"), .may_all = principal_may(who, "*"),
	    .has_subjects = true, .subjects = {.has_file = true}};
	char *id = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	struct id key;
	uint64_t by;
	int rc;

	if (!check_file(c, csv, ret_rows))
		return false;
	/* Told here, too, so that no key is taken for nothing. */
	rc = eventlog_find_claim(c->app->log, SLICE("user-import:" SLOT), &by);
	if (rc == 0)
		return is_running(c);
	if (rc == ERR_NOT_FOUND)
		rc = id == NULL ? ERR_NOMEM : keyring_take(c->app->keyring, KEY_SUBJECT, &key);
	if (rc != 0)
		return action_fail_err(c, rc);
	id_format(id, &key);
	*ret_id = data.import_id = data.subjects.file.id = slice_of(id, ID_TEXT_LEN);
	data.rows = (int64_t)*ret_rows;
	if (who->user_id[0] != '\0')
		data.user_id = slice_str(who->user_id);
	if (who->key_id[0] != '\0')
		data.key_id = slice_str(who->key_id);
	rc = append_started(c, csv, &key, &data);
	if (rc == ERR_TAKEN)
		return is_running(c);
	if (rc == 0)
		tell(c->app->imports, false);
	return action_ok(c, rc);
}
