/*
 * A file of LMDB's whose pages are not what they should be, one damage at a time: each is told, and none is called
 * a good file. The file has a table of two levels with values that have pages of their own, and a list of free pages
 * that has some too.
 */
#include "store/log_pages.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

#define MAP_BYTES ((uint64_t)64 << 20)
#define PAGE 4096u
#define HEAD 16u /* of a page */
#define OVERFLOW 4 /* kind of page: one that a big value begins at */
#define NO_ROOT UINT64_MAX
#define BIG_LEN 9000u
#define FREED_LEN ((size_t)3 << 20) /* frees so many pages at once that their list does not fit one */

static char dir[TEMP_DIR_LEN], path[80];
static struct buf good = BUF_INIT((size_t)64 << 20), bytes = BUF_INIT((size_t)64 << 20);

static void commit_value(MDB_env *env, MDB_dbi *dbi, const char *key, size_t len)
{
	MDB_val k = {.mv_size = strlen(key), .mv_data = (void *)(uintptr_t)key}, v = {.mv_size = len};
	MDB_txn *txn;

	ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, "table", MDB_CREATE, dbi), 0);
	if (len == 0) {
		ck_assert_int_eq(mdb_del(txn, *dbi, &k, NULL), 0);
	} else {
		ck_assert_int_eq(mdb_put(txn, *dbi, &k, &v, MDB_RESERVE), 0);
		memset(v.mv_data, 'v', len);
	}
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
}

static MDB_env *env_made(void)
{
	MDB_env *env;

	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(env, 4), 0);
	ck_assert_int_eq(mdb_env_set_mapsize(env, MAP_BYTES), 0);
	ck_assert_int_eq(mdb_env_open(env, dir, 0, 0600), 0);
	return env;
}

static void setup(void)
{
	MDB_env *env;
	MDB_dbi dbi;
	char key[16];

	temp_dir_make(dir, "pages");
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	env = env_made();
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "%03d", i);
		commit_value(env, &dbi, key, 100);
	}
	commit_value(env, &dbi, "big", BIG_LEN);
	commit_value(env, &dbi, "gone", FREED_LEN);
	commit_value(env, &dbi, "gone", 0);
	mdb_env_close(env);
	ck_assert_int_eq(file_read(&good, path), 0);
	buf_append(&bytes, buf_slice(&good));
}

static void teardown(void)
{
	buf_finish(&good);
	buf_finish(&bytes);
	temp_dir_remove(dir);
}

/* ---- the parts of the file --------------------------------------------------------------- */

static uint64_t get(const uint8_t *at, unsigned len)
{
	uint64_t n = 0;

	for (unsigned i = len; i-- > 0;)
		n = n << 8 | at[i];
	return n;
}

static void set(uint8_t *at, unsigned len, uint64_t n)
{
	for (unsigned i = 0; i < len; i++, n >>= 8)
		at[i] = (uint8_t)n;
}

static uint8_t *page(uint64_t number)
{
	ck_assert_uint_lt(number * PAGE, bytes.len);
	return (uint8_t *)bytes.ptr + number * PAGE;
}

/* The head that counts. */
static uint8_t *meta(void)
{
	uint8_t *first = page(0) + HEAD, *second = page(1) + HEAD;

	return get(second + 128, 8) > get(first + 128, 8) ? second : first;
}

static uint8_t *free_table(void)
{
	return meta() + 24;
}

static uint8_t *main_table(void)
{
	return meta() + 72;
}

static uint8_t *node(uint8_t *of, unsigned i)
{
	return of + get(of + HEAD + 2 * i, 2);
}

static unsigned n_nodes(const uint8_t *of)
{
	return (unsigned)(get(of + 12, 2) - HEAD) / 2;
}

static uint8_t *value(uint8_t *of_node)
{
	return of_node + 8 + get(of_node + 6, 2);
}

static uint8_t *root(const uint8_t *table)
{
	return page(get(table + 40, 8));
}

/* The last one of a table. */
static uint8_t *leaf(const uint8_t *table)
{
	uint8_t *at = root(table);

	for (uint64_t depth = get(table + 6, 2); depth > 1; depth--)
		at = page(get(node(at, n_nodes(at) - 1), 6));
	return at;
}

/* What the main table says of ours. */
static uint8_t *table(void)
{
	return value(node(leaf(main_table()), 0));
}

