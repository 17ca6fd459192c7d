/*
 * lulab backup drill: is a backup worth something? Restores it into a scratch directory, verifies
 * it there, makes every read model from it, and makes them once more to compare. The keys come from the
 * data directory, whose service may be running, and are only read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/config.h"
#include "backup.h"
#include "base/clock.h"
#include "base/io.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "progress.h"
#include "settings.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"
#include "store/keyring.h"
#include "store/projector.h"
#include "store/seal.h"

struct drill {
	struct invocation *in;
	char scratch[PATH_MAX];
	struct config_loaded config;
	struct keyring *keyring;
	struct sealer *sealer;
	struct eventlog *log;
	struct buf *problem;
	int64_t since_us;
};

/* How long the step took that ends here. */
static void step_done(struct drill *d, const char *what)
{
	int64_t now_us = clock_monotonic_us(&clock_system);

	printf("%-10s %.2f s\n", what, (double)(now_us - d->since_us) / 1e6);
	d->since_us = now_us;
}

/* The keyring of the data directory, and a sealer that opens what was sealed under the backup's name. */
static int open_keys(struct drill *d)
{
	const char *data = option_data_dir(d->in);
	char keys[PATH_MAX], root_key[PATH_MAX], origin[LOG_ORIGIN_MAX + 1];
	struct keyring_options options = {
	    .dir = keys, .root_key_path = root_key, .readonly = true, .clock = &clock_system, .rng = &rng_system};
	struct sealer_options seal = {.origin = origin, .rng = &rng_system};
	int rc;

	if (settings_load(d->in, NULL, &d->config) != STATUS_OK)
		return ERR_CONFIG;
	rc = backup_join(keys, data, "keys");
	if (rc == 0 && d->config.values.root_key_file.len > 0)
		snprintf(root_key, sizeof(root_key), "%s", d->config.values.root_key_file.ptr);
	else if (rc == 0)
		rc = backup_join(root_key, data, "root.key");
	if (rc == 0)
		rc = log_origin(origin, d->scratch, NULL, &rng_system);
	if (rc == 0)
		rc = keyring_open(&d->keyring, &options);
	seal.keyring = d->keyring;
	if (rc == 0)
		rc = sealer_create(&d->sealer, &seal);
	if (rc != 0)
		buf_printf(d->problem, "the keys in %s cannot be opened with %s, so read models cannot be made: %s", keys, root_key,
		    err_text(rc));
	return rc;
}

static bool on_progress(void *arg, uint64_t done, uint64_t total)
{
	(void)total;
	progress_set(arg, done);
	return !command_interrupted();
}

static enum backup_outcome try_model(struct drill *d, const struct projector_options *options,
    const struct projection *model)
{
	struct projection_verdict verdict = {0};
	struct buf why = BUF_INIT(1024);
	struct progress progress;
	int rc;

	progress_start(&progress, stderr, &clock_system, model->name, "events", eventlog_size(d->log));
	rc = projection_rebuild(options, model, on_progress, &progress, &why);
	if (rc == 0)
		rc = projection_verify(options, model, &verdict, on_progress, &progress, &why);
	progress_finish(&progress);
	if (rc != 0)
		buf_printf(d->problem, "the read model %s cannot be made from it: %s", model->name, why.len > 0 ? why.ptr : err_text(rc));
	else if (!verdict.equal)
		buf_printf(d->problem, "the read model %s is another one each time it is made", model->name);
	buf_finish(&why);
	if (rc != 0)
		return rc == ERR_CORRUPT ? BACKUP_FAILED : BACKUP_INCONCLUSIVE;
	return verdict.equal ? BACKUP_OK : BACKUP_FAILED;
}

static enum backup_outcome try_models(struct drill *d)
{
	struct eventlog_options o = {.dir = d->scratch, .clock = &clock_system, .type_number = event_type_number,
	    .reserve_off = true};
	struct projector_options options = {.dir = d->scratch, .clock = &clock_system};
	enum backup_outcome outcome = BACKUP_OK;
	int rc = open_keys(d);

