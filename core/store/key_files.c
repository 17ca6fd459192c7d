/*
 * The keys that lie in files of their own: the root key, and one file for each
 * epoch key, sealed by it. A file is made whole or not at all, and the epoch key that
 * is left is destroyed here.
 *
 * Files are made and destroyed by the one thread that may write to the key store;
 * readonly, another process may do so meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "store/key_store_private.h"

static void epoch_path(char ret[PATH_MAX], const struct key_store *store, uint32_t number)
{
	snprintf(ret, PATH_MAX, "%s/epoch-%08x.key", store->dir, number);
}

int key_file_epoch_create(struct epoch_key *ret, const struct key_store *store, uint32_t number)
{
	struct epoch_key epoch = {.number = number};
	uint8_t wrapped[KEY_WRAPPED_LEN];
	char path[PATH_MAX];
	int rc;

	rng_fill(store->rng, epoch.key, sizeof(epoch.key));
	key_wrap(wrapped, store->rng, epoch.key, number, "epoch/v1", SLICE(""), store->root);
	epoch_path(path, store, number);
	rc = file_create(path, slice_of(wrapped, sizeof(wrapped)), 0600);
	if (rc == 0)
		*ret = epoch;
	crypto_wipe(&epoch, sizeof(epoch));
	return rc;
}

int key_file_epoch_load(struct epoch_key *ret, const struct key_store *store, uint32_t number)
{
	struct buf file = BUF_INIT(KEY_WRAPPED_LEN);
	char path[PATH_MAX];
	int rc;

	epoch_path(path, store, number);
	rc = file_read(&file, path);
	if (rc == 0 && (file.len != KEY_WRAPPED_LEN || file.ptr[0] != 0x01 ||
	    key_get_be((const uint8_t *)file.ptr + 1, 4) != number))
		rc = ERR_CORRUPT;
	if (rc == 0)
		rc = key_unwrap(ret->key, (const uint8_t *)file.ptr, "epoch/v1", SLICE(""), store->root);
	if (rc == 0)
		ret->number = number;
	buf_finish(&file);
	return rc == ERR_TOO_BIG ? ERR_CORRUPT : rc;
}

/* Overwritten in place before it goes: a file system that does not copy on write then forgets it. */
int key_file_epoch_destroy(const struct key_store *store, uint32_t number)
{
	uint8_t noise[KEY_WRAPPED_LEN];
	char path[PATH_MAX];
	int fd, rc = 0;

	epoch_path(path, store, number);
	fd = io_calls->open(path, O_WRONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_from_errno(errno);
	rng_fill(store->rng, noise, sizeof(noise));
	if (io_calls->write(fd, noise, sizeof(noise)) != (ssize_t)sizeof(noise) || io_calls->fsync(fd) != 0)
		rc = err_from_errno(errno);
	io_calls->close(fd);
	if (rc == 0 && io_calls->unlink(path) != 0)
		rc = err_from_errno(errno);
	return rc != 0 ? rc : dir_sync(store->dir);
}

int key_file_epochs(const struct key_store *store, uint32_t ret_numbers[2])
{
	DIR *dir = opendir(store->dir);
	struct dirent *entry;

	if (dir == NULL)
		return err_from_errno(errno);
	ret_numbers[0] = ret_numbers[1] = 0;
	while ((entry = readdir(dir)) != NULL) {
		uint8_t bytes[4];
		uint32_t number;
		struct slice name = slice_str(entry->d_name);

		if (name.len != 18 || !slice_starts_with(name, SLICE("epoch-")) || memcmp(name.ptr + 14, ".key", 4) != 0 ||
		    hex_decode(bytes, 4, slice_of(name.ptr + 6, 8)) != 0)
			continue;
		number = (uint32_t)key_get_be(bytes, 4);
		if (number > ret_numbers[0]) {
			ret_numbers[1] = ret_numbers[0];
			ret_numbers[0] = number;
		} else if (number > ret_numbers[1]) {
			ret_numbers[1] = number;
		}
	}
	closedir(dir);
	return 0;
}

int key_file_root_read(uint8_t ret[KEYRING_KEY_LEN], const char *path)
{
	struct buf file = BUF_INIT(256);
	struct slice text;
	struct stat st;
	int rc;

	rc = file_read(&file, path);
	if (rc == 0) {
		text = slice_trim(buf_slice(&file));
		if (file.len == KEYRING_KEY_LEN)
			memcpy(ret, file.ptr, KEYRING_KEY_LEN);
		else if (text.len == 2 * KEYRING_KEY_LEN)
			rc = hex_decode(ret, KEYRING_KEY_LEN, text);
		else
			rc = base64_decode_to(ret, KEYRING_KEY_LEN, text, 0);
		if (rc != 0)
			rc = ERR_BAD_KEY;
	}
	if (rc == 0 && stat(path, &st) == 0 && (st.st_mode & 0077) != 0)
		log_warn("keyring", "the root key can be read by other users", "path", path);
	buf_wipe(&file);
	return rc;
}

int key_file_root_create(uint8_t ret[KEYRING_KEY_LEN], const char *path, const struct rng *rng)
{
	char text[2 * KEYRING_KEY_LEN + 2];
	int rc;

	rng_fill(rng, ret, KEYRING_KEY_LEN);
	hex_encode(text, ret, KEYRING_KEY_LEN);
	text[2 * KEYRING_KEY_LEN] = '\n';
	rc = file_create(path, slice_of(text, 2 * KEYRING_KEY_LEN + 1), 0600);
	crypto_wipe(text, sizeof(text));
	return rc;
}
