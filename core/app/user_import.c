/* See user_import.h. `lock` guards the list, and of each import what is told of it; file and columns are its thread's alone. */
#include "app/user_import.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "app/api.h"
#include "app/users.h"
#include "base/csv.h"
#include "base/err.h"
#include "base/log.h"

#define COLUMNS_MAX 16
#define ROW_ARENA (1 << 20)
#define FILE_ARENA (4 << 20)
#define CODE_MAX 24
#define MESSAGE_MAX 200
#define HASH_COLUMN "passwordHash"

/* Columns that are members of the body of POST /api/v1/users. Passwords in clear are not written into files. */
static const char *const members[] = {"username", "email", "countryCode", "phone", "displayName", "role", "legacyId"};

enum row_state { ROW_WAITING, ROW_CREATED, ROW_FAILED };

struct row {
	uint32_t line; /* of the file */
	enum row_state state;
	char user_id[ID_TEXT_LEN + 1];
	char code[CODE_MAX], message[MESSAGE_MAX];
};

struct import {
	struct user_imports *l;
	struct id id;
	char *file; /* NULL once it is through; wiped */
	size_t file_len;
	const char *columns[COLUMNS_MAX]; /* of `members`, or HASH_COLUMN */
	size_t n_columns;
	struct principal caller;
	char *caller_id;
	const char *permissions[3];

	pthread_t thread;
	bool joinable;
	int64_t started_ms;
	bool running, cancelled;
	size_t n_rows, n_done, n_created;
	struct row *rows;
};

struct user_imports {
	struct app *app;
	pthread_mutex_t lock;
	bool stopping;
	struct import *items[IMPORTS_KEPT]; /* newest first */
};

/* ---- the list ------------------------------------------------------------------------------------ */

int user_imports_open(struct user_imports **ret, struct app *app)
{
	struct user_imports *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return ERR_NOMEM;
	l->app = app;
	pthread_mutex_init(&l->lock, NULL);
	*ret = l;
	return 0;
}

static void drop_file(struct import *im)
{
	if (im->file != NULL)
		crypto_wipe(im->file, im->file_len);
	free(im->file);
	im->file = NULL;
}

static void import_free(struct import *im)
{
	if (im == NULL)
		return;
	if (im->joinable)
		pthread_join(im->thread, NULL);
	drop_file(im);
	free(im->caller_id);
	free(im->rows);
	free(im);
}

void user_imports_close(struct user_imports *l)
{
	if (l == NULL)
		return;
	pthread_mutex_lock(&l->lock);
	l->stopping = true;
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < IMPORTS_KEPT; i++)
		import_free(l->items[i]);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* ---- looking the file through ----------------------------------------------------------------------- */

static const char *column_named(struct slice name)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (slice_is(name, members[i]))
			return members[i];
	return slice_is(name, HASH_COLUMN) ? HASH_COLUMN : NULL;
}

static bool refuse(struct said *why, const char *en, const char *zh)
{
	*why = (struct said){en, zh};
	return false;
}

static bool read_columns(struct import *im, const struct slice *names, size_t n, struct arena *arena, struct said *why)
{
	for (size_t i = 0; i < n; i++) {
		const char *column = column_named(slice_trim(names[i]));

		if (column == NULL && slice_is(slice_trim(names[i]), "password"))
			return refuse(why, "Passwords are not written into files: leave the column out, people set theirs by a reset; "
			    "passwordHash takes Argon2id and bcrypt.", "请勿在文件中包含明文密码");
		if (column == NULL)
			return refuse(why, arena_printf(arena, "Column %zu of the first line has none of the names username, email, "
			    "countryCode, phone, displayName, role, legacyId, passwordHash.", i + 1), "表头列名不正确");
		for (size_t j = 0; j < i; j++)
			if (im->columns[j] == column)
				return refuse(why, arena_printf(arena, "The column %s is there twice.", column), "表头列名重复");
		im->columns[i] = column;
	}
	im->n_columns = n;
	return true;
}

