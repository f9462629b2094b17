/* Conditional mutual information maximisation [Fleuret 2004; Brown et al. 2012, eq. 18]: J_i =
 * I(x_i;Y) - max over the chosen s of I(x_i;x_s) - I(x_i;x_s|Y), the least I(x_i;Y|x_s). */
#include "criteria.h"
#include "pairwise.h"

static const pairwise_form form = {.is_conditional = true, .is_worst = true};

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  return pairwise_rank(&form, evidence, order, score);
}

static esp_status add_reader(const esp_evidence *reader, joint_part **sum) {
  return pairwise_add(&form, reader, sum);
}

static esp_status rank_sum(joint_part **parts, int n, int64_t *order, double *score) {
  return pairwise_rank_sum(&form, parts, n, order, score);
}

static const joint_rule rule = {
    .add = add_reader, .rank = rank_sum, .free = pairwise_free_sum, .is_summed = true};

const esp_criterion esp_criterion_mi_cmim = {
    .name = "mi-cmim",
    .summary = "least information about the targets beside one unit chosen before",
    .needs = ESP_NEEDS_INFORMATION | ESP_NEEDS_REDUNDANCY | ESP_NEEDS_CONDITIONAL,
    .is_greedy = true,
    .joint = &rule,
    .rank = rank};
