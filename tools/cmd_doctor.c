/* lulab doctor: what is wrong with this installation, and how to mend it. */
#include <stdio.h>
#include <unistd.h>

#include "doctor.h"
#include "settings.h"
#include "table.h"

enum { ARENA_LEN_MAX = 1 << 20 };

static const char *const result_names[] = {
	[FINDING_OK] = "ok", [FINDING_NOTE] = "note", [FINDING_WARNING] = "warning", [FINDING_BAD] = "BAD"};

static const struct table_column columns[] = {
	{"WHAT", "what", TABLE_TEXT},
	{"STATE", "state", TABLE_TEXT},
	{"FOUND", "found", TABLE_WRAP},
	{"WHAT TO DO", "mend", TABLE_WRAP},
	{0},
};

static unsigned count(const struct doctor *d, enum finding_result result)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n; i++)
		n += d->findings[i].result == result;
	return n;
}

static int print(const struct invocation *in, const struct doctor *d)
{
	struct table *t = NULL;
	int rc = table_open(&t, stdout, columns, option_is_set(in, "json"));

	for (unsigned i = 0; rc == 0 && i < d->n; i++) {
		table_put_str(t, d->findings[i].what);
		table_put_str(t, result_names[d->findings[i].result]);
		table_put_str(t, d->findings[i].found);
		table_put_str(t, d->findings[i].mend);
	}
	if (rc == 0)
		rc = table_close(t);
	if (rc != 0)
		return command_fail_err(in, rc, "cannot print the findings");
	if (count(d, FINDING_BAD) > 0)
		return command_fail(in, STATUS_FAILED, "%u bad, %u warnings", count(d, FINDING_BAD),
		    count(d, FINDING_WARNING));
	command_note(in, "nothing is broken, %u warnings", count(d, FINDING_WARNING));
	return STATUS_OK;
}

static int run_doctor(struct invocation *in)
{
	struct config_flag flags[] = {{"data", option_text(in, "data")}, {0}};
	struct config_sources sources = {.flags = flags, .environment = (const char *const *)environ};
	struct arena arena = ARENA_INIT(ARENA_LEN_MAX);
	struct doctor d = {.clock = &clock_system, .arena = &arena};
	struct config_loaded config;
	int status, rc = config_load(&config, &sources);

	d.config = &config;
	if (rc == 0 || rc == ERR_INVALID) {
		d.data_dir = arena_printf(&arena, "%.*s", SLICE_ARG(config.values.data));
		for (doctor_check *const *check = doctor_checks; *check != NULL; check++)
			(*check)(&d);
		for (doctor_check *const *check = doctor_store_checks; *check != NULL; check++)
			(*check)(&d);
		for (doctor_check *const *check = doctor_storage_checks; *check != NULL; check++)
			(*check)(&d);
		if (option_is_set(in, "objects"))
			doctor_objects(&d);
		status = print(in, &d);
	} else {
		status = command_fail_err(in, rc, "cannot read the settings");
	}
	config_finish(&config);
	arena_finish(&arena);
	return status;
}

static const struct option options[] = {
	OPTION_DATA,
	OPTION_JSON,
	{.name = "objects", .kind = OPTION_FLAG,
	 .summary = "look for every object, too: missing, damaged (elsewhere: of another length), or unknown to a local store's log"},
	{0},
};
static const struct example examples[] = {
	{"lulab doctor", "look at ./data and the settings"},
	{"sudo -u lulab lulab doctor --data /var/lib/lulab", "look at an installed service"},
	{"lulab doctor --objects", "and whether every recording is as it was stored"},
	{"lulab doctor --json | jq '.[] | select(.state == \"BAD\")'", "only what is broken"},
	{0},
};

extern const struct command cmd_doctor;

const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "Find out what is wrong, and how to mend it",
	.description = "Looks at settings, files and their modes, disk, clock, certificate, log, read models and object storage, "
	               "without changing anything; the service may be running. Exit status 1 when something is broken.",
	.options = options,
	.examples = examples,
	.run = run_doctor,
};
