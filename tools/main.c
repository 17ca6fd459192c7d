/*
 * lulab: one program for the service and for everything one does to it. The
 * list of commands is put together by tools/meson.build.
 */
#include "command.h"

extern const struct command *const lulab_commands[];

int main(int argc, char **argv)
{
	static const struct example examples[] = {
		{"lulab serve", "start the service on ./data and 127.0.0.1:3000"},
		{"lulab webhook send tencent --event meeting.started", "post a signed, encrypted sample"},
		{"lulab log tail -f", "watch events as they become durable"},
		{"lulab log verify", "prove that the log is whole and unchanged"},
		{"lulab doctor", "find out what is wrong, and how to mend it"},
		{0},
	};
	const struct command root = {
		.name = "lulab",
		.summary = "A meeting back end whose every fact can be proved",
		.description =
		    "Webhooks become events in an append-only log, the log is folded into read models, and "
		    "anyone holding the public key can check that nothing was changed or dropped.",
		.examples = examples,
		.commands = lulab_commands,
	};

	return command_main(&root, argc, argv);
}
