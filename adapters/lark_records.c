/*
 * Records of Feishu's tables, many at once: is the table as we need it, what is there,
 * and writing. See lark_rows.c; on its lane's one thread.
 *
 * A batch takes tens of requests. One that fails for the moment is repeated while the batch is in hand, the same to the byte
 * and few of them in a minute: a failure costs a request, and not an attempt of each row. A limit is waited for, which
 * holds up the lane. When it goes on failing the batch is stopped; rows for which nothing was done by then have not been tried.
 *
 * A new record is a request of its own, whose client_token is the effect's id: when its answer is lost, the same
 * effect asks the same again, and the vendor makes one record of both, whatever else is to be written by then.
 */
#include "lark_out.h"

#include "base/codec.h"
#include "base/err.h"
#include "base/thread.h"

#define COLUMNS_LIFE_US (600 * INT64_C(1000000))
#define SECOND_US INT64_C(1000000)
#define REPEAT_MS 500  /* before the first repetition of a request; then twice as long */
#define REPEATS_MAX 4
#define PATIENCE_MS 5000 /* what must be waited for longer is left to the lane */
#define REPEATS_FREE 10  /* within a minute, and a fifth of what was asked in it (integrity.md 16) */
#define REPEATS_SHARE 5
#define PAGES_MAX 20
#define BODY_MAX ((size_t)32 << 20)

/* ---- asking Feishu ----------------------------------------------------------------------- */

/*
 * The vendor counts each second. So the oldest of as many requests as it takes must be a second ago: a few go at once, many
 * one after the other. Only this thread asks about tables.
 */
static void pace(struct lark_out *out, const _Atomic bool *stopping, bool acts)
{
	const struct clock *clock = out->app->clock;
	struct lark_pace *p = acts ? &out->writes : &out->reads;
	size_t n = acts ? LARK_WRITES_A_SECOND : LARK_READS_A_SECOND;
	int64_t *oldest_us = &p->asked_at_us[p->next % n], now_us = clock_monotonic_us(clock);

	if (*oldest_us != 0 && now_us - *oldest_us < SECOND_US)
		thread_pause((*oldest_us + SECOND_US - now_us + 999) / 1000, stopping);
	*oldest_us = clock_monotonic_us(clock);
	p->next++;
}

static bool is_limit(const struct lark_reply *r)
{
	return r->rc == 0 && (r->answer.is == ANSWER_LIMIT || r->answer.code == 99991400 || r->answer.code == 1254290);
}

/* How long after the reply its request is worth repeating; below 0: it is not. n: which repetition, from 0. */
static int64_t repeat_in_ms(struct lark_out *out, const struct lark_reply *r, unsigned n)
{
	int64_t set_ms = out->app->config->effects_retry_base, base_ms = set_ms > 0 && set_ms < REPEAT_MS ? set_ms : REPEAT_MS, ms;
	int64_t now_ms = clock_monotonic_us(out->app->clock) / 1000;
	uint32_t asked, again;

	if (is_limit(r)) {
		ms = r->wait_ms > 0 ? r->wait_ms : 2 * base_ms << n;
		return r->answer.code == 99991403 || ms > PATIENCE_MS ? -1 : ms;
	}
	/* A vendor that takes all of its time is waited for by nobody else's turn. */
	if (r->rc != 0 ? r->rc != ERR_NETWORK : r->answer.is != ANSWER_RETRY && r->answer.is != ANSWER_UNKNOWN)
		return -1;
	window_sum(&out->asked, now_ms, &asked, &again);
	if (again >= REPEATS_FREE + asked / REPEATS_SHARE)
		return -1;
	window_add(&out->asked, now_ms, 0, 1);
	return (int64_t)rng_below(out->app->rng, (uint64_t)base_ms << n) + 1;
}

/* tail: behind the table's path. Whatever stops one request stops those after it. */
static void ask(struct lark_sync *s, enum lark_table table, const char *method, const char *tail, struct slice body, bool acts,
    struct lark_reply *ret)
{
	const _Atomic bool *stopping = s->rows[0].call->stopping;
	struct lark_ask a = {.method = method, .body = body, .acts = acts};
	bool unknown = false;

