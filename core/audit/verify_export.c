/* An export directory as the verifier reads it: integrity.md section 8. Plain files, nothing else. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit/verify.h"
#include "base/err.h"
#include "base/io.h"

#define READ_LEN 65536

static int path_of(char ret[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(ret, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? 0 : ERR_TOO_BIG;
}

static int read_named(struct buf *out, const char *dir, const char *name)
{
	char path[PATH_MAX];
	int rc = path_of(path, dir, name);

	return rc != 0 ? rc : file_read(out, path);
}

static int newest(void *arg, struct buf *ret_note)
{
	return read_named(ret_note, arg, "checkpoint");
}

static int note(void *arg, uint64_t size, struct buf *ret_note)
{
	char name[48];

	snprintf(name, sizeof(name), "checkpoints/%llu", (unsigned long long)size);
	return read_named(ret_note, arg, name);
}

static int note_sizes(void *arg, uint64_t **ret_sizes, size_t *ret_n)
{
	uint64_t *sizes = NULL;
	size_t n = 0, cap = 0;
	struct dirent *entry;
	char path[PATH_MAX];
	DIR *dir;
	int rc;

	rc = path_of(path, arg, "checkpoints");
	if (rc != 0)
		return rc;
	dir = opendir(path);
	if (dir == NULL)
		return err_from_errno(errno);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		uint64_t size;

		if (slice_to_u64(slice_str(entry->d_name), &size) != 0)
			continue;
		if (n == cap) {
			uint64_t *more = realloc(sizes, (cap = cap == 0 ? 1024 : 2 * cap) * sizeof(*sizes));

			if (more == NULL) {
				rc = ERR_NOMEM;
				break;
			}
			sizes = more;
		}
		sizes[n++] = size;
	}
	closedir(dir);
	if (rc != 0) {
		free(sizes);
		return rc;
	}
	*ret_sizes = sizes;
	*ret_n = n;
	return 0;
}

/* A tile of hashes: the partial one of that width, else the full one, which begins with the same. */
static int read_tile(const char *dir, unsigned level, uint64_t tile, unsigned width, struct buf *out)
{
	char name[MERKLE_PATH_MAX];
	int rc;

	merkle_tile_path(name, (int)level, tile, width);
	rc = read_named(out, dir, name);
	if (rc == ERR_NOT_FOUND && width < MERKLE_TILE_WIDTH) {
		merkle_tile_path(name, (int)level, tile, MERKLE_TILE_WIDTH);
		rc = read_named(out, dir, name);
	}
	return rc;
}

/* A full bundle in the place of a partial one may go on behind what was asked for; a partial one may not. */
static int entries(void *arg, uint64_t tile, unsigned width, struct buf *ret_bytes)
{
	struct slice rest, record;
	char name[MERKLE_PATH_MAX];
	bool cut = false;
	int rc;

	merkle_tile_path(name, MERKLE_LEVEL_ENTRIES, tile, width);
	rc = read_named(ret_bytes, arg, name);
	if (rc != ERR_NOT_FOUND || width == MERKLE_TILE_WIDTH)
		return rc;
	merkle_tile_path(name, MERKLE_LEVEL_ENTRIES, tile, MERKLE_TILE_WIDTH);
	rc = read_named(ret_bytes, arg, name);
	if (rc != 0)
		return rc;
	rest = buf_slice(ret_bytes);
	for (unsigned i = 0; i < width && bundle_next(&rest, &record, &cut); i++)
		;
	if (!cut)
		ret_bytes->len -= rest.len;
	return 0;
}

static int hashes(void *arg, unsigned level, uint64_t tile, unsigned width, struct merkle_hash *ret_hashes)
{
	struct buf bytes = BUF_INIT(MERKLE_TILE_WIDTH * MERKLE_HASH_LEN);
	int rc;

	rc = read_tile(arg, level, tile, width, &bytes);
	if (rc == ERR_TOO_BIG || (rc == 0 && bytes.len != width * MERKLE_HASH_LEN &&
	    bytes.len != MERKLE_TILE_WIDTH * MERKLE_HASH_LEN))
		rc = ERR_MALFORMED;
	if (rc == 0)
		memcpy(ret_hashes, bytes.ptr, width * MERKLE_HASH_LEN);
	buf_finish(&bytes);
	return rc;
}

static int hash_file(const char *path, uint8_t ret_hash[SHA256_LEN], uint64_t *ret_size)
{
	struct sha256_stream *stream = NULL;
	char bytes[READ_LEN];
	uint64_t size = 0;
	ssize_t n = 0;
	int fd, rc;

	fd = io_calls->open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(errno);
	rc = sha256_stream_create(&stream);
	while (rc == 0 && (n = io_calls->read(fd, bytes, sizeof(bytes))) > 0) {
		sha256_stream_update(stream, slice_of(bytes, (size_t)n));
		size += (uint64_t)n;
	}
	if (n < 0)
		rc = err_from_errno(errno);
	if (rc == 0) {
		sha256_stream_finish(stream, ret_hash);
		*ret_size = size;
	}
	sha256_stream_destroy(stream);
	io_calls->close(fd);
	return rc;
}

static int blob(void *arg, uint64_t index, struct slice hex, uint8_t ret_hash[SHA256_LEN], uint64_t *ret_size)
{
	char name[80], path[PATH_MAX];
	int rc;

	(void)index;
	snprintf(name, sizeof(name), "blob/%.2s/%.*s", hex.ptr, SLICE_ARG(hex));
	rc = path_of(path, arg, name);
	return rc != 0 ? rc : hash_file(path, ret_hash, ret_size);
}

int verify_export_open(struct verify_source *ret, const char *dir)
{
	DIR *d = opendir(dir);

	if (d == NULL)
		return err_from_errno(errno);
	closedir(d);
	*ret = (struct verify_source){
	    .arg = (void *)(uintptr_t)dir,
	    .newest = newest,
	    .note_sizes = note_sizes,
	    .note = note,
	    .entries = entries,
	    .hashes = hashes,
	    .blob = blob,
	};
	return 0;
}

void verify_export_close(struct verify_source *source)
{
	*source = (struct verify_source){0};
}
