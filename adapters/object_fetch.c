/*
 * Bytes from an address a vendor gave us straight into the store: the answer is read as fast as the store takes its parts.
 *
 *     ask (Range, If-Range) --> 206 behind what we have / 200 the whole --> write ... --> end: finish
 *        ^                             |  another thing than before: from the beginning
 *        `------ cut, slow, 5xx -------'
 *
 * Who has no validator (a strong ETag, or else Last-Modified) cannot be gone on with: what comes might be of another file.
 */
#include "object_private.h"

#include <inttypes.h>

#include "base/err.h"
#include "net/http_client.h"

#define CONNECT_MS 3000
#define WHOLE_MS (24 * 3600000u)
#define SLOW_BYTES_PER_S 10240
#define SLOW_S 20
#define PAUSE_MS 100
#define RESTARTS_MAX 3
#define HEADERS_MAX 12
#define NOT_KNOWN UINT64_MAX
#define SCRATCH_MAX ((size_t)64 << 10)

struct fetch {
	struct object_call *o;
	const struct object_source *source;
	struct object_upload u;
	uint64_t from;   /* what was asked for begins there */
	uint64_t skip;   /* bytes of the answer that are there already */
	uint64_t end;    /* of the answer, in the whole; NOT_KNOWN = when the connection ends */
	bool changed;    /* it is another thing than the one that was begun */
	int rc;          /* why we ended a request ourselves */
};

static int give_up(struct fetch *f, int rc, const char *message)
{
	f->o->of_source = true;
	f->rc = object_fail(f->o, rc, message);
	return rc;
}

/* ---- may it be asked? ------------------------------------------------------------------------------- */

static bool host_is_listed(const struct object_stores *all, struct slice host)
{
	struct slice one, rest = all->fetch_hosts;
	struct address literal;

	if (address_parse(host, &literal) == 0)
		return address_ranges_hold(&all->fetch_addresses, &literal);
	while (rest.len > 0) {
		slice_cut(rest, ',', &one, &rest);
		one = slice_trim(one);
		if (slice_eq_nocase(one, host))
			return true;
		if (one.len > 1 && one.ptr[0] == '.' && host.len > one.len &&
		    slice_eq_nocase(slice_of(host.ptr + host.len - one.len, one.len), one))
			return true;
	}
	return false;
}

static int may_ask(struct fetch *f)
{
	char host[HTTP_URL_HOST_MAX];

	if (http_url_host(f->source->url, host) != 0)
		return give_up(f, ERR_DENIED, "The address to fetch from is none.");
	if (!host_is_listed(f->o->store->all, slice_str(host)))
		return give_up(f, ERR_DENIED, "The address to fetch from is of a host that LULAB_FETCH_HOSTS does not name.");
	return 0;
}

/* ---- the answer's head ---------------------------------------------------------------------------------- */

static struct slice header(const struct http_result *r, const char *name)
{
	struct slice value;

	return http_result_header(r, name, &value) ? value : SLICE("");
}

static bool is_strong(struct slice etag)
{
	return etag.len > 2 && etag.ptr[0] == '"';
}

/* What it is by: the strong tag, or the date it was changed; empty = nothing. */
static struct slice validator_of(const struct object_journal *j)
{
	return is_strong(j->source_etag) ? j->source_etag : j->source_modified;
}

static bool is_same(const struct object_journal *j, const struct http_result *r, uint64_t size)
{
	struct slice etag = header(r, "etag"), modified = header(r, "last-modified");

	if (j->source_size != NOT_KNOWN && size != NOT_KNOWN && size != j->source_size)
		return false;
	if (is_strong(j->source_etag) || is_strong(etag))
		return slice_eq(etag, j->source_etag);
	return j->source_modified.len > 0 && slice_eq(modified, j->source_modified);
}

/* "bytes 100-199/1000" or "bytes 100-199/ *"; ERR_MALFORMED. */
static int read_content_range(struct slice text, uint64_t *ret_from, uint64_t *ret_to, uint64_t *ret_size)
{
	struct slice from, to, size;

	if (!slice_starts_with(text, SLICE("bytes ")) ||
	    !slice_cut(slice_of(text.ptr + 6, text.len - 6), '-', &from, &to) || !slice_cut(to, '/', &to, &size))
		return ERR_MALFORMED;
	*ret_size = NOT_KNOWN;
	if (slice_to_u64(from, ret_from) != 0 || slice_to_u64(to, ret_to) != 0 || *ret_to < *ret_from || *ret_to == NOT_KNOWN)
		return ERR_MALFORMED;
	if (!slice_is(size, "*") && (slice_to_u64(size, ret_size) != 0 || *ret_to >= *ret_size))
		return ERR_MALFORMED;
	return 0;
}

