/* Conditional mutual information maximisation [Fleuret 2004; Brown et al. 2012, eq. 18]: J_i =
 * I(x_i;Y) - max over the chosen s of I(x_i;x_s) - I(x_i;x_s|Y), the least I(x_i;Y|x_s). */
#include "criteria.h"
#include "pairwise.h"

static const pairwise_form form = {.is_conditional = true, .is_worst = true};
PAIRWISE_DEFINE(form);

const esp_criterion esp_criterion_mi_cmim = {
    .name = "mi-cmim",
    .summary = "least information about the targets beside one unit chosen before",
    .needs = ESP_NEEDS_INFORMATION | ESP_NEEDS_REDUNDANCY | ESP_NEEDS_CONDITIONAL,
    .is_greedy = true,
    .joint = &rule,
    .rank = rank,
    .cost = pairwise_add_cost};
