/* See projection_apply.h. */
#include "store/projection_apply.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/err.h"
#include "store/event_feed.h"
#include "store/projection_file.h"
#include "store/projection_gather.h"

#define BIND_BYTES_MAX (1u << 20)
#define GATHERED_BYTES_MAX ((size_t)16 << 20) /* of one table */

/* One statement of a handler. A service sees few of the types of event there are between its start and its end, and
 * to prepare the statements for all would be a fifth of a start: each is prepared when it first runs. */
struct step {
	const struct projection_statement *from;
	sqlite3_stmt *stmt;        /* NULL: not prepared yet */
	struct schema_path *paths; /* by bind; only those of PROJECTION_FIELD are set */
	struct gather *into;       /* NULL: it writes for itself */
};

struct handler {
	const struct event_type_info *type;
	const struct projection_handler *from;
	struct step *steps;
};

struct condition {
	sqlite3_stmt *stmt; /* NULL: not prepared yet */
	bool is_known, holds;
};

struct projection_applier {
	const struct projection *model;
	sqlite3 *db;
	struct handler *handlers; /* model->n_handlers, ascending by type */
	struct gather **gathers;  /* model->n_gathers */
	struct condition *conditions; /* model->n_conditions */
	sqlite3_int64 n_changes;      /* rows written by the connection when they were asked */
	struct buf json;          /* of the parameter at hand */
};

/* ---- statements --------------------------------------------------------------- */

/* The build has checked all this against the same declarations; a failure here is a broken build. */
static int init_step(struct projection_applier *f, const struct handler *h, struct step *s, struct buf *problem)
{
	s->paths = calloc(s->from->n_binds + 1, sizeof(*s->paths));
	if (s->paths == NULL)
		return ERR_NOMEM;
	if (s->from->into != NULL)
		s->into = f->gathers[s->from->into - f->model->gathers];
	for (unsigned i = 0; i < s->from->n_binds; i++) {
		const struct projection_bind *b = &s->from->binds[i];

		if (b->source != PROJECTION_FIELD)
			continue;
		if (schema_path_find(h->type->schema, slice_str(b->path), &s->paths[i]) != 0) {
			if (problem != NULL)
				buf_printf(problem, "%s:%u: %s has no field %s", f->model->file, s->from->line, h->type->name,
				    b->path);
			return ERR_UNSUPPORTED;
		}
	}
	return 0;
}

static int init_handler(struct projection_applier *f, struct handler *h, const struct projection_handler *from,
    struct buf *problem)
{
	int rc = 0;

	h->from = from;
	h->type = event_type_by_id(from->type);
	h->steps = calloc(from->n_statements, sizeof(*h->steps));
	if (h->steps == NULL || h->type == NULL)
		return h->steps == NULL ? ERR_NOMEM : ERR_UNSUPPORTED;
	for (unsigned i = 0; i < from->n_statements && rc == 0; i++) {
		h->steps[i].from = &from->statements[i];
		rc = init_step(f, h, &h->steps[i], problem);
	}
	return rc;
}

static int prepare_gathers(struct projection_applier *f, struct buf *problem)
{
	f->gathers = calloc(f->model->n_gathers + 1, sizeof(struct gather *));
	if (f->gathers == NULL)
		return ERR_NOMEM;
	for (unsigned i = 0; i < f->model->n_gathers; i++) {
		int code = gather_create(&f->gathers[i], &f->model->gathers[i], f->db);

		if (code == SQLITE_OK)
			continue;
		if (problem != NULL)
			buf_printf(problem, "%s:%u: %s", f->model->file, f->model->gathers[i].line, sqlite3_errmsg(f->db));
		return projection_sqlite_err(code) == ERR_INVALID ? ERR_UNSUPPORTED : projection_sqlite_err(code);
	}
	return 0;
}

int projection_applier_create(struct projection_applier **ret, const struct projection *model, struct sqlite3 *db,
    struct buf *problem)
{
	struct projection_applier *f = calloc(1, sizeof(*f));
	int rc = 0;

	if (f == NULL)
		return ERR_NOMEM;
	f->model = model;
	f->db = db;
	f->json = (struct buf)BUF_INIT(BIND_BYTES_MAX);
	f->handlers = calloc(model->n_handlers + 1, sizeof(*f->handlers));
	f->conditions = calloc(model->n_conditions + 1, sizeof(*f->conditions));
	rc = f->handlers == NULL || f->conditions == NULL ? ERR_NOMEM : prepare_gathers(f, problem);
	for (unsigned i = 0; i < model->n_handlers && rc == 0; i++)
		rc = init_handler(f, &f->handlers[i], &model->handlers[i], problem);
	if (rc == 0)
		*ret = f;
	else
		projection_applier_destroy(f);
	return rc;
}

static void finish_handler(struct handler *h)
{
	for (unsigned i = 0; h->steps != NULL && i < h->from->n_statements; i++) {
		sqlite3_finalize(h->steps[i].stmt);
		free(h->steps[i].paths);
	}
	free(h->steps);
}

