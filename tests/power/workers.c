/* See workers.h. */
#include "workers.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "look.h"
#include "store/log_guard.h"

#define CHUNK 16 /* prefixes a worker takes at once */
#define HANGS_AFTER_US 30000000
#define TELLS_EVERY_US 30000000
#define LOOKS_EVERY_US 10000

/* Between the processes. */
struct shares {
	_Atomic uint32_t next_prefix;
	struct worker {
		struct looking_at at;
		_Atomic uint32_t chunk_end;
	} workers[JOBS_MAX];
};

/* Of the process that starts them. */
struct workers {
	struct run *run;
	struct shares *shares;
	pid_t pids[JOBS_MAX]; /* 0: has ended, and nobody took its place */
	unsigned running;
};

/* Where a worker begins: with the state behind the one that the worker before it died of; all 0: with a share of its own. */
struct resume {
	uint32_t prefix, end;
	uint64_t number;
};

/* ---- in a worker -------------------------------------------------------------------- */

static void work(struct run *run, struct shares *shares, unsigned number, struct resume resume)
{
	static struct look l;
	struct worker *w = &shares->workers[number];
	char dir[PATH_MAX + 32];
	uint32_t at = resume.prefix, end = resume.end;

	snprintf(dir, sizeof(dir), "%s/w%u", run->base, number);
	tree_remove(dir); /* of one that died */
	l = (struct look){.run = run, .at = &w->at, .disk = disk_open(run->trace),
	    .judge = judge_create(&run->reference, run->known), .ground = {.dir = dir}};
	if (l.disk == NULL)
		exit(1);
	while (!atomic_load(&run->found->stop)) {
		if (at >= end) {
			at = atomic_fetch_add(&shares->next_prefix, CHUNK);
			end = at + CHUNK;
			atomic_store(&w->chunk_end, end);
		}
		if (at > disk_ops(l.disk) || at > run->to)
			break;
		disk_step_to(l.disk, at);
		look_at_states(&l, at == resume.prefix ? resume.number : 0);
		at++;
	}
	tree_remove(dir);
	exit(0);
}

/* ---- in the process that starts them -------------------------------------------------- */

static void start_worker(struct workers *w, unsigned number, struct resume resume)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		work(w->run, w->shares, number, resume);
	w->pids[number] = pid;
}

static void on_end(struct workers *w, unsigned i, int status)
{
	struct worker *worker = &w->shares->workers[i];
	uint32_t prefix = atomic_load(&worker->at.prefix);
	uint64_t number = atomic_load(&worker->at.number);
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	bool guarded = WIFEXITED(status) && WEXITSTATUS(status) == LOG_STATUS_DAMAGED;

	if (!well) {
		if ((WIFEXITED(status) && !guarded) || prefix == 0) {
			fprintf(stderr, "power: a worker failed\n");
			exit(1);
		}
		run_violation(w->run, prefix, number, guarded ? "the log's guard ends the program" :
		    WTERMSIG(status) == SIGKILL ? "it hangs" : "the program dies of it");
	}
	if (well || atomic_load(&w->run->found->stop)) {
		w->pids[i] = 0;
		w->running--;
		return;
	}
	start_worker(w, i, (struct resume){prefix, atomic_load(&worker->chunk_end), number + 1});
}

static void kill_what_hangs(struct workers *w)
{
	int64_t now_us = clock_monotonic_us(&clock_system);

	for (unsigned i = 0; i < w->run->jobs; i++) {
		struct looking_at *at = &w->shares->workers[i].at;

		if (w->pids[i] > 0 && atomic_load(&at->prefix) != 0 && now_us - atomic_load(&at->since_us) > HANGS_AFTER_US)
			kill(w->pids[i], SIGKILL);
	}
}

void workers_run(struct run *run)
{
	struct workers w = {.run = run, .running = run->jobs, .shares = run_shared_memory(sizeof(*w.shares))};
	int64_t began_us = clock_monotonic_us(&clock_system), told_us = began_us;

	atomic_store(&w.shares->next_prefix, run->from);
	for (unsigned i = 0; i < run->jobs; i++)
		start_worker(&w, i, (struct resume){0});
	while (w.running > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		int64_t now_us = clock_monotonic_us(&clock_system);

		for (unsigned i = 0; pid > 0 && i < run->jobs; i++)
			if (w.pids[i] == pid) {
				on_end(&w, i, status);
				break;
			}
		kill_what_hangs(&w);
		if (pid == 0)
			usleep(LOOKS_EVERY_US);
		if (now_us - told_us > TELLS_EVERY_US) {
			told_us = now_us;
			run_report_progress(run, now_us - began_us);
		}
	}
}