static int note_source(struct fetch *f, const struct http_result *r, uint64_t size)
{
	struct object_journal *j = &f->u.journal;

	j->has_source = true;
	j->source_size = size;
	j->source_etag = arena_dup(&j->arena, header(r, "etag"));
	j->source_modified = arena_dup(&j->arena, header(r, "last-modified"));
	return j->source_etag.ptr == NULL || j->source_modified.ptr == NULL ? ERR_NOMEM : 0;
}

static int judge_size(struct fetch *f, uint64_t size)
{
	uint64_t max = f->source->size_max != 0 ? f->source->size_max : OBJECT_SIZE_MAX;

	if (size != NOT_KNOWN && size > max)
		return give_up(f, ERR_TOO_BIG, "The file to be fetched is longer than any that is kept.");
	if (size != NOT_KNOWN && f->source->size != 0 && size != f->source->size)
		return give_up(f, ERR_CORRUPT, "The file to be fetched has another length than the vendor said.");
	return 0;
}

static int on_whole(struct fetch *f, const struct http_result *r)
{
	struct slice length = header(r, "content-length");
	uint64_t size = NOT_KNOWN;

	if (length.len > 0 && slice_to_u64(length, &size) != 0)
		return give_up(f, ERR_UNAVAILABLE, "The answer of the address to fetch from makes no sense.");
	f->end = size;
	f->skip = 0;
	if (f->u.size > 0 && !is_same(&f->u.journal, r, size)) {
		f->changed = true;
		return ERR_CANCELLED;
	}
	f->skip = f->u.size; /* ranges are not done there: what we have is passed over */
	if (judge_size(f, size) != 0)
		return f->rc;
	return f->u.size == 0 ? note_source(f, r, size) : 0;
}

static int on_rest(struct fetch *f, const struct http_result *r)
{
	uint64_t from, to, size;

	if (read_content_range(header(r, "content-range"), &from, &to, &size) != 0 || from > f->u.size)
		return give_up(f, ERR_UNAVAILABLE, "The answer of the address to fetch from makes no sense.");
	if (!is_same(&f->u.journal, r, size)) {
		f->changed = true;
		return ERR_CANCELLED;
	}
	f->skip = f->u.size - from;
	f->end = to + 1;
	return 0;
}

/* Of the source, once it has answered: 0 and bytes follow. */
static int on_refusal(struct fetch *f, int status)
{
	f->o->status = status;
	if (status == 416) { /* it has become shorter */
		f->changed = true;
		return ERR_CANCELLED;
	}
	if (status == 408 || status == 425 || status == 429 || status >= 500)
		return give_up(f, ERR_UNAVAILABLE, "Where the file is to be fetched from nothing is given at the moment.");
	if (status == 401 || status == 403 || status == 404 || status == 410)
		return give_up(f, ERR_NOT_FOUND, "The address to fetch from is not, or no longer, good.");
	return give_up(f, ERR_DENIED, "The address to fetch from leads elsewhere, or refuses.");
}

static int on_head(void *arg, const struct http_result *r)
{
	struct fetch *f = arg;

	if (r->status == 200)
		return on_whole(f, r);
	if (r->status == 206 && f->from > 0)
		return on_rest(f, r);
	return on_refusal(f, r->status);
}

static int on_bytes(void *arg, struct slice bytes)
{
	struct fetch *f = arg;
	uint64_t pass = f->skip < bytes.len ? f->skip : bytes.len, max = f->source->size_max != 0 ? f->source->size_max : OBJECT_SIZE_MAX;

	f->skip -= pass;
	bytes = slice_of(bytes.ptr + pass, bytes.len - (size_t)pass);
	if (f->u.size + bytes.len > max)
		return give_up(f, ERR_TOO_BIG, "The file to be fetched is longer than any that is kept.");
	f->rc = object_upload_write(&f->u, bytes);
	return f->rc;
}

/* ---- asking ------------------------------------------------------------------------------------------------ */

static int list_headers(struct fetch *f, struct arena *a, const char *ret[HEADERS_MAX + 1])
{
	struct slice validator = validator_of(&f->u.journal);
	size_t n = 0;

	for (size_t i = 0; f->source->headers != NULL && f->source->headers[i] != NULL && n < HEADERS_MAX - 3; i++)
		ret[n++] = f->source->headers[i];
	ret[n++] = "Accept-Encoding: identity";
	if (f->from > 0) {
		ret[n++] = arena_printf(a, "Range: bytes=%" PRIu64 "-", f->from);
		ret[n++] = arena_printf(a, "If-Range: %.*s", SLICE_ARG(validator));
		if (ret[n - 1] == NULL || ret[n - 2] == NULL)
			return ERR_NOMEM;
	}
	ret[n] = NULL;
	return 0;
}