void projection_applier_destroy(struct projection_applier *f)
{
	if (f == NULL)
		return;
	for (unsigned i = 0; f->handlers != NULL && i < f->model->n_handlers; i++)
		finish_handler(&f->handlers[i]);
	free(f->handlers);
	for (unsigned i = 0; f->gathers != NULL && i < f->model->n_gathers; i++)
		gather_destroy(f->gathers[i]);
	free(f->gathers);
	for (unsigned i = 0; f->conditions != NULL && i < f->model->n_conditions; i++)
		sqlite3_finalize(f->conditions[i].stmt);
	free(f->conditions);
	buf_finish(&f->json);
	free(f);
}

/* ---- apply ---------------------------------------------------------------------- */

static const struct handler *handler_of(const struct projection_applier *f, uint16_t type)
{
	const struct projection_handler *from = projection_handler_of(f->model, type);

	return from == NULL ? NULL : &f->handlers[from - f->model->handlers];
}

static int bind_slice(sqlite3_stmt *stmt, int i, struct slice text)
{
	return text.ptr == NULL ? sqlite3_bind_null(stmt, i)
	                        : sqlite3_bind_text(stmt, i, text.ptr, (int)text.len, SQLITE_STATIC);
}

/* Objects and lists as JSON, copied: the next parameter uses the same buffer. */
static int bind_json(struct projection_applier *f, sqlite3_stmt *stmt, int i, const struct schema_field *field,
    const void *member)
{
	struct json_writer w = JSON_WRITER(&f->json);

	buf_clear(&f->json);
	if (schema_encode_field(field, member, &w) != 0 || f->json.rc != 0)
		return SQLITE_TOOBIG;
	return sqlite3_bind_text(stmt, i, f->json.ptr, (int)f->json.len, SQLITE_TRANSIENT);
}

static int bind_field(struct projection_applier *f, sqlite3_stmt *stmt, int i, const struct schema_path *path,
    const void *data)
{
	const struct schema_field *field = path->fields[path->n - 1];
	const void *member = schema_path_get(path, data);

	if (member == NULL)
		return sqlite3_bind_null(stmt, i);
	switch (field->kind) {
	case SCHEMA_TEXT:
	case SCHEMA_JSON:
		return bind_slice(stmt, i, *(const struct slice *)member);
	case SCHEMA_INT:
		return sqlite3_bind_int64(stmt, i, *(const int64_t *)member);
	case SCHEMA_REAL:
		return sqlite3_bind_double(stmt, i, *(const double *)member);
	case SCHEMA_BOOL:
		return sqlite3_bind_int(stmt, i, *(const bool *)member);
	default:
		return bind_json(f, stmt, i, field, member);
	}
}

static int bind_one(struct projection_applier *f, const struct step *s, unsigned k, const struct fed_event *fed)
{
	const struct event *event = &fed->event;
	const struct envelope *e = &event->envelope;
	int i = (int)k + 1;

	switch (s->from->binds[k].source) {
	case PROJECTION_FIELD:
		return bind_field(f, s->stmt, i, &s->paths[k], event->data);
	case PROJECTION_POSITION:
		return sqlite3_bind_int64(s->stmt, i, (sqlite3_int64)fed->place);
	case PROJECTION_BEFORE:
		return sqlite3_bind_int64(s->stmt, i, (sqlite3_int64)(fed->place - fed->position));
	case PROJECTION_TIME:
		return sqlite3_bind_int64(s->stmt, i, e->time_us / 1000);
	case PROJECTION_STREAM:
		return bind_slice(s->stmt, i, e->subject);
	case PROJECTION_VERSION:
		return sqlite3_bind_int64(s->stmt, i, fed->stream_version);
	case PROJECTION_ACTOR:
		return bind_slice(s->stmt, i, e->actor);
	case PROJECTION_TYPE:
		return bind_slice(s->stmt, i, e->type);
	case PROJECTION_ID:
		return bind_slice(s->stmt, i, e->id);
	case PROJECTION_SOURCE:
		return bind_slice(s->stmt, i, e->source);
	case PROJECTION_DATA:
		return bind_slice(s->stmt, i, e->data);
	}
	return SQLITE_MISUSE;
}

static void tell(struct projection_applier *f, const struct step *s, const struct handler *h, int code, struct buf *problem)
{
	if (problem != NULL)
		buf_printf(problem, "%s:%u: %s: %s", f->model->file, s->from->line, h->type->name,
		    code == sqlite3_errcode(f->db) ? sqlite3_errmsg(f->db) : sqlite3_errstr(code));
}

