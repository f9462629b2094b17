/* How much a pruning collects that is given no statistics. All local. */
#ifndef ESPALIER_SRC_PRUNE_EXTENT_H
#define ESPALIER_SRC_PRUNE_EXTENT_H

#include "espalier/collect/collect.h"
#include "espalier/prune/request.h"

/* Fill the extent of a request whose structures are chosen. */
void extent_choose(esp_prune_request *request);
/* Leave out of a collection what the request does not read, unless it is to be kept. */
void extent_apply(const esp_prune_request *request, esp_collect_options *collect);

#endif
