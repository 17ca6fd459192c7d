/* What the services of this program (`serve`, `witness serve`) set up before anything else. */
#ifndef LULAB_TOOLS_PROCESS_H
#define LULAB_TOOLS_PROCESS_H

/*
 * For a process that will hold keys: no core dumps, no other process of this user
 * looking in (integrity.md section 12); log lines for people when stderr is a terminal. Before any key is read.
 */
void process_prepare(void);

#endif
