/* See log_pages.h. The layout is that of LMDB 0.9 on a little-endian 64-bit machine. */
#include "store/log_pages.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/planted.h"
#include "store/log_format.h"

/*
 *     PAGE  OFFSET SIZE                        TABLE  OFFSET SIZE
 *                0    8  number                            0    4  page size, in the free list's
 *               10    2  flags                             4    2  flags
 *               12    2  end of the offsets                6    2  depth
 *               14    2  begin of the nodes               32    8  entries
 *               12    4  or: pages of a big value         40    8  root page
 *               16   2n  offsets of the nodes
 *
 *     HEAD of the file: pages 0 and 1, each behind 16 bytes of page
 *                0    4  magic    4  4  version   24 48  free list's table   72 48  main table
 *              120    8  last page used         128  8  transaction
 *
 *     NODE       0    4  length of the value (in a branch 6 bytes: the page below)
 *                4    2  flags    6  2  length of the key    8  n  key, then the value
 */
#define PAGE_HEAD 16
#define BRANCH 0x01
#define LEAF 0x02
#define OVERFLOW 0x04
#define META 0x08
#define NODE_HEAD 8
#define NODE_BIG 0x01
#define NODE_TABLE 0x02
#define TABLE_LEN 48
#define META_LEN 136
#define MAGIC 0xbeefc0deu
#define VERSION 1
#define DEPTH_MAX 32
#define NO_PAGE UINT64_MAX
#define PAGE_LEN_MAX 65536
#define TEXT_MAX 4096

struct pages {
	int fd;
	size_t page_len;
	uint64_t last; /* page in use */
	uint64_t n_file; /* whole pages there are */
	struct buf *problem;
	const char *path;
	unsigned left; /* pages of the table at hand that may still be looked at, heads of big values among them */
	uint8_t *stack; /* a page for each level */
};

struct table {
	unsigned depth;
	uint64_t entries, root;
	bool is_free_list, is_main;
};

__attribute__((format(printf, 3, 4))) static int corrupt(const struct pages *p, uint64_t number, const char *format, ...)
{
	va_list args;

	if (p->problem == NULL || p->problem->len > 0)
		return ERR_CORRUPT;
	buf_printf(p->problem, "%s is damaged: page %llu ", p->path, (unsigned long long)number);
	va_start(args, format);
	buf_vprintf(p->problem, format, args);
	va_end(args);
	return ERR_CORRUPT;
}

/* A file that ends too early is damaged; a disk that does not give is another matter. */
static int read_at(const struct pages *p, uint64_t number, size_t behind, void *to, size_t len)
{
	ssize_t n = pread(p->fd, to, len, (off_t)(number * p->page_len + behind));

	if (n < 0)
		return ERR_IO;
	return (size_t)n == len ? 0 : corrupt(p, number, "is cut off");
}

static int page_read(const struct pages *p, uint64_t number, uint8_t *to)
{
	int rc;

	if (number < 2 || number > p->last || number >= p->n_file)
		return corrupt(p, number, "is named and lies outside of the file");
	rc = read_at(p, number, 0, to, p->page_len);
	if (rc != 0)
		return rc;
	return get_le(to, 8) == number ? 0 : corrupt(p, number, "has another number");
}

/* Where the i-th node lies, its head whole within the page. */
static int node_at(const struct pages *p, uint64_t number, const uint8_t *page, unsigned i, size_t *ret_at)
{
	size_t begin = get_le(page + 14, 2);

	*ret_at = get_le(page + PAGE_HEAD + 2 * i, 2);
	if (*ret_at < begin || *ret_at + NODE_HEAD > p->page_len || *ret_at % 2 != 0 ||
	    *ret_at + NODE_HEAD + get_le(page + *ret_at + 6, 2) > p->page_len)
		return corrupt(p, number, "has a node outside of itself");
	return 0;
}

