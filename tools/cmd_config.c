/* lulab config: what is set, where it comes from, and what is wrong with it. */
#include <stdio.h>
#include <unistd.h>

#include "base/codec.h"
#include "crypto/crypto.h"
#include "nearest.h"
#include "settings.h"
#include "table.h"

enum { VALUE_LEN_MAX = 1 << 16, FINGERPRINT_LEN = 4 };

/* Any problem is a finding here, not the end. ERR_NOMEM and the like are. */
static int load(const struct invocation *in, struct config_loaded *c)
{
	struct config_sources sources = {
		.environment = (const char *const *)environ, .env_file = option_text(in, "env-file")};
	int rc = config_load(c, &sources);

	return rc == ERR_INVALID ? 0 : rc;
}

/* ---- check ------------------------------------------------------------------- */

static const struct table_column check_columns[] = {
	{"", "severity", TABLE_TEXT},
	{"SETTING", "setting", TABLE_TEXT},
	{"WHAT", "what", TABLE_TEXT},
	{"PLACE", "place", TABLE_TEXT},
	{"NEAREST NAME", "nearest", TABLE_TEXT},
	{0},
};

/* The declared name nearest to an unknown one, or NULL. */
static const char *nearest_setting(const char *name)
{
	struct nearest near = NEAREST_INIT(slice_str(name));

	for (size_t i = 0; i < config_settings_n; i++)
		nearest_offer(&near, config_settings[i].field->name.ptr);
	return near.name;
}

/* Where the value of a declared setting stands; unknown names have it in their message. */
static const char *place_of(const struct config_loaded *c, const char *name)
{
	const struct config_setting *s = config_setting_find(slice_str(name));

	return s == NULL ? NULL : c->origins[s - config_settings].place;
}

static void put_problems(struct table *t, const char *severity, const struct config_loaded *c,
    const struct problems *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct problem *p = &list->items[i];

		table_put_str(t, severity);
		table_put_str(t, p->path);
		table_put_str(t, p->message);
		table_put_str(t, place_of(c, p->path));
		table_put_str(t, strcmp(p->code, "unknown") == 0 ? nearest_setting(p->path) : NULL);
	}
}

static int run_check(struct invocation *in)
{
	struct config_loaded c;
	struct table *t = NULL;
	int status = STATUS_OK, rc = load(in, &c);

	if (rc == 0)
		rc = table_open(&t, stdout, check_columns, option_is_set(in, "json"));
	if (rc == 0) {
		put_problems(t, "problem", &c, &c.problems);
		put_problems(t, "remark", &c, &c.remarks);
		rc = table_close(t);
	}
	if (rc != 0)
		status = command_fail_err(in, rc, "cannot check the settings");
	else if (c.problems.total > 0)
		status = command_fail(in, STATUS_FAILED, "%zu problem%s: lulab serve would not start",
		    c.problems.total, c.problems.total == 1 ? "" : "s");
	else
		command_note(in, "the settings are good");
	config_finish(&c);
	return status;
}

/* ---- show -------------------------------------------------------------------- */

static const struct table_column show_columns[] = {
	{"SETTING", "setting", TABLE_TEXT},
	{"VALUE", "value", TABLE_TEXT},
	{"ORIGIN", "origin", TABLE_TEXT},
	{"ABOUT", "about", TABLE_WRAP},
	{0},
};

/* Enough to see whether two machines have the same secret, not enough to find it. */
static void put_fingerprint(struct table *t, struct slice secret)
{
	uint8_t digest[FINGERPRINT_LEN];
	char hex[2 * FINGERPRINT_LEN + 1], text[64];

	blake2b(digest, sizeof(digest), SLICE("lulab/fingerprint/v1"), &secret, 1);
	hex_encode(hex, digest, sizeof(digest));
	snprintf(text, sizeof(text), "secret %s, %zu characters", hex, secret.len);
	table_put_str(t, text);
}