static bool look_through(struct import *im, struct arena *arena, struct said *why)
{
	struct csv_reader r = CSV_READER(slice_of(im->file, im->file_len));
	struct slice fields[COLUMNS_MAX];
	size_t n;
	int rc = csv_next(&r, arena, fields, COLUMNS_MAX, &n);

	if (rc != 0 && rc != ERR_MALFORMED)
		return refuse(why, "The first line names the columns: username, email, countryCode, phone, displayName, role, "
		    "legacyId, passwordHash.", "缺少表头");
	if (rc == 0 && !read_columns(im, fields, n, arena, why))
		return false;
	while (rc == 0 || rc == ERR_TOO_BIG) {
		rc = csv_next(&r, arena, fields, COLUMNS_MAX, &n);
		if ((rc == 0 || rc == ERR_TOO_BIG) && im->n_rows++ == IMPORT_ROWS_MAX)
			return refuse(why, "More than 5,000 rows: send them in parts.", "超过5000行，请分批导入");
	}
	if (rc == ERR_MALFORMED)
		return refuse(why, arena_printf(arena, "The quotes of the record at line %llu are not as CSV has them.",
		    (unsigned long long)r.line), "CSV 引号格式不正确");
	if (rc != ERR_END)
		return refuse(why, "The file is too big to be looked through.", "文件过大");
	return im->n_rows > 0 || refuse(why, "There are no rows behind the first line.", "没有数据行");
}

/* ---- a row -------------------------------------------------------------------------------------------- */

/* Not verified here, that costs: whoever signs in with it does. */
static bool is_hash(struct slice text)
{
	bool bcrypt = text.len == 60 && (slice_starts_with(text, SLICE("$2a$")) || slice_starts_with(text, SLICE("$2b$")) ||
	                                 slice_starts_with(text, SLICE("$2y$")));

	if (!bcrypt && !slice_starts_with(text, SLICE("$argon2id$v=19$m=")))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7e)
			return false;
	return text.len < 160;
}

/* The row as the body of a request; *ret_hash is its passwordHash. */
static bool write_body(struct import *im, struct action *c, const struct slice *fields, size_t n, struct buf *out,
    struct slice *ret_hash)
{
	struct json_writer w = JSON_WRITER(out);

	*ret_hash = (struct slice){0};
	if (n != im->n_columns)
		return action_fail(c, 400, "invalid", "This row has not as many fields as the first line.", "列数与表头不符");
	json_begin_object(&w);
	for (size_t i = 0; i < n; i++) {
		if (!utf8_valid(fields[i]))
			return action_fail(c, 400, "invalid", "This row is not UTF-8.", "编码不是 UTF-8");
		if (fields[i].len == 0)
			continue;
		if (strcmp(im->columns[i], HASH_COLUMN) == 0) {
			*ret_hash = fields[i];
			continue;
		}
		json_name(&w, im->columns[i]);
		json_put_string(&w, fields[i]);
	}
	json_end_object(&w);
	if (ret_hash->len > 0 && !is_hash(*ret_hash))
		return action_fail(c, 400, "invalid", "passwordHash: neither Argon2id nor bcrypt.", "密码哈希格式不正确");
	return out->rc == 0 || action_fail_err(c, out->rc);
}

static bool make_account(struct action *c, struct slice hash, struct account_new *n)
{
	struct action_events e = {.c = c};
	int rc;

	*n = (struct account_new){.how = "IMPORT"};
	if (!account_new_read(c, n))
		return false;
	n->hash = hash.len == 0 ? NULL : action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(hash)));
	rc = account_new_add(&e, n);
	if (rc == 0)
		rc = action_append(&e);
	if (rc == ERR_TAKEN)
		return account_new_taken(c, e.append.claim_taken);
	return rc == 0 || action_fail_err(c, rc);
}

