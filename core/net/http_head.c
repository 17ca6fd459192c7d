/*
 * The head of a request: collected line by line, each line checked as it
 * completes, then the whole judged. See http_parser.h.
 */
#include "net/http_parser.h"

#include <assert.h>

#include "base/err.h"
#include "base/planted.h"

/* A buffer that grew beyond this is given back between requests. */
#define HEAD_KEPT_BYTES 4096
#define REQUEST_LINE_SLACK 64 /* method, version and blanks beside the target */
#define LENGTH_DIGITS_MAX 18

static void or_default(unsigned *value, unsigned fallback, unsigned max)
{
	if (*value == 0)
		*value = fallback;
	if (*value > max)
		*value = max;
}

void http_limits_complete(struct http_limits *l)
{
	or_default(&l->connections_max, 16000, 1000000);
	or_default(&l->address_connections_max, 256, UINT16_MAX);
	or_default(&l->address_new_per_s_max, 100, UINT16_MAX);
	or_default(&l->handshake_ms, 5000, 60000);
	or_default(&l->first_byte_ms, 10000, 75000);
	or_default(&l->head_ms, 10000, 60000);
	or_default(&l->idle_ms, 30000, 75000);
	/* Places in a head are kept as 16 bits. */
	or_default(&l->head_bytes_max, 16 * 1024, UINT16_MAX - 1);
	or_default(&l->line_bytes_max, 8 * 1024, l->head_bytes_max);
	or_default(&l->target_bytes_max, 4 * 1024, l->line_bytes_max);
	or_default(&l->body_grace_ms, 5000, 60000);
	or_default(&l->body_ms, 30000, 3600000);
	or_default(&l->rate_bytes_per_s_min, 1024, 1u << 30);
	or_default(&l->drain_ms, 60000, 3600000);
	or_default(&l->requests_max, 1000, 1000000000);
	or_default(&l->wait_ms_max, 500, 1000000000);
}

void http_parser_init(struct http_parser *p, const struct http_limits *limits)
{
	memset(p, 0, sizeof(*p));
	p->limits = limits;
	p->text.max = limits->head_bytes_max;
}

void http_parser_finish(struct http_parser *p)
{
	buf_finish(&p->text);
	buf_finish(&p->body);
}

void http_parser_reset(struct http_parser *p)
{
	if (p->text.cap > HEAD_KEPT_BYTES)
		buf_finish(&p->text);
	else
		buf_clear(&p->text);
	buf_finish(&p->body);
	p->stage = HTTP_STAGE_HEAD;
	p->status = 0;
	p->code = NULL;
	p->head = (struct http_head){0};
	p->body_bytes_in = 0;
	p->line_at = 0;
	p->n_lines = 0;
	p->skipped_empty_line = false;
	p->discard = false;
	p->n_hosts = p->n_lengths = p->n_codings = 0;
	p->coding_is_chunked = p->close_asked = p->keep_alive_asked = false;
	p->body_left = 0;
	p->chunk = CHUNK_SIZE;
	p->n_digits = p->n_extension_bytes = p->n_trailers = p->n_trailer_bytes = p->n_trailer_name = 0;
}

bool http_parser_begun(const struct http_parser *p)
{
	return p->text.len > 0 || p->stage != HTTP_STAGE_HEAD;
}

/* head.target may point to where the text was before it grew; where it begins in it stays. */
bool http_parser_target(const struct http_parser *p, struct slice *ret)
{
	if (p->n_lines == 0 || p->head.target.len == 0)
		return false;
	*ret = slice_of(p->text.ptr + p->head.method.len + 1, p->head.target.len);
	return true;
}

void http_parser_refuse(struct http_parser *p, int status, const char *code)
{
	assert(status >= 400);
	p->stage = HTTP_STAGE_REFUSED;
	p->status = status;
	p->code = code;
}

