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
	ret->is_feishu = slice_is(target, "/webhooks/lark") || slice_is(target, "/webhooks/feishu");
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
	const struct {
		const char *name;
		bool is_feishu;
		struct slice *value;
	} known[] = {{"timestamp", false, &ret->timestamp}, {"nonce", false, &ret->nonce}, {"signature", false, &ret->signature},
	    {"x-lark-request-timestamp", true, &ret->timestamp}, {"x-lark-request-nonce", true, &ret->nonce},
	    {"x-lark-signature", true, &ret->signature}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!slice_eq_nocase(name, slice_str(known[i].name)))
			continue;
		*known[i].value = value;
		ret->is_feishu = ret->is_feishu || known[i].is_feishu;
	}
}

/* What was saved often ends in a line end more than what was sent: the signature of Feishu is over each byte. */
static struct slice as_sent(struct slice body, uint64_t len)
{
	return len < body.len && slice_trim(slice_of(body.ptr + len, body.len - len)).len == 0 ? slice_of(body.ptr, len) : body;
}

int webhook_request_parse(struct slice text, struct webhook_request *ret, const char **ret_reason)
{
	struct slice rest = text, line, name, value;
	uint64_t len = UINT64_MAX;
	bool first = true;

	*ret = (struct webhook_request){0};
	if (text.len > 0 && text.ptr[0] == '{') {
		*ret_reason = "this is a body alone; save the headers before it, or give them as options";
		return ERR_MALFORMED;
	}
	while (next_line(&rest, &line) && line.len > 0) {
		if (slice_cut(line, ':', &name, &value) && memchr(name.ptr, ' ', name.len) == NULL) {
			header(name, slice_trim(value), ret);
			if (slice_eq_nocase(name, SLICE("content-length")) && slice_to_u64(slice_trim(value), &len) != 0)
				len = UINT64_MAX;
		} else if (first) {
			request_line(line, ret);
		} else {
			*ret_reason = "a line before the empty one is no header";
			return ERR_MALFORMED;
		}
		first = false;
	}
	ret->body = as_sent(rest, len);
	return 0;
}
