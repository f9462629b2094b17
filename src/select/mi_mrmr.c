/* Minimal redundancy, maximal relevance [Peng, Long and Ding 2005; Brown et al. 2012, eq. 15]:
 * J_i = I(x_i;Y) - mean over the chosen s of I(x_i;x_s). */
#include "criteria.h"
#include "pairwise.h"

static const pairwise_form form = {.is_conditional = false};
PAIRWISE_DEFINE(form);

const esp_criterion esp_criterion_mi_mrmr = {
    .name = "mi-mrmr",
    .summary =
        "information with the units above, less the mean shared with the units chosen before",
    .needs = ESP_NEEDS_INFORMATION | ESP_NEEDS_REDUNDANCY,
    .is_greedy = true,
    .joint = &rule,
    .rank = rank,
    .cost = pairwise_add_cost};
