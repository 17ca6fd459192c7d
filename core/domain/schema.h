/*
 * Schemas: what a JSON object may contain, as tables, and the one codec that
 * reads them.
 *
 * tools/gen_schemas.py turns schemas/<family>/<name>.json (JSON Schema 2020-12,
 * the subset listed there) into a C struct and a `struct schema` for each
 * definition. Events, requests, query parameters and settings all go through
 * the functions here, so the program has one validator and one error format.
 *
 * How a JSON value lies in the struct:
 *
 *     KIND            C MEMBER                              ABSENT
 *     SCHEMA_TEXT     struct slice x                        ptr NULL
 *     SCHEMA_INT      int64_t x                             has_x false
 *     SCHEMA_REAL     double x                              has_x false
 *     SCHEMA_BOOL     bool x                                has_x false
 *     SCHEMA_JSON     struct slice x, its JSON text         ptr NULL
 *     SCHEMA_OBJECT   struct y x                            has_x false
 *     SCHEMA_LIST     struct { T *items; size_t n; } x      items NULL
 *
 * has_x exists only where absence is possible: the member is optional without a
 * default, or sealed (an erased value is absent, required or not). An empty
 * text is present: its ptr is not NULL. The same holds for an empty list.
 *
 * Slices point into the JSON text or into the arena; both must outlive the struct.
 */
#ifndef LULAB_DOMAIN_SCHEMA_H
#define LULAB_DOMAIN_SCHEMA_H

#include "base/json.h"

/* ---- the tables, made by the generator ----------------------------------- */

enum schema_kind {
	SCHEMA_TEXT,
	SCHEMA_INT,
	SCHEMA_REAL,
	SCHEMA_BOOL,
	SCHEMA_JSON,
	SCHEMA_OBJECT,
	SCHEMA_LIST,
};

/* Who may see a value: integrity.md section 12. */
enum schema_class {
	CLASS_OPEN,    /* ids we made, times, states, counts */
	CLASS_CONTACT, /* names, phones, addresses, outside user ids, devices: sealed */
	CLASS_CONTENT, /* titles, transcripts, chat, raw bodies: sealed */
	CLASS_SECRET,  /* never in an event, never shown */
};

enum schema_flags {
	FIELD_REQUIRED = 1u << 0,
	FIELD_SEALED = 1u << 1,      /* sealed as a whole under `subject` */
	FIELD_TEXT_NUMBER = 1u << 2, /* SCHEMA_TEXT: an integer is taken too, its digits kept */
	FIELD_NUMBER_TEXT = 1u << 3, /* SCHEMA_INT: digits in a string are taken too */
	FIELD_MIN = 1u << 4,
	FIELD_MAX = 1u << 5,
	FIELD_DEFAULT = 1u << 6,
	FIELD_NULL = 1u << 7,        /* null is taken and means absent */
	FIELD_EXTRA = 1u << 8,       /* SCHEMA_JSON: no member itself; an object of those the schema does not know */
	FIELD_BYTES = 1u << 9,       /* as text: 4096, "64KiB", "1MiB" */
	FIELD_SPAN_MS = 1u << 10,    /* as text: 1500, "90s", "15m", "7d"; kept in milliseconds */
	FIELD_SPAN_S = 1u << 11,     /* the same in seconds */
	FIELD_JSON_OBJECT = 1u << 12, /* SCHEMA_JSON: an object, whatever is in it */
};

enum schema_format { FORMAT_NONE, FORMAT_DATE_TIME, FORMAT_DATE, FORMAT_DATE_OR_TIME, FORMAT_BASE64URL, FORMAT_JSON };

/* A pattern: runs of bytes out of a set, one after the other, from start to end of the text. */
struct schema_run {
	uint32_t set[4]; /* bit per ASCII character */
	uint32_t min, max;
};
struct schema_pattern {
	const char *source; /* the regular expression, for messages */
	const struct schema_run *runs;
	size_t n_runs;
};

struct schema_field {
	struct slice name;
	uint8_t kind;   /* enum schema_kind */
	uint8_t class;  /* enum schema_class */
	uint8_t format; /* enum schema_format */
	uint16_t flags;
	uint32_t offset;     /* in the struct */
	uint32_t has_offset; /* of has_x; 0 = there is none (no struct begins with one) */
	const char *subject; /* x-subject; NULL when not sealed */
	/* INT: its value. TEXT: characters. LIST: items. Valid with FIELD_MIN / FIELD_MAX. */
	int64_t min, max;
	double real_min, real_max; /* REAL */
	const struct slice *choices; /* TEXT: one of these; NULL = any */
	size_t n_choices;
	const struct schema_pattern *pattern;
	const struct schema *object;     /* OBJECT */
	const struct schema_field *item; /* LIST: kind and rules of an element, at offset 0 */
	uint32_t item_size;
	const char *preset;      /* FIELD_DEFAULT: the default, as text (a list: comma-separated) */
	const char *description;
	const char *path; /* from the root, with dots; the field name a seal is bound to */
};

struct schema {
	const char *name;
	const struct schema_field *fields;
	size_t n_fields;
	size_t size;  /* of the struct */
	bool closed;  /* unknown members are a problem */
	bool has_extra;  /* one of the fields is FIELD_EXTRA */
	bool any_sealed; /* here or in an object below */
};

/* ---- problems --------------------------------------------------------------- */

