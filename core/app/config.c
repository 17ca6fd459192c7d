/* See config.h. */
#include "config.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/io.h"
#include "base/planted.h"
#include "crypto/crypto.h"
#include "net/address.h"

#define ENV_FILE_MAX (256 * 1024)
#define VALUE_FILE_MAX (64 * 1024)
#define CONFIG_ARENA_MAX (4 * 1024 * 1024)

/* A value found, the best source last. */
struct found {
	struct slice value; /* ptr NULL: none */
	struct config_origin origin;
};

struct loading {
	struct config_loaded *c;
	struct found *found; /* by index of config_settings */
	int rc; /* ERR_NOMEM: not every value was taken */
};

const struct config_setting *config_setting_find(struct slice name)
{
	for (size_t i = 0; i < config_settings_n; i++) {
		const struct config_setting *s = &config_settings[i];

		if (slice_eq(s->field->name, name) || (s->alias != NULL && slice_is(name, s->alias)))
			return s;
	}
	return NULL;
}

/* Later calls win over earlier ones: sources are read from the weakest to the strongest. */
static void take(struct loading *l, const struct config_setting *s, struct slice value, enum config_origin_kind kind,
    const char *place)
{
	struct found *f = &l->found[s - config_settings];

	if (value.ptr == NULL || place == NULL)
		l->rc = ERR_NOMEM;
	if (value.len == 0 || place == NULL)
		return;
	f->value = value;
	f->origin = (struct config_origin){kind, place};
}

/* NAME_FILE=path: the value is what the file holds, without the white space around it. */
static void take_file(struct loading *l, const struct config_setting *s, struct slice path_text,
    enum config_origin_kind kind, const char *named_in)
{
	struct arena *a = &l->c->arena;
	const char *path = arena_printf(a, "%.*s", SLICE_ARG(path_text));
	struct buf text = BUF_INIT(VALUE_FILE_MAX);
	int rc;

	if (path == NULL || named_in == NULL)
		l->rc = ERR_NOMEM;
	if (l->rc != 0 || path_text.len == 0)
		return;
	rc = file_read(&text, path);
	if (rc == ERR_NOMEM)
		l->rc = rc;
	else if (rc != 0)
		problems_add(&l->c->problems, s->field->path != NULL ? s->field->path : s->field->name.ptr, "file",
		    "%s names the file %s, which cannot be read: %s", named_in, path, err_text(rc));
	else
		take(l, s, arena_dup(a, slice_trim(buf_slice(&text))), kind, path);
	buf_wipe(&text);
}

/* NAME, or NAME_FILE of a setting we know; else NULL. */
static const struct config_setting *setting_of(struct slice name, bool *ret_is_file)
{
	const struct config_setting *s = config_setting_find(name);

	*ret_is_file = false;
	if (s != NULL)
		return s;
	if (name.len > 5 && memcmp(name.ptr + name.len - 5, "_FILE", 5) == 0) {
		name.len -= 5;
		*ret_is_file = true;
		return config_setting_find(name);
	}
	return NULL;
}

static void take_pair(struct loading *l, struct slice name, struct slice value, bool files, enum config_origin_kind kind,
    const char *place)
{
	bool is_file;
	const struct config_setting *s = setting_of(name, &is_file);
	struct arena *a = &l->c->arena;

	if (s != NULL && is_file == files) {
		if (is_file)
			take_file(l, s, value, kind, arena_printf(a, "%.*s (%s)", SLICE_ARG(name), place));
		else
			take(l, s, arena_dup(a, value), kind, place);
		return;
	}
	if (s == NULL && !files && (kind == CONFIG_ENV_FILE || slice_starts_with(name, SLICE("LULAB_"))))
		problems_add(&l->c->remarks, arena_printf(a, "%.*s", SLICE_ARG(name)), "unknown",
		    "%s: there is no such setting", place);
}

/* --- the .env file -------------------------------------------------------------- */

/* What stands between quotes; \n, \", \\ only in double ones. ERR_MALFORMED when the closing quote is missing. */
static int unquote(struct slice text, struct arena *a, struct slice *ret)
{
	char quote = text.ptr[0];
	char *out = arena_alloc(a, text.len);
	size_t n = 0, i = 1;

	if (out == NULL)
		return ERR_NOMEM;
	for (; i < text.len && text.ptr[i] != quote; i++) {
		char c = text.ptr[i];

		if (quote == '"' && c == '\\' && i + 1 < text.len) {
			c = text.ptr[++i];
			c = c == 'n' ? '\n' : c;
		}
		out[n++] = c;
	}
	if (i >= text.len)
		return ERR_MALFORMED;
	*ret = slice_of(out, n);
	return 0;
}