/* A tab is allowed between the words of a value; its place is checked by the callers. */
static bool has_control(struct slice line)
{
	unsigned bad = 0;

	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.ptr[i];

		bad |= (unsigned)(c < 0x20) & (unsigned)(c != '\t');
		bad |= (unsigned)(c == 0x7f);
	}
	return bad != 0;
}

static bool is_token(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!http_is_token(text.ptr[i]))
			return false;
	return text.len > 0;
}

static const struct {
	struct slice name;
	enum http_method verb;
} methods[] = {
	{SLICE_INIT("GET"), HTTP_GET},       {SLICE_INIT("POST"), HTTP_POST},     {SLICE_INIT("HEAD"), HTTP_GET},
	{SLICE_INIT("PUT"), HTTP_PUT},       {SLICE_INIT("PATCH"), HTTP_PATCH},   {SLICE_INIT("DELETE"), HTTP_DELETE},
	{SLICE_INIT("OPTIONS"), HTTP_NONE},  {SLICE_INIT("TRACE"), HTTP_NONE},    {SLICE_INIT("CONNECT"), HTTP_NONE},
};

static void take_request_line(struct http_parser *p, struct slice line)
{
	struct slice method, rest, target, version;
	size_t i;

	if (!slice_cut(line, ' ', &method, &rest) || !is_token(method)) {
		http_parser_refuse(p, 400, "bad_request_line");
		return;
	}
	if (!slice_cut(rest, ' ', &target, &version) || target.len == 0) {
		http_parser_refuse(p, 400, "bad_request_line");
		return;
	}
	if (target.len > p->limits->target_bytes_max) {
		http_parser_refuse(p, 414, "target_too_long");
		return;
	}
	if (slice_is(version, "HTTP/1.0")) {
		p->head.http_1_0 = true;
	} else if (!slice_is(version, "HTTP/1.1")) {
		http_parser_refuse(p, 400, "bad_version");
		return;
	}
	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (slice_eq(methods[i].name, method))
			break;
	if (i == sizeof(methods) / sizeof(methods[0])) {
		http_parser_refuse(p, 501, "unknown_method");
		return;
	}
	p->head.verb = methods[i].verb;
	p->head.is_head = slice_is(method, "HEAD");
	p->head.is_options = slice_is(method, "OPTIONS");
	p->head.method = method; /* lengths and offsets; the pointers are set again when the head is whole */
	p->head.target = target;
}

/* RFC 3986 authority without user information, and nothing a list could hide in. */
static bool host_ok(struct slice host)
{
	for (size_t i = 0; i < host.len; i++) {
		char c = host.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
			    c == '-' || c == '_' || c == '~' || c == ':' || c == '[' || c == ']'))
			return false;
	}
	return host.len > 0;
}

static void take_length(struct http_parser *p, struct slice value)
{
	uint64_t length = 0;

	if ((p->n_lengths++ > 0 && !PLANTED(http_lenient)) || value.len == 0 || value.len > LENGTH_DIGITS_MAX) {
		http_parser_refuse(p, 400, "bad_content_length");
		return;
	}
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9') {
			http_parser_refuse(p, 400, "bad_content_length");
			return;
		}
		length = length * 10 + (uint64_t)(value.ptr[i] - '0');
	}
	p->head.content_length = length;
}

static void take_connection(struct http_parser *p, struct slice value)
{
	struct slice word, rest = value;

	while (rest.len > 0) {
		slice_cut(rest, ',', &word, &rest);
		word = slice_trim(word);
		if (slice_eq_nocase(word, SLICE("close")))
			p->close_asked = true;
		else if (slice_eq_nocase(word, SLICE("keep-alive")))
			p->keep_alive_asked = true;
	}
}

