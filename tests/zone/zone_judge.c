/* Answers each line on stdin, "<zone> <instant>", with the span there: "begin end offset offset_before". See test_zones.py. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/zone.h"

int main(void)
{
	char name[128], last[128] = "";
	int64_t at;
	struct zone *z = NULL;

	while (scanf("%127s %" SCNd64, name, &at) == 2) {
		struct zone_span s;
		int rc = strcmp(name, last) == 0 ? 0 : ERR_NOT_FOUND;

		if (rc != 0) {
			zone_close(z);
			z = NULL;
			rc = zone_open(&z, NULL, slice_str(name));
			snprintf(last, sizeof(last), "%s", name);
		}
		if (rc != 0) {
			fprintf(stderr, "zone_judge: %s: %s\n", name, err_name(rc));
			return EXIT_FAILURE;
		}
		s = zone_span_at(z, at);
		printf("%" PRId64 " %" PRId64 " %d %d\n", s.begin_s, s.end_s, (int)s.offset_s, (int)s.offset_before_s);
	}
	zone_close(z);
	return EXIT_SUCCESS;
}
