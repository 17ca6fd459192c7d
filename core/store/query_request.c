/* From the parameters of a URL to a list_request; every problem told, nothing repeated in messages. */
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/planted.h"
#include "store/query_private.h"

#define FILTER_BYTES_MAX 256
#define CURSOR_TEXT_MAX 2048
#define DAY_MS 86400000
#define DATE_LEN 10

struct parsing {
	struct list_request *rq;
	const struct list_def *list;
	uint32_t limit_max;
	struct arena *arena;
	struct list_problem *problems;
	size_t n_problems;
	bool has_page, has_sort, from_is_bad;
};

static void problem(struct parsing *p, struct slice name, const char *code, const char *message)
{
	if (p->n_problems < LIST_PROBLEMS_MAX)
		p->problems[p->n_problems++] = (struct list_problem){name, code, message == NULL ? "is not valid" : message};
}

/* ---- single values --------------------------------------------------------------- */

static void take_number(struct parsing *p, const struct list_param *from, uint64_t max, uint32_t *ret)
{
	uint64_t value;

	if (slice_to_u64(from->value, &value) != 0)
		problem(p, from->name, "invalid", "must be a whole number");
	else if (value < 1 || value > max)
		problem(p, from->name, "range", arena_printf(p->arena, "must be from 1 to %llu", (unsigned long long)max));
	else
		*ret = (uint32_t)value;
}

static void take_page(struct parsing *p, const struct list_param *from)
{
	p->has_page = true;
	take_number(p, from, UINT32_MAX, &p->rq->page);
}

static void take_limit(struct parsing *p, const struct list_param *from)
{
	take_number(p, from, p->limit_max, &p->rq->limit);
}

static const char *sort_names(struct parsing *p)
{
	struct buf names = BUF_INIT(1024);
	const char *text;

	buf_append_str(&names, "must be one of ");
	for (unsigned i = 0; p->list->sorts[i].name != NULL; i++)
		buf_printf(&names, "%s%s", i == 0 ? "" : ", ", p->list->sorts[i].name);
	buf_append_str(&names, ", with - in front for descending order");
	text = arena_printf(p->arena, "%.*s", SLICE_ARG(buf_slice(&names)));
	buf_finish(&names);
	return text;
}

static void take_sort(struct parsing *p, const struct list_param *from)
{
	struct slice name = from->value;
	bool descending = name.len > 0 && name.ptr[0] == '-';

	if (descending)
		name = slice_of(name.ptr + 1, name.len - 1);
	p->has_sort = true;
	for (unsigned i = 0; p->list->sorts[i].name != NULL; i++) {
		if (slice_is(name, p->list->sorts[i].name)) {
			p->rq->sort = i;
			p->rq->descending = descending;
			return;
		}
	}
	problem(p, from->name, "unknown", sort_names(p));
}

static void take_search(struct parsing *p, const struct list_param *from)
{
	struct slice text = slice_trim(from->value);

	if (p->list->search_sql == NULL)
		problem(p, from->name, "unknown", "this list cannot be searched");
	else if (text.len > LIST_SEARCH_MAX)
		problem(p, from->name, "range", "must be at most 200 bytes");
	else if (!utf8_valid(text))
		problem(p, from->name, "invalid", "must be UTF-8");
	else
		p->rq->search = text;
}

static int column_of(const struct list_def *list, struct slice name)
{
	for (int i = 0; list->columns[i].name != NULL && i < 64; i++)
		if (slice_is(name, list->columns[i].name))
			return i;
	return -1;
}

static const char *column_names(struct parsing *p)
{
	struct buf names = BUF_INIT(4096);
	const char *text;

	for (unsigned i = 0; p->list->columns[i].name != NULL; i++)
		buf_printf(&names, "%s%s", i == 0 ? "must be some of " : ", ", p->list->columns[i].name);
	text = arena_printf(p->arena, "%.*s", SLICE_ARG(buf_slice(&names)));
	buf_finish(&names);
	return text;
}

