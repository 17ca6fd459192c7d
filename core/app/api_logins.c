/* The log of log-ins (functional-spec 3.12), which nobody could read in the systems before. */
#include "app/api.h"
#include "app/api_list.h"
#include "app/auth.h"

static void list_logins(struct http_request *rq)
{
	api_list(rq, "logins", NULL, 0);
}

static const struct api_list_doc all_doc = {"logins", NULL}, own_doc = {"logins", "userId"};

static void list_own(struct http_request *rq)
{
	api_list_own(rq, "logins", own_doc.fixed);
}

const struct route api_logins_routes[] = {
	{HTTP_GET, "/api/v1/logins", list_logins, "users:read", .answer = "LoginList", .tag = "users",
	    .summary = "Who signed in or tried to", .extra = &all_doc},
	{HTTP_GET, "/api/v1/auth/logins", list_own, NULL, .answer = "LoginList", .tag = "auth",
	    .summary = "Tries to sign in as the caller", .extra = &own_doc},
	{0},
};