/* A value too big for a page: its own pages follow each other. */
static int big_check(const struct pages *p, uint64_t number, size_t len)
{
	uint8_t head[PAGE_HEAD];
	uint64_t n;
	int rc;

	if (number < 2 || number > p->last || number >= p->n_file)
		return corrupt(p, number, "is named and lies outside of the file");
	rc = read_at(p, number, 0, head, sizeof(head));
	if (rc != 0)
		return rc;
	n = get_le(head + 12, 4);
	if (get_le(head, 8) != number || get_le(head + 10, 2) != OVERFLOW || n > p->last + 1 - number ||
	    n > p->n_file - number || len + PAGE_HEAD > n * p->page_len)
		return corrupt(p, number, "does not hold the value it is named for");
	return 0;
}

static int walk(struct pages *p, const struct table *t);

static struct table table_of(const uint8_t *at)
{
	return (struct table){
	    .depth = (unsigned)get_le(at + 6, 2), .entries = get_le(at + 32, 8), .root = get_le(at + 40, 8)};
}

/* Pages that may be used again: a count, then so many numbers, falling. */
static int free_check(const struct pages *p, uint64_t number, const uint8_t *list, size_t len)
{
	uint64_t n = len < 8 ? UINT64_MAX : get_le(list, 8), before = p->last + 1;

	if (len % 8 != 0 || n > len / 8 - 1)
		return corrupt(p, number, "has a list of free pages longer than its place");
	for (uint64_t i = 1; i <= n; i++) {
		uint64_t page = get_le(list + 8 * i, 8);

		if (page < 2 || page >= before)
			return corrupt(p, number, "has a list of free pages that is none");
		before = page;
	}
	return 0;
}

static int big_free_check(const struct pages *p, uint64_t number, size_t len)
{
	uint8_t *list = malloc(len);
	int rc;

	if (list == NULL)
		return ERR_NOMEM;
	rc = read_at(p, number, PAGE_HEAD, list, len);
	if (rc == 0)
		rc = free_check(p, number, list, len);
	free(list);
	return rc;
}

/* Whether there is one more page that may be looked at: it is one less then. */
static bool take_page(struct pages *p)
{
	if (p->left == 0)
		return false;
	p->left--;
	return true;
}

static int leaf_node_check(struct pages *p, const struct table *t, uint64_t number, const uint8_t *page, size_t at)
{
	size_t len = get_le(page + at, 4), flags = get_le(page + at + 4, 2), value = at + NODE_HEAD + get_le(page + at + 6, 2);
	bool big = (flags & NODE_BIG) != 0;
	uint64_t first;
	int rc;

	if ((flags & ~(size_t)(NODE_BIG | NODE_TABLE)) != 0 || value + (big ? 8 : len) > p->page_len)
		return corrupt(p, number, "has a value outside of itself");
	if (((flags & NODE_TABLE) != 0) != t->is_main || (t->is_main && (big || len != TABLE_LEN)))
		return corrupt(p, number, "has a table where there is none, or none where there is one");
	if (t->is_main) {
		/* The stack is this table's as well: below the main one there are only tables of their own. */
		struct pages below = *p;
		struct table table = table_of(page + value);

		below.left = PAGES_CHECKED_MAX;
		below.stack = NULL;
		rc = walk(&below, &table);
		return rc;
	}
	if (!big)
		return t->is_free_list ? free_check(p, number, page + value, len) : 0;
	if (!take_page(p))
		return 0;
	first = get_le(page + value, 8);
	rc = big_check(p, first, len);
	return rc == 0 && t->is_free_list ? big_free_check(p, first, len) : rc;
}

/* The newest first: from right to left. */
static int page_check(struct pages *p, const struct table *t, uint64_t number, unsigned level)
{
	uint8_t *page = p->stack + level * p->page_len;
	unsigned kind = level + 1 == t->depth ? LEAF : BRANCH;
	size_t end, begin, at;
	int rc;

	if (!take_page(p))
		return 0;
	rc = page_read(p, number, page);
	if (rc != 0)
		return rc;
	end = get_le(page + 12, 2);
	begin = get_le(page + 14, 2);
	if (get_le(page + 10, 2) != kind)
		return corrupt(p, number, "is of another kind than it should be");
	if (end < PAGE_HEAD + 2 || end % 2 != 0 || end > begin || begin > p->page_len)
		return corrupt(p, number, "has a head that does not fit");
	for (unsigned i = (unsigned)(end - PAGE_HEAD) / 2; rc == 0 && i-- > 0;) {
		rc = node_at(p, number, page, i, &at);
		if (rc == 0)
			rc = kind == LEAF ? leaf_node_check(p, t, number, page, at)
			                  : page_check(p, t, get_le(page + at, 6), level + 1);
	}
	return rc;
}

