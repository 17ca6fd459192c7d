/* See accounts.h. */
#include "app/accounts.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

#include "app/app_http.h"
#include "app/login_watch.h"
#include "app/tokens.h"
#include "base/codec.h"
#include "base/err.h"
#include "crypto/password.h"

#define REFRESH_BYTES 32
#define TARGET_TRIES 5
#define RECENT_MS (12 * 3600 * 1000LL)
#define IDLE_MS (30 * 60 * 1000LL) /* as projections/identity.sql has it for what came to pass before */
#define TARGET_DELAY_MS_MAX (15 * 60 * 1000LL)

static struct slice encode_digest(struct action *c, const uint8_t digest[32])
{
	char *text = arena_alloc(c->arena, DIGEST_TEXT_LEN + 1);

	if (text == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return (struct slice){0};
	}
	base64url_encode_to(text, digest, 32);
	return slice_of(text, DIGEST_TEXT_LEN);
}

struct slice account_digest(struct action *c, const char *kind, struct slice value)
{
	const char *text = action_made(c, arena_printf(c->arena, "%s:%.*s", kind, SLICE_ARG(value)));
	uint8_t digest[SHA256_LEN];

	sealer_fingerprint(c->app->sealer, slice_str(text), digest);
	return encode_digest(c, digest);
}

struct slice token_digest(struct action *c, struct slice token)
{
	uint8_t digest[SHA256_LEN];

	sha256(digest, &token, 1);
	return encode_digest(c, digest);
}

/* ---- names ----------------------------------------------------------------------- */

static bool read_name(struct action *c, const char *field, int rc, struct said why)
{
	if (rc == 0)
		return true;
	if (rc != ERR_INVALID)
		return action_fail_err(c, rc);
	return action_fail(c, 400, "invalid", arena_printf(c->arena, "%s: %s", field, why.en), why.zh);
}

bool account_names_read(struct action *c, struct slice username, struct slice email, struct slice country_code,
    struct slice phone, struct account_names *ret)
{
	struct said why = {0};

	*ret = (struct account_names){0};
	if (username.len > 0) {
		ret->username = username;
		if (!read_name(c, "username", account_username(username, c->arena, &ret->username_key, &why), why))
			return false;
	}
	if (email.len > 0) {
		ret->email = slice_trim(email);
		if (!read_name(c, "email", account_email(email, c->arena, &ret->email_key, &why), why))
			return false;
	}
	if (phone.len > 0) {
		if (!read_name(c, "phone", account_phone(country_code, phone, c->arena, &ret->phone_key, &why), why))
			return false;
		ret->phone = ret->phone_key;
		ret->country_code = country_code.len > 0 ? country_code : SLICE(COUNTRY_CODE_DEFAULT);
	}
	return true;
}

bool account_answer_taken(struct action *c, int status, struct slice claim)
{
	if (slice_starts_with(claim, SLICE("username:")))
		return action_fail(c, status, "taken", "username: has an account already.", "用户名已被注册");
	if (slice_starts_with(claim, SLICE("email:")))
		return action_fail(c, status, "taken", "email: has an account already.", "邮箱已被注册");
	return action_fail(c, status, "taken", "phone: has an account already.", "手机号已被注册");
}

/* ---- passwords ------------------------------------------------------------------- */

bool account_password_check(struct action *c, struct slice password, const char *const *names)
{
	struct said why;
	int rc = account_password(password, names, &why);

	if (rc == ERR_INVALID)
		return action_fail_said(c, 400, "weak_password", why);
	return action_ok(c, rc);
}

const char *account_password_hash(struct action *c, struct slice password)
{
	char *hash = arena_alloc(c->arena, PASSWORD_HASH_SIZE);
	int rc = hash == NULL ? ERR_NOMEM : password_hash(hash, password, &PASSWORD_COST_DEFAULT, c->app->rng);

	if (rc == 0)
		return hash;
	action_fail_err(c, rc);
	return NULL;
}

int64_t failures_wait_ms(int64_t failures, int64_t last_at_ms, int64_t now_ms)
{
	int64_t delay_ms, until_ms;

	if (failures < TARGET_TRIES)
		return 0;
	/* 512 s are the last that double. */
	delay_ms = failures - TARGET_TRIES >= 10 ? TARGET_DELAY_MS_MAX : 1000LL << (failures - TARGET_TRIES);
	until_ms = last_at_ms + delay_ms;
	return now_ms < until_ms ? until_ms - now_ms : 0;
}

