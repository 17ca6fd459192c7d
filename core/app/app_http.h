/* The server's hooks and options: how the app meets net/http.h. */
#ifndef LULAB_APP_APP_HTTP_H
#define LULAB_APP_APP_HTTP_H

#include "app/app.h"

/* Listens. *problem gets a sentence on failure. */
int app_http_start(struct app *app, struct buf *problem);

/* Compiles the patterns of CORS_ORIGIN_REGEXES; ERR_CONFIG names the bad one. app_cors_finish() in any case. */
int app_cors_init(struct app *app, struct buf *problem);
void app_cors_finish(struct app *app);

/*
 * May a request that is known by its cookie alone change something? Its page says where it is from, and that is here,
 * or an origin named in CORS_ORIGINS or CORS_ORIGIN_REGEXES with CORS_CREDENTIALS; and its body is of a type that pages elsewhere
 * cannot send without asking. Any thread.
 */
bool app_cookie_allowed(const struct app *app, const struct http_request *rq);

/* The tables of the API, closed by NULL; adapters bring their own. */
extern const struct route *const api_tables[];

/* Resident memory of this process and what it may use at most (budget, control group or machine), bytes; 0 = unknown. */
void app_memory(const struct app *app, uint64_t *ret_used, uint64_t *ret_limit);

/* Appends the metrics of effects; metrics_effects.c. */
void metrics_effects(struct buf *out, struct app *app);

#endif
