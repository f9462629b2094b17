/* From budgets to how much is cut. */
#ifndef ESPALIER_SRC_PRUNE_BUDGET_SEARCH_H
#define ESPALIER_SRC_PRUNE_BUDGET_SEARCH_H

#include "budgets.h"

/* As esp_prune_request_settle; times of layers are kept in the journal, or taken from it
 * (NULL: there is none). Collective on comm; equal on all ranks: request. */
esp_status budget_settle(const esp_comm *comm, esp_prune_request *request, prune_journal *journal);
/* Parameters of the model as the request leaves it under the uniform allocation, without
 * --multiple-of. Local. */
int64_t budget_count_unaligned(const esp_prune_request *request);

#endif
