/*
 * Examinations of `lulab doctor`. Each looks at one thing and notes what it
 * found, and how to mend it where something is wrong. To add one: write it and
 * name it in the list of doctor_checks.c, doctor_storage.c or doctor_store.c.
 */
#ifndef LULAB_TOOLS_DOCTOR_H
#define LULAB_TOOLS_DOCTOR_H

#include "app/config.h"
#include "base/clock.h"

enum finding_result {
	FINDING_OK,
	FINDING_NOTE,    /* worth knowing, nothing to do */
	FINDING_WARNING, /* works, but will not do in the long run */
	FINDING_BAD,     /* does not work */
};

struct finding {
	const char *what; /* "disk" */
	enum finding_result result;
	const char *found; /* in the arena */
	const char *mend;  /* NULL when there is nothing to do */
};

#define FINDINGS_MAX 64

struct doctor {
	const char *data_dir;
	const struct config_loaded *config;
	const struct clock *clock;
	struct arena *arena;
	struct finding findings[FINDINGS_MAX];
	unsigned n;
};

/* Notes a finding; texts are printf'd into the arena by the caller or static. Those past the ceiling are dropped. */
void doctor_note(struct doctor *d, const char *what, enum finding_result result, const char *found,
    const char *mend);

typedef void doctor_check(struct doctor *d);

/* Settings, files, the machine; ends with NULL. */
extern doctor_check *const doctor_checks[];
/* The log and the read models. */
extern doctor_check *const doctor_store_checks[];
/* The object storage. */
extern doctor_check *const doctor_storage_checks[];

/* Every object: read and compared with the log, and files that it does not name, in a local store; asked for elsewhere. Takes long. */
doctor_check doctor_objects;

#endif
