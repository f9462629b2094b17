/* Men et al., "ShortGPT: layers in large language models are more redundant than you expect", 2024:
 * a layer's block influence 1 - E[cos(r_in, r_out)]; the least goes first. score = -E[cos]. */
#include "criteria.h"

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  return criteria_rank_layers(evidence, evidence->layer_cosine, "cosine", order, score);
}

const esp_criterion esp_criterion_layer_cosine = {
    .name = "block-cosine",
    .summary = "whole layers, by the cosine between what they read and leave",
    .needs = ESP_NEEDS_LAYER_COSINE,
    .rank = rank};