static void take_fields(struct parsing *p, const struct list_param *from)
{
	struct slice rest = from->value, name;
	bool more = true;

	while (more) {
		int i;

		more = slice_cut(rest, ',', &name, &rest);
		i = column_of(p->list, slice_trim(name));
		if (i < 0) {
			problem(p, from->name, "unknown", column_names(p));
			return;
		}
		p->rq->fields |= UINT64_C(1) << i;
	}
}

/* ---- cursor -------------------------------------------------------------------------- */

/* order way kind value 0x1f key */
static bool read_cursor(struct parsing *p, struct slice plain)
{
	struct list_request *rq = p->rq;
	struct slice head, key, number;
	uint64_t sort = 0;
	size_t digits = 0;
	unsigned n_sorts = 0;

	while (p->list->sorts[n_sorts].name != NULL)
		n_sorts++;
	if (!slice_cut(plain, 0x1f, &head, &key))
		return false;
	while (digits < head.len && head.ptr[digits] >= '0' && head.ptr[digits] <= '9')
		digits++;
	if (digits == 0 || digits > 2 || head.len < digits + 2 || slice_to_u64(slice_of(head.ptr, digits), &sort) != 0 ||
	    (sort >= n_sorts && !PLANTED(cursor_any_order)))
		return false;
	if (p->has_sort && (rq->sort != sort || rq->descending != (head.ptr[digits] == 'd')))
		return false;
	rq->sort = (unsigned)sort;
	rq->descending = head.ptr[digits] == 'd';
	rq->cursor_is_integer = head.ptr[digits + 1] == 'i';
	number = slice_of(head.ptr + digits + 2, head.len - digits - 2);
	rq->cursor_text = number;
	rq->cursor_key = key;
	rq->has_cursor = true;
	return !rq->cursor_is_integer || slice_to_i64(number, &rq->cursor_integer) == 0;
}

/* After all others: it has to fit the order asked for. */
static void take_cursor(struct parsing *p, const struct list_param *from)
{
	struct buf plain = BUF_INIT(CURSOR_TEXT_MAX);
	bool good = from->value.len > 0 && from->value.len <= CURSOR_TEXT_MAX &&
	    base64url_decode(&plain, from->value) == 0 && utf8_valid(buf_slice(&plain));

	if (good)
		good = read_cursor(p, arena_dup(p->arena, buf_slice(&plain)));
	if (!good)
		problem(p, from->name, "invalid", "must be the nextCursor of an answer to the same list in the same order");
	else if (p->has_page)
		problem(p, SLICE("page"), "invalid", "cannot be combined with cursor");
	buf_finish(&plain);
}

/* ---- filters and range ----------------------------------------------------------------- */

static bool is_allowed(const struct list_filter *f, struct slice value)
{
	int64_t number;

	if (f->is_bool)
		return slice_is(value, "true") || slice_is(value, "false") || slice_is(value, "1") || slice_is(value, "0");
	if (f->is_integer)
		return slice_to_i64(value, &number) == 0;
	if (f->values == NULL)
		return value.len <= FILTER_BYTES_MAX && utf8_valid(value);
	for (unsigned i = 0; f->values[i] != NULL; i++)
		if (slice_is(value, f->values[i]))
			return true;
	return false;
}

static const char *what_is_allowed(struct parsing *p, const struct list_filter *f)
{
	struct buf names = BUF_INIT(2048);
	const char *text;

	if (f->is_bool)
		return "must be true or false";
	if (f->is_integer)
		return "must be a whole number";
	if (f->values == NULL)
		return "must be UTF-8, at most 256 bytes";
	for (unsigned i = 0; f->values[i] != NULL; i++)
		buf_printf(&names, "%s%s", i == 0 ? "must be one of " : ", ", f->values[i]);
	text = arena_printf(p->arena, "%.*s", SLICE_ARG(buf_slice(&names)));
	buf_finish(&names);
	return text;
}

