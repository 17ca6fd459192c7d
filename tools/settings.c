/* Settings for commands that need a few of them; `lulab config` shows them all. */
#include "settings.h"

#include <unistd.h>

enum exit_status settings_load(const struct invocation *in, struct config_loaded *ret)
{
	struct config_sources sources = {.environment = (const char *const *)environ};
	int rc = config_load(ret, &sources);

	for (size_t i = 0; rc == ERR_INVALID && i < ret->problems.n; i++)
		command_note(in, "%s: %s", ret->problems.items[i].path, ret->problems.items[i].message);
	if (rc == ERR_INVALID)
		return command_fail(in, STATUS_FAILED, "the settings have mistakes; lulab config check tells more");
	return rc == 0 ? STATUS_OK : command_fail_err(in, rc, "cannot read the settings");
}
