/*
 * Memory for keys: locked where the system allows, left out of core dumps,
 * wiped when freed. A page or more at a time, so for tables of keys and for
 * the few long-lived ones, not for every small buffer.
 */
#ifndef LULAB_CRYPTO_SECRET_H
#define LULAB_CRYPTO_SECRET_H

#include <stddef.h>

/* Zeroed; NULL when there is none. Locking is tried and its failure (RLIMIT_MEMLOCK) accepted. */
void *secret_alloc(size_t size);
/* The size must be the one it was made with. NULL is fine. */
void secret_free(void *ptr, size_t size);

#endif