static int rc_of_silence(struct fetch *f, int rc)
{
	if (f->changed)
		return 0;
	if (f->rc != 0)
		return f->rc;
	if (rc == ERR_CANCELLED || rc == ERR_NOMEM)
		return rc;
	if (rc == ERR_DENIED || rc == ERR_INVALID)
		return give_up(f, ERR_DENIED, "The address to fetch from may not be called: plain http, or no public address.");
	if (rc == ERR_BAD_SIGNATURE)
		return give_up(f, ERR_DENIED, "The certificate of where the file is to be fetched from is not to be trusted.");
	return give_up(f, ERR_UNAVAILABLE, "The connection to where the file is fetched from was cut.");
}

/* One request. *ret_whole: the end was reached. */
static int ask(struct fetch *f, struct http_client *client, bool *ret_whole)
{
	struct arena scratch = ARENA_INIT(SCRATCH_MAX);
	const char *headers[HEADERS_MAX + 1];
	struct http_call call = {.url = f->source->url, .headers = headers, .flags = CLIENT_PUBLIC_ONLY,
	    .also = &f->o->store->all->fetch_addresses, .timeout_ms = WHOLE_MS, .connect_ms = CONNECT_MS,
	    .slow_bytes_per_s = SLOW_BYTES_PER_S, .slow_s = SLOW_S, .stopping = f->o->stopping, .on_head = on_head,
	    .on_bytes = on_bytes, .arg = f};
	struct http_result r = {0};
	int rc;

	f->from = f->u.size;
	f->end = NOT_KNOWN;
	f->changed = false;
	f->rc = 0;
	rc = list_headers(f, &scratch, headers);
	if (rc == 0) {
		rc = http_client_call(client, &call, &r);
		rc = rc != 0 ? rc_of_silence(f, rc) : 0;
	}
	if (rc == 0 && !f->changed && f->end != NOT_KNOWN && f->u.size != f->end)
		rc = give_up(f, ERR_UNAVAILABLE, "The connection to where the file is fetched from was cut.");
	*ret_whole = rc == 0 && !f->changed &&
	    (f->u.journal.source_size == NOT_KNOWN || f->u.size == f->u.journal.source_size);
	http_result_finish(&r);
	arena_finish(&scratch);
	return rc;
}

static int fetch_all(struct fetch *f, struct http_client *client)
{
	unsigned tries = 0, restarts = 0;
	bool whole = f->u.size > 0 && f->u.size == f->u.journal.source_size; /* only its end was missing */
	int rc = 0;

	while (rc == 0 && !whole) {
		uint64_t had = f->u.size;

		if (f->u.size > 0 && validator_of(&f->u.journal).len == 0)
			rc = object_upload_restart(&f->u);
		if (rc == 0)
			rc = ask(f, client, &whole);
		if (f->u.size > had)
			tries = 0;
		if (rc == 0 && f->changed) {
			rc = ++restarts > RESTARTS_MAX ? give_up(f, ERR_UNAVAILABLE, "The file to be fetched does not stay the same.") :
			    object_upload_restart(&f->u);
		} else if (rc == ERR_UNAVAILABLE && f->o->of_source && tries < OBJECT_TRIES) {
			f->o->of_source = false;
			rc = object_pause(f->o, tries == 0 ? 0 : PAUSE_MS << tries); /* what was only cut goes on at once */
			tries++;
		}
	}
	return rc;
}

int object_put_from_url(struct object_call *o, const struct object_put *put, const struct object_source *source,
    struct object_stored *ret)
{
	struct fetch f = {.o = o, .source = source};
	struct http_client *client = NULL; /* of its own: the other one sends parts while this one waits */
	int rc;

	o->of_source = false;
	rc = object_upload_open(&f.u, o, put);
	if (rc == 0 && !f.u.is_done) {
		f.u.want_size = source->size != 0 ? source->size : UINT64_MAX;
		f.u.want_sha256 = source->sha256;
		rc = may_ask(&f);
		if (rc == 0)
			rc = http_client_create(&client);
		if (rc == 0)
			rc = fetch_all(&f, client);
		http_client_destroy(client);
	}
	if (rc == 0)
		rc = object_upload_finish(&f.u, ret);
	object_upload_close(&f.u);
	return rc;
}
