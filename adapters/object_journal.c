/*
 * The journal of a put in parts; see object_private.h. Lines of fields with a space between, the last of
 * which is the CRC-64 of what is before it:
 *
 *     upload PROVIDER BUCKET KEY TYPE ID BEGUN_MS        texts in base64url, "-" for an empty one
 *     source SIZE ETAG MODIFIED                          when bytes are fetched from somewhere; SIZE "-": not known
 *     part SIZE ETAG SHA256_STATE CRC                    the next one
 *     done SIZE SHA256
 */
#include "object_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "adapters/crc64.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"

#define JOURNAL_MAX ((size_t)8 << 20) /* 10000 parts are some 2.5 MiB */
#define ARENA_BYTES_MAX ((size_t)16 << 20)
#define LINE_MAX_LEN ((size_t)16 << 10)
#define FIELDS_MAX 8
#define SUM_LEN 16

/* ---- writing ---------------------------------------------------------------------------- */

static void put_text(struct buf *b, struct slice text)
{
	buf_append_char(b, ' ');
	if (text.len == 0)
		buf_append_char(b, '-');
	else
		base64url_encode(b, text);
}

static void end_line(struct buf *b, size_t from)
{
	uint64_t sum = b->rc == 0 ? crc64(0, slice_of(b->ptr + from, b->len - from)) : 0;

	buf_printf(b, " %016" PRIx64 "\n", sum);
}

static void put_begin(struct buf *b, const struct object_journal *j)
{
	size_t from = b->len;

	buf_append_str(b, "upload");
	put_text(b, j->provider);
	put_text(b, j->bucket);
	put_text(b, j->key);
	put_text(b, j->content_type);
	put_text(b, j->id);
	buf_printf(b, " %" PRId64, j->begun_ms);
	end_line(b, from);
	if (!j->has_source)
		return;
	from = b->len;
	buf_append_str(b, "source");
	if (j->source_size == UINT64_MAX)
		buf_append_str(b, " -");
	else
		buf_printf(b, " %" PRIu64, j->source_size);
	put_text(b, j->source_etag);
	put_text(b, j->source_modified);
	end_line(b, from);
}

