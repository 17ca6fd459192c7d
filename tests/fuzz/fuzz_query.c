/*
 * Fuzz entry: bytes as the query of a URL, put to every list there is. What is
 * taken must lie within the limits and be asked for in a statement that the
 * read model's own tables prepare; what is refused must name its parameter.
 */
#include <sqlite3.h>

#include "base/err.h"
#include "fuzz.h"
#include "net/http_parser.h"
#include "store/projection_file.h"
#include "store/query_private.h"

/* A database in memory with the tables of one read model. */
static sqlite3 *tables_of(const struct projection *model)
{
	sqlite3 *db = NULL;

	check(sqlite3_open(":memory:", &db) == SQLITE_OK);
	check(projection_register_functions(db) == 0);
	for (unsigned i = 0; model->ddl[i] != NULL; i++)
		check(sqlite3_exec(db, model->ddl[i], NULL, NULL, NULL) == SQLITE_OK);
	return db;
}

static void try_statement(sqlite3 *db, const struct list_request *rq, bool count)
{
	struct buf sql = BUF_INIT(65536);
	sqlite3_stmt *stmt = NULL;

	check(list_sql(&sql, rq, count) == 0);
	check(sqlite3_prepare_v2(db, sql.ptr, (int)sql.len, &stmt, NULL) == SQLITE_OK);
	/* The words of a search go through the tokenizer elsewhere; one that finds nothing does here. */
	check(list_bind(stmt, rq, count, SLICE("[\"\\\"x\\\"\"]")) == 0);
	check(sqlite3_step(stmt) == (count ? SQLITE_ROW : SQLITE_DONE));
	sqlite3_finalize(stmt);
	buf_finish(&sql);
}

static void try_list(sqlite3 *db, const struct list_def *list, const struct http_target *t, struct arena *a)
{
	struct list_problem problems[LIST_PROBLEMS_MAX];
	struct list_param params[HTTP_QUERY_MAX];
	struct list_request rq;
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < t->n_query; i++)
		params[i] = (struct list_param){t->query[i].name, t->query[i].value};
	rc = list_request_parse(&rq, list, params, t->n_query, LIST_LIMIT_MAX, a, problems, &n);
	check(rc == 0 || (rc == ERR_INVALID && n > 0 && n <= LIST_PROBLEMS_MAX));
	for (size_t i = 0; i < n; i++)
		check(problems[i].code != NULL && problems[i].message != NULL);
	if (rc != 0)
		return;
	check(rq.page >= 1 && rq.limit >= 1 && rq.limit <= LIST_LIMIT_MAX && rq.search.len <= LIST_SEARCH_MAX);
	try_statement(db, &rq, false);
	try_statement(db, &rq, true);
}

void fuzz_one(struct slice input)
{
	static sqlite3 *dbs[16];
	struct arena a = ARENA_INIT(4 << 20);
	struct buf target = BUF_INIT(8192);
	struct http_target t;
	const char *code = NULL;

	buf_append_str(&target, "/x?");
	if (buf_append(&target, input) == 0 &&
	    http_target_parse(&t, buf_slice(&target), SLICE("a"), false, &a, &code) == 0)
		for (unsigned m = 0; projections[m] != NULL; m++) {
			check(m < sizeof(dbs) / sizeof(dbs[0]));
			if (dbs[m] == NULL)
				dbs[m] = tables_of(projections[m]);
			for (unsigned i = 0; projections[m]->lists[i] != NULL; i++) {
				try_list(dbs[m], projections[m]->lists[i], &t, &a);
				fuzz_part_done();
			}
		}
	buf_finish(&target);
	arena_finish(&a);
}
