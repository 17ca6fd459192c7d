/* Those of the story, and their accounts; see demo.h. */
#include "demo.h"

#include "base/json.h"

static const struct person {
	const char *userid, *name, *email, *account;
	bool registers; /* by themselves; the others get their account from the operator, and nobody knows whose their address is */
} people[DEMO_PEOPLE] = {
	{"zhang.wei", "张伟", "zhang.wei@example.com", "demo_zhang_wei", true},
	{"li.na", "李娜", "li.na@example.com", "demo_li_na", false},
	{"wang.fang", "王芳", "wang.fang@example.com", "demo_wang_fang", false},
};

struct member {
	const char *name, *value; /* value NULL: left out */
};

/* Asks the service with a body of these texts, closed by {0}. */
static enum exit_status ask(struct service *s, const char *method, const char *path, const struct member *members,
    struct buf *answer)
{
	struct buf body = BUF_INIT(DEMO_BODY_MAX);
	struct json_writer w = JSON_WRITER(&body);
	enum exit_status status;

	json_begin_object(&w);
	for (; members->name != NULL; members++) {
		json_name(&w, members->name);
		json_put_str(&w, members->value);
	}
	json_end_object(&w);
	status = service_ask(s, method, path, buf_slice(&body), answer);
	buf_wipe(&body);
	return status;
}

/* The member `id` of an object, as an id. */
static bool take_id(struct json_value row, char ret[SERVICE_USER_LEN])
{
	struct arena arena = ARENA_INIT(4096);
	struct slice id = service_text(row, "id", &arena);
	bool good = id.len + 1 == SERVICE_USER_LEN;

	if (good)
		snprintf(ret, SERVICE_USER_LEN, "%.*s", SLICE_ARG(id));
	arena_finish(&arena);
	return good;
}

/* ---- accounts ------------------------------------------------------------------------------- */

/* The account of an earlier demo; *ret_id stays empty where there is none. */
static enum exit_status find_account(struct demo *d, const struct person *p, char ret_id[SERVICE_USER_LEN])
{
	struct buf path = BUF_INIT(DEMO_URL_MAX), answer = BUF_INIT(DEMO_ANSWER_MAX);
	struct json_value rows, row;
	struct json_reader r;
	enum exit_status status;

	buf_printf(&path, "/api/v1/users?limit=1&search=%s", p->account);
	status = service_ask(&d->service, "GET", path.ptr, (struct slice){0}, &answer);
	if (status == STATUS_OK && json_member(json_root(buf_slice(&answer)), "data", &rows)) {
		json_enter(&r, rows);
		if (json_next(&r, NULL, &row))
			take_id(row, ret_id);
	}
	buf_finish(&path);
	buf_finish(&answer);
	return status;
}

static enum exit_status make_account(struct demo *d, const struct person *p, char ret_id[SERVICE_USER_LEN])
{
	struct buf answer = BUF_INIT(DEMO_ANSWER_MAX);
	struct json_value data;
	enum exit_status status = ask(&d->service, "POST", "/api/v1/users",
	    (struct member[]){{"username", p->account}, {"email", p->email}, {"displayName", p->name}, {0}}, &answer);

	if (status == STATUS_OK && !take_id(json_root(buf_slice(&answer)), ret_id) &&
	    json_member(json_root(buf_slice(&answer)), "data", &data))
		take_id(data, ret_id);
	buf_finish(&answer);
	return status;
}

static enum exit_status wait_for_code(struct demo *d, const struct person *p, char ret_code[7])
{
	int64_t until_ms = demo_patience_ends_ms(d);

	while (!demo_mail_code(d, d->service.client, p->email, ret_code)) {
		if (command_interrupted())
			return STATUS_INTERRUPTED;
		if (demo_is_past_ms(until_ms))
			return command_fail(d->in, STATUS_UNAVAILABLE, "the code for %s did not come by mail: lulab effects list", p->email);
		demo_rest(DEMO_LOOK_MS / 3);
	}
	return STATUS_OK;
}

/* As anybody would: with the code that came to their address. Then they say what they are called. */
static enum exit_status register_account(struct demo *d, const struct person *p, char ret_id[SERVICE_USER_LEN])
{
	struct buf answer = BUF_INIT(DEMO_ANSWER_MAX), path = BUF_INIT(DEMO_URL_MAX);
	struct json_value user;
	char code[7] = "";
	enum exit_status status = ask(&d->service, "POST", "/api/v1/auth/otp/send",
	    (struct member[]){{"target", p->email}, {"type", "register"}, {0}}, NULL);

	if (status == STATUS_OK)
		status = wait_for_code(d, p, code);
	if (status == STATUS_OK)
		status = ask(&d->service, "POST", "/api/v1/auth/register", (struct member[]){{"type", "email_code"},
		    {"email", p->email}, {"code", code}, {"username", p->account}, {0}}, &answer);
	if (status == STATUS_OK && json_member(json_root(buf_slice(&answer)), "user", &user) && take_id(user, ret_id)) {
		buf_printf(&path, "/api/v1/users/%s", ret_id);
		status = ask(&d->service, "PATCH", path.ptr, (struct member[]){{"displayName", p->name}, {0}}, NULL);
	}
	buf_wipe(&answer);
	buf_finish(&path);
	return status;
}

enum exit_status demo_people_come(struct demo *d)
{
	enum exit_status status = STATUS_OK;

	for (size_t i = 0; status == STATUS_OK && i < DEMO_PEOPLE; i++) {
		const struct person *p = &people[i];

		status = find_account(d, p, d->accounts[i]);
		if (status == STATUS_OK && d->accounts[i][0] == '\0')
			status = (p->registers ? register_account : make_account)(d, p, d->accounts[i]);
		if (status == STATUS_OK && d->accounts[i][0] == '\0')
			status = command_fail(d->in, STATUS_FAILED, "the answer of the service is not understood");
	}
	d->peopled = status == STATUS_OK;
	return status;
}

/* ---- who they are in meetings ----------------------------------------------------------------- */

/* The identity on the meeting platform of somebody who came, and its account: linked unless it is already. */
static void link_account(struct demo *d, struct slice identity, const char *account)
{
	struct buf path = BUF_INIT(DEMO_URL_MAX), answer = BUF_INIT(DEMO_ANSWER_MAX);
	struct arena arena = ARENA_INIT(4096);
	struct json_value data = {0};

	buf_printf(&path, "/api/v1/platform-identities/%.*s", SLICE_ARG(identity));
	if (service_ask(&d->linker, "GET", path.ptr, (struct slice){0}, &answer) == STATUS_OK &&
	    json_member(json_root(buf_slice(&answer)), "data", &data) &&
	    service_text(data, "localUserId", &arena).len == 0 && buf_append_str(&path, "/user") == 0)
		ask(&d->linker, "PUT", path.ptr, (struct member[]){{"userId", account}, {0}}, NULL);
	arena_finish(&arena);
	buf_finish(&path);
	buf_finish(&answer);
}

void demo_people_meet(struct demo *d, struct json_value joined)
{
	struct arena arena = ARENA_INIT(4096);
	struct json_value person, subjects, subject;

	if (d->peopled && json_member(joined, "operator", &person) && json_member(joined, "subjects", &subjects) &&
	    json_member(subjects, "operator", &subject))
		for (size_t i = 0; i < DEMO_PEOPLE; i++)
			if (slice_is(service_text(person, "userid", &arena), people[i].userid)) {
				link_account(d, service_text(subject, "id", &arena), d->accounts[i]);
				d->met++;
			}
	arena_finish(&arena);
}
