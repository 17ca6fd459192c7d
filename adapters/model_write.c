/* A text of any length becomes a summary; see model_summary.h. */
#include "model_summary.h"

#include "app/app.h"
#include "base/err.h"
#include "model_text.h"
#include "vendor_call.h"

#define NOTES_BYTES_MAX ((size_t)8 << 20)
#define FRAME_TOKENS 2000   /* of the prompt, the schema and titles around a text */
#define PART_TOKENS_MIN 100 /* a model that cannot take so many is none */
#define ROUNDS_MAX 8

static int no_room(struct effect_call *call)
{
	call->outcome = EFFECT_REFUSED;
	call->class = "too_long";
	call->message = "The text does not fit into the model's context however it is cut: see LULAB_AI_CONTEXT_TOKENS.";
	return ERR_CANCELLED;
}

static int out_of_memory(struct effect_call *call)
{
	vendor_no_answer(call, ERR_NOMEM, false);
	return ERR_CANCELLED;
}

/* ---- a question about a text ----------------------------------------------------------- */

#define VALUES_MAX 10

static int ask_about(struct model_writing *w, const char *prompt, const struct model_value *values, struct slice text,
    const char *schema_name, const struct schema *schema, void *ret)
{
	struct slice fence = model_fence(w->model->app->sealer, text, w->call->arena);
	struct model_value all[VALUES_MAX] = {{"title", w->title}, {"text", text}, {"fence", fence}};
	struct model_question q = {.prompt = model_prompt_find(prompt, w->language), .values = all,
	    .schema_name = schema_name, .schema = schema};

	if (fence.ptr == NULL)
		return out_of_memory(w->call);
	for (size_t n = 3; values->name != NULL && n < VALUES_MAX - 1; values++)
		all[n++] = *values;
	return model_ask(w->call, w->model, &q, &w->use, ret);
}

/* ---- notes of parts ------------------------------------------------------------------------ */

struct noting {
	struct model_writing *w;
	const char *prompt; /* "notes", "condense" */
	size_t part, parts;
	struct buf *out;
};

static void put_notes(struct buf *out, const struct request_model_notes *notes)
{
	for (size_t i = 0; i < notes->points.n; i++) {
		struct slice speaker = notes->points.items[i].speaker;

		buf_printf(out, "- %.*s%s%.*s\n", SLICE_ARG(speaker), speaker.len > 0 ? "：" : "",
		    SLICE_ARG(notes->points.items[i].text));
	}
	for (size_t i = 0; i < notes->decisions.n; i++) {
		struct slice reason = notes->decisions.items[i].reason;

		buf_printf(out, "- [decision] %.*s%s%.*s\n", SLICE_ARG(notes->decisions.items[i].decision),
		    reason.len > 0 ? " | " : "", SLICE_ARG(reason));
	}
	for (size_t i = 0; i < notes->action_items.n; i++)
		buf_printf(out, "- [task] %.*s | %.*s | %.*s\n", SLICE_ARG(notes->action_items.items[i].task),
		    SLICE_ARG(notes->action_items.items[i].assignee), SLICE_ARG(notes->action_items.items[i].due));
}

/* One part, or its two halves, and theirs. */
static int note(struct noting *n, struct slice text)
{
	struct request_model_notes notes;
	struct arena *a = n->w->call->arena;
	const char *part = arena_printf(a, "%zu", n->part), *parts = arena_printf(a, "%zu", n->parts);
	struct model_value values[] = {{"part", slice_str(part)}, {"parts", slice_str(parts)}, {0}};
	size_t tokens = model_tokens(text);
	int rc = part == NULL || parts == NULL ? out_of_memory(n->w->call) :
	    ask_about(n->w, n->prompt, values, text, "notes", &schema_request_model_notes, &notes);

	if (rc == 0) {
		put_notes(n->out, &notes);
		return n->out->rc == 0 ? 0 : out_of_memory(n->w->call);
	}
	if (rc != ERR_TOO_BIG)
		return rc;
	if (tokens < 2 * PART_TOKENS_MIN)
		return no_room(n->w->call);
	for (struct slice half; rc != ERR_CANCELLED && model_cut(&text, tokens / 2 + 1, &half);)
		rc = note(n, half);
	return rc;
}

static int note_all(struct model_writing *w, const char *prompt, struct slice text, size_t room, struct slice *ret_notes,
    size_t *ret_parts)
{
	struct buf out = BUF_INIT(NOTES_BYTES_MAX);
	struct noting n = {.w = w, .prompt = prompt, .out = &out};
	struct slice rest = text, part;
	int rc = 0;

	for (n.parts = 0; model_cut(&rest, room, &part); n.parts++)
		;
	rest = text;
	while (rc == 0 && model_cut(&rest, room, &part)) {
		n.part++;
		rc = note(&n, part);
	}
	if (rc == 0) {
		*ret_notes = arena_dup(w->call->arena, buf_slice(&out));
		*ret_parts = n.parts;
		rc = ret_notes->ptr == NULL ? out_of_memory(w->call) : 0;
	}
	buf_wipe(&out);
	return rc;
}

/* What is asked about at once, and how long what is noted may be in the end. */
struct room {
	size_t part, whole;
};

/* What was said is noted part by part, unless it is short; notes are made fewer until they fit. */
static int shorten(struct model_writing *w, const struct room *room, struct slice *text)
{
	bool first = w->notes.len == 0;
	size_t before = model_tokens(*text), parts;

	for (unsigned round = 0; before > (first ? room->part : room->whole); round++) {
		int rc = note_all(w, first ? "notes" : "condense", *text, room->part, &w->notes, &parts);

		if (rc != 0)
			return rc;
		w->parts = first ? parts : w->parts;
		*text = w->notes;
		if (text->len == 0 || (!first && model_tokens(*text) >= before) || round == ROUNDS_MAX)
			return no_room(w->call);
		before = model_tokens(*text);
		first = false;
	}
	return 0;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static struct room room_of(const struct model *m)
{
	size_t whole = m->context_tokens - m->answer_tokens - FRAME_TOKENS;

	return (struct room){.part = m->part_tokens < whole ? m->part_tokens : whole, .whole = whole};
}

int model_write(struct model_writing *w, const char *prompt, const struct model_value *values, struct slice text,
    struct request_model_summary *ret)
{
	struct room room = room_of(w->model);

	w->notes = SLICE("");
	w->parts = 1;
	for (;;) {
		int rc = shorten(w, &room, &text);

		if (rc == 0)
			rc = ask_about(w, prompt, values, text, "summary", &schema_request_model_summary, ret);
		if (rc != ERR_TOO_BIG)
			return rc;
		room.whole = model_tokens(text) / 2;
		if (room.whole < PART_TOKENS_MIN)
			return no_room(w->call);
		room.part = room.part < room.whole ? room.part : room.whole;
	}
}
