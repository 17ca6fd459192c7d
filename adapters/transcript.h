/* Transcripts for adapters: the core keeps them, for the API answers them too. */
#include "app/transcript.h"