/* The few fields that decide how the message is framed and whether it is served at all. */
static void take_meaning(struct http_parser *p, struct slice name, struct slice value)
{
	switch (name.len) {
	case 4:
		if (!slice_eq_nocase(name, SLICE("host")))
			break;
		if (p->n_hosts++ > 0 || !host_ok(value))
			http_parser_refuse(p, 400, "bad_host");
		p->head.host = value;
		break;
	case 6:
		if (!slice_eq_nocase(name, SLICE("expect")))
			break;
		if (slice_eq_nocase(value, SLICE("100-continue")))
			p->head.expect_continue = true;
		else
			http_parser_refuse(p, 417, "unknown_expectation");
		break;
	case 10:
		if (slice_eq_nocase(name, SLICE("connection")))
			take_connection(p, value);
		break;
	case 14:
		if (slice_eq_nocase(name, SLICE("content-length")))
			take_length(p, value);
		break;
	case 16:
		if (slice_eq_nocase(name, SLICE("content-encoding")) && !slice_eq_nocase(value, SLICE("identity")))
			http_parser_refuse(p, 415, "unsupported_content_encoding");
		break;
	case 17:
		if (!slice_eq_nocase(name, SLICE("transfer-encoding")))
			break;
		if (p->n_codings++ > 0 || !slice_eq_nocase(value, SLICE("chunked")))
			http_parser_refuse(p, 400, "bad_transfer_encoding");
		break;
	default:
		break;
	}
}

static struct slice trim_blanks(struct slice text)
{
	while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
		text.ptr++;
		text.len--;
	}
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

static void take_field(struct http_parser *p, struct slice line)
{
	struct slice name, value;

	/* A blank first is a folded line, or the smuggler's field before the first. */
	if (!slice_cut(line, ':', &name, &value) || !is_token(name)) {
		http_parser_refuse(p, 400, "bad_field");
		return;
	}
	if (p->head.n_fields == HTTP_FIELDS_MAX) {
		http_parser_refuse(p, 431, "too_many_fields");
		return;
	}
	value = trim_blanks(value);
	p->places[p->head.n_fields++] = (struct http_field_at){
		(uint16_t)(name.ptr - p->text.ptr), (uint16_t)name.len,
		(uint16_t)(value.ptr - p->text.ptr), (uint16_t)value.len};
	take_meaning(p, name, value);
}

/* Now that the head cannot move any more. */
static void point_into_text(struct http_parser *p)
{
	const char *text = p->text.ptr;

	p->head.method.ptr = text;
	p->head.target.ptr = text + p->head.method.len + 1;
	for (size_t i = 0; i < p->head.n_fields; i++) {
		const struct http_field_at *at = &p->places[i];

		p->fields[i].name = slice_of(text + at->name_at, at->name_len);
		p->fields[i].value = slice_of(text + at->value_at, at->value_len);
		if (at->name_len == 4 && slice_eq_nocase(p->fields[i].name, SLICE("host")))
			p->head.host = p->fields[i].value;
	}
}

static void judge_head(struct http_parser *p)
{
	struct http_head *h = &p->head;

	point_into_text(p);
	h->chunked = p->n_codings > 0;
	h->keep_alive = !p->close_asked && (!h->http_1_0 || p->keep_alive_asked);
	if (h->http_1_0)
		h->expect_continue = false;
	if (!h->http_1_0 && p->n_hosts == 0)
		http_parser_refuse(p, 400, "bad_host");
	else if (h->chunked && (p->n_lengths > 0 || h->http_1_0))
		http_parser_refuse(p, 400, "bad_transfer_encoding");
	else if (!http_llhttp_agrees(buf_slice(&p->text), h) && !PLANTED(http_lenient) && !PLANTED(http_bare_lf))
		http_parser_refuse(p, 400, "bad_request");
	else if (h->chunked || h->content_length > 0)
		p->stage = HTTP_STAGE_BODY;
	else
		p->stage = HTTP_STAGE_DONE;
	p->body_left = h->chunked ? 0 : h->content_length;
}

static bool line_too_long(struct http_parser *p, size_t len)
{
	if (p->n_lines == 0 && len > p->limits->target_bytes_max + REQUEST_LINE_SLACK) {
		http_parser_refuse(p, 414, "target_too_long");
		return true;
	}
	if (len > p->limits->line_bytes_max) {
		http_parser_refuse(p, 431, "field_too_long");
		return true;
	}
	return false;
}

