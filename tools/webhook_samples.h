/* The sample webhooks of examples/webhooks, put into the program by tools/gen_samples.py. */
#ifndef LULAB_TOOLS_WEBHOOK_SAMPLES_H
#define LULAB_TOOLS_WEBHOOK_SAMPLES_H

struct webhook_sample {
	const char *vendor; /* "tencent", "feishu" */
	const char *name;  /* "meeting.started-recurring"; NULL ends the list */
	const char *event; /* "meeting.started" */
	const char *json;  /* the decrypted text, one line */
};

/* By vendor, then name. */
extern const struct webhook_sample webhook_samples[];

#endif