/* One thing that is wrong with an input. All of them are told at once. */
struct problem {
	const char *path;    /* JSON pointer ("/payload/0/operate_time"), or the name of a parameter or setting */
	const char *code;    /* static: the JSON Schema keyword that failed: "required", "type", "minimum", ... */
	const char *message; /* for people; never holds the offending value */
};

#define PROBLEMS_MAX 64

/* Gathered in the arena; from PROBLEMS_MAX on they are only counted. */
struct problems {
	struct arena *arena;
	struct problem *items;
	size_t n;     /* in items */
	size_t total; /* found */
};
#define PROBLEMS_INIT(arena_ptr) {.arena = (arena_ptr)}

void problems_add(struct problems *p, const char *path, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* [{"path":...,"code":...,"message":...},...] */
void problems_write(const struct problems *p, struct json_writer *w);

/* ---- sealing ---------------------------------------------------------------- */

/*
 * How sealed fields become bytes and back; store/seal.h has the real ones.
 * field_name is the path from the root of the data ("operator", "record.title"),
 * plain_json the value as JSON.
 *
 * seal appends the sealed form to out_raw. open gives the JSON back, in the
 * arena; ERR_ERASED makes the field absent, other errors end the decoding.
 *
 * wants, which may be NULL, tells decoding of which sealed fields the value is
 * of interest. The others are left absent, without a look inside.
 */
struct seal_hooks {
	int (*seal)(void *arg, const char *field_name, const char *subject_name, struct slice plain_json,
	    struct buf *out_raw);
	int (*open)(void *arg, const char *field_name, struct slice sealed_raw, struct arena *arena,
	    struct slice *ret_json);
	bool (*wants)(void *arg, const struct schema_field *field); /* field->path is its name */
	void *arg;
};

/* ---- the codec -------------------------------------------------------------- */

/*
 * JSON text into a struct (zeroed first). 0; ERR_MALFORMED or ERR_TOO_BIG when it is not strict
 * JSON within the default limits (problem code "json"); ERR_INVALID when it breaks
 * the schema, every breach in *problems, which may be NULL when nobody wants to
 * know; ERR_NOMEM. hooks NULL: sealed values are left absent, clear ones taken.
 * With hooks a value in clear where a sealed one belongs is taken as well.
 */
int schema_decode(const struct schema *s, struct slice json, struct arena *arena, void *ret_struct,
    struct problems *problems);
int schema_decode_sealed(const struct schema *s, struct slice json, const struct seal_hooks *hooks,
    struct arena *arena, void *ret_struct, struct problems *problems);
/* The same for a value inside a text that json_scan() accepted. path is put in front of the problems' ("" for none). */
int schema_decode_value(const struct schema *s, struct json_value v, const char *path, const struct seal_hooks *hooks,
    struct arena *arena, void *ret_struct, struct problems *problems);

/* A name and a text, from a query string, a form or the environment. */
struct schema_pair {
	struct slice name, value; /* decoded */
};
/*
 * Pairs into a struct: numbers, true/false/1/0 and comma-separated lists are read
 * from their text. A repeated name is a problem unless the field is a list
 * (then the values add up). 0, ERR_INVALID, ERR_NOMEM.
 */
int schema_decode_pairs(const struct schema *s, const struct schema_pair *pairs, size_t n_pairs, struct arena *arena,
    void *ret_struct, struct problems *problems);
/*
 * One value from its text into the member. label is how problems call it.
 * 0, ERR_INVALID (told), ERR_NOMEM. The text is copied into the arena, with a NUL.
 */
int schema_set_text(const struct schema_field *f, struct slice text, const char *label, struct arena *arena,
    void *ret_struct, struct problems *problems);

/*
 * Struct into JSON: present members in the order of the schema. hooks NULL writes
 * everything in clear (answers, tests); with hooks, sealed fields become
 * {"$sealed":"..."}. 0, an error of a hook, or the writer's: ERR_NOMEM, ERR_TOO_BIG.
 */
int schema_encode(const struct schema *s, const void *data, const struct seal_hooks *hooks, struct json_writer *w);

/* Is the struct what the schema asks for? As schema_decode, without the text. */
int schema_check(const struct schema *s, const void *data, struct problems *problems, struct arena *arena);

/* ---- looking at members without knowing the struct --------------------------- */

#define SCHEMA_DEPTH_MAX 8
#define SCHEMA_FIELDS_MAX 256 /* of one struct; the generator refuses more */

/* A way to a member: "operator.user_name". Objects only; a list is an end. */
struct schema_path {
	const struct schema_field *fields[SCHEMA_DEPTH_MAX];
	unsigned n;
};
/* ERR_NOT_FOUND. */
int schema_path_find(const struct schema *s, struct slice path, struct schema_path *ret);
/* The member, or NULL when it is absent somewhere on the way. What it points to: see the table on top. */
const void *schema_path_get(const struct schema_path *p, const void *data);
/* Writes the value of one field in clear, at its member. */
int schema_encode_field(const struct schema_field *f, const void *member, struct json_writer *w);

/* The schema as JSON Schema (with its x- words left out), for OpenAPI. */
void schema_describe(const struct schema *s, struct json_writer *w);
void schema_describe_field(const struct schema_field *f, struct json_writer *w);

const struct schema_field *schema_field_find(const struct schema *s, struct slice name);
bool schema_field_present(const struct schema_field *f, const void *data);

#endif
