/* The calls of libcurl that can fail, for lib/failing.h. The linker's --wrap puts these before the library's own. */
#include <curl/curl.h>

#include "lib/failing.h"

#define CALL(type, name, params, args, failure) FAILING_CALL(FAILING_LOOPS, type, name, params, args, failure)

CALL(CURL *, curl_easy_init, (void), (), NULL)
CALL(CURLcode, curl_easy_perform, (CURL *curl), (curl), CURLE_OUT_OF_MEMORY)
CALL(struct curl_slist *, curl_slist_append, (struct curl_slist *list, const char *text), (list, text), NULL)
CALL(CURLU *, curl_url, (void), (), NULL)
CALL(CURLUcode, curl_url_set, (CURLU *parts, CURLUPart part, const char *text, unsigned flags), (parts, part, text, flags),
    CURLUE_OUT_OF_MEMORY)
