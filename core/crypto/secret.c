/* See secret.h. */
#include "crypto/secret.h"

#include <sys/mman.h>

#include "crypto/crypto.h"

void *secret_alloc(size_t size)
{
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ptr == MAP_FAILED)
		return NULL;
	mlock(ptr, size);
	madvise(ptr, size, MADV_DONTDUMP);
	return ptr;
}

void secret_free(void *ptr, size_t size)
{
	if (ptr == NULL)
		return;
	crypto_wipe(ptr, size);
	munmap(ptr, size);
}