/* A value as one would write it into .env. */
static void put_value(struct table *t, const struct schema_field *f, const struct config *values)
{
	const char *base = (const char *)values, *member = base + f->offset;
	struct buf text = BUF_INIT(VALUE_LEN_MAX);
	struct json_writer w = JSON_WRITER(&text);
	struct slice shown;

	if (f->kind == SCHEMA_TEXT) {
		memcpy(&shown, member, sizeof(shown));
		if (shown.len == 0)
			table_put_none(t);
		else if (f->class == CLASS_SECRET)
			put_fingerprint(t, shown);
		else
			table_put(t, shown);
	} else if (f->has_offset != 0 && !*(const bool *)(base + f->has_offset)) {
		table_put_none(t);
	} else if (schema_encode_field(f, member, &w) != 0 || slice_is(buf_slice(&text), "[]") || text.len == 0) {
		table_put_none(t);
	} else {
		table_put(t, buf_slice(&text));
	}
	buf_finish(&text);
}

static int run_show(struct invocation *in)
{
	bool all = option_is_set(in, "all");
	struct config_loaded c;
	struct table *t = NULL;
	int status = STATUS_OK, rc = load(in, &c);

	if (rc == 0)
		rc = crypto_init();
	if (rc == 0)
		rc = table_open(&t, stdout, show_columns, option_is_set(in, "json"));
	for (size_t i = 0; rc == 0 && i < config_settings_n; i++) {
		const struct config_setting *s = &config_settings[i];

		if (!all && s->unused != NULL && c.origins[i].kind == CONFIG_DEFAULT)
			continue;
		table_put(t, s->field->name);
		put_value(t, s->field, &c.values);
		table_put_str(t, c.origins[i].place);
		table_put_str(t, s->unused != NULL ? s->unused : s->field->description);
	}
	if (rc == 0)
		rc = table_close(t);
	if (rc != 0)
		status = command_fail_err(in, rc, "cannot show the settings");
	else if (c.problems.total > 0)
		status = command_fail(in, STATUS_FAILED, "there are problems; lulab config check tells them");
	config_finish(&c);
	return status;
}

/* ---- the table --------------------------------------------------------------- */

#define OPTION_ENV_FILE \
	{.name = "env-file", .kind = OPTION_FILE, .value = "FILE", .summary = "another file than ./.env"}

static const struct option check_options[] = {OPTION_ENV_FILE, OPTION_JSON, {0}};
static const struct example check_examples[] = {
	{"lulab config check", "every mistake at once, with its place"},
	{"lulab config check --env-file /etc/lulab/env", "before the service is restarted"},
	{0},
};
static const struct command cmd_check = {
	.name = "check",
	.summary = "Find mistakes in the settings",
	.description = "Tells all mistakes of the environment and the .env file at once. Names nobody knows and "
	               "settings without effect are remarks; only problems keep the service from starting.",
	.options = check_options,
	.examples = check_examples,
	.run = run_check,
};

static const struct option show_options[] = {
	{.name = "all", .kind = OPTION_FLAG, .summary = "also those that have no effect and are not set"},
	OPTION_ENV_FILE, OPTION_JSON, {0}};
static const struct example show_examples[] = {
	{"lulab config show", "each setting, its value, and where it comes from"},
	{"lulab config show --json", "the same for a program"},
	{0},
};
static const struct command cmd_show = {
	.name = "show",
	.summary = "Show every setting and its origin",
	.description = "A flag wins over the environment, the environment over systemd credentials, those over "
	               "the .env file. Secrets are shown as fingerprints: equal ones mean equal secrets.",
	.options = show_options,
	.examples = show_examples,
	.run = run_show,
};

extern const struct command cmd_config;

static const struct command *const commands[] = {&cmd_check, &cmd_show, NULL};

const struct command cmd_config = {
	.name = "config",
	.summary = "Check and show the settings",
	.commands = commands,
};
