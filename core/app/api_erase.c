/*
 * DELETE of an account with ?erase=true: the person behind it is erased, and the
 * answer is a receipt: the record that says so, and a proof signed by the log that
 * it is in the log. It can be checked offline, by anybody who has the log's key.
 */
#include "app/api.h"
#include "app/erase.h"
#include "app/users.h"
#include "base/err.h"

#define RECEIPT_MAX (1 << 18)
#define GROUND_DEFAULT "request of the person"

struct erasure {
	struct action *c;
	struct account account;
	struct slice ground;
	struct id subjects[ERASE_SUBJECTS_MAX];
	size_t n;
};

/* The account and who its owner is on the platforms. */
static bool gather_subjects(struct erasure *e)
{
	struct action *c = e->c;
	struct json_value rows, row;
	struct json_reader r;
	int rc = action_rows(c, "platform_identities_of_user", (struct action_param[]){{"user", e->account.id, 0}}, 1, &rows);

	e->subjects[e->n++] = e->account.subject;
	if (rc != 0)
		return action_fail_err(c, rc);
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		if (e->n == ERASE_SUBJECTS_MAX)
			return action_fail(c, 409, "too_many", "More platform identities are linked to this account than one person has: "
			    "unlink those of others first.", "关联的平台身份过多");
		if (id_parse(row_text(c, row, "id"), &e->subjects[e->n]) == 0)
			e->n++;
	}
	return true;
}

static struct slice text_of(struct action *c, const struct id *id)
{
	char text[ID_TEXT_LEN + 1];

	id_format(text, id);
	return slice_str(action_made(c, arena_printf(c->arena, "%s", text)));
}

static void add_request(struct erasure *e, struct action_events *events, size_t i)
{
	struct action *c = e->c;
	const struct principal *who = c->rq->principal;
	struct event_meta meta = action_meta(c);
	struct event_privacy_erasure_requested data = {.subject_id = text_of(c, &e->subjects[i]), .ground = e->ground,
	    .requested_by = slice_str(who->id), .has_due_at_ms = true,
	    .due_at_ms = clock_wall_ms(c->app->clock) + ERASE_DUE_MS};

	if (i == 0) {
		data.username_claim = row_text(c, e->account.row, "usernameClaim");
		data.email_claim = row_text(c, e->account.row, "emailClaim");
		data.phone_claim = row_text(c, e->account.row, "phoneClaim");
		data.legacy_claim = row_text(c, e->account.row, "legacyClaim");
	}
	meta.has_once = true;
	erase_once_requested(meta.once, &e->subjects[i]);
	action_event(events, EVENT_PRIVACY_ERASURE_REQUESTED, &data, NULL, &meta);
}

/* Deleted with it, in the same append, if it stands where it was looked at: what it is called cannot change in between. */
static bool append_requests(struct erasure *e)
{
	struct event_user_deleted deleted = {.user_id = e->account.id, .reason = SLICE("erasure")};

	for (size_t i = 0; i < e->n;) {
		struct action_events events = {.c = e->c};

		if (i == 0)
			action_event(&events, EVENT_USER_DELETED, &deleted, NULL, &e->account.meta);
		while (i < e->n && events.n < ACTION_EVENTS_MAX)
			add_request(e, &events, i++);
		if (!account_append(&events))
			return false;
	}
	return true;
}

/* ---- the receipt --------------------------------------------------------------------------------- */

static int put_record(struct action *c, uint64_t position, struct json_writer *w)
{
	struct log_read read = {0};
	struct log_record record;
	int rc = log_read_start(&read, c->app->log);

	if (rc == 0)
		rc = eventlog_read_one(&read, position, &record);
	if (rc == 0) {
		json_name(w, "record");
		json_put_string(w, record.entry);
	}
	log_read_stop(&read);
	return rc;
}

static void write_receipt(struct action *c, const struct erasure *e)
{
	struct json_writer w = action_answer(c, 200);
	struct buf proof = BUF_INIT(RECEIPT_MAX);
	uint8_t once[ONCE_KEY_LEN];
	uint64_t position = 0;
	int rc;

	erase_once_completed(once, &e->account.subject);
	rc = eventlog_find_once(c->app->log, once, &position);
	if (rc == 0)
		rc = api_event_proof(c->app, position, &proof);
	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "userId");
	json_put_string(&w, e->account.id);
	json_name(&w, "erased");
	json_put_bool(&w, true);
	json_name(&w, "position");
	json_put_u64(&w, position);
	if (rc == 0)
		rc = put_record(c, position, &w);
	json_name(&w, "proof");
	json_put_string(&w, buf_slice(&proof));
	json_end_object(&w);
	json_end_object(&w);
	buf_finish(&proof);
	if (rc != 0)
		action_fail_err(c, rc);
}

/* ---- the command ------------------------------------------------------------------------------------ */

/* The second part, as long as a rebuild: others decide meanwhile. */
static void run_finish(struct action *c)
{
	struct erasure *e = c->state;
	uint8_t once[ONCE_KEY_LEN];
	uint64_t known;
	int rc;

	erase_once_completed(once, &e->account.subject);
	rc = eventlog_find_once(c->app->log, once, &known);
	if (rc == ERR_NOT_FOUND) {
		/* Not left to who waits for another rebuild: raw deliveries would open until then. */
		rc = erase_keys(c->app, e->subjects, e->n);
		if (rc == 0)
			rc = erasures_wait(c->app->erasures);
	}
	if (rc == ERR_BUSY || rc == ERR_CANCELLED)
		action_fail(c, 503, "busy", "The person is being erased, which takes a while; repeat the request for the receipt.",
		    "正在清除用户数据，请稍后重试以获取凭证");
	else if (rc != 0)
		action_fail_err(c, rc);
	else
		write_receipt(c, e);
}

/*
 * The first, where all is decided that could take the last administrator away. From the append on nothing of the
 * person opens; should the keys not go from the disk now, the second part tries again.
 */
void user_erase_run(struct action *c, struct slice ground)
{
	struct erasure *e = arena_calloc(c->arena, 1, sizeof(*e));

	if (e == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	*e = (struct erasure){.c = c, .ground = ground.len > 0 ? ground : SLICE(GROUND_DEFAULT)};
	if (!principal_may(c->rq->principal, "users:erase")) {
		action_fail(c, 403, "forbidden", "This needs the permission users:erase.", "没有权限");
		return;
	}
	if (!account_look_to_close(c, &e->account) || !gather_subjects(e))
		return;
	if (!e->account.erased) {
		if (!append_requests(e))
			return;
		(void)keyring_erase(c->app->keyring, e->subjects, e->n);
	}
	c->state = e;
	action_then(c, ACTION_QUICK, run_finish);
}
