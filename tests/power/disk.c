/*
 * See disk.h. A file keeps its durable bytes, and for every sector written
 * since the list of pieces that were written to it. Here they are kept while the trace
 * goes on; disk_build.c makes the files of a state from them. One thread.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_private.h"

static void *more(void *array, size_t *cap, size_t n, size_t each)
{
	if (n < *cap)
		return array;
	*cap = *cap == 0 ? 16 : 2 * *cap;
	array = realloc(array, *cap * each);
	if (array == NULL)
		abort();
	return array;
}

/* ---- the trace ---------------------------------------------------------------- */

struct disk *disk_open(const char *trace_path)
{
	struct disk *d = calloc(1, sizeof(*d));
	int fd = open(trace_path, O_RDONLY | O_CLOEXEC);
	size_t cap = 0, at = 0;
	struct stat st;

	if (d == NULL || fd < 0 || fstat(fd, &st) != 0) {
		fprintf(stderr, "%s: %s\n", trace_path, strerror(errno));
		free(d);
		return NULL;
	}
	d->trace_len = (size_t)st.st_size;
	d->trace = mmap(NULL, d->trace_len + 1, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (d->trace == MAP_FAILED)
		abort();
	while (at + sizeof(struct trace_op) <= d->trace_len) {
		struct trace_op op;

		memcpy(&op, d->trace + at, sizeof(op));
		d->offsets = more(d->offsets, &cap, d->n_ops, sizeof(*d->offsets));
		d->offsets[d->n_ops++] = at;
		at += sizeof(op) + op.len;
	}
	if (at != d->trace_len || d->n_ops == 0) {
		fprintf(stderr, "%s: not a whole trace\n", trace_path);
		exit(1);
	}
	return d;
}

/* Its bytes and what is not yet synced of them. */
static void drop_content(struct file *f)
{
	for (size_t i = 0; f->sectors != NULL && i < f->room / SECTOR_LEN; i++)
		free(f->sectors[i].pieces);
	free(f->image);
	free(f->sectors);
	f->image = NULL;
	f->sectors = NULL;
	f->n_dirty = f->n_sizes = f->room = 0;
}

void disk_close(struct disk *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n_numbers; i++) {
		struct file *f = d->by_number[i];

		drop_content(f);
		free(f->dirty);
		free(f->sizes);
		free(f->entries);
		free(f);
	}
	for (size_t i = 0; i < d->n_names; i++)
		free(d->names[i]);
	munmap(d->trace, d->trace_len + 1);
	free(d->names);
	free(d->offsets);
	free(d->files);
	free(d->by_number);
	free(d->renamings);
	free(d->syncings);
	free(d->items);
	free(d->scratch);
	free(d);
}

uint32_t disk_ops(const struct disk *d)
{
	return d->n_ops;
}

uint32_t disk_at(const struct disk *d)
{
	return d->at;
}

const struct trace_op *disk_op(const struct disk *d, uint32_t i, const uint8_t **ret_bytes)
{
	static _Thread_local struct trace_op op;

	memcpy(&op, d->trace + d->offsets[i], sizeof(op));
	*ret_bytes = d->trace + d->offsets[i] + sizeof(op);
	return &op;
}

/* ---- files ---------------------------------------------------------------------- */

static struct file *file_new(struct disk *d, uint64_t ino, bool dir)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	f->ino = ino;
	f->dir = dir;
	f->number = (uint32_t)d->n_numbers;
	d->by_number = more(d->by_number, &d->numbers_cap, d->n_numbers, sizeof(*d->by_number));
	d->by_number[d->n_numbers++] = f;
	d->files = more(d->files, &d->files_cap, d->n_files, sizeof(*d->files));
	d->files[d->n_files++] = f;
	return f;
}

/* The newest with this number: the kernel uses numbers again. */
static struct file *file_of(struct disk *d, uint64_t ino)
{
	for (size_t i = d->n_files; i > 0; i--)
		if (d->files[i - 1]->ino == ino)
			return d->files[i - 1];
	return NULL;
}

/* Nothing can lead to it any more. */
static void forget_unreachable(struct disk *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_files; i++) {
		struct file *f = d->files[i];

		if (f->refs > 0 || f == d->root) {
			d->files[n++] = f;
			continue;
		}
		drop_content(f);
		for (size_t k = 0; k < d->n_syncings; k++)
			if (d->syncings[k].file == f)
				d->syncings[k].file = NULL;
	}
	d->n_files = n;
}