/* The node of the value that has pages of its own; it is the last. */
static uint8_t *big_node(void)
{
	uint8_t *of = leaf(table()), *at = node(of, n_nodes(of) - 1);

	ck_assert_uint_eq(get(at, 4), BIG_LEN);
	return at;
}

static uint8_t *big_pages(void)
{
	return page(get(value(big_node()), 8));
}

/* The list of free pages that has pages of its own; it is the last. */
static uint8_t *big_list_node(void)
{
	uint8_t *of = leaf(free_table()), *at = node(of, n_nodes(of) - 1);

	ck_assert_uint_gt(get(at, 4), PAGE);
	return at;
}

static uint8_t *big_list(void)
{
	return page(get(value(big_list_node()), 8)) + HEAD;
}

/* ---- damage -------------------------------------------------------------------------------- */

static void page_len_small(void) { set(page(0) + HEAD + 24, 4, 256); }
static void page_len_great(void) { set(page(0) + HEAD + 24, 4, 1 << 17); }
static void page_len_odd(void) { set(page(0) + HEAD + 24, 4, 4095); }
static void page_len_other(void) { set(page(1) + HEAD + 24, 4, 8192); }
static void no_bytes(void) { bytes.len = 0; }
static void one_head(void) { bytes.len = PAGE; }
static void head_number(void) { set(page(1), 8, 0); }
static void head_kind(void) { set(page(1) + 10, 2, 2); }
static void head_magic(void) { set(page(0) + HEAD, 4, 1); }
static void head_version(void) { set(page(0) + HEAD + 4, 4, 99); }
static void last_page_none(void) { set(meta() + 120, 8, 0); }
static void last_page_beyond(void) { set(meta() + 120, 8, MAP_BYTES / PAGE); }
static void depth_none(void) { set(main_table() + 6, 2, 0); }
static void depth_great(void) { set(main_table() + 6, 2, 60000); }
static void rootless_with_depth(void) { set(main_table() + 40, 8, NO_ROOT); set(main_table() + 32, 8, 0); }
static void rootless_with_entries(void) { set(main_table() + 40, 8, NO_ROOT); set(main_table() + 6, 2, 0); }
static void root_is_a_head(void) { set(main_table() + 40, 8, 1); }
static void root_beyond_the_last(void) { set(main_table() + 40, 8, get(meta() + 120, 8) + 1); }
static void cut_off(void) { bytes.len = bytes.len / PAGE / 2 * PAGE; set(main_table() + 40, 8, bytes.len / PAGE); }
static void branch_number(void) { set(root(table()), 8, 2); }
static void branch_kind(void) { set(root(table()) + 10, 2, 2); }
static void leaf_kind(void) { set(leaf(table()) + 10, 2, 1); }
static void no_nodes(void) { set(leaf(table()) + 12, 2, HEAD); }
static void half_a_node(void) { set(leaf(table()) + 12, 2, HEAD + 3); }
static void nodes_over_values(void) { set(leaf(table()) + 14, 2, HEAD); }
static void values_outside(void) { set(leaf(table()) + 14, 2, PAGE + 2); }
static void node_among_pointers(void) { set(leaf(table()) + HEAD, 2, HEAD); }
static void node_at_the_end(void) { set(leaf(table()) + HEAD, 2, PAGE - 6); }
static void node_odd(void) { set(leaf(table()) + HEAD, 2, get(leaf(table()) + HEAD, 2) + 1); }
static void key_outside(void) { set(node(leaf(table()), 0) + 6, 2, PAGE); }
static void branch_key_outside(void) { set(node(root(table()), 1) + 6, 2, PAGE); }
static void value_outside(void) { set(node(leaf(table()), 0), 4, PAGE); }
static void flags_unknown(void) { set(node(leaf(table()), 0) + 4, 2, 4); }
static void big_number_outside(void) { set(big_node() + 6, 2, PAGE - (uint64_t)(big_node() - leaf(table())) - 10); }
static void table_in_a_table(void) { set(node(leaf(table()), 0) + 4, 2, 2); }
static void table_is_none(void) { set(node(leaf(main_table()), 0) + 4, 2, 0); }
static void table_is_big(void) { set(node(leaf(main_table()), 0) + 4, 2, 3); }
static void table_of_another_length(void) { set(node(leaf(main_table()), 0), 4, 40); }
static void big_is_a_head(void) { set(value(big_node()), 8, 1); }
static void big_beyond_the_last(void) { set(value(big_node()), 8, get(meta() + 120, 8) + 1); }
static void big_number(void) { set(big_pages(), 8, 1); }
static void big_kind(void) { set(big_pages() + 10, 2, 2); }
static void big_pages_beyond(void) { set(big_pages() + 12, 4, 1 << 20); }
static void big_pages_few(void) { set(big_pages() + 12, 4, 2); }
static void list_long(void) { set(big_list(), 8, PAGE); }
static void list_names_a_head(void) { set(big_list() + 8 * get(big_list(), 8), 8, 1); }
static void list_rises(void) { set(big_list() + 16, 8, get(big_list() + 8, 8) + 1); }
static void list_odd(void) { set(big_list_node(), 4, get(big_list_node(), 4) - 1); }
static void list_is_a_head(void) { set(value(big_list_node()), 8, 0); }