/* The line from line_at to the end of text, its LF included. */
static void take_line(struct http_parser *p)
{
	struct slice line = slice_of(p->text.ptr + p->line_at, p->text.len - p->line_at);
	bool crlf;

	if (line_too_long(p, line.len - 1))
		return;
	crlf = line.len >= 2 && line.ptr[line.len - 2] == '\r';
	if (!crlf && !PLANTED(http_bare_lf)) {
		http_parser_refuse(p, 400, "bare_line_feed");
		return;
	}
	line.len -= PLANTED(http_bare_lf) && !crlf ? 1 : 2;
	if (has_control(line)) {
		http_parser_refuse(p, 400, "control_character");
		return;
	}
	if (p->n_lines == 0 && line.len == 0) {
		/* RFC 9112 2.2: one empty line before a request is forgiven. */
		if (p->skipped_empty_line)
			http_parser_refuse(p, 400, "bad_request_line");
		p->skipped_empty_line = true;
		buf_clear(&p->text);
		return;
	}
	if (line.len == 0)
		judge_head(p);
	else if (p->n_lines == 0)
		take_request_line(p, line);
	else
		take_field(p, line);
	p->n_lines++;
	p->line_at = p->text.len;
}

static size_t head_feed(struct http_parser *p, struct slice bytes)
{
	size_t used = 0;

	while (used < bytes.len && p->stage == HTTP_STAGE_HEAD) {
		const char *at = bytes.ptr + used;
		const char *end = memchr(at, '\n', bytes.len - used);
		size_t len = end == NULL ? bytes.len - used : (size_t)(end - at) + 1;

		if (p->text.len + len > p->limits->head_bytes_max) {
			/* Judge an over-long line as such, however it was cut. */
			if (!line_too_long(p, p->text.len - p->line_at + len - (end != NULL)))
				http_parser_refuse(p, 431, "head_too_long");
			break;
		}
		if (buf_append(&p->text, slice_of(at, len)) != 0) {
			http_parser_refuse(p, 503, "out_of_memory");
			break;
		}
		used += len;
		if (end != NULL)
			take_line(p);
		else
			line_too_long(p, p->text.len - p->line_at);
	}
	return used;
}

void http_parser_keep_body(struct http_parser *p, size_t body_max)
{
	assert(p->stage == HTTP_STAGE_BODY);
	p->body.max = body_max;
	p->discard = false;
	if (p->head.content_length > body_max)
		http_parser_refuse(p, 413, "body_too_big");
}

void http_parser_discard_body(struct http_parser *p, size_t body_max)
{
	http_parser_keep_body(p, body_max);
	p->discard = true;
}

bool http_parser_take_body(struct http_parser *p, struct slice bytes)
{
	/* A length, of the body or of a chunk, that passes the ceiling was refused when it was told. */
	assert(bytes.len <= p->body.max - p->body.len);
	if (p->discard) {
		p->body.max -= bytes.len;
		return true;
	}
	if (buf_append(&p->body, bytes) == 0)
		return true;
	http_parser_refuse(p, 503, "out_of_memory");
	return false;
}

static size_t length_feed(struct http_parser *p, struct slice bytes)
{
	if (bytes.len > p->body_left)
		bytes.len = (size_t)p->body_left;
	if (!http_parser_take_body(p, bytes))
		return 0;
	p->body_left -= bytes.len;
	if (p->body_left == 0)
		p->stage = HTTP_STAGE_DONE;
	return bytes.len;
}

size_t http_parser_feed(struct http_parser *p, struct slice bytes)
{
	size_t used;

	if (bytes.len == 0)
		return 0;
	if (p->stage == HTTP_STAGE_HEAD)
		return head_feed(p, bytes);
	if (p->stage != HTTP_STAGE_BODY)
		return 0;
	used = p->head.chunked ? http_chunked_feed(p, bytes) : length_feed(p, bytes);
	p->body_bytes_in += used;
	return used;
}
