/*
 * The trace: everything a run asked of its disk, in the order in which it took
 * effect, and what it told the world. Written by recorder.c, read by disk.c.
 *
 * One record after another: struct trace_op, then `len` bytes. Files and
 * directories are known by inode number; a TRACE_CREATE or TRACE_MKDIR of a number
 * seen before is a new file that got an old one's.
 *
 *     OP        INO          OFFSET       ARG          BYTES
 *     ROOT      directory    -            -            -           first of all: the directory that is watched
 *     CREATE    new file     directory    -            name
 *     MKDIR     new one      directory    -            name
 *     WRITE     file         where        sync or 0    what
 *     TRUNCATE  file         -            new size     -
 *     BEGIN     file or dir  -            sync         -           a sync was asked for
 *     END       -            -            sync         -           and has returned; of a WRITE, its own
 *     RENAME    what         from dir     to dir       from, NUL, to
 *     LINK      what         directory    -            name
 *     UNLINK    what         directory    -            name        also of a directory
 *     MAPPED    file         -            -            -           mapped to be written: its content is anyone's
 *     ANSWER    -            -            -            the bytes of an HTTP answer, before they are sent
 *     START     -            -            -            -           a process begins
 *
 * A sync covers what is recorded before its BEGIN and is in force from its END
 * on. A WRITE with a sync number went through a descriptor opened O_DSYNC.
 */
#ifndef LULAB_TESTS_POWER_TRACE_H
#define LULAB_TESTS_POWER_TRACE_H

#include <stdint.h>

enum trace_kind {
	TRACE_ROOT = 1,
	TRACE_CREATE,
	TRACE_MKDIR,
	TRACE_WRITE,
	TRACE_TRUNCATE,
	TRACE_BEGIN,
	TRACE_END,
	TRACE_RENAME,
	TRACE_LINK,
	TRACE_UNLINK,
	TRACE_MAPPED,
	TRACE_ANSWER,
	TRACE_START,
	TRACE_KINDS,
};

struct trace_op {
	uint32_t kind;
	uint32_t len;
	uint64_t ino, offset, arg;
};

#endif