static const struct {
	const char *says;
	void (*spoil)(void);
	const char *told; /* "": ERR_VERSION, and nothing */
} damages[] = {
	{"a page size too small", page_len_small, "page 0 names a page size that cannot be"},
	{"a page size too great", page_len_great, "page 0 names a page size that cannot be"},
	{"a page size that is no power of two", page_len_odd, "page 0 names a page size that cannot be"},
	{"two page sizes", page_len_other, "page 1 names another page size"},
	{"an empty file", no_bytes, "page 0 is cut off"},
	{"a file of one page", one_head, "page 1 is cut off"},
	{"a head of another number", head_number, "page 1 is no head of such a file"},
	{"a head of another kind", head_kind, "page 1 is no head of such a file"},
	{"no file of LMDB's", head_magic, "page 0 is no head of such a file"},
	{"a version to come", head_version, ""},
	{"a file without pages", last_page_none, "names a last page that cannot be"},
	{"more pages than the map has", last_page_beyond, "names a last page that cannot be"},
	{"a table without levels", depth_none, "is the root of a table of a depth that cannot be"},
	{"a table of too many", depth_great, "is the root of a table of a depth that cannot be"},
	{"levels without pages", rootless_with_depth, "tells of a table without pages that has entries"},
	{"entries without pages", rootless_with_entries, "tells of a table without pages that has entries"},
	{"a head as a page", root_is_a_head, "page 1 is named and lies outside of the file"},
	{"a page behind the last", root_beyond_the_last, "is named and lies outside of the file"},
	{"a page behind the end", cut_off, "is named and lies outside of the file"},
	{"another page in its place", branch_number, "has another number"},
	{"a leaf where branches are", branch_kind, "is of another kind than it should be"},
	{"branches where a leaf is", leaf_kind, "is of another kind than it should be"},
	{"a page without nodes", no_nodes, "has a head that does not fit"},
	{"half a node", half_a_node, "has a head that does not fit"},
	{"values where the nodes are", nodes_over_values, "has a head that does not fit"},
	{"values outside of the page", values_outside, "has a head that does not fit"},
	{"a node before the values", node_among_pointers, "has a node outside of itself"},
	{"a node cut by the end", node_at_the_end, "has a node outside of itself"},
	{"a node at an odd place", node_odd, "has a node outside of itself"},
	{"a key longer than the page", key_outside, "has a node outside of itself"},
	{"a branch's key longer than the page", branch_key_outside, "has a node outside of itself"},
	{"a value longer than the page", value_outside, "has a value outside of itself"},
	{"marks there are not", flags_unknown, "has a value outside of itself"},
	{"a page number cut by the end", big_number_outside, "has a value outside of itself"},
	{"a table in a table", table_in_a_table, "has a table where there is none"},
	{"no table among the tables", table_is_none, "has a table where there is none, or none where there is one"},
	{"a table in pages of its own", table_is_big, "has a table where there is none, or none where there is one"},
	{"a table of another length", table_of_another_length, "has a table where there is none, or none where there is one"},
	{"a value in a head", big_is_a_head, "page 1 is named and lies outside of the file"},
	{"a value behind the last page", big_beyond_the_last, "is named and lies outside of the file"},
	{"another value in its place", big_number, "does not hold the value it is named for"},
	{"a value in a page of nodes", big_kind, "does not hold the value it is named for"},
	{"a value longer than the file", big_pages_beyond, "does not hold the value it is named for"},
	{"a value longer than its pages", big_pages_few, "does not hold the value it is named for"},
	{"more free pages than their list holds", list_long, "has a list of free pages longer than its place"},
	{"a head that is free", list_names_a_head, "has a list of free pages that is none"},
	{"free pages in no order", list_rises, "has a list of free pages that is none"},
	{"half a number in the list", list_odd, "has a list of free pages longer than its place"},
	{"a list in a head", list_is_a_head, "page 0 is named and lies outside of the file"},
};

