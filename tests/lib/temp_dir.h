/*
 * A directory for the time of a test. In memory where there is such a file system: what a test is about is seldom the
 * disk, and syncs cost nothing there.
 */
#ifndef LULAB_TESTS_TEMP_DIR_H
#define LULAB_TESTS_TEMP_DIR_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"

#define TEMP_DIR_LEN 64

static inline void temp_dir_under(char ret[TEMP_DIR_LEN], const char *parent, const char *name)
{
	ck_assert_int_lt(snprintf(ret, TEMP_DIR_LEN, "%s/lulab-%s-XXXXXX", parent, name), TEMP_DIR_LEN);
	ck_assert_ptr_nonnull(mkdtemp(ret));
}

/* "/dev/shm/lulab-<name>-......", or in /tmp. */
static inline void temp_dir_make(char ret[TEMP_DIR_LEN], const char *name)
{
	temp_dir_under(ret, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
}

/* For what memory does not do: sectors, syncs, room that ends. */
static inline void temp_dir_make_on_disk(char ret[TEMP_DIR_LEN], const char *name)
{
	temp_dir_under(ret, "/tmp", name);
}

/* With all that is in it. */
static inline void temp_dir_remove(const char *dir)
{
	ck_assert_int_eq(tree_remove(dir), 0);
}

#endif
