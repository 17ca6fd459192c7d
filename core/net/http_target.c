/*
 * The request target (RFC 9112 3.2): path and query taken apart and decoded
 * exactly once. Encodings that other readers might decode again (%2F, %5C,
 * %00) are refused rather than guessed at.
 */
#include "net/http_parser.h"

#include "base/codec.h"
#include "base/err.h"
#include "base/planted.h"

static int refuse(const char **ret_code, const char *code)
{
	*ret_code = code;
	return 400;
}

static int refuse_decoding(const char **ret_code, int rc, const char *code)
{
	*ret_code = rc == ERR_NOMEM ? "out_of_memory" : code;
	return rc == ERR_NOMEM ? 503 : 400;
}

static bool characters_ok(struct slice target)
{
	unsigned bad = 0;

	/* Without a branch, so that sixteen go at once. */
	for (size_t i = 0; i < target.len; i++) {
		unsigned char c = (unsigned char)target.ptr[i];

		bad |= (unsigned)(c <= 0x20) | (unsigned)(c >= 0x7f) | (unsigned)(c == '\\') | (unsigned)(c == '#');
	}
	return bad == 0;
}

/* Cuts "http://authority" off; the authority must be what Host says. */
static bool cut_authority(struct slice *target, struct slice host)
{
	size_t start = slice_starts_with(*target, SLICE("http://"))   ? 7
	    : slice_starts_with(*target, SLICE("https://")) ? 8
							    : 0;
	struct slice authority, rest;

	if (start == 0)
		return false;
	rest = slice_of(target->ptr + start, target->len - start);
	authority = rest;
	for (authority.len = 0; authority.len < rest.len; authority.len++)
		if (rest.ptr[authority.len] == '/' || rest.ptr[authority.len] == '?')
			break;
	if (authority.len == 0 || (host.len > 0 && !slice_eq_nocase(authority, host)))
		return false;
	*target = slice_of(authority.ptr + authority.len, rest.len - authority.len);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decoded text of valid UTF-8, borrowed when nothing was encoded. ERR_MALFORMED: broken escape, NUL, not UTF-8. */
static int decode(struct slice *ret, struct slice text, bool plus_is_space, struct arena *arena)
{
	char *out;
	size_t n = 0;

	if (text.len == 0 || (memchr(text.ptr, '%', text.len) == NULL &&
				     (!plus_is_space || memchr(text.ptr, '+', text.len) == NULL))) {
		*ret = text;
		return 0;
	}
	out = arena_alloc(arena, text.len + 1);
	if (out == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < text.len; i++) {
		int high, low;

		if (text.ptr[i] == '+' && plus_is_space) {
			out[n++] = ' ';
			continue;
		}
		if (text.ptr[i] != '%') {
			out[n++] = text.ptr[i];
			continue;
		}
		high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
		low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;
		if (high < 0 || low < 0 || (high * 16 + low == 0 && !PLANTED(form_nul)))
			return ERR_MALFORMED;
		out[n++] = (char)(high * 16 + low);
		i += 2;
	}
	*ret = slice_of(out, n);
	return utf8_valid(*ret) ? 0 : ERR_MALFORMED;
}

static bool has_encoded_separator(struct slice path)
{
	for (size_t i = 0; i + 2 < path.len; i++) {
		char low = (char)(path.ptr[i + 2] | 0x20);

		if (path.ptr[i] == '%' &&
		    ((path.ptr[i + 1] == '2' && low == 'f') || (path.ptr[i + 1] == '5' && low == 'c')))
			return true;
	}
	return false;
}

/* No control characters, and ".." never climbs above the root. */
static bool path_ok(struct slice path)
{
	struct slice segment, rest = path;
	int depth = -1; /* the empty segment before the first slash */

	unsigned bad = 0;

	for (size_t i = 0; i < path.len; i++)
		bad |= (unsigned)((unsigned char)path.ptr[i] < 0x20) | (unsigned)(path.ptr[i] == 0x7f);
	if (bad != 0)
		return false;
	/* Where no segment begins with a dot there is nothing that climbs. */
	if (memmem(path.ptr, path.len, "/.", 2) == NULL && path.len > 0 && path.ptr[0] == '/')
		return true;
	for (bool more = true; more;) {
		more = slice_cut(rest, '/', &segment, &rest);
		if (slice_is(segment, ".."))
			depth--;
		else if (!slice_is(segment, "."))
			depth++;
		if (depth < 0)
			return false;
	}
	return true;
}

static int parse_query(struct http_target *t, struct arena *arena, const char **ret_code)
{
	struct slice pair, rest = t->query_text;
	size_t n_max = 1;

	if (rest.len == 0)
		return 0;
	for (size_t i = 0; i < rest.len; i++)
		n_max += rest.ptr[i] == '&';
	if (n_max > HTTP_QUERY_MAX)
		return refuse(ret_code, "too_many_parameters");
	t->query = arena_calloc(arena, n_max, sizeof(*t->query));
	if (t->query == NULL)
		return refuse_decoding(ret_code, ERR_NOMEM, "bad_query");
	while (rest.len > 0) {
		struct http_field *field = &t->query[t->n_query];
		struct slice name, value;
		int rc;

		slice_cut(rest, '&', &pair, &rest);
		if (pair.len == 0)
			continue;
		slice_cut(pair, '=', &name, &value);
		rc = decode(&field->name, name, true, arena);
		if (rc == 0)
			rc = decode(&field->value, value, true, arena);
		if (rc != 0)
			return refuse_decoding(ret_code, rc, "bad_query");
		t->n_query++;
	}
	return 0;
}

int http_target_parse(struct http_target *ret, struct slice target, struct slice host, bool is_options,
    struct arena *arena, const char **ret_code)
{
	struct http_target t = {0};
	struct slice path;
	int status;

	if (!characters_ok(target))
		return refuse(ret_code, "bad_target");
	if (is_options && slice_is(target, "*")) {
		t.path = target;
		*ret = t;
		return 0;
	}
	if (target.ptr[0] != '/' && !cut_authority(&target, host))
		return refuse(ret_code, "bad_target");
	slice_cut(target, '?', &path, &t.query_text);
	if (path.len == 0)
		path = SLICE("/");
	if (has_encoded_separator(path))
		return refuse(ret_code, "bad_path");
	status = decode(&t.path, path, false, arena);
	if (status != 0)
		return refuse_decoding(ret_code, status, "bad_path");
	if (!path_ok(t.path))
		return refuse(ret_code, "bad_path");
	status = parse_query(&t, arena, ret_code);
	if (status != 0)
		return status;
	*ret = t;
	return 0;
}

struct slice http_query_repeated(const struct http_field *query, size_t n_query)
{
	for (size_t i = 1; i < n_query; i++)
		for (size_t j = 0; j < i; j++)
			if (slice_eq(query[i].name, query[j].name))
				return query[i].name;
	return (struct slice){0};
}
