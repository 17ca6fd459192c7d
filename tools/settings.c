/* Settings for commands that need a few of them, and for the service; `lulab config` shows them all. */
#include "settings.h"

#include <unistd.h>

#include "app/auth.h"
#include "base/io.h"

#define PATH_LEN_MAX 4096
#define TOKEN_LEN_MAX 4096

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

int settings_service_url(const struct invocation *in, const struct config *config, struct buf *url)
{
	struct slice to = slice_str(option_text(in, "to"));

	while (to.len > 0 && to.ptr[to.len - 1] == '/')
		to.len--;
	return to.len > 0 ? buf_append(url, to) : settings_url(config, url);
}

enum exit_status settings_admin_header(const struct invocation *in, struct buf *header)
{
	struct buf path = BUF_INIT(PATH_LEN_MAX), text = BUF_INIT(TOKEN_LEN_MAX);
	enum exit_status status = STATUS_OK;
	int rc = buf_printf(&path, "%s/" ADMIN_TOKEN_FILE, option_data_dir(in));

	if (rc == 0)
		rc = file_read(&text, path.ptr);
	if (rc == 0)
		rc = buf_printf(header, "Authorization: Bearer %.*s", SLICE_ARG(slice_trim(buf_slice(&text))));
	if (rc != 0)
		status = command_fail(in, STATUS_UNAUTHORISED, "cannot read the admin token %s: %s",
		    path.ptr == NULL ? ADMIN_TOKEN_FILE : path.ptr, err_text(rc));
	buf_wipe(&text);
	buf_finish(&path);
	return status;
}