static void grow(struct file *f, uint64_t size)
{
	size_t room = f->room == 0 ? 4096 : f->room;

	while (room < size)
		room *= 2;
	if (room == f->room)
		return;
	f->image = realloc(f->image, room);
	f->sectors = realloc(f->sectors, room / SECTOR_LEN * sizeof(*f->sectors));
	if (f->image == NULL || f->sectors == NULL)
		abort();
	memset(f->image + f->room, 0, room - f->room);
	memset(f->sectors + f->room / SECTOR_LEN, 0, (room - f->room) / SECTOR_LEN * sizeof(*f->sectors));
	f->room = room;
}

static void add_piece(struct file *f, uint32_t number, struct piece piece)
{
	struct sector *s = &f->sectors[number];
	size_t cap = s->cap;

	if (s->n == 0) {
		f->dirty = more(f->dirty, &f->dirty_cap, f->n_dirty, sizeof(*f->dirty));
		f->dirty[f->n_dirty++] = number;
	}
	s->pieces = more(s->pieces, &cap, s->n, sizeof(*s->pieces));
	s->cap = (uint32_t)cap;
	s->pieces[s->n++] = piece;
}

static void add_pieces(struct disk *d, struct file *f, uint64_t from, uint64_t to, const uint8_t *bytes)
{
	while (from < to) {
		uint64_t end = (from / SECTOR_LEN + 1) * SECTOR_LEN;
		uint64_t len = (end < to ? end : to) - from;

		add_piece(f, (uint32_t)(from / SECTOR_LEN), (struct piece){.op = d->at, .from = (uint16_t)(from % SECTOR_LEN),
		    .len = (uint16_t)len, .bytes = bytes});
		from += len;
		bytes = bytes == NULL ? NULL : bytes + len;
	}
}

static void add_size(struct disk *d, struct file *f, uint64_t size)
{
	f->live_size = size;
	f->sizes = more(f->sizes, &f->sizes_cap, f->n_sizes, sizeof(*f->sizes));
	f->sizes[f->n_sizes++] = (struct size_change){d->at, size};
}

/* ---- syncing ---------------------------------------------------------------------- */

static void sync_sector(struct file *f, uint32_t number, uint32_t before)
{
	struct sector *s = &f->sectors[number];
	uint32_t n = 0;

	while (n < s->n && s->pieces[n].op < before) {
		put_piece(f->image + (size_t)number * SECTOR_LEN, &s->pieces[n], s->pieces[n].len);
		n++;
	}
	if (n == 0)
		return;
	f->print ^= sector_print(number, s->durable_op) ^ sector_print(number, s->pieces[n - 1].op + 1);
	s->durable_op = s->pieces[n - 1].op + 1;
	memmove(s->pieces, s->pieces + n, (s->n - n) * sizeof(*s->pieces));
	s->n -= n;
}

/* A sync of the whole file covers its size; one of a single write does when that write made the file longer. */
static size_t sizes_covered(const struct file *f, const struct syncing *y)
{
	size_t n = 0;

	while (n < f->n_sizes && f->sizes[n].op < y->before)
		n++;
	return y->to == UINT64_MAX || (n > 0 && f->sizes[n - 1].op + 1 == y->before) ? n : 0;
}

static void sync_file(struct file *f, const struct syncing *y)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_dirty; i++) {
		uint64_t at = (uint64_t)f->dirty[i] * SECTOR_LEN;

		if (at + SECTOR_LEN > y->from && at < y->to)
			sync_sector(f, f->dirty[i], y->before);
		if (f->sectors[f->dirty[i]].n > 0)
			f->dirty[n++] = f->dirty[i];
	}
	f->n_dirty = n;
	n = sizes_covered(f, y);
	if (n > 0)
		f->size = f->sizes[n - 1].size;
	memmove(f->sizes, f->sizes + n, (f->n_sizes - n) * sizeof(*f->sizes));
	f->n_sizes -= n;
}

static void clear_name(struct entry *entries, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(entries[i].name, name) == 0) {
			entries[i].file->refs--;
			entries[i] = entries[--*n];
			return;
		}
	}
}