	if (rc != 0)
		return BACKUP_INCONCLUSIVE;
	rc = eventlog_open(&d->log, &o);
	if (rc != 0) {
		buf_printf(d->problem, "the restored log cannot be opened for service: %s", err_text(rc));
		return BACKUP_FAILED;
	}
	options.log = d->log;
	options.sealer = d->sealer;
	for (unsigned i = 0; outcome == BACKUP_OK && projections[i] != NULL; i++)
		outcome = try_model(d, &options, projections[i]);
	return outcome;
}

static enum backup_outcome drill(struct drill *d, const char *dir)
{
	struct buf next = BUF_INIT(1024);
	bool without = option_is_set(d->in, "without-objects");
	struct backup_manifest m;
	char objects[PATH_MAX];
	enum backup_outcome outcome = backup_join(objects, d->scratch, "objects") != 0 ? BACKUP_INCONCLUSIVE :
	    backup_restore(d->in, dir, d->scratch, without ? NULL : objects, d->problem, &next);

	buf_finish(&next);
	if (outcome != BACKUP_OK)
		return outcome;
	step_done(d, "restore");
	if (!without && backup_manifest_read(dir, &m) == 0 && m.has_objects)
		printf("%-10s %" PRIu64 ", each as it was stored\n", "objects", m.n_objects);
	outcome = try_models(d);
	if (outcome == BACKUP_OK)
		step_done(d, "models");
	sealer_destroy(d->sealer);
	keyring_close(d->keyring);
	eventlog_close(d->log);
	config_finish(&d->config);
	return outcome;
}

static int run_drill(struct invocation *in)
{
	struct buf problem = BUF_INIT(8192);
	struct drill *d = calloc(1, sizeof(*d));
	const char *where = option_text(in, "scratch");
	enum backup_outcome outcome = BACKUP_INCONCLUSIVE;
	int64_t began_us = clock_monotonic_us(&clock_system);

	if (where == NULL)
		where = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/var/tmp";
	if (d == NULL || crypto_init() != 0)
		buf_append_str(&problem, "out of memory");
	else if (snprintf(d->scratch, sizeof(d->scratch), "%s/lulab-drill-XXXXXX", where) >= (int)sizeof(d->scratch) ||
	    mkdtemp(d->scratch) == NULL)
		buf_printf(&problem, "no scratch directory can be made in %s: %s", where, err_text(err_from_errno(errno)));
	else {
		d->in = in;
		d->problem = &problem;
		d->since_us = began_us;
		outcome = drill(d, in->arguments[0]);
		tree_remove(d->scratch);
	}
	if (outcome == BACKUP_OK)
		printf("ok: restored, verified and every read model made twice alike in %.2f s\n",
		    (double)(clock_monotonic_us(&clock_system) - began_us) / 1e6);
	backup_tell(in, outcome, &problem);
	free(d);
	buf_finish(&problem);
	return (int)outcome;
}

static const struct option options[] = {
    OPTION_DATA,
    {.name = "scratch", .kind = OPTION_DIR, .value = "DIR", .summary = "where to restore to for the while (default: TMPDIR, else /var/tmp)"},
    {.name = "key", .kind = OPTION_TEXT, .value = "VKEY",
	.summary = "the log's verifier key, or a file that holds it (default: the one in the backup)"},
    BACKUP_OPTION_WITHOUT,
    {0},
};

static const struct example examples[] = {
    {"lulab backup drill /mnt/backup/lulab-20261124T004617.123Z", "restore it for a moment, and see that everything comes back"},
    {0},
};

const struct command backup_drill_command = {
    .name = "drill",
    .summary = "Try a backup: restore it elsewhere and make everything from it",
    .description =
	"Verifies, restores into a scratch directory, verifies again, makes all read models twice and compares them, tells how long "
	"it took, and removes the scratch directory. The keys are those of --data, whose service may be running.\n"
	"Exit status: 0 ok; 4 failed, the backup is not good; 1 inconclusive.",
    .arguments = "BACKUP",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = options,
    .examples = examples,
    .run = run_drill,
};