bool failures_refuse(struct action *c, int64_t wait_ms, const char *zh)
{
	action_header(c, "Retry-After", arena_printf(c->arena, "%lld", (long long)((wait_ms + 999) / 1000)));
	return action_fail(c, 429, "too_many_attempts", "Too many failed attempts; wait and try again.", zh);
}

/* ---- where from ---------------------------------------------------------------------- */

/* /24 of IPv4, /56 of IPv6 (integrity.md 20). */
static struct slice network_of(struct action *c, struct slice address)
{
	unsigned char bytes[16];
	const char *text = action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(address)));

	if (inet_pton(AF_INET, text, bytes) == 1)
		return slice_str(action_made(c, arena_printf(c->arena, "%u.%u.%u", bytes[0], bytes[1], bytes[2])));
	if (inet_pton(AF_INET6, text, bytes) == 1)
		return slice_str(action_made(c, arena_printf(c->arena, "%02x%02x:%02x%02x:%02x%02x:%02x", bytes[0], bytes[1],
		    bytes[2], bytes[3], bytes[4], bytes[5], bytes[6])));
	return address;
}

bool caller_read(struct action *c, struct slice device_info, struct slice device_id, struct caller *ret)
{
	*ret = (struct caller){.device_info = device_info, .device_id = device_id};
	http_request_field(c->rq, "user-agent", &ret->user_agent);
	if (ret->user_agent.len > 512)
		ret->user_agent.len = 512;
	if (!utf8_valid(ret->user_agent))
		ret->user_agent = (struct slice){0};
	ret->address_digest = account_digest(c, "address", c->rq->address);
	ret->network_digest = account_digest(c, "network", network_of(c, c->rq->address));
	return c->err == 0;
}

static bool foreign_origin(struct action *c)
{
	return action_fail(c, 403, "foreign_origin", "With a cookie, the header Origin must name this server or an origin that it "
	    "trusts with cookies, and the body must be application/json.", "来源不受信任");
}

bool caller_takes_cookie(struct action *c, struct slice client_type)
{
	struct slice origin;

	return !slice_is(client_type, "web") || !http_request_field(c->rq, "origin", &origin) ||
	    app_cookie_allowed(c->app, c->rq) || foreign_origin(c);
}

/* ---- sessions -------------------------------------------------------------------------- */

struct slice session_new_token(struct action *c)
{
	uint8_t bytes[REFRESH_BYTES];
	char *text = arena_alloc(c->arena, BASE64URL_LEN(REFRESH_BYTES) + 1);

	if (text == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return (struct slice){0};
	}
	rng_fill(c->app->rng, bytes, sizeof(bytes));
	base64url_encode_to(text, bytes, sizeof(bytes));
	crypto_wipe(bytes, sizeof(bytes));
	return slice_of(text, BASE64URL_LEN(REFRESH_BYTES));
}

static struct slice id_text(struct action *c, const struct id *id)
{
	char *text = arena_alloc(c->arena, ID_TEXT_LEN + 1);

	if (text == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return (struct slice){0};
	}
	id_format(text, id);
	return slice_of(text, ID_TEXT_LEN);
}

void session_open(struct action_events *e, const struct id *user, const struct caller *caller, const char *login_type,
    bool is_web, struct session *ret)
{
	struct action *c = e->c;
	int64_t now_ms = clock_wall_ms(c->app->clock);
	struct id id = id_ordered(c->app->rng, now_ms);
	struct event_session_opened data;

	logins_make_room(e, user, now_ms);
	*ret = (struct session){.id = id_text(c, &id), .user_id = id_text(c, user), .refresh_token = session_new_token(c),
	    .is_web = is_web, .expires_at_ms = now_ms + (int64_t)SESSION_IDLE_S * 1000};
	data = (struct event_session_opened){.session_id = ret->id, .user_id = ret->user_id,
	    .refresh_digest = token_digest(c, ret->refresh_token), .login_type = slice_str(login_type),
	    .client_type = is_web ? SLICE("web") : SLICE("app"), .expires_at_ms = ret->expires_at_ms,
	    .until_ms = now_ms + (int64_t)SESSION_LIFE_S * 1000, .ip = c->rq->address, .user_agent = caller->user_agent,
	    .device_info = caller->device_info, .device_id = caller->device_id, .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = ret->user_id}}};
	data.has_credentials_version = caller->has_credentials_version;
	data.credentials_version = caller->credentials_version;
	if (c->err == 0)
		action_event(e, EVENT_SESSION_OPENED, &data, user, NULL);
}

