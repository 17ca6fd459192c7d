/* See parts.h. */
#include "parts.h"

#include <string.h>

#include "store/projector.h"

unsigned parts_count(void)
{
	unsigned n = PART_MODELS;

	while (n < PARTS_MAX && projections[n - PART_MODELS] != NULL)
		n++;
	return n;
}

static bool begins(const char *path, const char *with)
{
	return strncmp(path, with, strlen(with)) == 0;
}

/* DIRECTORY/NAME. */
static const char *last_two(const char *path)
{
	const char *at = path + strlen(path);

	for (unsigned slashes = 0; at > path; at--)
		if (at[-1] == '/' && ++slashes == 2)
			break;
	return at;
}

unsigned part_of(const char *path)
{
	path = last_two(path);
	if (begins(path, "log/"))
		return PART_LOG;
	if (begins(path, "index/"))
		return PART_INDEX;
	if (begins(path, "keys/") || begins(path, "data/keys") || begins(path, "data/root.key"))
		return PART_KEYS;
	for (unsigned i = 0; begins(path, "read/") && i < MODELS_MAX && projections[i] != NULL; i++)
		if (begins(path + 5, projections[i]->name))
			return PART_MODELS + i;
	return PART_SELF;
}

uint64_t *prints_part(struct prints *p, unsigned part)
{
	return part == PART_LOG ? &p->log : part == PART_INDEX ? &p->index : part == PART_SELF ? &p->self :
	    part == PART_KEYS ? &p->keys : &p->models[part - PART_MODELS];
}

uint64_t prints_whole(struct prints *p)
{
	uint64_t print = 0;

	for (unsigned i = 0; i < parts_count(); i++)
		print = mix(print, *prints_part(p, i));
	return print;
}

static bool on_file(void *arg, const char *path, uint64_t print)
{
	*prints_part(arg, part_of(path)) += mix(print, mix_text(1, last_two(path)));
	return false;
}

void prints_of(struct disk *d, const struct choice *choices, struct prints *ret)
{
	uint64_t print;

	*ret = (struct prints){0};
	disk_build(d, choices, 0, NULL, &print, on_file, ret);
}