START_TEST(damage_is_told)
{
	const char *told = damages[_i].told;
	struct buf problem = BUF_INIT(1000);
	int rc;

	ck_assert_int_eq(log_pages_check(dir, MAP_BYTES, &problem), 0);
	damages[_i].spoil();
	ck_assert_int_eq(file_replace(path, buf_slice(&bytes), 0600), 0);
	rc = log_pages_check(dir, MAP_BYTES, &problem);
	ck_assert_msg(rc == (told[0] == '\0' ? ERR_VERSION : ERR_CORRUPT), "%s: %s", damages[_i].says, err_name(rc));
	if (told[0] == '\0')
		ck_assert_uint_eq(problem.len, 0);
	else
		ck_assert_msg(strstr(problem.ptr, told) != NULL, "%s: %s", damages[_i].says, problem.ptr);
	/* The first sentence stays; and nobody need want one. */
	buf_clear(&problem);
	buf_append_str(&problem, "before");
	ck_assert_int_eq(log_pages_check(dir, MAP_BYTES, &problem), rc);
	ck_assert_str_eq(problem.ptr, "before");
	ck_assert_int_eq(log_pages_check(dir, MAP_BYTES, NULL), rc);
	buf_finish(&problem);
}
END_TEST

START_TEST(a_table_may_be_empty)
{
	uint8_t *empty[] = {main_table(), free_table()};

	for (unsigned i = 0; i < COUNT(empty); i++) {
		set(empty[i] + 6, 2, 0);
		set(empty[i] + 32, 8, 0);
		set(empty[i] + 40, 8, NO_ROOT);
	}
	ck_assert_int_eq(file_replace(path, buf_slice(&bytes), 0600), 0);
	ck_assert_int_eq(log_pages_check(dir, MAP_BYTES, NULL), 0);
}
END_TEST

/* The page a value of its own pages begins at, the first or the last of the file. */
static uint8_t *value_page(bool last)
{
	uint64_t found = 0;

	for (uint64_t i = 2; i * PAGE < bytes.len; i += get(page(i) + 10, 2) == OVERFLOW ? get(page(i) + 12, 4) : 1)
		if (get(page(i) + 10, 2) == OVERFLOW && (found == 0 || last))
			found = i;
	return page(found);
}

/* Else a start would look at as many pages as there are big values in the newest pages of nodes: some 70,000. */
START_TEST(big_values_are_pages_too)
{
	struct buf problem = BUF_INIT(1000);
	char key[16];
	MDB_env *env;
	MDB_dbi dbi;

	ck_assert_int_eq(unlink(path), 0);
	env = env_made();
	for (unsigned i = 0; i <= PAGES_CHECKED_MAX; i++) {
		snprintf(key, sizeof(key), "%04u", i);
		commit_value(env, &dbi, key, PAGE);
	}
	mdb_env_close(env);
	buf_clear(&bytes);
	ck_assert_int_eq(file_read(&bytes, path), 0);
	set(value_page(false) + 12, 4, 1);
	ck_assert_int_eq(file_replace(path, buf_slice(&bytes), 0600), 0);
	ck_assert_int_eq(log_pages_check(dir, MAP_BYTES, &problem), 0);
	set(value_page(true) + 12, 4, 1);
	ck_assert_int_eq(file_replace(path, buf_slice(&bytes), 0600), 0);
	ck_assert_int_eq(log_pages_check(dir, MAP_BYTES, &problem), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(problem.ptr, "does not hold the value it is named for"));
	buf_finish(&problem);
}
END_TEST

START_TEST(what_cannot_be_read_is_not_called_damaged)
{
	static char longest[5000];

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(log_pages_check(dir, MAP_BYTES, NULL), 0); /* will be made */
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(log_pages_check(dir, MAP_BYTES, NULL), ERR_IO);
	memset(longest, 'x', sizeof(longest) - 1);
	ck_assert_int_eq(log_pages_check(longest, MAP_BYTES, NULL), ERR_TOO_BIG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_pages");
	TCase *t = tcase_create("pages");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, damage_is_told, 0, COUNT(damages));
	tcase_add_test(t, a_table_may_be_empty);
	tcase_add_test(t, big_values_are_pages_too);
	tcase_add_test(t, what_cannot_be_read_is_not_called_damaged);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