	a.path = arena_printf(s->arena, "/open-apis/bitable/v1/apps/%.*s/tables/%.*s/%s", SLICE_ARG(s->out->app_token),
	    SLICE_ARG(s->out->table_ids[table]), tail);
	if (a.path == NULL) {
		*ret = (struct lark_reply){.rc = ERR_NOMEM};
		return;
	}
	*ret = (struct lark_reply){.rc = ERR_CANCELLED};
	window_add(&s->out->asked, clock_monotonic_us(s->app->clock) / 1000, 1, 0);
	for (unsigned n = 0; !*stopping; n++) {
		int64_t ms;

		pace(s->out, stopping, acts);
		lark_ask(s->out->client, s->rows[0].call, &a, ret);
		ret->unknown = ret->unknown || (unknown && !lark_went_well(ret));
		unknown = ret->unknown;
		ms = n == REPEATS_MAX ? -1 : repeat_in_ms(s->out, ret, n);
		if (ms < 0)
			break;
		thread_pause(ms, stopping);
	}
	if (ret->rc == 0 && ret->answer.code >= 1254040 && ret->answer.code <= 1254045)
		s->out->columns[table].known = false; /* somebody changed the table */
	if (ret->rc != 0 || ret->answer.is == ANSWER_CONFIG || is_limit(ret)) {
		s->is_stopped = true;
		s->stopped = *ret;
		s->stopped.unknown = false; /* of the others nothing was sent */
	}
}

static void end(struct lark_row *row, const struct lark_reply *reply)
{
	lark_outcome(row->call, reply);
	if (row->call->outcome == EFFECT_RETRY && reply->unknown)
		row->call->outcome = EFFECT_IS_UNKNOWN;
	else if (row->call->outcome == EFFECT_RETRY && (is_limit(reply) || reply->rc == ERR_CANCELLED))
		row->call->outcome = EFFECT_NOT_TRIED;
	row->is_over = true;
}

/* Of this one nothing was asked, for what was asked for others ended badly. */
static void end_not_tried(struct lark_sync *s, struct lark_row *row)
{
	end(row, &s->stopped);
	if (row->call->outcome == EFFECT_RETRY)
		row->call->outcome = EFFECT_NOT_TRIED;
}

/* Nothing came of these: the reply to what was asked for all of them. */
static void end_all(struct lark_row *rows, size_t n, const struct lark_reply *reply)
{
	for (size_t i = 0; i < n; i++)
		if (!rows[i].is_over)
			end(&rows[i], reply);
}

/* An answer that says it went well, and makes no sense. */
static void make_malformed(struct lark_reply *reply, int rc)
{
	reply->rc = rc == ERR_NOMEM ? ERR_NOMEM : 0;
	reply->answer.is = ANSWER_RETRY;
}

/* ---- what the table has ---------------------------------------------------------------------- */

static bool read_columns(struct lark_sync *s, enum lark_table t, struct lark_reply *reply)
{
	struct lark_columns *columns = &s->out->columns[t];
	struct slice next = SLICE("");

	*columns = (struct lark_columns){.read_at_us = clock_monotonic_us(s->app->clock)};
	for (int page = 0; page < PAGES_MAX; page++) {
		struct buf token = BUF_INIT(4096);
		const char *tail;
		int rc;

		percent_encode(&token, next);
		tail = next.len == 0 ? "fields?page_size=100"
		                     : arena_printf(s->arena, "fields?page_size=100&page_token=%.*s", SLICE_ARG(buf_slice(&token)));
		buf_finish(&token);
		ask(s, t, "GET", tail == NULL ? "fields" : tail, SLICE(""), false, reply);
		if (!lark_went_well(reply))
			return false;
		rc = lark_columns_read(t, reply->answer.data, s->arena, columns->there, &next);
		if (rc != 0) {
			make_malformed(reply, rc);
			return false;
		}
		if (next.len == 0)
			break;
	}
	columns->known = true;
	return true;
}

/* Does the table take our rows? Else all of them wait for a person who changes it. */
bool lark_records_fit(struct lark_sync *s, enum lark_table t, struct lark_row *rows, size_t n)
{
	struct lark_columns *columns = &s->out->columns[t];
	const struct lark_column *unfit;
	struct lark_reply reply;
	const char *says;

	if (s->is_stopped) {
		for (size_t i = 0; i < n; i++)
			if (!rows[i].is_over)
				end_not_tried(s, &rows[i]);
		return false;
	}
	if (!columns->known || clock_monotonic_us(s->app->clock) - columns->read_at_us > COLUMNS_LIFE_US) {
		if (!read_columns(s, t, &reply)) {
			end_all(rows, n, &reply);
			return false;
		}
	}
	unfit = lark_columns_unfit(t, columns->there);
	if (unfit == NULL)
		return true;
	columns->known = false; /* looked at again by the next try */
	says = arena_printf(s->arena, "The table of %s lacks the field %s, or it is of another type (%d is wanted).",
	    lark_tables[t].setting, unfit->name, (int)unfit->type);
	for (size_t i = 0; i < n; i++)
		if (!rows[i].is_over)
			lark_row_end(&rows[i], EFFECT_REFUSED, "table", says);
	return false;
}