static void sync_names(struct disk *d, struct file *dir, uint32_t before)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_renamings; i++) {
		struct renaming *r = &d->renamings[i];

		if (r->dir != dir || r->op >= before) {
			d->renamings[n++] = *r;
			continue;
		}
		if (r->clear != NULL)
			clear_name(dir->entries, &dir->n_entries, r->clear);
		if (r->set != NULL) {
			clear_name(dir->entries, &dir->n_entries, r->set);
			dir->entries = more(dir->entries, &dir->entries_cap, dir->n_entries, sizeof(*dir->entries));
			dir->entries[dir->n_entries++] = (struct entry){r->set, r->what};
			r->what->refs++;
		}
		r->what->refs--;
	}
	d->n_renamings = n;
	forget_unreachable(d);
}

static void add_syncing(struct disk *d, struct syncing y)
{
	d->syncings = more(d->syncings, &d->syncings_cap, d->n_syncings, sizeof(*d->syncings));
	d->syncings[d->n_syncings++] = y;
}

static void end_syncing(struct disk *d, uint64_t id)
{
	for (size_t i = 0; i < d->n_syncings; i++) {
		struct syncing y = d->syncings[i];

		if (y.id != id)
			continue;
		d->syncings[i] = d->syncings[--d->n_syncings];
		if (y.file != NULL && y.file->dir)
			sync_names(d, y.file, y.before);
		else if (y.file != NULL)
			sync_file(y.file, &y);
		return;
	}
}

/* ---- a step ------------------------------------------------------------------------ */

/* The trace has names without an end. */
static const char *name_of(struct disk *d, const uint8_t *bytes, size_t len)
{
	char *name = strndup((const char *)bytes, len);

	if (name == NULL)
		abort();
	d->names = more(d->names, &d->names_cap, d->n_names, sizeof(*d->names));
	d->names[d->n_names++] = name;
	return name;
}

static void add_renaming(struct disk *d, struct file *dir, struct file *what, const char *clear, const char *set)
{
	if (dir == NULL || what == NULL) {
		fprintf(stderr, "the trace names a file it does not know (operation %u)\n", d->at);
		exit(1);
	}
	if (set != NULL) {
		what->parent = dir;
		what->name = set;
	}
	what->refs++;
	d->renamings = more(d->renamings, &d->renamings_cap, d->n_renamings, sizeof(*d->renamings));
	d->renamings[d->n_renamings++] = (struct renaming){d->at, dir, what, clear, set};
}

static void on_rename(struct disk *d, const struct trace_op *op, const uint8_t *bytes)
{
	const char *from = name_of(d, bytes, op->len), *to = from + strlen(from) + 1;
	struct file *what = file_of(d, op->ino);

	to = name_of(d, bytes + (to - from), op->len - (size_t)(to - from));
	if (op->offset == op->arg) {
		add_renaming(d, file_of(d, op->arg), what, from, to);
		return;
	}
	add_renaming(d, file_of(d, op->offset), what, from, NULL);
	add_renaming(d, file_of(d, op->arg), what, NULL, to);
}

static void on_write(struct disk *d, struct file *f, const struct trace_op *op, const uint8_t *bytes)
{
	uint64_t end = op->offset + op->len;

	grow(f, end > f->live_size ? end : f->live_size);
	add_pieces(d, f, op->offset, end, bytes);
	if (end > f->live_size)
		add_size(d, f, end);
	if (op->arg != 0)
		add_syncing(d, (struct syncing){op->arg, f, d->at + 1, op->offset, end});
}

