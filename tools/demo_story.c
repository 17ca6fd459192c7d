/* See demo_story.h. */
#include "demo_story.h"

#include "base/arena.h"

#define WIDTH_MAX 44 /* characters of a text from outside */
#define ARENA_BYTES_MAX ((size_t)256 * 1024)
#define PATH_LEN_MAX 64

/*
 * {path} is a member of the event's data; behind a colon how it is told: `line` the first words of a text, `bytes` in
 * KiB, `s` milliseconds as seconds. `of` NULL: any; else the beginning of the effect's name.
 */
static const struct story {
	const char *type, *of, *says;
} stories[] = {
	{"verification.requested", NULL, "a code is asked for, to show whose an address is: it goes there by mail"},
	{"user.registered", NULL, "{username:line} has an account ({how})"},
	{"meeting.started", NULL, "“{title:line}” begins; {operator.user_name:line} is the host"},
	{"participant.joined", NULL, "{operator.user_name:line} comes in"},
	{"participant.left", NULL, "{operator.user_name:line} leaves"},
	{"meeting.ended", NULL, "the meeting is over"},
	{"recording.completed", NULL, "Tencent Meeting has made a recording of it: fetch it"},
	{"transcript.ready", NULL, "Tencent Meeting has written down what was said"},
	{"minutes.ready", NULL, "Tencent Meeting has minutes"},
	{"summary.ready", NULL, "Tencent Meeting has a summary"},
	{"participants.fetched", NULL, "asked who was there: {people} people, {stays} stays"},
	{"transcript.stored", NULL, "what was said is stored: {paragraphs} paragraphs, {words} words"},
	{"summary.stored", NULL, "{kind}: {text:line}"},
	{"object.stored", NULL, "a file is in the storage: {content_type}, {size:bytes}"},
	{"recording.stored", NULL, "the recording is stored and looked into: {format:line}, {width}×{height}, {duration_ms:s}"},
	{"summary.generated", NULL, "the language model has written: {title:line}"},
	{"lark.row_synced", NULL, "Feishu has it in the table {table:line}"},
	{"identity.linked", NULL, "an account is known to be the same person"},
	{"mail.requested", NULL, "to be mailed: {subject:line}"},
	{"effect.done", "mail.summary", "the summary goes to who was there and has shown that their address is theirs"},
	{"effect.done", "mail.", "a mail is out ({effect})"},
	{"lark.message_sent", NULL, "Feishu has the message"},
	{"effect.waiting", NULL, "not yet: {effect} is tried again ({class})"},
	{"effect.unknown", NULL, "no answer: {effect} ({class})"},
	{"effect.failed", NULL, "in vain: {effect} ({class})"},
	{"effect.dead", NULL, "given up: {effect} ({reason}); lulab effects list tells more"},
};

static struct slice after(struct slice s, size_t n)
{
	return slice_of(s.ptr + n, s.len - n);
}

static void put_first_words(struct buf *line, struct slice text)
{
	unsigned n = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if ((c & 0xc0) != 0x80 && n++ == WIDTH_MAX) {
			buf_append_str(line, "…");
			return;
		}
		/* One line, and nothing that moves the cursor. */
		buf_append_char(line, c < ' ' || c == 0x7f ? ' ' : (char)c);
	}
}

static void put_value(struct buf *line, struct json_value v, struct slice how, struct arena *a)
{
	struct slice text;
	int64_t n;

	if (slice_is(how, "bytes") && json_i64(v, &n) == 0)
		buf_printf(line, "%lld KiB", (long long)((n + 1023) / 1024));
	else if (slice_is(how, "s") && json_i64(v, &n) == 0)
		buf_printf(line, "%lld.%lld s", (long long)(n / 1000), (long long)(n % 1000 / 100));
	else if (v.type == JSON_STRING && json_string(v, a, &text) == 0)
		put_first_words(line, text);
	else if (v.type == JSON_STRING || v.type == JSON_NULL)
		buf_append_char(line, '?');
	else
		put_first_words(line, v.text);
}

/* The member a path like operator.user_name leads to. */
static bool find(struct json_value data, struct slice path, struct json_value *ret)
{
	while (path.len > 0) {
		char name[PATH_LEN_MAX];
		size_t len = 0;

		while (len < path.len && path.ptr[len] != '.')
			len++;
		if (len >= sizeof(name))
			return false;
		memcpy(name, path.ptr, len);
		name[len] = '\0';
		if (!json_member(data, name, &data))
			return false;
		path = after(path, len < path.len ? len + 1 : len);
	}
	*ret = data;
	return true;
}

static void put_placeholder(struct buf *line, struct slice inner, struct json_value data, struct arena *a)
{
	struct slice how = {0};
	struct json_value v;
	size_t i = 0;

	while (i < inner.len && inner.ptr[i] != ':')
		i++;
	if (i < inner.len)
		how = after(inner, i + 1);
	if (find(data, slice_of(inner.ptr, i), &v))
		put_value(line, v, how, a);
	else
		buf_append_char(line, '?');
}

static void fill(struct buf *line, const char *says, struct json_value data)
{
	struct arena arena = ARENA_INIT(ARENA_BYTES_MAX);

	while (*says != '\0') {
		const char *end = *says == '{' ? strchr(says, '}') : NULL;

		if (end == NULL) {
			buf_append_char(line, *says++);
			continue;
		}
		put_placeholder(line, slice_of(says + 1, (size_t)(end - says - 1)), data, &arena);
		says = end + 1;
	}
	arena_finish(&arena);
}

static bool is_of(const struct story *s, struct json_value data)
{
	struct arena arena = ARENA_INIT(4096);
	struct json_value v;
	struct slice effect;
	bool is = s->of == NULL || (json_member(data, "effect", &v) && json_string(v, &arena, &effect) == 0 &&
	    slice_starts_with(effect, slice_str(s->of)));

	arena_finish(&arena);
	return is;
}

bool demo_tell(struct slice type, struct json_value data, struct buf *line)
{
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		if (slice_is(type, stories[i].type) && is_of(&stories[i], data)) {
			fill(line, stories[i].says, data);
			return true;
		}
	}
	return false;
}