static int env_value(struct slice text, struct arena *a, struct slice *ret)
{
	text = slice_trim(text);
	if (text.len > 0 && (text.ptr[0] == '"' || text.ptr[0] == '\''))
		return unquote(text, a, ret);
	for (size_t i = 1; i < text.len; i++) {
		if (text.ptr[i] == '#' && (text.ptr[i - 1] == ' ' || text.ptr[i - 1] == '\t')) {
			text.len = i;
			break;
		}
	}
	if (text.len > 0 && text.ptr[0] == '#')
		text.len = 0;
	*ret = slice_trim(text);
	return 0;
}

static void read_line(struct loading *l, struct slice line, const char *place, bool files)
{
	struct slice name, value;
	int rc;

	line = slice_trim(line);
	if (line.len == 0 || line.ptr[0] == '#')
		return;
	if (slice_starts_with(line, SLICE("export ")))
		line = slice_trim(slice_of(line.ptr + 7, line.len - 7));
	if (!slice_cut(line, '=', &name, &value)) {
		if (!files)
			problems_add(&l->c->problems, place, "syntax", "not NAME=value");
		return;
	}
	name = slice_trim(name);
	rc = env_value(value, &l->c->arena, &value);
	if (rc == ERR_NOMEM)
		l->rc = rc;
	if (rc != 0) {
		if (rc == ERR_MALFORMED && !files)
			problems_add(&l->c->problems, place, "syntax", "the closing quote is missing");
		return;
	}
	take_pair(l, name, value, files, CONFIG_ENV_FILE, place);
}

static void read_env_file(struct loading *l, const char *path, bool must_exist)
{
	struct buf text = BUF_INIT(ENV_FILE_MAX);
	int rc = file_read(&text, path);

	if (rc == ERR_NOMEM)
		l->rc = rc;
	else if (rc != 0 && (rc != ERR_NOT_FOUND || must_exist))
		problems_add(&l->c->problems, path, "file", "cannot be read: %s", err_text(rc));
	/* Twice, so that NAME wins over NAME_FILE wherever they stand. */
	for (int files = 1; rc == 0 && files >= 0; files--) {
		struct slice rest = buf_slice(&text), line;

		for (unsigned n = 1; rest.len > 0; n++) {
			const char *place = arena_printf(&l->c->arena, "%s:%u", path, n);

			slice_cut(rest, '\n', &line, &rest);
			if (place == NULL)
				l->rc = ERR_NOMEM;
			else
				read_line(l, line, place, files == 1);
		}
	}
	buf_wipe(&text);
}

/* --- the other sources ------------------------------------------------------------ */

static const char *environment_get(const struct config_sources *sources, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; sources->environment != NULL && sources->environment[i] != NULL; i++) {
		const char *entry = sources->environment[i];

		if (strncmp(entry, name, len) == 0 && entry[len] == '=')
			return entry + len + 1;
	}
	return NULL;
}

static void read_credentials(struct loading *l, const char *dir)
{
	struct buf text = BUF_INIT(VALUE_FILE_MAX);

	for (size_t i = 0; i < config_settings_n; i++) {
		const struct config_setting *s = &config_settings[i];
		char *path = arena_printf(&l->c->arena, "%s/%.*s", dir, SLICE_ARG(s->field->name));
		int rc;

		buf_clear(&text);
		rc = path == NULL ? ERR_NOMEM : file_read(&text, path);
		if (rc == 0)
			take(l, s, arena_dup(&l->c->arena, slice_trim(buf_slice(&text))), CONFIG_CREDENTIAL, path);
		else if (rc == ERR_NOMEM)
			l->rc = rc;
		else if (rc != ERR_NOT_FOUND)
			problems_add(&l->c->problems, path, "file", "cannot be read: %s", err_text(rc));
	}
	buf_wipe(&text);
}

static void read_environment(struct loading *l, const struct config_sources *sources)
{
	for (int files = 1; files >= 0; files--) {
		for (size_t i = 0; sources->environment != NULL && sources->environment[i] != NULL; i++) {
			struct slice name, value;

			if (slice_cut(slice_str(sources->environment[i]), '=', &name, &value))
				take_pair(l, name, value, files == 1, CONFIG_ENVIRONMENT, "environment");
		}
	}
}