/* Names members, never values. */
static void note_failure(const struct action *c, struct row *row)
{
	row->state = ROW_FAILED;
	if (c->err != 0) {
		snprintf(row->code, sizeof(row->code), "%s", "failed");
		snprintf(row->message, sizeof(row->message), "%s", err_text(c->err));
		return;
	}
	snprintf(row->code, sizeof(row->code), "%s", c->code);
	if (c->problems.n > 0)
		snprintf(row->message, sizeof(row->message), "%s: %s", c->problems.items[0].path, c->problems.items[0].message);
	else
		snprintf(row->message, sizeof(row->message), "%s", c->said.en == NULL ? "" : c->said.en);
}

/* As if each row were a request of the caller's. */
static void take_row(struct import *im, const struct slice *fields, size_t n, struct row *row)
{
	static const struct route route = {.path = "/api/v1/users/imports"};
	struct arena arena = ARENA_INIT(ROW_ARENA);
	struct http_request rq = {.arena = &arena, .app = im->l->app, .route = &route, .principal = &im->caller};
	struct action c = {.rq = &rq, .app = im->l->app, .arena = &arena, .body = BUF_INIT(0),
	    .problems = PROBLEMS_INIT(&arena)};
	struct buf body = BUF_INIT(ROW_ARENA);
	struct account_new made;
	struct slice hash;

	if (write_body(im, &c, fields, n, &body, &hash)) {
		rq.body = buf_slice(&body);
		if (make_account(&c, hash, &made)) {
			row->state = ROW_CREATED;
			snprintf(row->user_id, sizeof(row->user_id), "%.*s", SLICE_ARG(made.user_text));
		}
	}
	if (row->state != ROW_CREATED)
		note_failure(&c, row);
	buf_wipe(&body);
	arena_finish(&arena);
}

static bool keeps_going(struct import *im)
{
	bool goes;

	pthread_mutex_lock(&im->l->lock);
	goes = !im->l->stopping;
	pthread_mutex_unlock(&im->l->lock);
	return goes;
}

static void *run(void *arg)
{
	struct import *im = arg;
	struct csv_reader r = CSV_READER(slice_of(im->file, im->file_len));
	struct slice fields[COLUMNS_MAX];
	size_t n = 0, i = 0;
	struct arena first = ARENA_INIT(FILE_ARENA);

	csv_next(&r, &first, fields, COLUMNS_MAX, &n);
	arena_finish(&first);
	for (; i < im->n_rows && keeps_going(im); i++) {
		struct arena arena = ARENA_INIT(FILE_ARENA);
		struct row row = {0};
		int rc = csv_next(&r, &arena, fields, COLUMNS_MAX, &n);

		row.line = (uint32_t)r.line;
		take_row(im, fields, rc == 0 ? n : 0, &row);
		arena_finish(&arena);
		pthread_mutex_lock(&im->l->lock);
		im->rows[i] = row;
		im->n_done++;
		im->n_created += row.state == ROW_CREATED;
		pthread_mutex_unlock(&im->l->lock);
	}
	drop_file(im);
	pthread_mutex_lock(&im->l->lock);
	im->cancelled = i < im->n_rows;
	im->running = false;
	pthread_mutex_unlock(&im->l->lock);
	return NULL;
}

/* ---- starting ---------------------------------------------------------------------------------------------- */

static int prepare(struct import *im, struct slice csv, const struct import_caller *caller, struct arena *arena,
    struct said *why)
{
	size_t n = 0;

	im->file = malloc(csv.len + 1);
	im->caller_id = strdup(caller->id);
	if (im->file == NULL || im->caller_id == NULL)
		return ERR_NOMEM;
	memcpy(im->file, csv.ptr, csv.len);
	im->file_len = csv.len;
	if (!look_through(im, arena, why))
		return ERR_INVALID;
	im->rows = calloc(im->n_rows, sizeof(*im->rows));
	if (im->rows == NULL)
		return ERR_NOMEM;
	if (caller->may_all)
		im->permissions[n++] = "*";
	else if (caller->may_grant)
		im->permissions[n++] = "roles:grant";
	im->caller = (struct principal){.id = im->caller_id, .permissions = im->permissions};
	im->id = id_ordered(im->l->app->rng, clock_wall_ms(im->l->app->clock));
	im->started_ms = clock_wall_ms(im->l->app->clock);
	return 0;
}

