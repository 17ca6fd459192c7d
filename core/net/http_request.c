/* What a handler may ask of a request. */
#include <assert.h>

#include "base/planted.h"
#include "net/http.h"

bool http_request_field(const struct http_request *rq, const char *name, struct slice *ret_value)
{
	struct slice wanted = slice_str(name);

	for (size_t i = 0; i < rq->n_fields; i++) {
		if (slice_eq_nocase(rq->fields[i].name, wanted)) {
			*ret_value = rq->fields[i].value;
			return true;
		}
	}
	*ret_value = (struct slice){0};
	return false;
}

struct slice http_request_param(const struct http_request *rq, const char *name)
{
	for (size_t i = 0; i < rq->n_params; i++)
		if (slice_is(rq->params[i].name, name))
			return rq->params[i].value;
	assert(!"the route has no such parameter");
	return (struct slice){0};
}

bool http_request_query(const struct http_request *rq, const char *name, struct slice *ret_value)
{
	for (size_t i = 0; i < rq->n_query; i++) {
		if (slice_is(rq->query[i].name, name)) {
			*ret_value = rq->query[i].value;
			return true;
		}
	}
	*ret_value = (struct slice){0};
	return false;
}

/* "q=0.5" among the parameters of a media range, in thousandths; 1000 without, 0 when it cannot be read. */
static unsigned quality(struct slice params)
{
	struct slice one, rest = params;

	while (rest.len > 0) {
		unsigned q = 0, scale = 1000;

		slice_cut(rest, ';', &one, &rest);
		one = slice_trim(one);
		if (one.len < 3 || (one.ptr[0] | 0x20) != 'q' || one.ptr[1] != '=')
			continue;
		for (size_t i = 2; i < one.len; i++) {
			if (one.ptr[i] == '.' && i == 3)
				continue;
			if (one.ptr[i] < '0' || one.ptr[i] > '9' || i > 6)
				return 0;
			q += (unsigned)(one.ptr[i] - '0') * scale;
			scale /= 10;
		}
		return q > 1000 ? 1000 : q;
	}
	return 1000;
}

/* How closely a range names the type: 3 exactly, 2 by its first half, 1 anything, 0 not. */
static int closeness(struct slice range, struct slice type)
{
	struct slice range_main, range_sub, type_main, type_sub;

	slice_cut(range, '/', &range_main, &range_sub);
	slice_cut(type, '/', &type_main, &type_sub);
	if (slice_is(range_main, "*") && slice_is(range_sub, "*"))
		return 1;
	if (!slice_eq_nocase(range_main, type_main))
		return 0;
	if (slice_is(range_sub, "*"))
		return 2;
	return slice_eq_nocase(range_sub, type_sub) ? 3 : 0;
}

unsigned http_request_accept_quality(const struct http_request *rq, const char *media_type)
{
	struct slice accept, one, rest, range, params;
	unsigned best = 0;
	int best_closeness = 0;

	if (!http_request_field(rq, "accept", &accept) || accept.len == 0)
		return 1000;
	for (rest = accept; rest.len > 0;) {
		int close;

		slice_cut(rest, ',', &one, &rest);
		slice_cut(one, ';', &range, &params);
		close = closeness(slice_trim(range), slice_str(media_type));
		if (close > best_closeness) {
			best_closeness = close;
			best = quality(params);
		}
	}
	return best;
}

bool http_request_accepts(const struct http_request *rq, const char *media_type)
{
	return http_request_accept_quality(rq, media_type) > 0;
}

bool http_request_bearer(const struct http_request *rq, struct slice *ret_token)
{
	struct slice value, scheme, token;

	*ret_token = (struct slice){0};
	if (!http_request_field(rq, "authorization", &value) || !slice_cut(value, ' ', &scheme, &token) ||
	    !slice_eq_nocase(scheme, SLICE("bearer")))
		return false;
	token = slice_trim(token);
	if (token.len == 0)
		return false;
	*ret_token = token;
	return true;
}

bool http_request_is(const struct http_request *rq, const char *media_type)
{
	struct slice value, type, params;

	if (!http_request_field(rq, "content-type", &value))
		return false;
	slice_cut(value, ';', &type, &params);
	return slice_eq_nocase(slice_trim(type), slice_str(media_type));
}

bool http_cookie(struct slice cookies, const char *name, struct slice *ret)
{
	struct slice pair, key, value;
	unsigned n = 0;

	*ret = (struct slice){0};
	while (cookies.len > 0) {
		slice_cut(cookies, ';', &pair, &cookies);
		if (!slice_cut(slice_trim(pair), '=', &key, &value))
			continue;
		if (!slice_is(key, name) && !(PLANTED(cookie_prefix) && slice_starts_with(key, slice_str(name))))
			continue;
		*ret = value;
		n++;
	}
	if (n != 1)
		*ret = (struct slice){0};
	return n == 1;
}
