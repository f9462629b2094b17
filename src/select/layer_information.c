/* Whole layers (ours): the more what a layer leaves is told by what it reads, the less the layer
 * adds, and the sooner it goes. score = -mean over the hidden dimensions d of I(r_in,d ; r_out,d).
 */
#include "criteria.h"

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  return criteria_rank_layers(evidence, evidence->layer_information, "information", order, score);
}

const esp_criterion esp_criterion_layer_information = {
    .name = "block",
    .summary = "whole layers, by the information between what they read and leave",
    .needs = ESP_NEEDS_LAYER_INFORMATION,
    .rank = rank};