int object_journal_begin(struct object_journal *j, const char *dir, const char *name)
{
	struct buf text = BUF_INIT(LINE_MAX_LEN);
	char *path = arena_printf(&j->arena, "%s/%s", dir, name);
	int rc = path == NULL ? ERR_NOMEM : dir_create(dir, 0700);

	put_begin(&text, j);
	if (rc == 0)
		rc = text.rc;
	if (rc == 0)
		rc = file_replace(path, buf_slice(&text), 0600);
	buf_finish(&text);
	if (rc != 0)
		return rc;
	j->path = path;
	j->fd = io_calls->open(path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
	return j->fd < 0 ? err_from_errno(errno) : 0;
}

static int append(struct object_journal *j, struct buf *line)
{
	int rc = line->rc;
	ssize_t n;

	if (rc == 0) {
		n = io_calls->write(j->fd, line->ptr, line->len);
		if (n != (ssize_t)line->len)
			rc = n < 0 ? err_from_errno(errno) : ERR_DISK_FULL; /* the piece does not count, nor what would follow it */
		else if (io_calls->fdatasync(j->fd) != 0)
			rc = err_from_errno(errno);
	}
	buf_finish(line);
	return rc;
}

static int remember(struct object_journal *j, const struct object_part *part, const struct journal_mark *mark)
{
	if (j->n_parts == j->cap) {
		size_t cap = j->cap == 0 ? 64 : 2 * j->cap;
		struct object_part *parts = arena_calloc(&j->arena, cap, sizeof(*parts));
		struct journal_mark *marks = arena_calloc(&j->arena, cap, sizeof(*marks));

		if (parts == NULL || marks == NULL)
			return ERR_NOMEM;
		if (j->n_parts > 0) {
			memcpy(parts, j->parts, j->n_parts * sizeof(*parts));
			memcpy(marks, j->marks, j->n_parts * sizeof(*marks));
		}
		j->parts = parts;
		j->marks = marks;
		j->cap = cap;
	}
	j->parts[j->n_parts] = *part;
	j->parts[j->n_parts].etag = arena_dup(&j->arena, part->etag);
	if (j->parts[j->n_parts].etag.ptr == NULL)
		return ERR_NOMEM;
	j->marks[j->n_parts++] = *mark;
	return 0;
}

int object_journal_part(struct object_journal *j, const struct object_part *part, const struct journal_mark *mark)
{
	struct buf line = BUF_INIT(LINE_MAX_LEN);
	char state[2 * SHA256_STATE_LEN + 1];
	int rc;

	hex_encode(state, mark->sha256, sizeof(mark->sha256));
	buf_printf(&line, "part %" PRId64, part->size);
	put_text(&line, part->etag);
	buf_printf(&line, " %s %016" PRIx64, state, mark->crc);
	end_line(&line, 0);
	rc = append(j, &line);
	return rc == 0 ? remember(j, part, mark) : rc;
}

int object_journal_cut(struct object_journal *j, size_t n)
{
	size_t end = n > 0 ? j->marks[n - 1].end : j->head_end;

	if (n == j->n_parts)
		return 0;
	j->n_parts = n;
	return ftruncate(j->fd, (off_t)end) == 0 ? 0 : err_from_errno(errno);
}

int object_journal_done(struct object_journal *j, uint64_t size, const char *sha256)
{
	struct buf line = BUF_INIT(LINE_MAX_LEN);

	buf_printf(&line, "done %" PRIu64 " %s", size, sha256);
	end_line(&line, 0);
	return append(j, &line);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* The fields of a line whose sum is right; 0 of any other. */
static size_t split(struct slice line, struct slice fields[FIELDS_MAX])
{
	char sum[SUM_LEN + 1];
	struct slice rest;
	size_t n = 0;

	if (line.len < SUM_LEN + 2 || line.ptr[line.len - SUM_LEN - 1] != ' ')
		return 0;
	rest = slice_of(line.ptr, line.len - SUM_LEN - 1);
	snprintf(sum, sizeof(sum), "%016" PRIx64, crc64(0, rest));
	if (memcmp(sum, line.ptr + line.len - SUM_LEN, SUM_LEN) != 0)
		return 0;
	while (rest.len > 0 && n < FIELDS_MAX)
		slice_cut(rest, ' ', &fields[n++], &rest);
	return n;
}

static int take_text(struct object_journal *j, struct slice field, struct slice *ret)
{
	struct buf text = BUF_INIT(LINE_MAX_LEN);
	int rc = 0;

	if (!slice_is(field, "-"))
		rc = base64url_decode(&text, field);
	if (rc == 0)
		*ret = arena_dup(&j->arena, buf_slice(&text));
	buf_finish(&text);
	return rc != 0 ? rc : ret->ptr == NULL ? ERR_NOMEM : 0;
}

static int take_upload(struct object_journal *j, const struct slice *f)
{
	struct slice *texts[] = {&j->provider, &j->bucket, &j->key, &j->content_type, &j->id};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
		rc = take_text(j, f[1 + i], texts[i]);
	return rc == 0 ? slice_to_i64(f[6], &j->begun_ms) : rc;
}

static int take_source(struct object_journal *j, const struct slice *f)
{
	int rc = take_text(j, f[2], &j->source_etag);

	j->source_size = UINT64_MAX;
	if (rc == 0)
		rc = take_text(j, f[3], &j->source_modified);
	if (rc == 0 && !slice_is(f[1], "-"))
		rc = slice_to_u64(f[1], &j->source_size);
	j->has_source = rc == 0;
	return rc;
}

static int take_part(struct object_journal *j, const struct slice *f)
{
	struct object_part part = {.number = (int64_t)j->n_parts + 1};
	struct journal_mark mark = {.size = j->n_parts > 0 ? j->marks[j->n_parts - 1].size : 0};
	uint8_t crc[8];
	int rc = slice_to_i64(f[1], &part.size);

	if (rc == 0 && (part.size <= 0 || part.size > (int64_t)OBJECT_PART_LEN || part.number > OBJECT_PARTS_MAX))
		rc = ERR_MALFORMED;
	if (rc == 0)
		rc = take_text(j, f[2], &part.etag);
	if (rc == 0)
		rc = hex_decode(mark.sha256, sizeof(mark.sha256), f[3]);
	if (rc == 0)
		rc = hex_decode(crc, sizeof(crc), f[4]);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < sizeof(crc); i++)
		mark.crc = mark.crc << 8 | crc[i];
	mark.size += (uint64_t)part.size;
	return remember(j, &part, &mark);
}

static int take_done(struct object_journal *j, const struct slice *f)
{
	if (f[2].len != 2 * SHA256_LEN || slice_to_u64(f[1], &j->done_size) != 0)
		return ERR_MALFORMED;
	memcpy(j->done_sha256, f[2].ptr, f[2].len);
	j->is_done = true;
	return 0;
}

static const struct {
	const char *word;
	size_t n_fields;
	int (*take)(struct object_journal *j, const struct slice *fields);
} lines[] = {
	{"upload", 7, take_upload},
	{"source", 4, take_source},
	{"part", 5, take_part},
	{"done", 3, take_done},
};

static int take_line(struct object_journal *j, struct slice line, bool first)
{
	struct slice fields[FIELDS_MAX];
	size_t n = split(line, fields);

	for (size_t i = 0; n > 0 && i < sizeof(lines) / sizeof(lines[0]); i++)
		if (slice_is(fields[0], lines[i].word) && n == lines[i].n_fields && (i == 0) == first && !j->is_done)
			return lines[i].take(j, fields);
	return ERR_MALFORMED;
}

int object_journal_load(struct object_journal *j, const char *dir, const char *name)
{
	struct buf text = BUF_INIT(JOURNAL_MAX);
	char *path;
	struct slice line, rest;
	size_t good = 0;
	int rc;

	*j = (struct object_journal){.fd = -1, .source_size = UINT64_MAX, .arena = ARENA_INIT(ARENA_BYTES_MAX)};
	path = arena_printf(&j->arena, "%s/%s", dir, name);
	rc = path == NULL ? ERR_NOMEM : file_read(&text, path);
	if (rc == 0) {
		j->path = path;
		rest = buf_slice(&text);
		while (slice_cut(rest, '\n', &line, &rest) && (rc = take_line(j, line, good == 0)) == 0) {
			good = (size_t)(rest.ptr - text.ptr);
			if (j->n_parts > 0)
				j->marks[j->n_parts - 1].end = good;
			else
				j->head_end = good;
		}
		if (rc != ERR_NOMEM)
			rc = good == 0 ? ERR_NOT_FOUND : 0;
	}
	if (rc == 0)
		j->fd = io_calls->open(path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
	if (rc == 0 && j->fd < 0)
		rc = err_from_errno(errno);
	/* What is behind the last good line goes, for the next one is appended. */
	if (rc == 0 && good < text.len && ftruncate(j->fd, (off_t)good) != 0)
		rc = err_from_errno(errno);
	buf_finish(&text);
	return rc;
}

void object_journal_close(struct object_journal *j)
{
	if (j->fd >= 0)
		io_calls->close(j->fd);
	arena_finish(&j->arena);
	*j = (struct object_journal){.fd = -1};
}

void object_journal_remove(struct object_journal *j)
{
	if (j->path != NULL)
		io_calls->unlink(j->path);
	object_journal_close(j);
}
