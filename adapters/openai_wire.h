/*
 * OpenAI's HTTP interface and those made like it: chat with structured output,
 * transcription, answers whole or as a stream. Pure functions, any thread. What is given
 * is borrowed; what is returned lies in the arena or borrows from the answer's text.
 *
 * A stream is server-sent events: lines, an empty one ends an event, "data:" lines of one
 * are joined. It may be cut anywhere. One that ends without [DONE] or a finish_reason is
 * incomplete, although the vendor's own library says nothing then.
 *
 * Sources: vendor-protocols 4.
 */
#ifndef LULAB_ADAPTERS_OPENAI_WIRE_H
#define LULAB_ADAPTERS_OPENAI_WIRE_H

#include "answer_class.h"
#include "base/json.h"
#include "signing.h"

/* ---- requests ---------------------------------------------------------------------------- */

/*
 * base "https://host/v1" (with or without a slash at its end) and path "/chat/completions".
 * ERR_INVALID: no http(s) address; ERR_NOMEM.
 */
int openai_url(struct slice base, const char *path, struct arena *a, struct slice *ret);
/* "Bearer <key>". ERR_INVALID: empty, or not printable ASCII; ERR_NOMEM. */
int openai_authorization(struct slice key, struct arena *a, struct slice *ret);

struct openai_message {
	const char *role; /* "system", "user", "assistant" */
	struct slice content;
};

enum openai_format {
	OPENAI_TEXT,
	OPENAI_JSON_OBJECT, /* what most compatibles know */
	OPENAI_JSON_SCHEMA, /* strict: every property required, additionalProperties false */
};

struct openai_chat {
	struct slice model;
	const struct openai_message *messages;
	size_t n_messages;
	bool has_temperature;
	double temperature;       /* 0 is one: it is sent */
	int64_t max_tokens;       /* 0 = not sent */
	bool old_max_tokens;      /* as "max_tokens", which compatibles know, not "max_completion_tokens" */
	enum openai_format format;
	const char *schema_name;  /* OPENAI_JSON_SCHEMA: letters, digits, _ and -, at most 64 */
	struct slice schema;      /* JSON object */
	bool stream;              /* with usage at its end */
};

/* Appended. ERR_INVALID: no model or messages, a text not UTF-8, a temperature outside 0 to 2, a schema or name that is none. */
int openai_body_chat(struct buf *out, const struct openai_chat *chat);

#define OPENAI_AUDIO_MAX 26214400 /* bytes; more is refused with 413 */
#define OPENAI_BOUNDARY_MAX 70

struct openai_transcription {
	struct slice file_name;       /* its extension tells the format */
	struct slice model, language, prompt; /* language: ISO 639-1; those that are empty are not sent */
	const char *response_format;  /* "json", "verbose_json", "srt", ...; NULL = the vendor's choice */
	bool has_temperature;
	double temperature;
	bool words, segments;         /* verbose_json: what gets times */
};
/*
 * multipart/form-data in two parts, between which the file's bytes are sent. boundary is the
 * caller's: random, 1 to OPENAI_BOUNDARY_MAX letters and digits. ERR_INVALID: a file name that is empty or whose
 * extension the vendor does not take, file_bytes 0 or beyond OPENAI_AUDIO_MAX, a value or name with a
 * control character, no model.
 */
int openai_body_transcription(const struct openai_transcription *t, struct slice boundary, uint64_t file_bytes,
    struct buf *before, struct buf *after);

/* ---- answers -------------------------------------------------------------------------------- */

struct openai_usage {
	int64_t prompt, completion, total; /* tokens; 0 when not told */
};

enum openai_finish {
	OPENAI_UNFINISHED, /* no reason was told */
	OPENAI_STOP,
	OPENAI_LENGTH,     /* cut: what is in it is no JSON */
	OPENAI_FILTERED,
	OPENAI_OTHER,      /* tool_calls, ... */
};

