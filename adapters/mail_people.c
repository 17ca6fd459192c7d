/* Whom a mail goes to: accounts, and who took part in a meeting, as the read models know them by now. */
#include "adapters/mail.h"

#include "base/err.h"
#include "base/json.h"
#include "store/query.h"

#define READ_WAIT_MS 2000

/* The rows of a named query with the parameter `id`, in the arena; they hold what the cause says. */
static int rows_of(struct effect_call *call, const char *name, struct slice id, bool single, struct json_value *ret)
{
	const struct mail *mail = call->state;
	struct query q = {.def = query_find(name), .n_params = 1, .params = {{.name = "id", .text = id}}, .single = single,
	    .has_min_position = true, .min_position = call->cause_position, .wait_ms = READ_WAIT_MS};
	int rc = query_run(mail->app->queries, &q);
	struct slice text;

	if (rc == 0) {
		text = arena_dup(call->arena, buf_slice(&q.out));
		rc = text.ptr == NULL ? ERR_NOMEM : 0;
		*ret = json_root(text);
	}
	query_finish(&q);
	return rc;
}

static bool is_true(struct json_value row, const char *name)
{
	struct json_value v;

	return json_member(row, name, &v) && v.type == JSON_TRUE;
}

int mail_account(struct effect_call *call, struct slice user_id, struct mail_person *ret)
{
	struct json_value row;
	int rc = rows_of(call, "account_by_id", user_id, true, &row);

	*ret = (struct mail_person){.user_id = user_id};
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	if (is_true(row, "deleted"))
		return 0;
	ret->email = json_member_text(row, "email", call->arena);
	ret->is_verified = is_true(row, "emailVerified");
	ret->name = json_member_text(row, "displayName", call->arena);
	if (ret->name.len == 0)
		ret->name = json_member_text(row, "username", call->arena);
	return 0;
}

int mail_person_of_platform(struct effect_call *call, struct slice identity, struct mail_person *ret)
{
	struct json_value row;
	struct slice user;
	int rc = rows_of(call, "platform_identity_by_id", identity, true, &row);

	*ret = (struct mail_person){0};
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	user = json_member_text(row, "localUserId", call->arena);
	return user.len == 0 ? 0 : mail_account(call, user, ret);
}

static bool is_there(const struct mail_person *people, size_t n, struct slice user_id)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(people[i].user_id, user_id))
			return true;
	return false;
}

int mail_people_of_meeting(struct effect_call *call, struct slice meeting, struct mail_person *people, size_t max, size_t *ret_n)
{
	struct json_value rows, row;
	struct json_reader r;
	int rc = rows_of(call, "meeting_people", meeting, false, &rows);

	*ret_n = 0;
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	json_enter(&r, rows);
	while (rc == 0 && json_next(&r, NULL, &row)) {
		struct mail_person one;

		rc = mail_person_of_platform(call, json_member_text(row, "ptUserId", call->arena), &one);
		if (rc == 0 && one.email.len > 0 && !is_there(people, *ret_n, one.user_id)) {
			if (*ret_n == max)
				return ERR_RANGE;
			people[(*ret_n)++] = one;
		}
	}
	return rc;
}
