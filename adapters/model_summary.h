/*
 * Summaries by a language model: a text of any length becomes one, and one becomes
 * an event. Shared by model_meeting.c and model_period.c; on a lane's thread.
 *
 *     text that fits:  text -----------------------------------> summary
 *     one that does not:  parts -> notes (-> fewer notes) ... ---> summary
 *
 * Every part is read; what the vendor finds too long is cut in two and read again.
 */
#ifndef LULAB_ADAPTERS_MODEL_SUMMARY_H
#define LULAB_ADAPTERS_MODEL_SUMMARY_H

#include "answers.gen.h"
#include "app/fact.h"
#include "model_ask.h"

extern effect_fn model_meeting_run, model_participant_run, model_asked_run;
/* What summary.requested asks for: model_asked_run() gives it to one of these. */
void model_meeting_asked(struct effect_call *call);

/* ---- writing one ---------------------------------------------------------------------- */

struct model_writing {
	struct effect_call *call;
	struct model *model;
	struct slice language, title; /* of the text; "" when not known */
	struct model_use use;
	/* Of the last text. */
	struct slice notes;  /* what was noted of its parts, in the arena; empty: it was read in one piece */
	size_t parts;
};

/*
 * Asks with that prompt about the text; values: those of the prompt besides title, text and fence, closed by {0}. 0 and
 * *ret in the arena, or ERR_CANCELLED: the outcome says why not.
 */
int model_write(struct model_writing *w, const char *prompt, const struct model_value *values, struct slice text,
    struct request_model_summary *ret);

/* ---- telling of it ---------------------------------------------------------------------- */

/* What a summary is of. Texts may be empty where they do not apply. */
struct model_of {
	const char *kind, *period; /* "MEETING", "SINGLE" */
	int64_t start_ms, end_ms;  /* end 0 = not known */
	struct slice platform, meeting, meeting_id, sub_meeting_id, recording_id, transcript_id;
	int64_t transcript_at;
	int64_t speaker;           /* place in the transcript's list; -1 */
	struct slice person_id, org_id, person_name, request_id;
	const int64_t *speakers;
	size_t n_speakers;
	struct slice *sources;
	size_t n_sources;
};

struct model_version {
	char key[ID_TEXT_LEN + 1];
	struct slice id; /* of the latest; empty: there is none */
	struct slice transcript_id;
	int64_t version; /* 0 */
};
/* ERR_* of the query. */
int model_version_find(struct effect_call *call, struct model *m, const struct model_of *of, struct model_version *ret);

/* summary.generated among the results. False: the outcome says why not. */
bool model_tell(struct model_writing *w, const struct model_of *of, const char *prompt,
    const struct request_model_summary *s);

/* ---- small things ----------------------------------------------------------------------------- */

/* Parameters of a named query are texts, or integers where text.ptr is NULL. The rows, in the arena; they hold every event up to now. */
struct model_param {
	const char *name;
	struct slice text;
	int64_t integer;
};
int model_query(struct effect_call *call, struct app *app, const char *query, const struct model_param *params,
    size_t n_params, bool single, struct json_value *ret);
/* Members of a row; empty or 0 when null or absent. */
struct slice model_row_text(struct effect_call *call, struct json_value row, const char *name);
int64_t model_row_number(struct json_value row, const char *name);

/* Sets the outcome for an error of ours. False, so that `return model_failed(...)` reads well. */
bool model_failed(struct effect_call *call, int rc);
/* One more summary.requested among the results: a part of what was asked for, by the same id. */
bool model_ask_again(struct effect_call *call, struct model *m, const struct event_summary_requested *data);

#endif
