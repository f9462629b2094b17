/* How much of a model and a data set is measured. */
#include "collect_internal.h"

bool collect_has_site(const esp_collect_options *options, int stage) {
  return !options->only || options->only[stage];
}

bool collect_is_full(const esp_collect_options *options, int stage) {
  return collect_has_site(options, stage) && (!options->full || options->full[stage]);
}

bool collect_has_full_streams(const esp_collect_options *options) {
  return options->covariance && !options->plain_streams;
}

bool collect_has_logits(const esp_collect_options *options) {
  return !options->leaves_codes && !options->leaves_logits;
}

int collect_find_last(const esp_model *model, const esp_collect_options *options) {
  int last = model->n_stages;
  if (collect_has_logits(options) || (options->width && model->width.units > 0)) return last;
  while (last > 0 && !collect_has_site(options, last - 1)) last--;
  return last - 1;
}

int collect_find_lowest(const esp_model *model, const esp_collect_options *options) {
  int stage = 0;
  while (stage < model->n_stages && !collect_is_full(options, stage)) stage++;
  return stage;
}

int64_t collect_count_logits(const esp_model *model, const esp_collect_options *options) {
  const bool is_vocabulary = model->task == ESP_TASK_LANGUAGE || model->task == ESP_TASK_MASKED;
  return is_vocabulary && options->top_units < model->n_outputs ? options->top_units
                                                                : model->n_outputs;
}

bool collect_has_likelihood(const esp_model *model) {
  const bool is_softmax = model->task != ESP_TASK_REGRESS && model->task != ESP_TASK_MULTI_LABEL;
  return model->task != ESP_TASK_EMBED && model->n_outputs >= (is_softmax ? 2 : 1) &&
         model->family->head_backward;
}

int64_t collect_count_fisher_batches(const esp_shard *shard, const esp_collect_options *options) {
  const int64_t rows = esp_shard_count_rows(shard);
  const int64_t wanted = (options->fisher_tokens + rows - 1) / rows;
  return wanted < shard->n_batches ? wanted : shard->n_batches;
}

int64_t collect_count_fisher_rows(const esp_model *model, const esp_shard *shard,
                                  const esp_collect_options *options) {
  const int64_t n = collect_count_fisher_batches(shard, options);
  int64_t rows = 0;
  if (!collect_has_likelihood(model)) return 0;
  for (int64_t i = 0; i < n; i++) rows += esp_shard_count_valid(shard, esp_shard_pick(shard, i, n));
  return rows;
}
