/*
 * From a vendor's words to our events: what every vendor's translation is made of.
 *
 * A vocabulary says for each value of the vendor's which member of ours it is,
 * and how it is read. An object is walked once, member by member; each is looked
 * up among the places of its object, and then among the fields of the event at
 * hand, which may lack it. What has no place of ours is kept in `extra`, where it
 * stood; a value of a form we do not expect is kept there too. Pure functions, any thread.
 */
#ifndef LULAB_ADAPTERS_TRANSLATE_H
#define LULAB_ADAPTERS_TRANSLATE_H

#include "base/json.h"
#include "domain/event.h"

/* ---- what comes of it --------------------------------------------------------------- */

enum translated_role { TOLD_OPERATOR, TOLD_CREATOR, TOLD_TO_OPERATOR, TOLD_ROLES };

/* One fact translated. All of it in the arena, or borrowed from the vendor's text. */
struct translated {
	const struct event_type_info *type;
	void *data;               /* the struct of that type, but for subjects, raw and fingerprint */
	struct slice meeting_id;  /* empty when the vendor named no meeting */
	struct slice file_id;     /* first recording file; empty when there is none */
	const struct event_person *people[TOLD_ROLES]; /* NULL when absent; they lie in data */
};

/* Fills the members every delivery has, which translation leaves open; pointers may be NULL. */
struct translated_seals {
	const struct event_subject *meeting, *people[TOLD_ROLES], *raw;
	const struct event_blob *raw_blob;
	struct slice fingerprint;
};
void translated_seal(struct translated *fact, const struct translated_seals *seals);

/* ---- vocabularies ------------------------------------------------------------------- */

struct translating;
struct place;

/* False: the value is not of the form that was expected. Only ERR_NOMEM goes to t->rc. */
typedef bool place_fn(struct translating *t, const struct place *p, struct json_value v);

enum place_form {
	AS_TEXT,   /* string, or the digits of a number */
	AS_INT,    /* number, or digits in a string */
	AS_TIME,   /* instant of any unit: <field>_at_ms, and <field>_time as written */
	AS_PERSON, /* whose members are named as ours */
	AS_LIST,   /* of objects that our schema has too */
	AS_OBJECT, /* walked by itself */
	AS_KNOWN,  /* taken elsewhere, or not to be kept */
	AS_OWN,    /* by the vendor's own function */
};

struct place {
	unsigned in; /* the vendor's number of the object it stands in */
	struct slice vendor;
	enum place_form form;
	const char *field;   /* ours; AS_TIME: the text's, the instant's being `instant` */
	const char *instant;
	unsigned object;     /* AS_OBJECT: which one begins here */
	place_fn *take;      /* AS_OWN */
};

struct vocabulary {
	const struct place *places;
	size_t n_places;
	/* By object: the name under which what has no place stands in extra; NULL: it stands there itself. Objects with
	 * a name do not hold others that have one. */
	const char *const *object_names;
};

/* ---- translating -------------------------------------------------------------------- */

struct translating {
	const struct vocabulary *vocabulary;
	const struct schema *schema;
	const struct event_type_info *type;
	char *data;
	struct arena *arena;
	const void *about; /* the vendor's own functions'; NULL at the beginning */
	int rc; /* ERR_NOMEM, once */
	/* Below here: its own. */
	struct buf extra_text;
	struct json_writer extra;
	bool has_extra;
};

/* ERR_NOMEM. */
int translate_begin(struct translating *t, const struct vocabulary *vocabulary, const struct event_type_info *type,
    struct arena *a);
void translate_walk(struct translating *t, unsigned object, struct json_value v);
/* Gives what was read, or ERR_NOMEM; nothing is walked after it, but members can still be set. */
int translate_end(struct translating *t, struct translated *ret);

/* What a place's own function reads and writes with. Names are of our fields; one the event lacks is not written. */
bool translate_text(struct translating *t, struct json_value v, struct slice *ret);
bool translate_int(struct translating *t, struct json_value v, int64_t *ret);
bool translate_set_int(struct translating *t, const char *name, int64_t value);
void translate_set_text(struct translating *t, const char *name, struct slice value);
struct slice translate_get_text(struct translating *t, const char *name);
bool translate_get_int(struct translating *t, const char *name, int64_t *ret);
const struct schema_field *translate_field(struct translating *t, const char *name, enum schema_kind kind);
void *translate_member(struct translating *t, const struct schema_field *f);
void translate_present(struct translating *t, const struct schema_field *f);
size_t translate_count(struct json_value container);

/* How a list lies in a struct: items, n (domain/schema.h). */
struct translate_list {
	void *items;
	size_t n;
};

#endif