static bool take_filter(struct parsing *p, const struct list_param *from)
{
	for (unsigned i = 0; p->list->filters[i].name != NULL; i++) {
		const struct list_filter *f = &p->list->filters[i];

		if (!slice_is(from->name, f->name))
			continue;
		if (is_allowed(f, from->value))
			p->rq->filters[i] = from->value.ptr == NULL ? SLICE("") : from->value;
		else
			problem(p, from->name, "invalid", what_is_allowed(p, f));
		return true;
	}
	return false;
}

/*
 * A bare date is a day of UTC, though the people who ask are mostly in Shanghai: clients
 * of the systems this replaces get that from them (a bare ISO date is midnight UTC there,
 * and meetings are counted by UTC date), and every time in an answer is UTC as well. A
 * day elsewhere is asked for by its instants: 2026-11-23T00:00:00+08:00. A bare end
 * date means all of that day.
 */
static bool take_range(struct parsing *p, const struct list_param *from)
{
	const struct list_def *l = p->list;
	bool is_from = l->range_from != NULL && slice_is(from->name, l->range_from);
	bool is_to = l->range_to != NULL && slice_is(from->name, l->range_to);
	int64_t us, ms;

	if (!is_from && !is_to)
		return false;
	if (time_parse_us(from->value, &us) != 0) {
		problem(p, from->name, "invalid", "must be a date (2026-11-23) or a time (2026-11-23T22:39:15Z)");
		return true;
	}
	ms = us >= 0 ? us / 1000 : -((-us + 999) / 1000);
	if (is_from) {
		p->rq->has_from = true;
		p->rq->from_ms = ms;
	} else {
		p->rq->has_to = true;
		p->rq->to_ms = from->value.len == DATE_LEN ? ms + DAY_MS - 1 : ms;
	}
	return true;
}

/* ---- all of them --------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*take)(struct parsing *p, const struct list_param *from);
} common[] = {
	{"page", take_page},
	{"limit", take_limit},
	{"sort", take_sort},
	{"search", take_search},
	{"fields", take_fields},
};

static void take_one(struct parsing *p, const struct list_param *from)
{
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		if (slice_is(from->name, common[i].name)) {
			common[i].take(p, from);
			return;
		}
	}
	if (!take_filter(p, from) && !take_range(p, from))
		problem(p, from->name, "unknown", "this list has no such parameter");
}

static bool is_repeated(const struct list_param *params, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (slice_eq(params[k].name, params[i].name))
			return true;
	return false;
}

static void check_together(struct parsing *p)
{
	const struct list_request *rq = p->rq;

	if (rq->has_from && rq->has_to && rq->from_ms > rq->to_ms)
		problem(p, slice_str(p->list->range_to), "range", "must not lie before the start of the range");
	if (!rq->has_cursor && (uint64_t)(rq->page - 1) * rq->limit > LIST_OFFSET_MAX)
		problem(p, SLICE("page"), "range", "lies too deep for pages; continue with cursor");
}

int list_request_parse(struct list_request *ret, const struct list_def *list, const struct list_param *params,
    size_t n_params, uint32_t limit_max, struct arena *a, struct list_problem *problems, size_t *ret_n_problems)
{
	struct parsing p = {.rq = ret, .list = list, .limit_max = limit_max, .arena = a, .problems = problems};
	const struct list_param *cursor = NULL;

	*ret = (struct list_request){.list = list, .page = 1, .want_total = true};
	ret->limit = limit_max < LIST_PAGE_DEFAULT ? limit_max : LIST_PAGE_DEFAULT;
	ret->descending = list->sorts[0].descending;
	for (size_t i = 0; i < n_params; i++) {
		if (is_repeated(params, i))
			problem(&p, params[i].name, "repeated", "is given more than once");
		else if (slice_is(params[i].name, "cursor"))
			cursor = &params[i];
		else
			take_one(&p, &params[i]);
	}
	if (cursor != NULL)
		take_cursor(&p, cursor);
	check_together(&p);
	*ret_n_problems = p.n_problems;
	return p.n_problems == 0 ? 0 : ERR_INVALID;
}
