/* See ground.h. */
#include "ground.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct place *place_of(struct ground *g, const char *path)
{
	uint64_t hash = mix_text(1, path);
	unsigned i = 0;

	while (i < g->n && g->places[i].path != hash)
		i++;
	if (i == g->n) {
		if (g->n == PLACES_MAX)
			abort();
		g->places[g->n++] = (struct place){.path = hash, .part = part_of(path)};
	}
	return &g->places[i];
}

static bool on_file(void *arg, const char *path, uint64_t print)
{
	struct ground *g = arg;
	struct place *p = place_of(g, path);
	bool same = p->print == print;

	p->print = print;
	p->built = g->builds;
	return same;
}

bool ground_make(struct ground *g, struct disk *d, const struct choice *choices, uint64_t noise)
{
	uint64_t print;
	bool good;

	if (mkdir(g->dir, 0700) != 0 && errno != EEXIST) {
		perror(g->dir);
		return false;
	}
	g->builds++;
	good = disk_build(d, choices, noise, g->dir, &print, on_file, g);
	for (unsigned i = 0; i < g->n; i++)
		if (g->places[i].built != g->builds)
			g->places[i].print = 0; /* this state does not have it */
	return good;
}

void ground_opened(struct ground *g, const struct verdict *v)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->places[i].part < PART_KEYS || (v->opened >> (g->places[i].part - PART_KEYS) & 1) != 0)
			g->places[i].print = 0;
}
