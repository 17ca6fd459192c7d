/* The commands below `lulab webhook`; tools/cmd_webhook.c names them. */
#ifndef LULAB_TOOLS_WEBHOOK_H
#define LULAB_TOOLS_WEBHOOK_H

#include "command.h"
#include "webhook_vendor.h"

struct config;

extern const struct command cmd_webhook_send, cmd_webhook_list, cmd_webhook_explain;

/* Options of send and explain: the secrets, where they are not those of the settings. */
#define OPTION_TOKEN \
	{.name = "token", .kind = OPTION_TEXT, .value = "TOKEN", \
	 .summary = "the webhook's token (default: TENCENT_MEETING_TOKEN; LARK_EVENT_VERIFICATION_TOKEN)"}
#define OPTION_AES_KEY \
	{.name = "aes-key", .kind = OPTION_TEXT, .value = "KEY", \
	 .summary = "its EncodingAESKey or Encrypt Key, \"\" for none (default: TENCENT_MEETING_ENCODING_AES_KEY; " \
	            "LARK_EVENT_ENCRYPT_KEY)"}

/* The secrets of the options, else of the settings; borrowed from both. */
struct webhook_secrets webhook_secrets_of(const struct invocation *in, const struct webhook_vendor *vendor,
    const struct config *config);

#endif
