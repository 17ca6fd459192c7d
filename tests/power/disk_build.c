/*
 * A state of the disk as files that a program can open: disk_build(). For every
 * file the durable bytes with the chosen changes over them; for every directory the
 * durable names with the chosen renamings. The print is reckoned from the same
 * choices without making anything. One thread, that of disk.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "disk_private.h"

struct build {
	struct disk *d;
	bool dry; /* only to know its print */
	const struct choice *choices;
	uint64_t noise, print;
	size_t root_len;
	disk_file_fn *each_file;
	void *arg;
	char path[PATH_MAX];
	size_t path_len;
};

static bool failed(const struct build *b)
{
	fprintf(stderr, "%s: %s\n", b->path, strerror(errno));
	return false;
}

/* Over what the state before left there: memory need not be given back and taken again. */
static bool write_file(struct build *b, const uint8_t *bytes, size_t len)
{
	int fd = open(b->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	bool good = fd >= 0 && (len == 0 || pwrite(fd, bytes, len, 0) == (ssize_t)len) && ftruncate(fd, (off_t)len) == 0;

	if (fd >= 0)
		close(fd);
	return good || failed(b);
}

static uint8_t *scratch(struct disk *d, size_t len)
{
	if (d->scratch_room < len + SECTOR_LEN) {
		d->scratch_room = 2 * len + SECTOR_LEN;
		d->scratch = realloc(d->scratch, d->scratch_room);
		if (d->scratch == NULL)
			abort();
	}
	return d->scratch;
}

static bool build_noise(struct build *b, const struct file *f)
{
	uint8_t *bytes = scratch(b->d, f->live_size + 8);

	for (size_t i = 0; i < f->live_size; i += 8) {
		uint64_t word = mix(b->noise + f->number, i);

		memcpy(bytes + i, &word, 8);
	}
	return write_file(b, bytes, f->live_size);
}

static uint64_t chosen_size(const struct file *f, const struct choice **at)
{
	uint64_t size = f->size;

	if (f->n_sizes > 0) {
		size = (*at)->way == 0 ? f->size : f->sizes[(*at)->way - 1].size;
		(*at)++;
	}
	return size;
}

static bool is_torn(const struct sector *s, const struct choice *c)
{
	return c->way < s->n && c->torn > s->pieces[c->way].from;
}

/* The state's own bytes into the copy of the sector. */
static void put_choice(const struct sector *s, const struct choice *c, uint8_t *bytes)
{
	for (uint32_t i = 0; i < c->way; i++)
		put_piece(bytes, &s->pieces[i], s->pieces[i].len);
	if (is_torn(s, c)) {
		const struct piece *next = &s->pieces[c->way];
		unsigned len = c->torn - next->from;

		put_piece(bytes, next, len < next->len ? len : next->len);
	}
}

/* How that changes the file's print. */
static uint64_t choice_print(const struct sector *s, uint32_t number, const struct choice *c)
{
	uint64_t print = sector_print(number, s->durable_op);

	print ^= sector_print(number, c->way == 0 ? s->durable_op : s->pieces[c->way - 1].op + 1);
	return is_torn(s, c) ? print ^ mix(number, (uint64_t)s->pieces[c->way].op << 16 | c->torn) : print;
}

static uint64_t file_print(const struct file *f, const struct choice *at, uint64_t size)
{
	uint64_t print = f->print;

	if (f->mapped)
		return mix(f->live_size, f->number);
	for (size_t i = 0; i < f->n_dirty; i++, at++)
		if ((uint64_t)f->dirty[i] * SECTOR_LEN < size && (at->way > 0 || at->torn > 0))
			print ^= choice_print(&f->sectors[f->dirty[i]], f->dirty[i], at);
	return mix(print, size) + f->number;
}

static bool build_file(struct build *b, const struct file *f)
{
	const struct choice *at = b->choices + f->first_item;
	uint64_t size = f->mapped ? 0 : chosen_size(f, &at), print = file_print(f, at, size);
	uint8_t *bytes = f->image;

	b->print += f->mapped ? 0 : print;
	if ((b->each_file != NULL && b->each_file(b->arg, b->path + b->root_len, print)) || b->dry)
		return true;
	if (f->mapped)
		return build_noise(b, f);
	if (f->n_dirty > 0) {
		bytes = scratch(b->d, size);
		memcpy(bytes, f->image, size);
		for (size_t i = 0; i < f->n_dirty; i++)
			if ((uint64_t)f->dirty[i] * SECTOR_LEN < size)
				put_choice(&f->sectors[f->dirty[i]], &at[i], bytes + (size_t)f->dirty[i] * SECTOR_LEN);
	}
	return write_file(b, bytes, size);
}

/* The names of the directory in this state. */
static size_t build_names(struct build *b, const struct file *dir, struct entry *ret, size_t max)
{
	struct disk *d = b->d;
	size_t n = dir->n_entries;

	if (n > max)
		abort();
	if (n > 0)
		memcpy(ret, dir->entries, n * sizeof(*ret));
	for (size_t i = 0; i < d->n_renamings; i++) {
		const struct renaming *r = &d->renamings[i];
		size_t keep = 0;

		if (r->dir != dir || b->choices[i].way == 0)
			continue;
		for (size_t k = 0; k < n; k++)
			if ((r->clear == NULL || strcmp(ret[k].name, r->clear) != 0) &&
			    (r->set == NULL || strcmp(ret[k].name, r->set) != 0))
				ret[keep++] = ret[k];
		n = keep;
		if (n == max)
			abort();
		if (r->set != NULL)
			ret[n++] = (struct entry){r->set, r->what};
	}
	return n;
}

static bool is_among(const struct entry *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0)
			return true;
	return false;
}

