/* See projection.h. */
#include "store/projection.h"

#include <stddef.h>
#include <string.h>

const struct projection_handler *projection_handler_of(const struct projection *model, uint16_t type)
{
	unsigned low = 0, high = model->n_handlers;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (model->handlers[mid].type < type)
			low = mid + 1;
		else
			high = mid;
	}
	return low < model->n_handlers && model->handlers[low].type == type ? &model->handlers[low] : NULL;
}

const struct projection *projection_find(const char *name)
{
	for (size_t i = 0; projections[i] != NULL; i++)
		if (strcmp(projections[i]->name, name) == 0)
			return projections[i];
	return NULL;
}

const struct query_def *query_find(const char *name)
{
	unsigned low = 0, high = projections_n_queries;

	while (low < high) {
		unsigned mid = (low + high) / 2;
		int order = strcmp(projections_queries[mid]->name, name);

		if (order == 0)
			return projections_queries[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct list_def *list_find(const char *name)
{
	for (size_t i = 0; projections[i] != NULL; i++)
		for (size_t k = 0; projections[i]->lists[k] != NULL; k++)
			if (strcmp(projections[i]->lists[k]->name, name) == 0)
				return projections[i]->lists[k];
	return NULL;
}
