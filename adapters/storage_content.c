/*
 * Objects of the local directory, served by ourselves to whoever has a link that is signed and has not expired. What the link is
 * for is in it, so nothing is looked up; a file that is gone is 404.
 *
 *     OPEN --> LOOK --> READ --> send --> READ ... --> END        (READ waits for room: on_drain)
 *
 * Files are read by libuv's threads, a piece at a time: the loop never waits, and no file is ever whole in memory.
 */
#include "adapters/storage_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "app/answer.h"
#include "app/app.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"

#define PIECE_LEN ((size_t)128 << 10)
#define SIGNATURE_LEN BASE64URL_LEN(SHA256_LEN)

/* ---- links ---------------------------------------------------------------------------------- */

static void sign(const struct object_stores *all, const struct params_storage_content *p, char ret[SIGNATURE_LEN + 1])
{
	char expires[32];
	uint8_t mac[SHA256_LEN];
	struct slice zero = slice_of("", 1), parts[] = {SLICE("link/v1"), zero, p->key, zero, p->type, zero, p->name, zero, p->sha256, zero,
	    slice_of(expires, (size_t)snprintf(expires, sizeof(expires), "%" PRId64, p->expires))};

	hmac_sha256(mac, slice_of(all->link_key, sizeof(all->link_key)), parts, sizeof(parts) / sizeof(parts[0]));
	base64url_encode_to(ret, mac, sizeof(mac));
}

static void put_parameter(struct buf *b, const char *name, struct slice value)
{
	buf_printf(b, "&%s=", name);
	percent_encode(b, value);
}

const char *storage_link(const struct object_stores *all, struct arena *a, struct params_storage_content *p)
{
	struct buf b = BUF_INIT(8192);
	char signature[SIGNATURE_LEN + 1];
	const char *kept = NULL;

	sign(all, p, signature);
	buf_printf(&b, STORAGE_CONTENT_PATH "?expires=%" PRId64, p->expires);
	put_parameter(&b, "key", p->key);
	put_parameter(&b, "name", p->name);
	put_parameter(&b, "sha256", p->sha256);
	put_parameter(&b, "signature", slice_of(signature, SIGNATURE_LEN));
	put_parameter(&b, "type", p->type);
	if (b.rc == 0)
		kept = arena_dup(a, buf_slice(&b)).ptr;
	buf_finish(&b);
	return kept;
}

/* ---- ranges (RFC 9110 14) ----------------------------------------------------------------------- */

enum range { RANGE_NONE, RANGE_SOME, RANGE_BEYOND };

/* One range; of several, or in words nobody knows, none is taken, and the whole is answered. */
static enum range read_range(struct slice text, uint64_t size, uint64_t *ret_from, uint64_t *ret_len)
{
	struct slice first, last;
	uint64_t from, to = UINT64_MAX;

	if (!slice_starts_with(text, SLICE("bytes=")) || !slice_cut(slice_of(text.ptr + 6, text.len - 6), '-', &first, &last))
		return RANGE_NONE;
	first = slice_trim(first);
	last = slice_trim(last);
	if (first.len == 0) {
		if (slice_to_u64(last, &to) != 0)
			return RANGE_NONE;
		if (to == 0 || size == 0)
			return RANGE_BEYOND;
		*ret_len = to < size ? to : size;
		*ret_from = size - *ret_len;
		return RANGE_SOME;
	}
	if (slice_to_u64(first, &from) != 0 || (last.len > 0 && (slice_to_u64(last, &to) != 0 || to < from)))
		return RANGE_NONE;
	if (from >= size)
		return RANGE_BEYOND;
	*ret_from = from;
	*ret_len = to < size ? to - from + 1 : size - from;
	return RANGE_SOME;
}

/* ---- an answer ----------------------------------------------------------------------------------------- */

/* In the request's arena. */
struct content {
	struct http_request *rq;
	struct params_storage_content params;
	const char *path, *type;
	char etag[2 * SHA256_LEN + 3]; /* "" when the link tells no hash */
	uv_fs_t fs;
	bool busy;    /* fs is with a thread */
	bool sending; /* inside a call of the server's, which may tell us that the client left */
	bool started, gone;
	int fd;
	uint64_t at, left;
	char *piece;  /* malloc'ed; NULL before the first */
	struct slice unsent;
};

static void end(struct content *c, bool complete)
{
	if (c->fd >= 0)
		io_calls->close(c->fd);
	free(c->piece);
	http_stream_end(c->rq, complete);
}

static void refuse(struct content *c, int status, const char *code, const char *detail)
{
	if (c->fd >= 0)
		io_calls->close(c->fd);
	c->rq->on_closed = NULL;
	http_problem(c->rq, status, code, detail, NULL, 0);
}

static void read_on(struct content *c);

static void send_piece(struct content *c)
{
	int rc = 0;

	c->sending = true;
	if (c->unsent.len > 0)
		rc = http_stream_write(c->rq, c->unsent);
	c->sending = false;
	if (rc == ERR_BUSY && !c->gone)
		return;
	c->unsent.len = 0;
	if (rc != 0 || c->gone)
		end(c, c->rq->head);
	else if (c->left == 0)
		end(c, true);
	else
		read_on(c);
}