void disk_step(struct disk *d)
{
	const uint8_t *bytes;
	const struct trace_op *op = disk_op(d, d->at, &bytes);
	struct file *f = op->ino != 0 ? file_of(d, op->ino) : NULL;

	d->items_good = false;
	switch ((enum trace_kind)op->kind) {
	case TRACE_ROOT:
		d->root = file_new(d, op->ino, true);
		break;
	case TRACE_CREATE:
	case TRACE_MKDIR:
		f = file_new(d, op->ino, op->kind == TRACE_MKDIR);
		add_renaming(d, file_of(d, op->offset), f, NULL, name_of(d, bytes, op->len));
		break;
	case TRACE_LINK:
		add_renaming(d, file_of(d, op->offset), f, NULL, name_of(d, bytes, op->len));
		break;
	case TRACE_UNLINK:
		add_renaming(d, file_of(d, op->offset), f, name_of(d, bytes, op->len), NULL);
		break;
	case TRACE_RENAME:
		on_rename(d, op, bytes);
		break;
	case TRACE_WRITE:
		if (f != NULL)
			on_write(d, f, op, bytes);
		break;
	case TRACE_TRUNCATE:
		if (f != NULL && op->arg != f->live_size) {
			grow(f, op->arg > f->live_size ? op->arg : f->live_size);
			if (op->arg < f->live_size)
				add_pieces(d, f, op->arg, f->live_size, NULL);
			add_size(d, f, op->arg);
		}
		break;
	case TRACE_BEGIN:
		if (f != NULL)
			add_syncing(d, (struct syncing){op->arg, f, d->at, 0, UINT64_MAX});
		break;
	case TRACE_END:
		end_syncing(d, op->arg);
		break;
	case TRACE_MAPPED:
		if (f != NULL)
			f->mapped = true;
		break;
	case TRACE_ANSWER:
	case TRACE_START:
	case TRACE_KINDS:
		break;
	}
	d->at++;
}

void disk_step_to(struct disk *d, uint32_t ops)
{
	while (d->at < ops)
		disk_step(d);
}

/* ---- items --------------------------------------------------------------------------- */

static void add_item(struct disk *d, struct item item)
{
	d->items = more(d->items, &d->items_cap, d->n_items, sizeof(*d->items));
	d->items[d->n_items++] = item;
}

/* The names first, in their order; then file by file its size and its sectors. */
size_t disk_items(struct disk *d, const struct item **ret_items)
{
	if (!d->items_good) {
		d->n_items = 0;
		for (size_t i = 0; i < d->n_renamings; i++)
			add_item(d, (struct item){ITEM_NAME, 1, d->renamings[i].dir->number, (uint32_t)i});
		for (size_t i = 0; i < d->n_files; i++) {
			struct file *f = d->files[i];

			f->first_item = d->n_items;
			if (f->dir || f->mapped)
				continue;
			if (f->n_sizes > 0)
				add_item(d, (struct item){ITEM_SIZE, (uint32_t)f->n_sizes, f->number, 0});
			for (size_t k = 0; k < f->n_dirty; k++)
				add_item(d, (struct item){ITEM_SECTOR, f->sectors[f->dirty[k]].n, f->number, f->dirty[k]});
		}
		d->items_good = true;
	}
	*ret_items = d->items;
	return d->n_items;
}

struct choice *disk_choices(struct disk *d)
{
	const struct item *items;
	struct choice *choices = calloc(disk_items(d, &items) + 1, sizeof(*choices));

	if (choices == NULL)
		abort();
	return choices;
}

uint32_t disk_item_op(struct disk *d, size_t i, uint32_t way)
{
	const struct item *item = &d->items[i];
	const struct file *f = d->by_number[item->file];

	switch (item->kind) {
	case ITEM_NAME:
		return d->renamings[item->at].op;
	case ITEM_SIZE:
		return f->sizes[way].op;
	default:
		return f->sectors[item->at].pieces[way].op;
	}
}

const char *disk_item_name(struct disk *d, size_t i)
{
	static char path[PATH_MAX];
	const struct item *item = &d->items[i];
	const struct renaming *r = &d->renamings[item->at];

	if (item->kind != ITEM_NAME)
		return disk_file_name(d, item->file);
	snprintf(path, sizeof(path), "%s/%s", r->dir->name == NULL ? "." : r->dir->name, r->set != NULL ? r->set : r->clear);
	return path;
}

bool disk_dirs_settled(const struct disk *d)
{
	for (size_t i = 0; i < d->n_renamings; i++)
		if (d->renamings[i].what->dir)
			return false;
	return true;
}

const char *disk_file_name(struct disk *d, uint32_t file)
{
	static char path[PATH_MAX];
	const struct file *f = d->by_number[file];

	if (f->parent == NULL)
		return ".";
	snprintf(path, sizeof(path), "%s/%s", f->parent->name == NULL ? "." : f->parent->name, f->name);
	return path;
}
