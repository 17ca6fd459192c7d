/* See setup.h. The page is for people, the POST behind it for anybody. */
#include <stdio.h>

#include "app/answer.h"
#include "app/api.h"
#include "app/accounts.h"
#include "app/roles.h"
#include "app/setup.h"
#include "app/users.h"
#include "base/err.h"
#include "requests.gen.h"

#define ONCE_SOURCE "setup"
#define PAGE_MAX 16384

int setup_offer(struct app *app, char ret_token[SETUP_TOKEN_LEN + 1])
{
	uint64_t size = eventlog_size(app->log), known;
	uint8_t bytes[SETUP_TOKEN_BYTES], once[ONCE_KEY_LEN];
	struct query q = {.def = query_find("counts_of_accounts"), .single = true, .has_min_position = size > 0,
	    .min_position = size - 1, .wait_ms = MIN_POSITION_WAIT_MS};
	struct slice token = slice_of(ret_token, SETUP_TOKEN_LEN);
	int rc;

	ret_token[0] = '\0';
	event_once_key(once, SLICE(ONCE_SOURCE), SLICE("completed"));
	if (eventlog_find_once(app->log, once, &known) == 0)
		return 0;
	rc = query_run(app->queries, &q);
	if (rc == 0 && row_i64(json_root(buf_slice(&q.out)), "admins") == 0) {
		rng_fill(app->rng, bytes, sizeof(bytes));
		base64url_encode_to(ret_token, bytes, sizeof(bytes));
		ret_token[SETUP_TOKEN_LEN] = '\0';
		sha256(app->setup.digest, &token, 1);
		app->setup.until_us = clock_wall_us(app->clock) + SETUP_LIFE_S * INT64_C(1000000);
		crypto_wipe(bytes, sizeof(bytes));
	}
	query_finish(&q);
	return rc;
}

/* ---- the first account --------------------------------------------------------------------------- */

static bool is_over(struct action *c)
{
	return action_fail(c, 410, "set_up", "The first account was made already; sign in, or ask whoever has it.",
	    "系统已完成初始化");
}

/* The time it takes tells nothing of the token. */
static bool check_token(struct action *c, struct slice token)
{
	const struct setup *s = &c->app->setup;
	uint8_t digest[SHA256_LEN];

	sha256(digest, &token, 1);
	if (s->until_us == 0 || !crypto_equal(slice_of(digest, SHA256_LEN), slice_of(s->digest, SHA256_LEN)))
		return action_fail(c, 403, "invalid_token",
		    "This is not the link of this start: the newest one is where the service was started.", "初始化链接无效");
	if (clock_wall_us(c->app->clock) >= s->until_us)
		return action_fail(c, 410, "expired", "This link has expired; start the service again for a new one.",
		    "初始化链接已过期");
	return true;
}

static bool check_open(struct action *c)
{
	struct json_value counts;
	uint8_t once[ONCE_KEY_LEN];
	uint64_t known;
	int rc;

	event_once_key(once, SLICE(ONCE_SOURCE), SLICE("completed"));
	if (eventlog_find_once(c->app->log, once, &known) == 0)
		return is_over(c);
	rc = action_row(c, "counts_of_accounts", NULL, 0, &counts);
	if (rc != 0)
		return action_fail_err(c, rc);
	return row_i64(counts, "admins") == 0 || is_over(c);
}

static bool read_account(struct action *c, const struct request_setup *body, struct account_new *n)
{
	*n = (struct account_new){.display_name = body->display_name, .role = system_role_find(SLICE(ROLE_SUPER_ADMIN)),
	    .how = "FIRST_START", .once = ONCE_SOURCE};
	if (!account_names_read(c, body->username, body->email, body->country_code, body->phone, &n->names))
		return false;
	if (n->names.username_key.len == 0 && n->names.email_key.len == 0)
		return action_fail(c, 400, "invalid", "The first account needs a user name or a mail address.",
		    "请提供用户名或邮箱");
	return account_new_password(c, n, body->password);
}

static void answer(struct action *c, const struct account_new *n)
{
	struct json_writer w = action_answer(c, 201);

	json_begin_object(&w);
	json_name(&w, "id");
	json_put_string(&w, n->user_text);
	json_name(&w, "roles");
	json_begin_array(&w);
	json_put_str(&w, n->role->code);
	json_end_array(&w);
	json_end_object(&w);
}

static void run_setup(struct action *c)
{
	struct request_setup body;
	struct account_new n;
	struct action_events e = {.c = c};
	struct event_meta meta = action_meta(c);
	struct event_setup_completed data;
	int rc;

	if (!action_read(c, &schema_request_setup, &body) || !check_token(c, body.token) || !check_open(c) ||
	    !read_account(c, &body, &n))
		return;
	rc = account_new_add(&e, &n);
	if (rc == 0) {
		data = (struct event_setup_completed){.user_id = n.user_text};
		meta.has_once = true;
		event_once_key(meta.once, SLICE(ONCE_SOURCE), SLICE("completed"));
		action_event(&e, EVENT_SETUP_COMPLETED, &data, NULL, &meta);
		rc = action_append(&e);
	}
	if (rc == ERR_TAKEN)
		account_new_taken(c, e.append.claim_taken);
	else if (rc != 0)
		action_fail_err(c, rc);
	else if (e.append.duplicate) /* somebody else was quicker with the same link */
		is_over(c);
	else
		answer(c, &n);
}

