/*
 * Runs a fuzz entry over files: its seeds and what once broke it. This is how
 * fuzz entries are part of every test run; finding new inputs needs clang and
 * -Dfuzz=true (see meson.build here).
 */
#include <dirent.h>
#include <stdio.h>

#include "base/io.h"

#define INPUT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		if (dir == NULL) {
			fprintf(stderr, "%s: cannot be read\n", argv[i]);
			return 1;
		}
		while ((entry = readdir(dir)) != NULL) {
			struct buf path = BUF_INIT(4096), input = BUF_INIT(INPUT_MAX);

			buf_printf(&path, "%s/%s", argv[i], entry->d_name);
			if (entry->d_name[0] != '.' && file_read(&input, path.ptr) == 0) {
				LLVMFuzzerTestOneInput((const uint8_t *)input.ptr, input.len);
				n++;
			}
			buf_finish(&path);
			buf_finish(&input);
		}
		closedir(dir);
	}
	printf("%u inputs\n", n);
	return n > 0 ? 0 : 1;
}