/* What a state before this one, or whoever opened it, left behind. */
static bool remove_others(struct build *b, const struct entry *names, size_t n)
{
	DIR *dir = opendir(b->path);
	char path[PATH_MAX + 256];
	struct dirent *entry;
	bool good = dir != NULL;

	while (good && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || is_among(names, n, entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", b->path, entry->d_name);
		good = unlink(path) == 0 || tree_remove(path) == 0;
	}
	if (dir != NULL)
		closedir(dir);
	return good || failed(b);
}

static bool build_dir(struct build *b, const struct file *dir)
{
	struct entry names[64];
	size_t n = build_names(b, dir, names, 64), len = b->path_len;
	bool good = b->dry || remove_others(b, names, n);

	for (size_t i = 0; good && i < n; i++) {
		const struct file *f = names[i].file;

		b->print += mix(dir->number, mix_text(f->number, names[i].name));
		b->path_len += (size_t)snprintf(b->path + len, sizeof(b->path) - len, "/%s", names[i].name);
		if (f->dir && b->each_file != NULL)
			b->each_file(b->arg, b->path + b->root_len, f->number + 1);
		if (!f->dir)
			good = build_file(b, f);
		else if (b->dry || mkdir(b->path, 0700) == 0 || errno == EEXIST)
			good = build_dir(b, f);
		else
			good = failed(b);
		b->path_len = len;
		b->path[len] = '\0';
	}
	return good;
}

bool disk_build(struct disk *d, const struct choice *choices, uint64_t noise, const char *dir, uint64_t *ret_print,
    disk_file_fn *each_file, void *arg)
{
	struct build b = {.d = d, .dry = dir == NULL, .choices = choices, .noise = noise, .each_file = each_file, .arg = arg};
	const struct item *items;

	disk_items(d, &items); /* places first_item */
	b.path_len = b.root_len = (size_t)snprintf(b.path, sizeof(b.path), "%s", dir == NULL ? "" : dir);
	if (d->root != NULL && !build_dir(&b, d->root))
		return false;
	*ret_print = b.print;
	return true;
}