/* ---- what is there -------------------------------------------------------------------------------- */

static const struct lark_field *field_of(const struct lark_row *row, const char *name)
{
	for (size_t i = 0; i < row->n; i++)
		if (slice_is(row->fields[i].name, name))
			return &row->fields[i];
	return NULL;
}

/* All columns of the key are the same; one that the row leaves empty is empty there, too. */
static bool has_key(struct lark_sync *s, const struct lark_row *row, struct json_value there)
{
	for (const struct lark_column *c = lark_tables[row->table].columns; c->name != NULL; c++) {
		const struct lark_field *f = c->is_key ? field_of(row, c->name) : NULL;
		struct slice ours = SLICE(""), theirs = SLICE("");

		if (!c->is_key)
			continue;
		if ((f != NULL && lark_said(f, s->arena, &ours) != 0) || lark_said_there(there, c, s->arena, &theirs) != 0 ||
		    !slice_eq(ours, theirs))
			return false;
	}
	return true;
}

static void note_found(struct lark_sync *s, struct lark_row *rows, size_t n, const struct lark_records *found)
{
	for (size_t k = 0; k < found->n; k++) {
		for (size_t i = 0; i < n; i++) {
			struct lark_row *row = &rows[i];

			/* The first of several is ours: the vendor gives the oldest first. */
			if (row->is_over || row->record_id.len > 0 || !has_key(s, row, found->items[k].fields))
				continue;
			row->record_id = found->items[k].record_id;
			row->there = found->items[k].fields;
			row->was_found = true;
		}
	}
}

/* By the key: rows whose record is not known. False: they have their outcome. */
static bool search(struct lark_sync *s, enum lark_table t, struct lark_row *rows, size_t n)
{
	const struct lark_column *column = lark_tables[t].columns;
	struct slice values[LARK_BATCH_MAX], next = SLICE("");
	struct buf body = BUF_INIT(BODY_MAX);
	struct lark_reply reply = {0};
	size_t n_values = 0;

	for (size_t i = 0; i < n; i++) {
		const struct lark_field *f = rows[i].is_over || rows[i].record_id.len > 0 ? NULL : field_of(&rows[i], column->name);

		if (f != NULL && n_values < LARK_BATCH_MAX && lark_said(f, s->arena, &values[n_values]) == 0)
			n_values++;
	}
	if (n_values == 0)
		return true;
	reply.rc = lark_body_search_any(&body, t, column, values, n_values);
	for (int page = 0; reply.rc == 0 && page < PAGES_MAX; page++) {
		struct lark_records found;
		struct buf token = BUF_INIT(4096);
		const char *tail;
		int rc;

		percent_encode(&token, next);
		tail = arena_printf(s->arena, "records/search?page_size=500%s%.*s", next.len > 0 ? "&page_token=" : "",
		    SLICE_ARG(buf_slice(&token)));
		buf_finish(&token);
		ask(s, t, "POST", tail == NULL ? "" : tail, buf_slice(&body), false, &reply);
		if (!lark_went_well(&reply))
			break;
		rc = lark_records_parse(reply.answer.data, s->arena, &found);
		if (rc != 0) {
			make_malformed(&reply, rc);
			break;
		}
		note_found(s, rows, n, &found);
		if (!found.more)
			break;
		next = found.page_token;
	}
	buf_finish(&body);
	if (lark_went_well(&reply))
		return true;
	for (size_t i = 0; i < n; i++)
		if (!rows[i].is_over && rows[i].record_id.len == 0)
			end(&rows[i], &reply);
	return false;
}

/* Rows whose record is known. */
static void get(struct lark_sync *s, enum lark_table t, struct lark_row *rows, size_t n)
{
	struct slice ids[LARK_BATCH_MAX];
	struct buf body = BUF_INIT(BODY_MAX);
	struct lark_records found = {0};
	struct lark_reply reply = {0};
	size_t n_ids = 0;
	int rc;

	for (size_t i = 0; i < n; i++) {
		rows[i].was_known = !rows[i].is_over && rows[i].record_id.len > 0;
		if (rows[i].was_known)
			ids[n_ids++] = rows[i].record_id;
	}
	if (n_ids == 0)
		return;
	reply.rc = lark_body_ids(&body, ids, n_ids);
	if (reply.rc == 0)
		ask(s, t, "POST", "records/batch_get", buf_slice(&body), false, &reply);
	if (lark_went_well(&reply)) {
		rc = lark_written_parse(reply.answer.data, s->arena, &found);
		if (rc != 0)
			make_malformed(&reply, rc);
	}
	buf_finish(&body);
	for (size_t i = 0; i < n; i++) {
		if (!rows[i].was_known)
			continue;
		if (!lark_went_well(&reply)) {
			end(&rows[i], &reply);
			continue;
		}
		rows[i].is_gone = true;
		for (size_t k = 0; k < found.n; k++) {
			if (slice_eq(found.items[k].record_id, rows[i].record_id)) {
				rows[i].there = found.items[k].fields;
				rows[i].is_gone = false;
			}
		}
	}
}

