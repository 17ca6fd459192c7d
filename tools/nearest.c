/*
 * Edit distance for "did you mean". Names are short, so the plain table of
 * optimal string alignment does, three rows of it on the stack.
 */
#include "nearest.h"

enum { NAME_LEN_MAX = 64 };

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned edit_distance(struct slice a, struct slice b)
{
	unsigned rows[3][NAME_LEN_MAX + 1];

	if (a.len > NAME_LEN_MAX || b.len > NAME_LEN_MAX)
		return UINT32_MAX;
	for (unsigned j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			char x = lower(a.ptr[i - 1]), y = lower(b.ptr[j - 1]);

			row[j] = above[j - 1] + (x != y);
			row[j] = least(row[j], least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && x == lower(b.ptr[j - 2]) && lower(a.ptr[i - 2]) == y)
				row[j] = least(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a.len % 3][b.len];
}

void nearest_offer(struct nearest *n, const char *name)
{
	struct slice offered = slice_str(name);
	unsigned distance, allowed;

	/* Two letters are enough to mean what they begin; the cost of one edit keeps true typos ahead. */
	if (n->typed.len >= 2 && slice_starts_with(offered, n->typed)) {
		distance = allowed = 1;
	} else {
		distance = edit_distance(n->typed, offered);
		allowed = n->typed.len < 4 ? 1 : n->typed.len < 9 ? 2 : 3;
	}
	if (distance > allowed || (n->name != NULL && distance >= n->distance))
		return;
	n->name = name;
	n->distance = distance;
}
