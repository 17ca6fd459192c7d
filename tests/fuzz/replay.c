/*
 * Runs a fuzz entry over files: its seeds and what once broke it. This is how
 * fuzz entries are part of every test run; finding new inputs is run.py's.
 */
#include <dirent.h>
#include <stdio.h>

#include "base/io.h"
#include "fuzz.h"

#define INPUT_MAX ((size_t)1 << 20)

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
				char *copy = fuzz_copy(buf_slice(&input));

				LLVMFuzzerTestOneInput((const uint8_t *)copy, input.len);
				free(copy);
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
