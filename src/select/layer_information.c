/* Whole layers (ours): the more what a layer leaves is told by what it reads, the less the layer
 * adds, and the sooner it goes. score = -mean over the hidden dimensions d of I(r_in,d ; r_out,d).
 */
#include "check.h"
#include "criteria.h"

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  for (int64_t l = 0; l < evidence->units; l++) score[l] = -evidence->layer_information[l];
  ESP_TRY(esp_check_doubles(evidence->site, "information", score, evidence->units));
  esp_rank_by_score(evidence->units, score, order);
  return ESP_OK;
}

const esp_criterion esp_criterion_layer_information = {
    .name = "block",
    .summary = "whole layers, by the information between what they read and leave",
    .needs = ESP_NEEDS_LAYER_INFORMATION,
    .rank = rank};
