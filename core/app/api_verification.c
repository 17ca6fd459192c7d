/*
 * Asking for one-time codes and looking whether one is right (functional-spec
 * chapter 4): under /api/verification and /api/auth/otp as existing clients know
 * them, and the same under /api/v1.
 */
#include "app/api.h"
#include "app/codes.h"
#include "base/err.h"
#include "requests.gen.h"

static void run_send(struct action *c)
{
	struct request_code_send body;
	struct code_target target;
	struct caller caller;
	struct slice request_id, none = {0};
	struct json_writer w;

	if (!action_read(c, &schema_request_code_send, &body) ||
	    !code_target_read(c, body.target, body.country_code, &target) || !caller_read(c, none, none, &caller) ||
	    !code_request(c, code_purpose_of(body.type), &target, &caller, &request_id))
		return;
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "success");
	json_put_bool(&w, true);
	json_name(&w, "message");
	json_put_str(&w, target.is_phone ? "验证码已发送到手机" : "验证码已发送到邮箱");
	json_name(&w, "requestId");
	json_put_string(&w, request_id);
	json_name(&w, "expiresIn");
	json_put_i64(&w, CODE_LIFE_S);
	json_end_object(&w);
}

static void send_code(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_send);
}

/* It stays good for what it was asked for; a wrong one counts as a try. */
static void run_verify(struct action *c)
{
	struct request_code_verify body;
	struct code_target target;
	struct code_right right;
	struct json_writer w;
	int rc;

	if (!action_read(c, &schema_request_code_verify, &body) ||
	    !code_target_read(c, body.target, body.country_code, &target) || !code_text_check(c, body.code))
		return;
	rc = code_check(c, code_purpose_of(body.type), &target, body.request_id, body.code, &right);
	if (rc != 0 && rc != ERR_DENIED) {
		action_fail_err(c, rc);
		return;
	}
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "valid");
	json_put_bool(&w, rc == 0);
	json_name(&w, "message");
	json_put_str(&w, rc == 0 ? "验证码验证成功" : "验证码无效或已过期");
	json_end_object(&w);
}

static void verify_code(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_verify);
}

#define CODE_ROUTES(prefix) \
	{HTTP_POST, prefix "/send", send_code, .flags = ROUTE_PUBLIC | ROUTE_NO_ETAG, .request = &schema_request_code_send, \
	    .answer = "object", .tag = "verification", .summary = "Send a one-time code"}, \
	{HTTP_POST, prefix "/verify", verify_code, .flags = ROUTE_PUBLIC | ROUTE_NO_ETAG, \
	    .request = &schema_request_code_verify, .answer = "object", .tag = "verification", \
	    .summary = "Whether a code is right; it stays usable"}

const struct route api_verification_routes[] = {
	CODE_ROUTES("/api/verification"),
	CODE_ROUTES("/api/auth/otp"),
	CODE_ROUTES("/api/v1/verification"),
	CODE_ROUTES("/api/v1/auth/otp"),
	{0},
};
