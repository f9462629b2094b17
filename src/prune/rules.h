/* Questions about a request that several files ask. All local. */
#ifndef ESPALIER_SRC_PRUNE_RULES_H
#define ESPALIER_SRC_PRUNE_RULES_H

#include "espalier/prune/request.h"

/* Whether the site of a stage is to be pruned, and without a sparsity of its own. */
bool request_is_free(const esp_prune_request *request, int stage);

/* Whether anything of what goes is left to --sparsity, or to a budget. */
bool request_shares_sparsity(const esp_prune_request *request);
/* What kept counts of a site of so many neurons, or hidden dimensions, are multiples of. */
int64_t request_find_multiple(const esp_prune_request *request, int64_t units);
/* Hidden dimensions that stay; 0: the width is not cut. */
int64_t request_count_width(const esp_prune_request *request);

/* Whether outputs of a site are to be compared by the softmax layer's Fisher information, and
 * whether they are: where it was collected. */
bool metric_is_wanted(const esp_prune_request *request);
bool metric_is_fisher(const esp_prune_request *request, const esp_stats *stats);
/* USAGE: --metric fisher, but the criterion does not use it. */
esp_status metric_check_request(const esp_prune_request *request);
/* MISMATCH: --metric fisher, but the information was not collected. */
esp_status metric_check(const esp_prune_request *request, const esp_stats *stats);
/* Whether the criterion reads calibration data, so that parts of these may give other selections.
 */
bool reads_calibration(const esp_prune_request *request);
/* Whether the criterion reads the activations' covariance, not the codes'. */
bool reads_activation_covariance(const esp_prune_request *request);
/* Whether the units preserved above a stage are its own output after its consumer, as the next
 * reader of the residual stream gets it, and not those of the next site. */
bool uses_own_output(const esp_prune_request *request);
/* The most that one site may lose of its units; whether it may then lose them all, and with them
 * its sub-layer. */
double find_cap(const esp_prune_request *request, bool is_in_nats);
bool may_empty_stages(const esp_prune_request *request, bool is_in_nats);

/* USAGE where training after the repair is asked for, and the model cannot be trained. Local. */
esp_status recovery_check(const esp_prune_request *request);

#endif
