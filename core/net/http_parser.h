/*
 * Bytes in, one request out: the part of the server that touches nothing but
 * memory, so that tests and the fuzzer can drive it.
 *
 * The head is collected whole, line by line, and every line is checked as it
 * completes; then llhttp reads the same head again and must agree. What RFC
 * 9112 lets a lenient reader forgive is refused, since a proxy before us may
 * have forgiven it another way (integrity 18, framing). The same bytes give
 * the same outcome however they are split.
 *
 *     HEAD --> BODY --> DONE        one of them may go to REFUSED, with a status
 *        `------------> DONE
 *
 * http_parser_feed() stops after the head, so that the owner can choose
 * body_max by route before the first body byte is kept.
 */
#ifndef LULAB_NET_HTTP_PARSER_H
#define LULAB_NET_HTTP_PARSER_H

#include "net/http.h"

#define HTTP_CHUNK_EXTENSIONS_MAX 256
#define HTTP_CHUNK_DIGITS_MAX 8
#define HTTP_TRAILERS_MAX 8
#define HTTP_TRAILER_BYTES_MAX 4096
#define HTTP_TRAILER_NAME_KEPT 20 /* more than the names that are looked for have */

enum http_stage { HTTP_STAGE_HEAD, HTTP_STAGE_BODY, HTTP_STAGE_DONE, HTTP_STAGE_REFUSED };

/* What a whole head said; slices point into the parser's buffer. */
struct http_head {
	struct slice method, target, host;
	enum http_method verb;    /* HTTP_GET for HEAD; HTTP_NONE for OPTIONS, TRACE, CONNECT */
	bool is_head, is_options;
	bool http_1_0;
	bool keep_alive;          /* what version and Connection ask for */
	bool expect_continue;
	bool chunked;
	uint64_t content_length;  /* 0 without one */
	size_t n_fields;
};

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXTENSION, /* behind ';' */
	CHUNK_EXTENSION_NAME,
	CHUNK_EXTENSION_VALUE, /* behind '=' */
	CHUNK_EXTENSION_TOKEN,
	CHUNK_EXTENSION_QUOTED,
	CHUNK_EXTENSION_END, /* behind the closing quote */
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER_START,
	CHUNK_TRAILER_NAME,
	CHUNK_TRAILER_VALUE,
	CHUNK_TRAILER_LF,
	CHUNK_END_LF,
};

/* Where a field stands in the head; it may move while it grows. */
struct http_field_at {
	uint16_t name_at, name_len, value_at, value_len;
};

struct http_parser {
	/* Results, read-only for the owner. */
	enum http_stage stage;
	int status;         /* REFUSED: what to answer; always close after it */
	const char *code;   /* REFUSED: machine-readable reason, static */
	struct http_head head;
	struct http_field fields[HTTP_FIELDS_MAX];
	struct buf body;    /* its max is set by http_parser_keep_body() */
	uint64_t body_bytes_in; /* raw, with chunk framing */

	/* Below here: the parser's. */
	const struct http_limits *limits;
	struct buf text; /* the head */
	size_t line_at;  /* where the current line starts in it */
	unsigned n_lines;
	bool skipped_empty_line;
	bool discard;
	unsigned n_hosts, n_lengths, n_codings;
	bool coding_is_chunked, close_asked, keep_alive_asked;
	struct http_field_at places[HTTP_FIELDS_MAX];
	uint64_t body_left; /* of the whole, or of the chunk */
	enum chunk_state chunk;
	unsigned n_digits, n_extension_bytes, n_trailers, n_trailer_bytes, n_trailer_name;
	char trailer_name[HTTP_TRAILER_NAME_KEPT];
};

/* Fills every zero of `l` with its default and clamps to what the code can hold. */
void http_limits_complete(struct http_limits *l);

/* limits must be complete and outlive the parser. */
void http_parser_init(struct http_parser *p, const struct http_limits *limits);
void http_parser_finish(struct http_parser *p);
/* Ready for the next request; keeps small buffers. */
void http_parser_reset(struct http_parser *p);
/* Has any byte of a request come in? */
bool http_parser_begun(const struct http_parser *p);

/* The target, once the request line is in; also of a head that was refused later on. False before. */
bool http_parser_target(const struct http_parser *p, struct slice *ret);

/*
 * Takes bytes and tells how many it used. It uses all of them unless the head
 * or the request ended (stage changed) or was refused.
 */
size_t http_parser_feed(struct http_parser *p, struct slice bytes);

/* In BODY, before any body byte: keep at most so many bytes. A longer body is refused with 413. */
void http_parser_keep_body(struct http_parser *p, size_t body_max);
/* In BODY: count the body against body_max but keep nothing. */
void http_parser_discard_body(struct http_parser *p, size_t body_max);

/* The second opinion (llhttp, strict): does it see one whole head with so many fields and this framing? */
bool http_llhttp_agrees(struct slice head, const struct http_head *told);

/* RFC 9110 5.6.2 token characters: letters, digits and !#$%&'*+-.^_`|~, a bit each. */
static inline bool http_is_token(char c)
{
	unsigned char u = (unsigned char)c;

	return u < 128 && ((u < 64 ? UINT64_C(0x3ff6cfa00000000) : UINT64_C(0x57ffffffc7fffffe)) >> (u & 63) & 1) != 0;
}

/* The body's part of http_parser_feed(); http_chunked.c. */
size_t http_chunked_feed(struct http_parser *p, struct slice bytes);
/* For the parser's own files. */
void http_parser_refuse(struct http_parser *p, int status, const char *code);
bool http_parser_take_body(struct http_parser *p, struct slice bytes);

/* A target taken apart. Slices in the arena or in the target. */
struct http_target {
	struct slice path, query_text;
	struct http_field *query;
	size_t n_query;
};

/*
 * 0, or the status to refuse with (400, without memory 503) and *ret_code. host is the Host
 * field's value, which an absolute target must repeat.
 */
int http_target_parse(struct http_target *ret, struct slice target, struct slice host, bool is_options,
    struct arena *arena, const char **ret_code);

/* The first name that occurs twice, or an empty slice. */
struct slice http_query_repeated(const struct http_field *query, size_t n_query);

#endif
