/* See projection_gather.h. */
#include "store/projection_gather.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define ROWS_BYTES_MAX ((size_t)64 << 20) /* the owner flushes long before */
#define SLOTS_MIN 1024

/* NULL, a number or a text; texts have room to be written over by one that is not longer. */
struct value {
	union {
		sqlite3_int64 number;
		char *text;
	};
	uint32_t len, room;
	uint8_t type; /* SQLITE_NULL, _INTEGER, _TEXT */
};

struct row {
	struct row *next;
	uint64_t hash;
	struct value values[];
};

struct gather {
	const struct projection_gather *table;
	sqlite3_stmt *upsert;
	struct arena arena; /* rows and their texts */
	struct row *first, **last; /* in the order in which they came */
	struct row **slots; /* by hash, open addressing; a power of two */
	size_t n_slots, n_rows;
};

int gather_create(struct gather **ret, const struct projection_gather *table, struct sqlite3 *db)
{
	struct gather *g = calloc(1, sizeof(*g));
	int code;

	if (g == NULL)
		return SQLITE_NOMEM;
	g->table = table;
	g->arena = (struct arena)ARENA_INIT(ROWS_BYTES_MAX);
	g->last = &g->first;
	g->n_slots = SLOTS_MIN;
	g->slots = calloc(g->n_slots, sizeof(struct row *));
	code = g->slots == NULL ? SQLITE_NOMEM
	                        : sqlite3_prepare_v3(db, table->upsert, -1, SQLITE_PREPARE_PERSISTENT, &g->upsert, NULL);
	if (code == SQLITE_OK)
		*ret = g;
	else
		gather_destroy(g);
	return code;
}

void gather_destroy(struct gather *g)
{
	if (g == NULL)
		return;
	sqlite3_finalize(g->upsert);
	arena_finish(&g->arena);
	free(g->slots);
	free(g);
}

/* ---- values ------------------------------------------------------------------- */

