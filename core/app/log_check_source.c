/*
 * The running service's log as the verifier reads it. The process has its store
 * open already and may not open it twice, so these go through the eventlog; a
 * transaction is over when the function returns.
 */
#include <stdlib.h>

#include "app/log_check.h"
#include "base/codec.h"
#include "base/err.h"
#include "store/eventlog.h"

static int newest(void *arg, struct buf *ret_note)
{
	uint64_t size;

	return eventlog_last_note(arg, &size, ret_note);
}

static int note(void *arg, uint64_t size, struct buf *ret_note)
{
	uint64_t found = 0;
	int rc = eventlog_next_note(arg, size, &found, ret_note);

	return rc == 0 && found != size ? ERR_NOT_FOUND : rc;
}

static int note_sizes(void *arg, uint64_t **ret_sizes, size_t *ret_n)
{
	struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
	uint64_t *sizes = NULL, from = 0;
	size_t n = 0, cap = 0;
	int rc;

	for (;;) {
		buf_clear(&bytes);
		rc = eventlog_next_note(arg, from, &from, &bytes);
		if (rc != 0)
			break;
		if (n == cap) {
			uint64_t *more = realloc(sizes, (cap = cap == 0 ? 1024 : 2 * cap) * sizeof(*sizes));

			if (more == NULL) {
				rc = ERR_NOMEM;
				break;
			}
			sizes = more;
		}
		sizes[n++] = from++;
	}
	buf_finish(&bytes);
	if (rc != ERR_NOT_FOUND) {
		free(sizes);
		return rc;
	}
	*ret_sizes = sizes;
	*ret_n = n;
	return 0;
}

static int size(void *arg, uint64_t *ret_size)
{
	*ret_size = eventlog_size(arg);
	return 0;
}

/* A record that is none ends the bundle: the verifier sees that it is short, and where. */
static int entries(void *arg, uint64_t tile, unsigned width, struct buf *ret_bytes)
{
	struct log_record record;
	struct log_read r;
	int rc;

	rc = log_read_start(&r, arg);
	for (unsigned i = 0; rc == 0 && i < width; i++) {
		rc = eventlog_read_one(&r, tile * MERKLE_TILE_WIDTH + i, &record);
		if (rc != 0)
			break;
		buf_append_char(ret_bytes, (char)(record.entry.len >> 8));
		buf_append_char(ret_bytes, (char)record.entry.len);
		rc = buf_append(ret_bytes, record.entry);
	}
	log_read_stop(&r);
	return rc == ERR_NOT_FOUND || rc == ERR_CORRUPT ? 0 : rc;
}

static int hashes(void *arg, unsigned level, uint64_t tile, unsigned width, struct merkle_hash *ret_hashes)
{
	struct tile_reader tiles = eventlog_tiles(arg);

	return tiles.read(tiles.arg, level, tile, 0, width, ret_hashes);
}

/* The record's blob with that hash; else the last one it has, so that an altered one is told as such. */
static int blob(void *arg, uint64_t index, struct slice hex, uint8_t ret_hash[SHA256_LEN], uint64_t *ret_size)
{
	char text[2 * SHA256_LEN + 1];
	struct log_read r;
	struct slice bytes;
	bool any = false;
	int rc;

	rc = log_read_start(&r, arg);
	for (uint32_t n = 0; rc == 0 && n < UINT8_MAX; n++) {
		rc = eventlog_blob(&r, index, n, &bytes);
		if (rc != 0)
			break;
		sha256(ret_hash, &bytes, 1);
		*ret_size = bytes.len;
		any = true;
		hex_encode(text, ret_hash, SHA256_LEN);
		if (slice_is(hex, text))
			break;
	}
	log_read_stop(&r);
	return rc == ERR_NOT_FOUND && any ? 0 : rc;
}

struct verify_source log_check_source(struct eventlog *log)
{
	return (struct verify_source){
	    .arg = log,
	    .newest = newest,
	    .note_sizes = note_sizes,
	    .note = note,
	    .size = size,
	    .entries = entries,
	    .hashes = hashes,
	    .blob = blob,
	};
}
