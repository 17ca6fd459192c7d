/*
 * Summaries by mail, where LULAB_MAIL_SUMMARIES wants them: that of a meeting to everybody who took part and has an account
 * here with an address that was shown to be theirs, or each person's own to themselves.
 *
 * Nothing is sent here. What is decided is one mail.requested for each of them, sealed under their own key, and those are
 * sent like any other; deciding twice asks for the same, once.
 */
#include "adapters/mail_order.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#define SOURCE "/effects/mail.summary"

/* ---- what is written ---------------------------------------------------------------------------- */

static const struct mail_template *template_of(const struct event_summary_generated *s)
{
	bool english = s->language.len >= 2 && slice_same_nocase(s->language.ptr, "en", 2);

	return mail_template_find("summary", english ? SLICE("en") : SLICE("zh-CN"));
}

static const char *filled(struct arena *arena, const char *text, const struct mail_value *values, bool in_html)
{
	struct buf out = BUF_INIT(MAIL_BYTES_MAX);
	const char *kept;

	mail_fill(&out, text, values, in_html);
	kept = out.rc != 0 ? NULL : arena_printf(arena, "%.*s", SLICE_ARG(buf_slice(&out)));
	buf_wipe(&out);
	return kept;
}

/* At most so many bytes, whole characters: the subject of a mail has a limit, the title of a meeting another. */
static struct slice at_most(struct slice text, size_t len)
{
	if (text.len <= len)
		return text;
	while (len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
		len--;
	return slice_of(text.ptr, len);
}

/* "- what — who · when" under a heading; nothing where there is none of it. */
static void put_heading(struct buf *out, const struct mail_template *t, const char *word)
{
	struct slice heading = mail_word(t, slice_str(word));

	buf_printf(out, "\n\n## %.*s\n", SLICE_ARG(heading));
}

static void put_line(struct buf *out, struct slice what, struct slice who, struct slice when)
{
	buf_printf(out, "\n- %.*s", SLICE_ARG(what));
	if (who.len > 0)
		buf_printf(out, " — %.*s", SLICE_ARG(who));
	if (when.len > 0)
		buf_printf(out, who.len > 0 ? " · %.*s" : " — %.*s", SLICE_ARG(when));
}

/* What was summed up, what was decided and what is to be done: all that who was there has to know. */
static struct slice whole(struct arena *arena, const struct mail_template *t, const struct event_summary_generated *s)
{
	struct buf out = BUF_INIT(MAIL_BYTES_MAX);
	struct slice none = {0}, kept;

	buf_append(&out, slice_trim(s->content));
	if (s->decisions.n > 0)
		put_heading(&out, t, "DECISIONS");
	for (size_t i = 0; i < s->decisions.n; i++)
		put_line(&out, s->decisions.items[i].decision, s->decisions.items[i].reason, none);
	if (s->action_items.n > 0)
		put_heading(&out, t, "ACTION_ITEMS");
	for (size_t i = 0; i < s->action_items.n; i++)
		put_line(&out, s->action_items.items[i].task, s->action_items.items[i].assignee, s->action_items.items[i].due);
	kept = out.rc != 0 ? (struct slice){0} : arena_dup(arena, buf_slice(&out));
	buf_wipe(&out);
	return kept;
}

static int write_order(struct effect_call *call, const struct mail_person *to, struct request_mail_send *ret)
{
	const struct event_summary_generated *s = call->cause->data;
	const struct mail_template *t = template_of(s);
	const char *time = mail_china_time(call->arena, s->has_period_start_ms ? s->period_start_ms * 1000 : call->cause_us);
	struct slice content = whole(call->arena, t, s), title = s->title.len > 0 ? at_most(s->title, 150) : SLICE("-");
	struct mail_value values[] = {{"name", to->name.len > 0 ? to->name : to->email}, {"title", title},
	    {"time", slice_str(time)}, {"content", content}, {0}};
	struct slice *address = arena_calloc(call->arena, 1, sizeof(*address));

	*ret = (struct request_mail_send){.subject = slice_str(filled(call->arena, t->subject, values, false)),
	    .text = slice_str(filled(call->arena, t->text, values, false)),
	    .html = slice_str(filled(call->arena, t->html, values, true))};
	if (address == NULL || time == NULL || content.ptr == NULL || ret->subject.ptr == NULL || ret->text.ptr == NULL || ret->html.ptr == NULL)
		return ERR_NOMEM;
	*address = to->email;
	ret->to.items = address;
	ret->to.n = 1;
	return 0;
}

/* ---- who gets it ------------------------------------------------------------------------------------ */

static int add_mail(struct effect_call *call, const struct mail_person *to)
{
	const struct mail *mail = call->state;
	struct mail_readers *readers = arena_alloc(call->arena, sizeof(*readers));
	struct fact *f = arena_alloc(call->arena, sizeof(*f));
	const char *once = arena_printf(call->arena, "%s:%.*s", call->id, SLICE_ARG(to->user_id));
	struct request_mail_send order;
	struct slice mail_id;
	int rc = readers == NULL || f == NULL || once == NULL ? ERR_NOMEM : write_order(call, to, &order);

	if (rc == 0)
		rc = mail_readers_read(&order, readers);
	if (rc != 0)
		return rc;
	fact_begin(f, mail->app, SOURCE, call->cause, call->arena);
	fact_once(f, "mail.summary", slice_str(once));
	rc = mail_order_draft(f, &order, readers, to->user_id, 0, (struct slice){0}, &mail_id, &call->results[call->n_results]);
	call->n_results += rc == 0;
	return rc;
}

static void ask_for(struct effect_call *call, const struct mail_person *people, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		if (people[i].is_verified)
			rc = add_mail(call, &people[i]);
	if (rc != 0) {
		call->n_results = 0;
		mail_outcome_set(call, EFFECT_RETRY, "memory", "The mails could not be made.");
	} else if (call->n_results == 0) {
		mail_outcome_set(call, EFFECT_FAILED, "no_address", "Nobody whom it is for is known with a mail address.");
	} else {
		call->outcome = EFFECT_DONE;
	}
}

bool mail_has_summary(const struct effect_call *call)
{
	return ((const struct event_summary_generated *)call->cause->data)->content.ptr != NULL;
}

void mail_summary(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct event_summary_generated *s = call->cause->data;
	struct mail_person people[EFFECT_RESULTS_MAX];
	size_t n_people = 0;
	int rc = mail_people_of_meeting(call, s->meeting, people, EFFECT_RESULTS_MAX, &n_people);

	(void)n;
	if (rc == ERR_RANGE) {
		log_warn("mail", "a summary is for more people than it is mailed to: the first get it", "effect", call->id);
		rc = 0;
	}
	if (rc == 0)
		ask_for(call, people, n_people);
	else
		mail_outcome_set(call, EFFECT_RETRY, "people", "Who took part cannot be read at the moment.");
}

void mail_personal_summary(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct event_summary_generated *s = call->cause->data;
	struct mail_person person;
	int rc = mail_person_of_platform(call, s->person_id, &person);

	(void)n;
	if (rc == 0)
		ask_for(call, &person, person.email.len > 0);
	else
		mail_outcome_set(call, EFFECT_RETRY, "people", "Whose summary it is cannot be read at the moment.");
}

static const char *unless(void *state, const char *wanted)
{
	const struct mail *mail = state;

	return slice_is(mail->app->config->mail_summaries, wanted) ? NULL : "LULAB_MAIL_SUMMARIES does not want them.";
}

const char *mail_summary_off(void *state)
{
	return unless(state, "meeting");
}

const char *mail_personal_summary_off(void *state)
{
	return unless(state, "personal");
}