/* As a strict column of the table would take it, where it costs nothing to do so. Texts stay the statement's. */
static int take(sqlite3_stmt *from, int i, const struct gather_column *column, struct value *ret)
{
	*ret = (struct value){.type = (uint8_t)sqlite3_column_type(from, i)};
	/* Told now: together with what other events give, the row might pass. */
	if (ret->type == SQLITE_NULL)
		return column->is_required ? SQLITE_CONSTRAINT : SQLITE_OK;
	if (column->is_integer) {
		ret->number = sqlite3_column_int64(from, i);
		return ret->type == SQLITE_INTEGER ? SQLITE_OK : SQLITE_MISMATCH;
	}
	if (ret->type == SQLITE_BLOB)
		return SQLITE_MISMATCH;
	/* Asked for as a text, one that ends without a zero byte would be copied to add it. */
	if (ret->type == SQLITE_TEXT) {
		ret->text = (char *)(uintptr_t)sqlite3_column_blob(from, i);
		ret->len = (uint32_t)sqlite3_column_bytes(from, i);
		return ret->text == NULL && ret->len > 0 ? SQLITE_NOMEM : SQLITE_OK;
	}
	ret->text = (char *)(uintptr_t)sqlite3_column_text(from, i);
	ret->len = (uint32_t)sqlite3_column_bytes(from, i);
	ret->type = SQLITE_TEXT;
	return ret->text == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

/* As "collate binary" does. */
static int compare(const struct value *a, const struct value *b)
{
	uint32_t len = a->len < b->len ? a->len : b->len;
	int order;

	if (a->type == SQLITE_INTEGER)
		return a->number < b->number ? -1 : a->number > b->number;
	order = len == 0 ? 0 : memcmp(a->text, b->text, len);
	return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int keep(struct gather *g, struct value *into, const struct value *v)
{
	char *room = into->type == SQLITE_TEXT ? into->text : NULL;

	if (v->type != SQLITE_TEXT) {
		*into = *v;
		return SQLITE_OK;
	}
	if (room == NULL || into->room < v->len) {
		room = arena_alloc(&g->arena, v->len == 0 ? 1 : v->len);
		if (room == NULL)
			return SQLITE_NOMEM;
		into->room = v->len;
	}
	if (v->len > 0)
		memcpy(room, v->text, v->len);
	into->text = room;
	into->len = v->len;
	into->type = SQLITE_TEXT;
	return SQLITE_OK;
}

static int merge(struct gather *g, enum gather_op op, struct value *into, const struct value *v)
{
	if (op == GATHER_FIRST || v->type == SQLITE_NULL)
		return SQLITE_OK;
	if (into->type == SQLITE_NULL)
		return keep(g, into, v);
	switch (op) {
	case GATHER_MAX:
		return compare(v, into) > 0 ? keep(g, into, v) : SQLITE_OK;
	case GATHER_MIN:
		return compare(v, into) < 0 ? keep(g, into, v) : SQLITE_OK;
	case GATHER_SUM:
		return __builtin_add_overflow(into->number, v->number, &into->number) ? SQLITE_TOOBIG : SQLITE_OK;
	default:
		return SQLITE_OK; /* the key is the same, or this would be another row */
	}
}

/* ---- rows --------------------------------------------------------------------- */

/* FNV-1a over the key. Nobody gains by collisions: there are few rows, and a row found late is found. */
static uint64_t hash_of(const struct projection_gather *t, const struct value *values)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (unsigned c = 0; c < t->n_columns; c++) {
		const struct value *v = &values[c];
		const unsigned char *bytes = (const unsigned char *)&v->number;
		size_t len = sizeof(v->number);

		if (t->columns[c].op != GATHER_KEY)
			continue;
		if (v->type == SQLITE_TEXT) {
			bytes = (const unsigned char *)v->text;
			len = v->len;
		}
		for (size_t i = 0; i < len; i++)
			hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
		hash = (hash ^ 0xff) * UINT64_C(1099511628211);
	}
	return hash ^ hash >> 32;
}

static bool same_key(const struct projection_gather *t, const struct value *a, const struct value *b)
{
	for (unsigned c = 0; c < t->n_columns; c++)
		if (t->columns[c].op == GATHER_KEY && compare(&a[c], &b[c]) != 0)
			return false;
	return true;
}

/* Where the row is, or belongs. */
static struct row **find(struct gather *g, uint64_t hash, const struct value *values)
{
	size_t i = hash & (g->n_slots - 1);

	while (g->slots[i] != NULL &&
	    (g->slots[i]->hash != hash || !same_key(g->table, g->slots[i]->values, values)))
		i = (i + 1) & (g->n_slots - 1);
	return &g->slots[i];
}

static int grow(struct gather *g)
{
	size_t n = 2 * g->n_slots;
	struct row **slots = calloc(n, sizeof(struct row *));

	if (slots == NULL)
		return SQLITE_NOMEM;
	for (struct row *row = g->first; row != NULL; row = row->next) {
		size_t i = row->hash & (n - 1);

		while (slots[i] != NULL)
			i = (i + 1) & (n - 1);
		slots[i] = row;
	}
	free(g->slots);
	g->slots = slots;
	g->n_slots = n;
	return SQLITE_OK;
}

static int add_row(struct gather *g, struct row **slot, uint64_t hash, const struct value *values)
{
	struct row *row = arena_alloc(&g->arena, sizeof(*row) + g->table->n_columns * sizeof(row->values[0]));
	int code = row == NULL ? SQLITE_NOMEM : SQLITE_OK;

	for (unsigned c = 0; c < g->table->n_columns && code == SQLITE_OK; c++) {
		row->values[c].type = SQLITE_NULL;
		code = keep(g, &row->values[c], &values[c]);
	}
	if (code != SQLITE_OK)
		return code;
	row->hash = hash;
	*slot = row;
	*g->last = row;
	g->last = &row->next;
	return ++g->n_rows * 2 > g->n_slots ? grow(g) : SQLITE_OK;
}

int gather_add(struct gather *g, struct sqlite3_stmt *from, const unsigned char *column)
{
	const struct projection_gather *t = g->table;
	struct value values[GATHER_COLUMNS_MAX];
	int code = SQLITE_OK, n = sqlite3_column_count(from);
	struct row **slot;
	uint64_t hash;

	assert(t->n_columns <= GATHER_COLUMNS_MAX);
	for (unsigned c = 0; c < t->n_columns; c++)
		values[c] = (struct value){.type = SQLITE_NULL};
	for (int i = 0; i < n && code == SQLITE_OK; i++)
		code = take(from, i, &t->columns[column[i]], &values[column[i]]);
	if (code != SQLITE_OK)
		return code;
	hash = hash_of(t, values);
	slot = find(g, hash, values);
	if (*slot == NULL)
		return add_row(g, slot, hash, values);
	for (int i = 0; i < n && code == SQLITE_OK; i++)
		code = merge(g, t->columns[column[i]].op, &(*slot)->values[column[i]], &values[column[i]]);
	return code;
}

/* ---- all of them --------------------------------------------------------------- */

static int write_row(struct gather *g, const struct row *row)
{
	int code = SQLITE_OK, reset;

	for (unsigned c = 0; c < g->table->n_columns && code == SQLITE_OK; c++) {
		const struct value *v = &row->values[c];

		if (v->type == SQLITE_TEXT)
			code = sqlite3_bind_text(g->upsert, (int)c + 1, v->text, (int)v->len, SQLITE_STATIC);
		else if (v->type == SQLITE_INTEGER)
			code = sqlite3_bind_int64(g->upsert, (int)c + 1, v->number);
		else
			code = sqlite3_bind_null(g->upsert, (int)c + 1);
	}
	if (code == SQLITE_OK)
		code = sqlite3_step(g->upsert);
	reset = sqlite3_reset(g->upsert);
	return code == SQLITE_DONE ? reset : code;
}

size_t gather_bytes(const struct gather *g)
{
	return g->n_rows == 0 ? 0 : g->arena.total;
}

int gather_flush(struct gather *g)
{
	int code = SQLITE_OK;

	for (const struct row *row = g->first; row != NULL && code == SQLITE_OK; row = row->next)
		code = write_row(g, row);
	if (code == SQLITE_OK)
		gather_forget(g);
	return code;
}

/* All slots empty; no more of them than the rows to come are likely to need, live ones being few. */
static void clear_slots(struct gather *g)
{
	struct row **fewer = NULL;

	if (g->n_slots > SLOTS_MIN && g->n_rows * 16 < g->n_slots)
		fewer = calloc(SLOTS_MIN, sizeof(struct row *));
	if (fewer == NULL) {
		memset(g->slots, 0, g->n_slots * sizeof(struct row *));
		return;
	}
	free(g->slots);
	g->slots = fewer;
	g->n_slots = SLOTS_MIN;
}

void gather_forget(struct gather *g)
{
	if (g->n_rows == 0)
		return;
	sqlite3_clear_bindings(g->upsert);
	clear_slots(g);
	g->first = NULL;
	g->last = &g->first;
	g->n_rows = 0;
	arena_reset(&g->arena);
}