static void read_flags(struct loading *l, const struct config_flag *flags)
{
	for (; flags != NULL && flags->flag != NULL; flags++) {
		for (size_t i = 0; flags->value != NULL && i < config_settings_n; i++) {
			const struct config_setting *s = &config_settings[i];

			if (s->flag != NULL && strcmp(s->flag, flags->flag) == 0)
				take(l, s, arena_dup(&l->c->arena, slice_str(flags->value)), CONFIG_FLAG,
				    arena_printf(&l->c->arena, "--%s", s->flag));
		}
	}
}

/* --- all together ----------------------------------------------------------------- */

static int set_all(struct loading *l)
{
	struct config_loaded *c = l->c;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < config_settings_n; i++) {
		const struct config_setting *s = &config_settings[i];
		const struct found *f = &l->found[i];
		const char *label;

		c->origins[i] = (struct config_origin){CONFIG_DEFAULT, "default"};
		if (f->value.ptr == NULL)
			continue;
		c->origins[i] = f->origin;
		label = arena_printf(&c->arena, "%.*s", SLICE_ARG(s->field->name));
		if (label == NULL)
			return ERR_NOMEM;
		rc = schema_set_text(s->field, f->value, label, &c->arena, &c->values, &c->problems);
		if (rc == ERR_INVALID && PLANTED(value_told))
			problems_add(&c->problems, label, "format", "%.*s is wrong", SLICE_ARG(f->value));
		if (rc == ERR_INVALID)
			rc = 0; /* told; go on to the next */
		if (s->unused != NULL)
			problems_add(&c->remarks, label, "unused", "%s: has no effect yet", f->origin.place);
	}
	return rc;
}

/* What a schema cannot say of a value. */
static void check_values(struct config_loaded *c)
{
	struct sockaddr_storage address;

	if (c->values.listen.len > 0 && listen_parse(c->values.listen, &address) != 0)
		problems_add(&c->problems, "LULAB_LISTEN", "format",
		    "must be an address with a port, as 127.0.0.1:3000 or [::1]:3000");
	if ((c->values.tls_cert.len > 0) != (c->values.tls_key.len > 0))
		problems_add(&c->problems, c->values.tls_cert.len > 0 ? "LULAB_TLS_KEY" : "LULAB_TLS_CERT", "required",
		    "HTTPS needs both LULAB_TLS_CERT and LULAB_TLS_KEY");
}

int config_load(struct config_loaded *ret, const struct config_sources *sources)
{
	struct loading l = {.c = ret};
	const char *credentials;
	int rc;

	*ret = (struct config_loaded){.arena = ARENA_INIT(CONFIG_ARENA_MAX)};
	ret->problems = (struct problems)PROBLEMS_INIT(&ret->arena);
	ret->remarks = (struct problems)PROBLEMS_INIT(&ret->arena);
	l.found = arena_calloc(&ret->arena, config_settings_n, sizeof(*l.found));
	ret->origins = arena_calloc(&ret->arena, config_settings_n, sizeof(*ret->origins));
	if (l.found == NULL || ret->origins == NULL)
		return ERR_NOMEM;
	rc = schema_decode_pairs(&schema_config, NULL, 0, &ret->arena, &ret->values, &ret->problems); /* defaults */
	if (rc != 0)
		return rc;
	if (sources->env_file == NULL || sources->env_file[0] != '\0')
		read_env_file(&l, sources->env_file == NULL ? ".env" : sources->env_file, sources->env_file != NULL);
	credentials = environment_get(sources, "CREDENTIALS_DIRECTORY");
	if (credentials != NULL && credentials[0] != '\0')
		read_credentials(&l, credentials);
	read_environment(&l, sources);
	read_flags(&l, sources->flags);
	rc = l.rc != 0 ? l.rc : set_all(&l);
	if (rc != 0)
		return rc;
	check_values(ret);
	return ret->problems.total > 0 ? ERR_INVALID : 0;
}

/* Texts lie in the arena, which has no wipe of its own: the secrets are overwritten one by one. */
void config_finish(struct config_loaded *c)
{
	for (size_t i = 0; i < config_settings_n; i++) {
		const struct schema_field *f = config_settings[i].field;

		if (f->class == CLASS_SECRET && f->kind == SCHEMA_TEXT) {
			struct slice *text = (struct slice *)(void *)((char *)&c->values + f->offset);

			if (text->len > 0)
				crypto_wipe((char *)(uintptr_t)text->ptr, text->len);
		}
	}
	arena_finish(&c->arena);
	*c = (struct config_loaded){0};
}

const char *config_listen(const struct config *c, struct arena *a)
{
	if (c->listen.len > 0)
		return arena_printf(a, "%.*s", SLICE_ARG(c->listen));
	return arena_printf(a, "127.0.0.1:%lld", (long long)c->port);
}
