/* Settings for commands that need a few of them, and for the service; `lulab config` shows them all. */
#include "settings.h"

#include <unistd.h>

enum exit_status settings_load(const struct invocation *in, const struct config_sources *sources,
    struct config_loaded *ret)
{
	struct config_sources usual = {.environment = (const char *const *)environ};
	int rc = config_load(ret, sources == NULL ? &usual : sources);

	for (size_t i = 0; rc == ERR_INVALID && i < ret->problems.n; i++)
		command_note(in, "%s: %s", ret->problems.items[i].path, ret->problems.items[i].message);
	if (rc == ERR_INVALID)
		return command_fail(in, STATUS_USAGE, "the settings have mistakes; lulab config check tells more");
	if (rc != 0)
		return command_fail_err(in, rc, "cannot read the settings");
	for (size_t i = 0; i < ret->remarks.n; i++)
		if (strcmp(ret->remarks.items[i].code, "unknown") == 0)
			command_note(in, "%s: %s", ret->remarks.items[i].path, ret->remarks.items[i].message);
	return STATUS_OK;
}

int settings_url(const struct config *config, struct buf *url)
{
	static const struct {
		struct slice everywhere, here;
	} wildcards[] = {{SLICE_INIT("0.0.0.0:"), SLICE_INIT("127.0.0.1:")}, {SLICE_INIT("[::]:"), SLICE_INIT("[::1]:")}};
	struct arena a = ARENA_INIT(4096);
	struct slice listen = slice_str(config_listen(config, &a));

	buf_append_str(url, config->tls_cert.len == 0 ? "http://" : "https://");
	for (size_t i = 0; i < sizeof(wildcards) / sizeof(wildcards[0]); i++) {
		if (!slice_starts_with(listen, wildcards[i].everywhere))
			continue;
		buf_append(url, wildcards[i].here);
		listen = slice_of(listen.ptr + wildcards[i].everywhere.len, listen.len - wildcards[i].everywhere.len);
	}
	if (listen.ptr == NULL)
		url->rc = ERR_NOMEM;
	buf_append(url, listen);
	arena_finish(&a);
	return url->rc;
}
