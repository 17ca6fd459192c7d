/*
 * The object store by hand, for tests that kill and measure it: configured by the environment, one verb a run.
 *
 *     object_driver DATA put KEY UPLOAD FILE          {"rc":..., "size":..., "sha256":..., "id":..., "key":...}
 *     object_driver DATA fetch KEY UPLOAD URL [SIZE]  likewise; SIZE as the vendor would tell it
 *     object_driver DATA get KEY FILE [FROM LEN]      the bytes into a file
 *     object_driver DATA head|remove|abandon|presign KEY
 *
 * It ends with 0 when rc is 0, else with 1. "rss_kib" is the most memory it had.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/object_private.h"
#include "app/config.h"
#include "base/err.h"
#include "net/http_client.h"

extern char **environ;

static int to_file(void *arg, struct slice bytes)
{
	return fwrite(bytes.ptr, 1, bytes.len, arg) == bytes.len ? 0 : 1;
}

static int get(struct object_call *o, char **argv, int argc)
{
	FILE *f = fopen(argv[4], "wb");
	uint64_t from = argc > 6 ? strtoull(argv[5], NULL, 10) : 0, len = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
	int rc;

	if (f == NULL)
		return ERR_IO;
	rc = object_get(o, slice_str(argv[3]), from, len, to_file, f);
	fclose(f);
	return rc;
}

static int act(struct object_call *o, int argc, char **argv)
{
	const char *verb = argv[2], *url = NULL;
	struct object_put put = {.key = slice_str(argv[3]), .content_type = SLICE("video/mp4"), .upload = argc > 4 ? argv[4] : ""};
	struct object_source source = {.url = argc > 5 ? argv[5] : "", .size = argc > 6 ? strtoull(argv[6], NULL, 10) : 0};
	struct object_stored stored = {.size = 0};
	struct object_head head = {0};
	struct object_link link = {.expires_s = 60, .file_name = SLICE("a file.mp4")};
	int rc = ERR_INVALID;

	if (strcmp(verb, "put") == 0)
		rc = object_put_file(o, &put, argv[5], &stored);
	else if (strcmp(verb, "fetch") == 0)
		rc = object_put_from_url(o, &put, &source, &stored);
	else if (strcmp(verb, "get") == 0)
		rc = get(o, argv, argc);
	else if (strcmp(verb, "head") == 0)
		rc = object_head(o, put.key, &head);
	else if (strcmp(verb, "remove") == 0)
		rc = object_remove(o, put.key);
	else if (strcmp(verb, "abandon") == 0)
		rc = object_put_abandon(o, argv[3]);
	else if (strcmp(verb, "presign") == 0)
		rc = object_presign(o, put.key, &link, &url);
	printf("{\"rc\":\"%s\",\"size\":%" PRIu64 ",\"sha256\":\"%s\",\"id\":\"%s\",\"url\":\"%s\",\"message\":\"%s\",\"of_source\":%s,",
	    err_name(rc), stored.size + head.size, stored.sha256, stored.id, url == NULL ? "" : url,
	    o->message == NULL ? "" : o->message, o->of_source ? "true" : "false");
	return rc;
}

/* Not getrusage()'s, which counts what this process was before exec. */
static long memory_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	if (f != NULL)
		fclose(f);
	return kib;
}

int main(int argc, char **argv)
{
	struct config_loaded config;
	struct object_stores stores;
	struct arena arena = ARENA_INIT((size_t)16 << 20);
	struct object_call o = {.arena = &arena, .clock = &clock_system};
	int rc = ERR_INVALID;

	if (argc < 4 || crypto_init() != 0 ||
	    config_load(&config, &(struct config_sources){.environment = (const char *const *)environ, .env_file = ""}) != 0)
		return 2;
	if (object_stores_open(&stores, &config.values, argv[1]) != 0 || stores.current == NULL ||
	    http_client_create(&o.http) != 0) {
		fprintf(stderr, "%s\n", stores.unready == NULL ? "no memory" : stores.unready);
		return 2;
	}
	o.store = stores.current;
	rc = act(&o, argc, argv);
	printf("\"rss_kib\":%ld}\n", memory_kib());
	http_client_destroy(o.http);
	object_stores_close(&stores);
	config_finish(&config);
	arena_finish(&arena);
	return rc == 0 ? 0 : 1;
}