int sessions_end(struct action_events *e, struct slice user_id, struct slice but, const char *reason, size_t room)
{
	struct action *c = e->c;
	struct action_param of[] = {{"user", user_id, 0}, {"now", {0}, clock_wall_ms(c->app->clock)}};
	struct json_value rows, row;
	struct json_reader r;
	int rc = action_rows(c, "sessions_of_user", of, 2, &rows);

	if (rc != 0)
		return rc;
	assert(e->n == 0 && room < ACTION_EVENTS_MAX);
	json_enter(&r, rows);
	while (rc == 0 && json_next(&r, NULL, &row)) {
		struct event_session_closed data = {.session_id = row_text(c, row, "id"), .user_id = user_id,
		    .reason = slice_str(reason)};

		if (slice_eq(data.session_id, but))
			continue;
		if (e->n + room == ACTION_EVENTS_MAX) {
			rc = action_append(e);
			*e = (struct action_events){.c = c};
		}
		action_event(e, EVENT_SESSION_CLOSED, &data, NULL, NULL);
	}
	return rc;
}

bool session_is_recent(struct action *c)
{
	const struct principal *who = c->rq->principal;
	struct action_param of[] = {{"id", slice_str(who->session_id), 0}, {"user", slice_str(who->user_id), 0}};
	struct json_value row;
	int64_t now_ms;
	int rc;

	if (who->session_id[0] == '\0')
		return action_fail(c, 403, "forbidden", "Only who is signed in may do this.", "请先登录");
	rc = action_row(c, "session_opened", of, 2, &row);
	if (rc != 0)
		return action_fail_err(c, rc);
	now_ms = clock_wall_ms(c->app->clock);
	if (now_ms - row_i64(row, "openedAt") >= RECENT_MS)
		return action_fail(c, 403, "sign_in_again", "Sign in again: this log-in is too old for what is asked.",
		    "登录已超过12小时，请重新登录后再试");
	if (row_bool(row, "wasIdle") || now_ms - row_i64(row, "usedAt") >= IDLE_MS)
		return action_fail(c, 403, "sign_in_again", "Sign in again: this log-in was idle for half an hour since.",
		    "登录后曾超过30分钟未活动，请重新登录后再试");
	return true;
}

/* Max-Age 0 takes it away. */
static void put_cookie(struct action *c, struct slice token, int64_t age_s)
{
	action_header(c, "Set-Cookie", arena_printf(c->arena,
	    REFRESH_COOKIE "=%.*s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%lld", SLICE_ARG(token), (long long)age_s));
}

void session_clear_cookie(struct action *c)
{
	put_cookie(c, SLICE(""), 0);
}

void session_answer(struct action *c, int status, const struct session *s, struct slice name, struct slice roles_json)
{
	struct buf token = BUF_INIT(JWT_LEN_MAX);
	int64_t left_s = (s->expires_at_ms - clock_wall_ms(c->app->clock)) / 1000;
	int rc = tokens_issue(c->app->tokens, s->user_id, s->id, &token);
	struct json_writer w = action_answer(c, status);

	if (rc != 0) {
		buf_wipe(&token);
		action_fail_err(c, rc);
		return;
	}
	json_begin_object(&w);
	json_name(&w, "accessToken");
	json_put_string(&w, buf_slice(&token));
	json_name(&w, "expiresIn");
	json_put_i64(&w, TOKEN_LIFE_S);
	if (s->is_web) {
		put_cookie(c, s->refresh_token, left_s);
	} else {
		json_name(&w, "refreshToken");
		json_put_string(&w, s->refresh_token);
		json_name(&w, "refreshExpiresIn");
		json_put_i64(&w, left_s);
	}
	if (roles_json.len > 0) {
		json_name(&w, "user");
		json_begin_object(&w);
		json_name(&w, "id");
		json_put_string(&w, s->user_id);
		json_name(&w, "name");
		json_put_string(&w, name);
		json_name(&w, "roles");
		json_put_raw(&w, roles_json);
		json_end_object(&w);
	}
	json_end_object(&w);
	buf_wipe(&token);
}

bool session_token_of(struct action *c, struct slice in_body, struct slice *ret)
{
	struct slice cookies;

	*ret = in_body;
	if (in_body.len > 0)
		return true;
	http_request_field(c->rq, "cookie", &cookies);
	http_cookie(cookies, REFRESH_COOKIE, ret);
	if (ret->len == 0 || app_cookie_allowed(c->app, c->rq))
		return true;
	*ret = (struct slice){0};
	return foreign_origin(c);
}