static void setup(struct http_request *rq)
{
	action_start(rq, ACTION_HASHING, run_setup);
}

/* ---- the page -------------------------------------------------------------------------------------- */

/* The token is behind the # of the link: browsers send that to nobody, and take it out of the history here. */
static const char script[] =
    "const $=i=>document.getElementById(i),token=location.hash.slice(1);history.replaceState(null,'','/setup');"
    "const say=(t,bad)=>{$('say').textContent=t;$('say').className=bad?'bad':'';};"
    "if(!token)say('Open the whole link that the service printed: the part behind # is missing.',true);"
    "$('form').addEventListener('submit',async e=>{e.preventDefault();"
    "const v=i=>$(i).value.trim()||null;"
    "if($('password').value!==$('again').value)return say('The two passwords are not the same.',true);"
    "$('go').disabled=true;say('One moment \\u2026');"
    "try{const r=await fetch('/api/v1/setup',{method:'POST',credentials:'omit',headers:{'Content-Type':'application/json'},"
    "body:JSON.stringify({token,username:v('username'),email:v('email'),password:$('password').value})});"
    "const a=await r.json();"
    "if(r.ok){$('form').hidden=true;say('Done. You can sign in as '+(v('username')||v('email'))+' now.');return;}"
    "say((a.detail||'That did not work.')+' '+(a.errors||[]).map(x=>x.path+' '+x.message).join('; '),true);"
    "}catch(x){say('The service cannot be reached.',true);}$('go').disabled=false;});";

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 1rem;color:#222;background:#fafafa}"
    "h1{font-size:1.5rem}label{display:block;margin:.8rem 0}input{display:block;width:100%;box-sizing:border-box;"
    "font:inherit;padding:.5rem;border:1px solid #bbb;border-radius:.4rem}button{font:inherit;padding:.6rem 1.2rem;border:0;"
    "border-radius:.4rem;background:#1a5fb4;color:#fff}button:disabled{opacity:.5}.bad{color:#a51d2d}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#1e1e1e}input{background:#2a2a2a;color:#ddd;border-color:#555}"
    ".bad{color:#f66151}}";

static const char page[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Set up lulab</title>"
    "<meta name=\"viewport\" content=\"width=device-width\"><style>%s</style></head><body><main><h1>Welcome to lulab</h1>"
    "<p>Nobody has an account here yet. This makes yours; it may do everything.</p>"
    "<form id=\"form\"><label>User name<input id=\"username\" autocomplete=\"username\" autofocus required minlength=\"3\" "
    "maxlength=\"50\" pattern=\"[A-Za-z0-9_]+\"></label><label>Mail address (not needed)<input id=\"email\" type=\"email\" "
    "autocomplete=\"email\"></label><label>Password, at least 12 characters<input id=\"password\" type=\"password\" "
    "autocomplete=\"new-password\" required minlength=\"12\" maxlength=\"128\"></label><label>The same again<input id=\"again\" "
    "type=\"password\" autocomplete=\"new-password\" required></label><button id=\"go\">Make the account</button></form>"
    "<p id=\"say\" role=\"status\"></p></main><script>%s</script></body></html>\n";

/* What this page may do, and nothing else: these very texts. */
static const char *policy_of_page(struct arena *arena)
{
	char hashes[2][BASE64_LEN(SHA256_LEN) + 1];
	const char *const texts[2] = {script, style};

	for (size_t i = 0; i < 2; i++) {
		uint8_t digest[SHA256_LEN];
		struct slice text = slice_str(texts[i]);

		sha256(digest, &text, 1);
		base64_encode_to(hashes[i], digest, SHA256_LEN);
		hashes[i][BASE64_LEN(SHA256_LEN)] = '\0';
	}
	return arena_printf(arena, "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; connect-src 'self'; "
	    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'", hashes[0], hashes[1]);
}

static void show_page(struct http_request *rq)
{
	struct buf out = BUF_INIT(PAGE_MAX);
	const char *policy = policy_of_page(rq->arena);

	if (policy == NULL || buf_printf(&out, page, style, script) != 0) {
		buf_finish(&out);
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	http_header(rq, "Content-Security-Policy", slice_str(policy));
	http_header(rq, "Cache-Control", SLICE("no-store"));
	http_respond(rq, 200, "text/html; charset=utf-8", &out);
}

const struct route api_setup_routes[] = {
	{HTTP_GET, "/setup", show_page, .flags = ROUTE_PUBLIC | ROUTE_NO_ETAG, .answer = "text", .tag = "setup",
	    .summary = "The page of the link that the first start prints"},
	{HTTP_POST, "/api/v1/setup", setup, .flags = ROUTE_PUBLIC | ROUTE_NO_ETAG, .request = &schema_request_setup,
	    .answer = "object", .success = "201", .tag = "setup", .summary = "Make the first account with the token of that link"},
	{0},
};