/* With the lock. */
static int launch(struct user_imports *l, struct import *im)
{
	if (l->stopping || (l->items[0] != NULL && l->items[0]->running))
		return ERR_BUSY;
	im->running = true;
	if (pthread_create(&im->thread, NULL, run, im) != 0)
		return ERR_NOMEM;
	im->joinable = true;
	import_free(l->items[IMPORTS_KEPT - 1]);
	memmove(&l->items[1], &l->items[0], (IMPORTS_KEPT - 1) * sizeof(l->items[0]));
	l->items[0] = im;
	return 0;
}

int user_import_start(struct user_imports *l, struct slice csv, const struct import_caller *caller, struct arena *arena,
    struct id *ret_id, size_t *ret_rows, struct said *why)
{
	struct import *im = calloc(1, sizeof(*im));
	int rc = ERR_NOMEM;

	if (im != NULL) {
		im->l = l;
		rc = prepare(im, csv, caller, arena, why);
	}
	if (rc == 0) {
		*ret_id = im->id;
		*ret_rows = im->n_rows;
		pthread_mutex_lock(&l->lock);
		rc = launch(l, im);
		pthread_mutex_unlock(&l->lock);
	}
	if (rc != 0)
		import_free(im);
	return rc;
}

/* ---- telling --------------------------------------------------------------------------------------------------- */

static void write_row(const struct row *row, struct json_writer *w)
{
	json_begin_object(w);
	json_name(w, "line");
	json_put_u64(w, row->line);
	json_name(w, "status");
	json_put_str(w, row->state == ROW_CREATED ? "CREATED" : "FAILED");
	if (row->state == ROW_CREATED) {
		json_name(w, "userId");
		json_put_str(w, row->user_id);
	} else {
		json_name(w, "code");
		json_put_str(w, row->code);
		json_name(w, "message");
		json_put_str(w, row->message);
	}
	json_end_object(w);
}

static void write_import(const struct import *im, size_t from, size_t limit, struct json_writer *w)
{
	char id[ID_TEXT_LEN + 1], time[TIME_TEXT_MS_LEN + 1];

	id_format(id, &im->id);
	time_format_ms(time, im->started_ms);
	json_begin_object(w);
	json_name(w, "id");
	json_put_str(w, id);
	json_name(w, "state");
	json_put_str(w, im->running ? "RUNNING" : im->cancelled ? "CANCELLED" : "DONE");
	json_name(w, "startedAt");
	json_put_str(w, time);
	json_name(w, "total");
	json_put_u64(w, im->n_rows);
	json_name(w, "done");
	json_put_u64(w, im->n_done);
	json_name(w, "created");
	json_put_u64(w, im->n_created);
	json_name(w, "failed");
	json_put_u64(w, im->n_done - im->n_created);
	json_name(w, "rows");
	json_begin_array(w);
	for (size_t i = from; i < im->n_done && i - from < limit; i++)
		write_row(&im->rows[i], w);
	json_end_array(w);
	json_end_object(w);
}

int user_import_write(struct user_imports *l, const struct id *id, size_t from, size_t limit, struct json_writer *w)
{
	int rc = ERR_NOT_FOUND;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; rc != 0 && i < IMPORTS_KEPT && l->items[i] != NULL; i++)
		if (memcmp(l->items[i]->id.bytes, id->bytes, ID_LEN) == 0) {
			write_import(l->items[i], from, limit, w);
			rc = 0;
		}
	pthread_mutex_unlock(&l->lock);
	return rc;
}
