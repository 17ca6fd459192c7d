/*
 * Opens what was sealed beside an event of a stopped data directory, as the service does: `open_blob DIR POSITION EVENT_ID
 * FIELD` writes it out; exit status 3 when the key it was sealed with was destroyed.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "crypto/crypto.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"
#include "store/seal.h"

#define BYTES_MAX (8u << 20)

static int open_stores(const char *dir, struct eventlog **ret_log, struct keyring **ret_keyring, struct sealer **ret_sealer)
{
	char log[PATH_MAX], keys[PATH_MAX], root_key[PATH_MAX], origin[LOG_ORIGIN_MAX + 1];
	struct eventlog_options of_log = {.dir = log, .clock = &clock_system};
	struct keyring_options of_keyring = {.dir = keys, .root_key_path = root_key, .readonly = true, .clock = &clock_system,
	    .rng = &rng_system};
	struct sealer_options of_sealer = {.origin = origin, .rng = &rng_system};
	int rc = log_origin(origin, dir, NULL, &rng_system);

	snprintf(log, sizeof(log), "%s", dir);
	snprintf(keys, sizeof(keys), "%s/keys", dir);
	snprintf(root_key, sizeof(root_key), "%s/root.key", dir);
	if (rc == 0)
		rc = eventlog_open_readonly(ret_log, &of_log);
	if (rc == 0)
		rc = keyring_open(ret_keyring, &of_keyring);
	of_sealer.keyring = *ret_keyring;
	return rc == 0 ? sealer_create(ret_sealer, &of_sealer) : rc;
}

static int open_blob(struct eventlog *log, struct sealer *sealer, char **argv, struct buf *out)
{
	struct log_read read = {0};
	struct slice sealed;
	int rc = log_read_start(&read, log);

	if (rc == 0)
		rc = eventlog_blob(&read, strtoull(argv[2], NULL, 10), 0, &sealed);
	if (rc == 0)
		rc = seal_open_to(sealer, slice_str(argv[3]), slice_str(argv[4]), sealed, out);
	log_read_stop(&read);
	return rc;
}

int main(int argc, char **argv)
{
	struct buf out = BUF_INIT(BYTES_MAX);
	struct eventlog *log = NULL;
	struct keyring *keyring = NULL;
	struct sealer *sealer = NULL;
	int rc;

	if (argc != 5)
		return 2;
	rc = crypto_init();
	if (rc == 0)
		rc = open_stores(argv[1], &log, &keyring, &sealer);
	if (rc == 0)
		rc = open_blob(log, sealer, argv, &out);
	if (rc == 0)
		fwrite(out.ptr, 1, out.len, stdout);
	else
		fprintf(stderr, "open_blob: %s\n", err_name(rc));
	buf_wipe(&out);
	sealer_destroy(sealer);
	keyring_close(keyring);
	eventlog_close(log);
	return rc == 0 ? 0 : rc == ERR_ERASED ? 3 : 1;
}
