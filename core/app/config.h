/*
 * Settings: declared in schemas/config/<section>.json, read here.
 *
 * One value has one name, that of an environment variable. It comes from the
 * first of these that has it, an empty text being none:
 *
 *     a flag            --listen
 *     the environment   NAME, then NAME_FILE: a file that holds the value
 *     a credential      $CREDENTIALS_DIRECTORY/NAME (systemd)
 *     the .env file     NAME=value, then NAME_FILE=path
 *     the default
 *
 * Everything wrong is told at once. No message holds a value, so that a secret
 * in the wrong place is not printed. Pure but for the files named.
 */
#ifndef LULAB_APP_CONFIG_H
#define LULAB_APP_CONFIG_H

#include "config.gen.h"
#include "domain/schema.h"

/* A row of the table the build makes: what is known of a setting beside its rules. */
struct config_setting {
	const struct schema_field *field;
	const char *section; /* title of its file */
	const char *alias;   /* an older name, or NULL */
	const char *flag;    /* "listen" for --listen, or NULL */
	const char *unit;    /* "ms", "bytes", ... or NULL */
	const char *unused;  /* why it is accepted without effect, or NULL */
};

extern const struct config_setting config_settings[];
extern const size_t config_settings_n;

/* By name or alias; NULL when there is none. */
const struct config_setting *config_setting_find(struct slice name);

enum config_origin_kind {
	CONFIG_DEFAULT,
	CONFIG_ENV_FILE,   /* .env */
	CONFIG_CREDENTIAL, /* systemd */
	CONFIG_ENVIRONMENT,
	CONFIG_FLAG,
};

/* Where a value came from. */
struct config_origin {
	enum config_origin_kind kind;
	const char *place; /* "--listen", "environment", ".env:12", "/run/secrets/x"; "default" */
};

struct config_flag {
	const char *flag;  /* without dashes */
	const char *value; /* NULL: not given */
};

struct config_sources {
	const struct config_flag *flags; /* ends with {0}; NULL = none */
	const char *const *environment;  /* NAME=value, ends with NULL; NULL = none */
	const char *env_file;            /* NULL = ".env" when it is there; "" = none */
};

struct config_loaded {
	struct config values;
	struct config_origin *origins; /* by index of config_settings */
	struct problems problems;      /* path is the setting's name, message says where and why */
	struct problems remarks;       /* names nobody knows, settings without effect: worth telling, no hindrance */
	struct arena arena;            /* holds all of the above */
};

/*
 * Fills *ret, also on failure; config_finish() in any case. 0, ERR_INVALID when
 * there are problems, ERR_NOMEM. Unknown names in the .env file, and unknown
 * LULAB_* in the environment, are remarks with code "unknown".
 */
int config_load(struct config_loaded *ret, const struct config_sources *sources);
void config_finish(struct config_loaded *c); /* wipes secrets */

/* "127.0.0.1:3000": LULAB_LISTEN, else 127.0.0.1 and PORT. In the arena. */
const char *config_listen(const struct config *c, struct arena *a);

#endif