void lark_records_look(struct lark_sync *s, enum lark_table t, struct lark_row *rows, size_t n)
{
	get(s, t, rows, n);
	if (!s->is_stopped)
		search(s, t, rows, n);
	for (size_t i = 0; i < n; i++)
		if (s->is_stopped && !rows[i].is_over)
			end_not_tried(s, &rows[i]);
}

/* ---- writing ---------------------------------------------------------------------------------------------- */

/* True: there is a record. What the vendor says it has had already is looked for, and taken for ours. */
static void create(struct lark_sync *s, struct lark_row *row)
{
	struct lark_write write = {.fields = row->writes, .n = row->n_writes};
	struct buf body = BUF_INIT(BODY_MAX);
	char token[LARK_CLIENT_TOKEN_LEN + 1];
	struct lark_records made;
	struct lark_reply reply = {0};
	const char *tail;
	int rc = lark_client_token(token, slice_str(row->call->id));

	if (rc == 0)
		rc = lark_body_create(&body, &write);
	tail = arena_printf(s->arena, "records?client_token=%s", rc == 0 ? token : "");
	if (rc == ERR_INVALID) {
		lark_row_end(row, EFFECT_REFUSED, "field", "A value cannot be written to its field.");
	} else {
		reply.rc = tail == NULL ? ERR_NOMEM : rc;
		if (reply.rc == 0)
			ask(s, row->table, "POST", tail, buf_slice(&body), true, &reply);
		if (reply.rc == 0 && (reply.answer.code == 1254608 || reply.answer.code == 1255006)) {
			/* It was made, and is not to be seen yet. */
			reply.answer.is = ANSWER_RETRY;
		}
		if (lark_went_well(&reply)) {
			rc = lark_written_parse(reply.answer.data, s->arena, &made);
			if (rc == 0 && made.n == 1)
				row->record_id = made.items[0].record_id;
			row->was_created = row->record_id.len > 0;
			if (!row->was_created)
				reply.unknown = true, reply.rc = ERR_MALFORMED;
		}
		if (!row->was_created)
			end(row, &reply);
	}
	buf_finish(&body);
}

static void update(struct lark_sync *s, enum lark_table t, struct lark_row **rows, size_t n)
{
	struct lark_write writes[LARK_BATCH_MAX];
	struct buf body = BUF_INIT(BODY_MAX);
	struct lark_reply reply = {0};
	int rc;

	for (size_t i = 0; i < n; i++)
		writes[i] = (struct lark_write){rows[i]->record_id, rows[i]->writes, rows[i]->n_writes};
	rc = lark_body_records(&body, writes, n);
	reply.rc = rc == ERR_INVALID ? 0 : rc;
	if (rc == ERR_INVALID)
		reply.answer.is = ANSWER_REFUSED;
	else if (rc == 0)
		ask(s, t, "POST", "records/batch_update", buf_slice(&body), true, &reply);
	buf_finish(&body);
	if (reply.rc == 0 && reply.answer.is == ANSWER_REFUSED && n > 1) { /* one of them spoils it for all: which? */
		for (size_t i = 0; i < n; i++)
			update(s, t, &rows[i], 1);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		rows[i]->was_written = lark_went_well(&reply);
		if (!rows[i]->was_written)
			end(rows[i], &reply);
	}
}

void lark_records_write(struct lark_sync *s, enum lark_table t, struct lark_row *rows, size_t n)
{
	struct lark_row *changed[LARK_BATCH_MAX];
	size_t n_changed = 0;

	for (size_t i = 0; i < n; i++) {
		struct lark_row *row = &rows[i];

		if (row->is_over || row->n_writes == 0)
			continue;
		if (s->is_stopped)
			end_not_tried(s, row);
		else if (row->record_id.len == 0)
			create(s, row);
		else
			changed[n_changed++] = row;
	}
	if (n_changed > 0 && s->is_stopped)
		for (size_t i = 0; i < n_changed; i++)
			end_not_tried(s, changed[i]);
	else if (n_changed > 0)
		update(s, t, changed, n_changed);
}
