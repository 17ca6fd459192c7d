/*
 * What differs between the vendors that `lulab webhook` plays and explains. To add one: a struct webhook_vendor, named
 * in webhook_vendor.c, and samples in examples/webhooks.
 */
#ifndef LULAB_TOOLS_WEBHOOK_VENDOR_H
#define LULAB_TOOLS_WEBHOOK_VENDOR_H

#include "base/buf.h"
#include "base/id.h"
#include "webhook_explain.h"

struct cJSON;
struct config;

/* One request as it travels. */
struct webhook_post {
	struct {
		const char *name; /* NULL: there are no more */
		char value[80];
	} headers[4];
	struct buf body;
};

struct webhook_vendor {
	const char *name;       /* "tencent", as arguments and samples have it */
	const char *alias;      /* may be NULL */
	const char *title;      /* "Tencent Meeting" */
	const char *path;       /* of the webhook, without the first slash */
	const char *first;      /* the sample that is sent when none is asked for */
	const char *no_secrets; /* what to set; said when secrets_fit() finds none */
	const char *bad_secret; /* what is wrong with one that cannot be; may be NULL when none can */

	struct webhook_secrets (*secrets_of)(const struct config *config);
	/* 0; ERR_NOT_FOUND: there are none; ERR_INVALID: one cannot be. */
	int (*secrets_fit)(const struct webhook_secrets *s);

	/* A new id, at most 32 characters, and the present time. */
	int (*freshen)(struct cJSON *event, const char *id, int64_t now_ms);
	/* By which it is found again; "" when it has none. */
	const char *(*id_of)(const struct cJSON *event);
	/* What the vendor puts in whatever else is wanted; may be NULL. */
	int (*complete)(struct cJSON *event, const struct webhook_secrets *s);
	/* `plain`, which is the event as text, encrypted and signed now. The body is the caller's to finish, also after a failure. */
	int (*make)(const struct webhook_secrets *s, const struct cJSON *event, struct slice plain, struct webhook_post *ret);

	/* See webhook_explain(). */
	int (*explain)(const struct webhook_request *request, const struct webhook_secrets *secrets, int64_t now_ms,
	    struct arena *a, struct explanation *ret);
};

extern const struct webhook_vendor webhook_tencent, webhook_feishu;

/* NULL ends them. */
extern const struct webhook_vendor *const webhook_vendors[];

/* NULL: nobody is called so. */
const struct webhook_vendor *webhook_vendor_find(const char *name);

#endif