static void on_read(uv_fs_t *fs)
{
	struct content *c = fs->data;
	ssize_t n = fs->result;

	uv_fs_req_cleanup(fs);
	c->busy = false;
	if (n <= 0 || c->gone) { /* shorter than it was, or unreadable: the client sees that it is cut */
		end(c, false);
		return;
	}
	c->at += (uint64_t)n;
	c->left -= (uint64_t)n;
	c->unsent = slice_of(c->piece, (size_t)n);
	send_piece(c);
}

static void read_on(struct content *c)
{
	uv_buf_t room = uv_buf_init(c->piece, (unsigned)(c->left < PIECE_LEN ? c->left : PIECE_LEN));

	c->busy = true;
	if (uv_fs_read(c->rq->loop, &c->fs, c->fd, &room, 1, (int64_t)c->at, on_read) != 0) {
		c->busy = false;
		end(c, false);
	}
}

static void on_drain(struct http_request *rq)
{
	send_piece(rq->data);
}

static void on_closed(struct http_request *rq)
{
	struct content *c = rq->data;

	c->gone = true;
	if (c->started && !c->busy && !c->sending)
		end(c, false);
}

static void start(struct content *c, uint64_t size)
{
	struct http_request *rq = c->rq;
	struct slice range, if_range;
	enum range is = RANGE_NONE;
	uint64_t from = 0, len = size;

	if (http_request_field(rq, "range", &range) &&
	    (!http_request_field(rq, "if-range", &if_range) || slice_is(slice_trim(if_range), c->etag)))
		is = read_range(slice_trim(range), size, &from, &len);
	http_header(rq, "Accept-Ranges", SLICE("bytes"));
	if (c->etag[0] != '\0')
		http_header(rq, "ETag", slice_str(c->etag));
	if (is == RANGE_BEYOND) {
		http_header_printf(rq, "Content-Range", "bytes */%" PRIu64, size);
		refuse(c, 416, "range", "The file has no such bytes.");
		return;
	}
	if (is == RANGE_SOME)
		http_header_printf(rq, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, from, from + len - 1, size);
	http_header(rq, "Content-Disposition", slice_str(object_disposition(rq->arena, c->params.name)));
	c->at = from;
	c->left = rq->head ? 0 : len;
	c->piece = malloc(PIECE_LEN);
	if (c->piece == NULL) {
		refuse(c, 503, "unavailable", NULL);
		return;
	}
	c->started = true;
	rq->on_drain = on_drain;
	c->sending = true;
	http_stream_start_len(rq, is == RANGE_SOME ? 206 : 200, c->type, len);
	c->sending = false;
	send_piece(c);
}

static void on_looked(uv_fs_t *fs)
{
	struct content *c = fs->data;
	bool ok = fs->result == 0 && S_ISREG(fs->statbuf.st_mode);
	uint64_t size = fs->statbuf.st_size;

	uv_fs_req_cleanup(fs);
	c->busy = false;
	if (!ok)
		refuse(c, 404, "not_found", "The file is not there any more.");
	else
		start(c, size);
}

static void on_opened(uv_fs_t *fs)
{
	struct content *c = fs->data;
	ssize_t fd = fs->result;

	uv_fs_req_cleanup(fs);
	c->busy = false;
	if (fd < 0) {
		refuse(c, fd == UV_ENOENT || fd == UV_ENOTDIR ? 404 : 503, fd == UV_ENOENT || fd == UV_ENOTDIR ? "not_found" : "unavailable",
		    "The file is not there any more.");
		return;
	}
	c->fd = (int)fd;
	c->busy = true;
	if (uv_fs_fstat(c->rq->loop, &c->fs, c->fd, on_looked) != 0) {
		c->busy = false;
		refuse(c, 503, "unavailable", NULL);
	}
}

static bool is_allowed(struct content *c, const struct object_stores *all)
{
	const struct params_storage_content *p = &c->params;
	char signature[SIGNATURE_LEN + 1];

	sign(all, p, signature);
	if (!crypto_equal(slice_of(signature, SIGNATURE_LEN), p->signature) || !object_key_ok(p->key)) {
		refuse(c, 403, "link", "This link was not given out by this service.");
		return false;
	}
	if (p->expires <= clock_wall_us(app_of(c->rq)->clock) / 1000000) {
		refuse(c, 403, "expired", "This link has expired: ask for the file again.");
		return false;
	}
	return true;
}

void storage_serve_content(struct http_request *rq)
{
	const struct object_stores *all = app_adapter_state(app_of(rq), &adapter_storage);
	struct content *c = arena_alloc(rq->arena, sizeof(*c));

	if (c == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	*c = (struct content){.rq = rq, .fd = -1, .fs.data = c};
	if (!api_decode_params(rq, &schema_params_storage_content, &c->params) || !is_allowed(c, all))
		return;
	if (c->params.sha256.len > 0)
		snprintf(c->etag, sizeof(c->etag), "\"%.*s\"", SLICE_ARG(c->params.sha256));
	c->path = arena_printf(rq->arena, "%s/%.*s", all->local.dir, SLICE_ARG(c->params.key));
	c->type = c->params.type.len > 0 ? arena_printf(rq->arena, "%.*s", SLICE_ARG(c->params.type)) : "application/octet-stream";
	if (c->path == NULL || c->type == NULL) {
		refuse(c, 503, "unavailable", NULL);
		return;
	}
	rq->data = c;
	rq->on_closed = on_closed;
	c->busy = true;
	if (uv_fs_open(rq->loop, &c->fs, c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0, on_opened) != 0) {
		c->busy = false;
		refuse(c, 503, "unavailable", NULL);
	}
}
