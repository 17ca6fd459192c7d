/* A saved HTTP request, as proxies and `lulab webhook send --print` write one. */
#include "base/codec.h"
#include "base/err.h"
#include "webhook_explain.h"

/* The next line without its end; false when there is none. */
static bool next_line(struct slice *rest, struct slice *ret_line)
{
	if (rest->len == 0)
		return false;
	slice_cut(*rest, '\n', ret_line, rest);
	if (ret_line->len > 0 && ret_line->ptr[ret_line->len - 1] == '\r')
		ret_line->len--;
	return true;
}

/* check_str out of "GET /path?a=b&check_str=... HTTP/1.1". */
static void request_line(struct slice line, struct webhook_request *ret)
{
	struct slice method, target, path, query, pair, name, value;

	slice_cut(line, ' ', &method, &target);
	slice_cut(target, ' ', &target, &value);
	if (!slice_cut(target, '?', &path, &query))
		return;
	for (bool more = true; more;) {
		more = slice_cut(query, '&', &pair, &query);
		if (slice_cut(pair, '=', &name, &value) && slice_is(name, "check_str"))
			ret->check_str = value;
	}
}

static void header(struct slice name, struct slice value, struct webhook_request *ret)
{
	if (slice_eq_nocase(name, SLICE("timestamp")))
		ret->timestamp = value;
	else if (slice_eq_nocase(name, SLICE("nonce")))
		ret->nonce = value;
	else if (slice_eq_nocase(name, SLICE("signature")))
		ret->signature = value;
}

int webhook_request_parse(struct slice text, struct webhook_request *ret, const char **ret_reason)
{
	struct slice rest = text, line, name, value;
	bool first = true;

	*ret = (struct webhook_request){0};
	if (text.len > 0 && text.ptr[0] == '{') {
		*ret_reason = "this is a body alone; save the headers before it, or give them as options";
		return ERR_MALFORMED;
	}
	while (next_line(&rest, &line) && line.len > 0) {
		if (slice_cut(line, ':', &name, &value) && memchr(name.ptr, ' ', name.len) == NULL) {
			header(name, slice_trim(value), ret);
		} else if (first) {
			request_line(line, ret);
		} else {
			*ret_reason = "a line before the empty one is no header";
			return ERR_MALFORMED;
		}
		first = false;
	}
	ret->body = rest;
	return 0;
}
