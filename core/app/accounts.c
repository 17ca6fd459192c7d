/* See accounts.h. */
#include "app/accounts.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "app/app_http.h"
#include "app/login_watch.h"
#include "app/tokens.h"
#include "base/codec.h"
#include "base/err.h"

#define REFRESH_BYTES 32

static struct slice encode_digest(struct action *c, const uint8_t digest[32])
{
	char *text = arena_alloc(c->arena, DIGEST_TEXT_LEN + 1);

	if (text == NULL)
		return (struct slice){0};
	base64url_encode_to(text, digest, 32);
	return slice_of(text, DIGEST_TEXT_LEN);
}

struct slice account_digest(struct action *c, const char *kind, struct slice value)
{
	const char *text = arena_printf(c->arena, "%s:%.*s", kind, SLICE_ARG(value));
	uint8_t digest[SHA256_LEN];

	if (text == NULL)
		return (struct slice){0};
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

static bool read_name(struct action *c, int rc, struct said why)
{
	if (rc == 0)
		return true;
	return rc == ERR_INVALID ? action_fail_said(c, 400, "invalid", why) : action_fail_err(c, rc);
}

bool account_names_read(struct action *c, struct slice username, struct slice email, struct slice country_code,
    struct slice phone, struct account_names *ret)
{
	struct said why = {0};

	*ret = (struct account_names){0};
	if (username.len > 0) {
		ret->username = username;
		if (!read_name(c, account_username(username, c->arena, &ret->username_key, &why), why))
			return false;
	}
	if (email.len > 0) {
		ret->email = slice_trim(email);
		if (!read_name(c, account_email(email, c->arena, &ret->email_key, &why), why))
			return false;
	}
	if (phone.len > 0) {
		if (!read_name(c, account_phone(country_code, phone, c->arena, &ret->phone_key, &why), why))
			return false;
		ret->phone = ret->phone_key;
		ret->country_code = country_code.len > 0 ? country_code : SLICE(COUNTRY_CODE_DEFAULT);
	}
	return true;
}

/* ---- where from ---------------------------------------------------------------------- */

/* /24 of IPv4, /56 of IPv6 (integrity.md 20). */
static struct slice network_of(struct action *c, struct slice address)
{
	unsigned char bytes[16];
	const char *text = arena_printf(c->arena, "%.*s", SLICE_ARG(address));

	if (text == NULL)
		return (struct slice){0};
	if (inet_pton(AF_INET, text, bytes) == 1)
		return slice_str(arena_printf(c->arena, "%u.%u.%u", bytes[0], bytes[1], bytes[2]));
	if (inet_pton(AF_INET6, text, bytes) == 1)
		return slice_str(arena_printf(c->arena, "%02x%02x:%02x%02x:%02x%02x:%02x", bytes[0], bytes[1], bytes[2],
		    bytes[3], bytes[4], bytes[5], bytes[6]));
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
	if (ret->address_digest.ptr == NULL || ret->network_digest.ptr == NULL)
		return action_fail_err(c, ERR_NOMEM);
	return true;
}

/* ---- sessions -------------------------------------------------------------------------- */

struct slice session_new_token(struct action *c)
{
	uint8_t bytes[REFRESH_BYTES];
	char *text = arena_alloc(c->arena, BASE64URL_LEN(REFRESH_BYTES) + 1);

	if (text == NULL)
		return (struct slice){0};
	rng_fill(c->app->rng, bytes, sizeof(bytes));
	base64url_encode_to(text, bytes, sizeof(bytes));
	crypto_wipe(bytes, sizeof(bytes));
	return slice_of(text, BASE64URL_LEN(REFRESH_BYTES));
}

static struct slice id_text(struct action *c, const struct id *id)
{
	char *text = arena_alloc(c->arena, ID_TEXT_LEN + 1);

	if (text == NULL)
		return (struct slice){0};
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
	if (ret->id.ptr == NULL || ret->user_id.ptr == NULL || ret->refresh_token.ptr == NULL)
		e->rc = ERR_NOMEM;
	else
		action_event(e, EVENT_SESSION_OPENED, &data, user, NULL);
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
	struct slice cookies, pair, name, value;

	*ret = in_body;
	if (in_body.len > 0)
		return true;
	http_request_field(c->rq, "cookie", &cookies);
	while (cookies.len > 0) {
		slice_cut(cookies, ';', &pair, &cookies);
		if (slice_cut(slice_trim(pair), '=', &name, &value) && slice_is(name, REFRESH_COOKIE))
			*ret = value;
	}
	if (ret->len == 0 || app_cookie_allowed(c->app, c->rq))
		return true;
	*ret = (struct slice){0};
	return action_fail(c, 403, "foreign_origin", "With a cookie, the header Origin must name this server or an origin that it "
	    "trusts with cookies, and the body must be application/json.", "来源不受信任");
}
