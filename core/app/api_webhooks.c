/* The inbox: what came in by webhook and what became of it. */
#include "app/api.h"
#include "app/api_list.h"

static void list_webhooks(struct http_request *rq)
{
	api_list(rq, "webhooks", NULL, 0);
}

static void get_webhook(struct http_request *rq)
{
	api_one(rq, "webhook_by_id", http_request_param(rq, "id"),
	    "There is no delivery with this id; GET /api/v1/webhooks lists those there are.", false);
}

static const struct api_list_doc webhooks_doc = {"webhooks", NULL};

const struct route api_webhooks_routes[] = {
	{HTTP_GET, "/api/v1/webhooks", list_webhooks, "webhooks:read", .answer = "WebhookList", .tag = "webhooks",
	    .summary = "Deliveries: arrival, verdict, event, repeats, refusals", .extra = &webhooks_doc},
	{HTTP_GET, "/api/v1/webhooks/{id}", get_webhook, "webhooks:read", .answer = "Webhook", .tag = "webhooks",
	    .summary = "One delivery"},
	{0},
};