struct openai_answer {
	struct slice content, refusal, model, id;
	enum openai_finish finish;
	struct openai_usage usage;
};
/* ERR_MALFORMED: not JSON, no choice, or one without a message; ERR_TOO_BIG, ERR_NOMEM. */
int openai_chat_parse(struct slice body, struct arena *a, struct openai_answer *ret);

/*
 * 0: finished, not refused, not empty, and when a format was asked for one JSON object. Else why not, static:
 * "length", "refusal", "filtered", "unfinished", "empty", "not_json"; all of them are failures of the model.
 */
int openai_answer_check(const struct openai_answer *answer, enum openai_format format, const char **ret_why);

struct openai_error {
	enum answer_class is;
	struct slice code, type, message; /* empty when not told */
	int64_t retry_after_ms;           /* -1 = not told */
};
/* Headers of the answer that matter; empty when absent. */
struct openai_hints {
	struct slice should_retry, retry_after_ms, retry_after; /* x-should-retry, ... */
	int64_t now_s; /* since 1970, for a retry-after that is a date */
};
/* What an answer means that is not 2xx (or an error event, status 0). ERR_NOMEM only. */
int openai_error_parse(int status, struct slice body, const struct openai_hints *hints, struct arena *a,
    struct openai_error *ret);

struct openai_segment {
	int64_t start_ms, end_ms;
	struct slice text;
};
struct openai_transcript {
	struct slice text, language;
	int64_t duration_ms; /* 0 when not told */
	struct openai_segment *segments, *words;
	size_t n_segments, n_words;
	struct openai_usage usage; /* some models are billed by tokens, */
	int64_t billed_ms;         /* others by time; 0 when not told */
};
/* json and verbose_json. ERR_MALFORMED: not JSON, or no text; ERR_TOO_BIG, ERR_NOMEM. */
int openai_transcript_parse(struct slice body, struct arena *a, struct openai_transcript *ret);

/* ---- server-sent events ------------------------------------------------------------------------ */

#define SSE_EVENT_MAX (1 << 20)

/* name: of an "event:" line, or empty; data: its lines, joined with LF. Non-zero ends the reading with that. */
typedef int sse_event_fn(void *arg, struct slice name, struct slice data);

/* Open; begin with SSE_PARSER(). Owns its bufs. */
struct sse_parser {
	struct buf line, name, data;
	bool has_data;   /* a data line, maybe an empty one */
	bool after_cr;   /* a LF that comes now belongs to it */
	size_t bom_seen; /* bytes of a byte order mark at the start; 4 = it is past */
	int rc;          /* first failure */
};
#define SSE_PARSER() {.line = BUF_INIT(SSE_EVENT_MAX), .name = BUF_INIT(SSE_EVENT_MAX), .data = BUF_INIT(SSE_EVENT_MAX)}
/* Any piece of the stream. ERR_TOO_BIG: an event or line beyond SSE_EVENT_MAX; ERR_NOMEM; or what the callback gave. Sticks. */
int sse_feed(struct sse_parser *p, struct slice piece, sse_event_fn *on_event, void *arg);
void sse_finish(struct sse_parser *p);

/* Chat and Responses streams, put together. */
struct openai_stream {
	struct sse_parser sse;
	struct arena *arena;     /* for one event; reset between: not the caller's other one */
	struct buf content;
	struct buf refusal;
	enum openai_finish finish;
	struct openai_usage usage;
	bool done;               /* [DONE], or response.completed */
	unsigned n_events;
	bool failed;             /* an error event: its text is in error_body */
	struct buf error_body;
};
#define OPENAI_CONTENT_MAX (4 << 20)
void openai_stream_init(struct openai_stream *s, struct arena *scratch);
/* ERR_MALFORMED: an event that is not JSON. ERR_CANCELLED: an error event (failed is set). ERR_TOO_BIG, ERR_NOMEM. */
int openai_stream_feed(struct openai_stream *s, struct slice piece);
/*
 * At the end of the bytes: content borrows from s. ERR_END: neither [DONE] nor a finish_reason came. Or the failure of
 * a feed.
 */
int openai_stream_end(struct openai_stream *s, struct openai_answer *ret);
void openai_stream_finish(struct openai_stream *s);

#endif