/* What cannot be prepared tells of a file that is no longer what was made: the build has done it, with these tables. */
static int prepare_step(struct projection_applier *f, struct step *s, const struct handler *h, struct buf *problem)
{
	int code, rc;

	if (s->stmt != NULL)
		return 0;
	code = sqlite3_prepare_v3(f->db, s->from->sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
	if (code == SQLITE_OK) {
		assert(sqlite3_bind_parameter_count(s->stmt) == (int)s->from->n_binds);
		return 0;
	}
	tell(f, s, h, code, problem);
	rc = projection_sqlite_err(code);
	return rc == ERR_INVALID ? ERR_CORRUPT : rc;
}

static void forget_conditions(struct projection_applier *f)
{
	for (unsigned i = 0; i < f->model->n_conditions; i++)
		f->conditions[i].is_known = false;
}

static int ask_condition(struct projection_applier *f, struct condition *c, const struct projection_condition *from)
{
	int code = SQLITE_OK;

	if (c->stmt == NULL)
		code = sqlite3_prepare_v3(f->db, from->sql, -1, SQLITE_PREPARE_PERSISTENT, &c->stmt, NULL);
	if (code != SQLITE_OK)
		return code;
	code = sqlite3_step(c->stmt);
	if (code == SQLITE_ROW) {
		c->holds = sqlite3_column_int(c->stmt, 0) != 0;
		c->is_known = true;
	}
	sqlite3_reset(c->stmt);
	return code == SQLITE_ROW ? SQLITE_OK : code;
}

/*
 * Whether the step is to run. What was said of a condition stays true until this connection writes a row, or takes back
 * what it wrote: and every transaction ends with the one (its position) or the other, so that what others write is seen, too.
 */
static int holds(struct projection_applier *f, const struct step *s, bool *ret)
{
	sqlite3_int64 n_changes = sqlite3_total_changes64(f->db);
	struct condition *c;
	int code = SQLITE_OK;

	*ret = true;
	if (s->from->condition == NULL)
		return SQLITE_OK;
	c = &f->conditions[s->from->condition - f->model->conditions];
	if (f->n_changes != n_changes)
		forget_conditions(f);
	f->n_changes = n_changes;
	if (!c->is_known)
		code = ask_condition(f, c, s->from->condition);
	*ret = code == SQLITE_OK && c->holds;
	return code;
}

/* The rows a statement gives are those of a gathered table; another's are passed over. */
static int run_step(struct projection_applier *f, const struct step *s, const struct fed_event *event)
{
	int code = SQLITE_OK, reset;

	for (unsigned k = 0; k < s->from->n_binds && code == SQLITE_OK; k++)
		code = bind_one(f, s, k, event);
	if (code == SQLITE_OK)
		while ((code = sqlite3_step(s->stmt)) == SQLITE_ROW)
			if (s->into != NULL && (code = gather_add(s->into, s->stmt, s->from->column)) != SQLITE_OK)
				break;
	reset = sqlite3_reset(s->stmt);
	return code == SQLITE_DONE ? reset : code;
}

int projection_applier_flush(struct projection_applier *f, struct buf *problem)
{
	for (unsigned i = 0; i < f->model->n_gathers; i++) {
		int code = gather_flush(f->gathers[i]);

		if (code == SQLITE_OK)
			continue;
		if (problem != NULL)
			buf_printf(problem, "%s:%u: %s", f->model->file, f->model->gathers[i].line, sqlite3_errmsg(f->db));
		return projection_sqlite_err(code);
	}
	return 0;
}

void projection_applier_forget(struct projection_applier *f)
{
	for (unsigned i = 0; i < f->model->n_gathers; i++)
		gather_forget(f->gathers[i]);
	forget_conditions(f);
}

static bool is_full(const struct projection_applier *f)
{
	for (unsigned i = 0; i < f->model->n_gathers; i++)
		if (gather_bytes(f->gathers[i]) > GATHERED_BYTES_MAX)
			return true;
	return false;
}

int projection_applier_run(struct projection_applier *f, const struct fed_event *event, struct buf *problem)
{
	const struct handler *h = handler_of(f, event->type);
	int rc = event->rc, code;
	bool runs;

	if (h == NULL)
		return 0;
	assert(event->decoded);
	if (rc != 0 || event->event.data == NULL) {
		if (problem != NULL)
			buf_printf(problem, "%s cannot be read: %s", h->type->name, rc == 0 ? "unknown type" : err_text(rc));
		/* Whatever it is, it is the event's trouble (or its key's), not the file's. */
		return rc == 0 || projection_file_is_lost(rc) ? ERR_MALFORMED : rc;
	}
	for (unsigned i = 0; i < h->from->n_statements; i++) {
		code = holds(f, &h->steps[i], &runs);
		rc = runs ? prepare_step(f, &h->steps[i], h, problem) : 0;
		if (rc != 0)
			return rc;
		if (runs)
			code = run_step(f, &h->steps[i], event);
		if (code == SQLITE_OK)
			continue;
		tell(f, &h->steps[i], h, code, problem);
		return projection_sqlite_err(code);
	}
	return is_full(f) ? projection_applier_flush(f, problem) : 0;
}
