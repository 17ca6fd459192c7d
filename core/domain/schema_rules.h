/* What the parts of the codec share; for core/domain/schema_*.c only. */
#ifndef LULAB_DOMAIN_SCHEMA_RULES_H
#define LULAB_DOMAIN_SCHEMA_RULES_H

#include "domain/schema.h"

/*
 * Where we are in the input, as a chain up the stack: the JSON pointer is made
 * only when there is something to tell.
 */
struct place {
	const struct place *up; /* NULL at the root */
	struct slice name;      /* of the member, or the whole prefix at the root */
	size_t index;           /* of the element, when name.ptr is NULL */
	bool raw;               /* name is as in the JSON text, escapes and all */
};

/* One run of the codec. */
struct check {
	struct arena *arena;
	struct problems *problems; /* NULL: nobody wants to know */
	bool failed;
	int rc; /* what ends the run at once: ERR_NOMEM or a hook's error */
};

void check_tell(struct check *c, const struct place *at, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* 0, or what the run ended with: rc, or ERR_INVALID. */
int check_result(const struct check *c);

/* The rules of a field on one value; what breaks them is told. */
void check_text(struct check *c, const struct schema_field *f, struct slice text, const struct place *at);
void check_int(struct check *c, const struct schema_field *f, int64_t value, const struct place *at);
void check_real(struct check *c, const struct schema_field *f, double value, const struct place *at);
bool check_count(struct check *c, const struct schema_field *f, size_t n, const struct place *at);

bool pattern_matches(const struct schema_pattern *p, struct slice text);

/* ---- members of a struct ------------------------------------------------------ */

/* Any list: struct { T *items; size_t n; }; the attribute because T is not known here. */
struct __attribute__((may_alias)) schema_list {
	void *items;
	size_t n;
};

static inline void *field_member(const struct schema_field *f, void *data)
{
	return (char *)data + f->offset;
}

static inline const void *field_member_const(const struct schema_field *f, const void *data)
{
	return (const char *)data + f->offset;
}

static inline void field_set_has(const struct schema_field *f, void *data, bool has)
{
	if (f->has_offset != 0)
		*(bool *)((char *)data + f->has_offset) = has;
}

/* As schema_set_text(), told at a place. */
void set_text(struct check *c, const struct schema_field *f, struct slice text, const struct place *at, void *data);

#endif
