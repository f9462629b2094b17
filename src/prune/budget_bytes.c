/* --max-bytes: the values of all weights in the types that they are written in, and with
 * --cache-tokens keys and values of so many tokens in the type of the attention's own weights. */
#include "budgets.h"

#include "espalier/model/family.h"

#include <math.h>
#include <string.h>

static double get_asked(const esp_allocation_options *options) {
  return (double)options->max_bytes;
}

double budget_count_weight_bytes(const esp_model *model) {
  double sum = 0.0;
  for (int i = 0; i < model->n_weights; i++)
    sum += (double)esp_weight_count(&model->weights[i]) *
           (double)esp_dtype_bytes(model->weights[i].type);
  return sum;
}

/* A group of heads has one key and one value. A window of tokens is all that its stage keeps. */
static double count_stage_cache(const esp_model *model, const esp_stage *stage, int64_t tokens) {
  const double features = (double)(stage->units / stage->per_group * stage->width);
  const double seen =
      stage->window > 0 ? fmin((double)stage->window, (double)tokens) : (double)tokens;
  const esp_dtype type = model->weights[stage->consumer.weight].type;
  return 2.0 * features * seen * (double)esp_dtype_bytes(type);
}

static bool is_attention(const esp_stage *stage) {
  return strcmp(stage->kind, "attention") == 0;
}

double budget_count_cache_bytes(const esp_model *model, int64_t tokens) {
  double sum = 0.0;
  for (int s = 0; s < model->n_stages; s++)
    if (is_attention(&model->stages[s])) sum += count_stage_cache(model, &model->stages[s], tokens);
  return sum;
}

static double measure(const esp_prune_request *request, const esp_model *model) {
  return budget_count_weight_bytes(model) +
         budget_count_cache_bytes(model, request->settings->allocation.cache_tokens);
}

static esp_status check(const esp_prune_request *request) {
  if (request->settings->allocation.cache_tokens == 0 || request->dense->task == ESP_TASK_LANGUAGE)
    return ESP_OK;
  return esp_fail(
      ESP_USAGE,
      "--cache-tokens: this '%s' model generates nothing, so it has no key-value cache; "
      "leave the option out",
      request->dense->family->name);
}

const esp_budget_kind budget_bytes = {.name = "max-bytes",
                                      .noun = "bytes",
                                      .get_asked = get_asked,
                                      .check = check,
                                      .measure = measure};
