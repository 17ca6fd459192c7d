/* The calls of libcurl that can fail, for lib/failing.h. The linker's --wrap puts these before the library's own. */
#include <curl/curl.h>

#include "lib/failing.h"

/* Type, name, parameters, arguments; what it gives when it fails. */
#define CALL(type, name, params, args, failure)                                                    \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return failing_call(FAILING_LOOPS, #name, __builtin_return_address(0)) ? failure   \
		                                                                        : __real_##name args; \
	}

CALL(CURL *, curl_easy_init, (void), (), NULL)
CALL(CURLcode, curl_easy_perform, (CURL *curl), (curl), CURLE_OUT_OF_MEMORY)
CALL(struct curl_slist *, curl_slist_append, (struct curl_slist *list, const char *text), (list, text), NULL)
CALL(CURLU *, curl_url, (void), (), NULL)
CALL(CURLUcode, curl_url_set, (CURLU *parts, CURLUPart part, const char *text, unsigned flags), (parts, part, text, flags),
    CURLUE_OUT_OF_MEMORY)
