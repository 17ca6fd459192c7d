/*
 * What nobody can ask the service for yet: keys erased, and the epoch turned, as commands that can be recorded.
 *
 *     keys make DIR KNOWN    a keyring with 8 keys; KNOWN gets their ids and what they are
 *     keys erase DIR KNOWN   the first of them
 *     keys turn DIR KNOWN    the epoch
 *     keys look DIR KNOWN    of each "held", "erased", or what else is the matter
 *
 * DIR/keys and DIR/root.key are the keyring's, as in a data directory.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/keyring.h"

#define N_KEYS 8
#define STOCK 4u

struct known {
	struct id id;
	uint8_t key[KEYRING_KEY_LEN];
};

static int make(struct keyring *kr, struct known *keys)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < N_KEYS; i++) {
		rc = keyring_take(kr, i % 2 == 0 ? KEY_SUBJECT : KEY_DELIVERY, &keys[i].id);
		if (rc == 0)
			rc = keyring_get(kr, &keys[i].id, keys[i].key);
	}
	return rc;
}

static void look(struct keyring *kr, const struct known *keys)
{
	uint8_t key[KEYRING_KEY_LEN];

	for (unsigned i = 0; i < N_KEYS; i++) {
		int rc = keyring_get(kr, &keys[i].id, key);

		if (rc == 0)
			puts(memcmp(key, keys[i].key, sizeof(key)) == 0 ? "held" : "another");
		else
			puts(rc == ERR_ERASED ? "erased" : err_name(rc));
	}
}

static bool file_of(const char *path, const char *mode, struct known *keys)
{
	FILE *f = fopen(path, mode);
	bool good = f != NULL && (mode[0] == 'r' ? fread(keys, sizeof(*keys), N_KEYS, f)
	                                         : fwrite(keys, sizeof(*keys), N_KEYS, f)) == N_KEYS;

	return f != NULL && fclose(f) == 0 && good;
}

int main(int argc, char **argv)
{
	char dir[PATH_MAX], root[PATH_MAX];
	struct keyring_options o = {.dir = dir, .root_key_path = root, .stock = STOCK, .keep_days = 30, .clock = &clock_system,
	    .rng = &rng_system};
	struct keyring *kr = NULL;
	struct known keys[N_KEYS];
	const char *what = argc == 4 ? argv[1] : "";
	int rc;

	if (argc != 4)
		return 2;
	snprintf(dir, sizeof(dir), "%s/keys", argv[2]);
	snprintf(root, sizeof(root), "%s/root.key", argv[2]);
	rc = crypto_init();
	if (rc == 0 && strcmp(what, "make") != 0 && !file_of(argv[3], "r", keys))
		rc = ERR_IO;
	if (rc == 0)
		rc = keyring_open(&kr, &o);
	if (rc == 0 && strcmp(what, "make") == 0)
		rc = make(kr, keys);
	else if (rc == 0 && strcmp(what, "erase") == 0)
		rc = keyring_erase(kr, &keys[0].id, 1);
	else if (rc == 0 && strcmp(what, "turn") == 0)
		rc = keyring_turn_epoch(kr);
	else if (rc == 0)
		look(kr, keys);
	keyring_close(kr);
	if (rc == 0 && strcmp(what, "make") == 0 && !file_of(argv[3], "w", keys))
		rc = ERR_IO;
	if (rc != 0)
		fprintf(stderr, "keys %s: %s\n", what, err_name(rc));
	return rc == 0 ? 0 : 1;
}