static int walk(struct pages *p, const struct table *t)
{
	int rc;

	if (t->root == NO_PAGE)
		return t->depth == 0 && t->entries == 0 ? 0 : corrupt(p, 0, "tells of a table without pages that has entries");
	if (t->depth == 0 || t->depth > DEPTH_MAX)
		return corrupt(p, t->root, "is the root of a table of a depth that cannot be");
	p->stack = malloc(t->depth * p->page_len);
	if (p->stack == NULL)
		return ERR_NOMEM;
	rc = page_check(p, t, t->root, 0);
	free(p->stack);
	return rc;
}

/* The newer of the two heads, as LMDB takes it. */
static int head_read(struct pages *p, uint64_t map_bytes, uint8_t ret_meta[META_LEN])
{
	uint8_t metas[2][PAGE_HEAD + META_LEN], *newer;
	struct stat st;
	int rc;

	if (fstat(p->fd, &st) != 0)
		return ERR_IO;
	rc = read_at(p, 0, 0, metas[0], sizeof(metas[0]));
	if (rc != 0)
		return rc;
	p->page_len = get_le(metas[0] + PAGE_HEAD + 24, 4);
	if (p->page_len < 512 || p->page_len > PAGE_LEN_MAX / 2 || (p->page_len & (p->page_len - 1)) != 0)
		return corrupt(p, 0, "names a page size that cannot be");
	rc = read_at(p, 1, 0, metas[1], sizeof(metas[1]));
	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *meta = metas[i] + PAGE_HEAD;

		if (get_le(metas[i], 8) != i || get_le(metas[i] + 10, 2) != META || get_le(meta, 4) != MAGIC)
			return corrupt(p, i, "is no head of such a file");
		if (get_le(meta + 4, 4) != VERSION)
			return ERR_VERSION;
		if (get_le(meta + 24, 4) != p->page_len)
			return corrupt(p, i, "names another page size");
	}
	newer = get_le(metas[1] + PAGE_HEAD + 128, 8) > get_le(metas[0] + PAGE_HEAD + 128, 8) ? metas[1] : metas[0];
	p->last = get_le(newer + PAGE_HEAD + 120, 8);
	p->n_file = (uint64_t)st.st_size / p->page_len;
	if (p->last < 1 || p->last >= map_bytes / p->page_len)
		return corrupt(p, newer == metas[1], "names a last page that cannot be");
	memcpy(ret_meta, newer + PAGE_HEAD, META_LEN);
	return 0;
}

static int tables_check(struct pages *p, const uint8_t meta[META_LEN])
{
	struct table free_list = table_of(meta + 24), main_table = table_of(meta + 72);
	int rc;

	free_list.is_free_list = true;
	main_table.is_main = true;
	p->left = UINT32_MAX;
	rc = walk(p, &free_list);
	if (rc == 0) {
		p->left = PAGES_CHECKED_MAX;
		rc = walk(p, &main_table);
	}
	return rc;
}

int log_pages_check(const char *dir, uint64_t map_bytes, struct buf *problem)
{
	struct pages p = {.problem = problem};
	uint8_t meta[META_LEN];
	char path[TEXT_MAX];
	int rc, n = snprintf(path, sizeof(path), "%s/data.mdb", dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return ERR_TOO_BIG;
	p.path = path;
	p.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p.fd < 0)
		return 0; /* not there: it will be made; not readable: LMDB says so */
	rc = head_read(&p, map_bytes, meta);
	if (rc == 0 && !PLANTED(pages_unseen))
		rc = tables_check(&p, meta);
	close(p.fd);
	return rc;
}
