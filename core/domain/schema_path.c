/*
 * Members reached by name, for those who have a schema but not its struct, such
 * as the bindings of read models.
 */
#include "base/err.h"
#include "domain/schema_rules.h"

/* ---- paths --------------------------------------------------------------------- */

int schema_path_find(const struct schema *s, struct slice path, struct schema_path *ret)
{
	struct slice name;
	bool more = true;

	ret->n = 0;
	while (more) {
		const struct schema_field *f;

		more = slice_cut(path, '.', &name, &path);
		if (s == NULL || ret->n == SCHEMA_DEPTH_MAX)
			return ERR_NOT_FOUND;
		f = schema_field_find(s, name);
		if (f == NULL)
			return ERR_NOT_FOUND;
		ret->fields[ret->n++] = f;
		s = f->object;
	}
	return 0;
}

const void *schema_path_get(const struct schema_path *p, const void *data)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (!schema_field_present(p->fields[i], data))
			return NULL;
		data = field_member_const(p->fields[i], data);
	}
	return data;
}
