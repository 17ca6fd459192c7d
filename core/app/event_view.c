/* See event_view.h. */
#include "event_view.h"

#include "base/err.h"
#include "domain/event.h"

/* --- data nobody opens: sealed members are replaced ------------------------------------ */

static void write_masked(struct json_value v, struct arena *a, struct json_writer *w);

static void write_masked_object(struct json_value v, struct arena *a, struct json_writer *w)
{
	struct json_reader r;
	struct slice name;
	struct json_value m;

	json_begin_object(w);
	if (json_member(v, "$sealed", &m)) {
		json_name(w, "$masked");
		json_put_bool(w, true);
	} else {
		json_enter(&r, v);
		while (json_next(&r, &name, &m)) {
			struct slice text;

			/* Between its quotes the name is a string value. */
			if (json_string(json_value_of_name(name), a, &text) != 0) {
				w->out->rc = ERR_NOMEM;
				break;
			}
			json_name_slice(w, text);
			write_masked(m, a, w);
		}
	}
	json_end_object(w);
}

static void write_masked(struct json_value v, struct arena *a, struct json_writer *w)
{
	struct json_reader r;

	if (v.type == JSON_OBJECT) {
		write_masked_object(v, a, w);
	} else if (v.type == JSON_ARRAY) {
		json_begin_array(w);
		json_enter(&r, v);
		while (json_next(&r, NULL, &v))
			write_masked(v, a, w);
		json_end_array(w);
	} else {
		json_put_raw(w, v.text);
	}
}

/* --- data opened -------------------------------------------------------------------------- */

/* What another try may not meet: such an event is not shown masked, as if that were all there is to see. */
static bool is_of_the_moment(int rc)
{
	return rc == ERR_NOMEM || rc == ERR_IO || rc == ERR_BUSY || rc == ERR_UNAVAILABLE;
}

/* ERR_DENIED, ERR_MALFORMED, ...: nothing was written, show it masked. */
static int write_opened(const struct event_view *view, const struct envelope *e, struct arena *a,
    struct json_writer *w)
{
	struct seal_scope scope = {.sealer = view->sealer, .event_id = e->id};
	struct seal_hooks hooks;
	struct event event;
	int rc;

	if (!view->personal)
		return ERR_DENIED;
	seal_scope_hooks(&hooks, &scope);
	rc = event_decode_data(e, &hooks, a, &event);
	if (rc != 0)
		return rc;
	if (event.type == NULL)
		return ERR_NOT_FOUND;
	schema_encode(event.type->schema, event.data, NULL, w); /* errors stick in the buffer */
	return 0;
}

static void write_text(struct json_writer *w, const char *name, struct slice text)
{
	if (text.len == 0)
		return;
	json_name(w, name);
	json_put_string(w, text);
}

int event_view_write(const struct event_view *view, const struct log_record *record, struct arena *a,
    struct json_writer *w, struct event_shown *ret_shown)
{
	struct envelope e;
	char *time = arena_alloc(a, TIME_TEXT_LEN + 1);
	int rc = envelope_decode(record->entry, record->position, a, &e);

	if (rc == 0 && time == NULL)
		rc = ERR_NOMEM;
	if (rc != 0)
		return rc;
	time_format_us(time, e.time_us);
	json_begin_object(w);
	json_name(w, "position");
	json_put_u64(w, record->position);
	write_text(w, "id", e.id);
	write_text(w, "type", e.type);
	write_text(w, "time", slice_str(time));
	write_text(w, "stream", e.subject);
	json_name(w, "version");
	json_put_u64(w, record->stream_version);
	write_text(w, "source", e.source);
	write_text(w, "actor", e.actor);
	write_text(w, "causationId", e.causation);
	write_text(w, "correlationId", e.correlation);
	write_text(w, "traceparent", e.traceparent);
	write_text(w, "dataschema", e.dataschema);
	json_name(w, "data");
	rc = write_opened(view, &e, a, w);
	if (is_of_the_moment(rc))
		return rc;
	if (rc != 0)
		write_masked(e.data_value, a, w);
	json_end_object(w);
	if (ret_shown != NULL)
		*ret_shown = (struct event_shown){e.id, e.type, e.subject, e.source, e.actor, slice_str(time)};
	return w->out->rc;
}
