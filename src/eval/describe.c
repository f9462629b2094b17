/* What eval says of a model, as JSON. */
#include "espalier/eval/eval.h"

#include "espalier/core/json.h"
#include "espalier/model/family.h"
#include "espalier/model/forward.h"

#include <math.h>

static void set_numbers(const esp_quality *quality, json_t *row) {
  json_object_set_new(row, "mean_squared_error", esp_json_real(quality->loss_nats));
  json_object_set_new(row, "r2", esp_json_real(quality->r2));
}

/* accuracy of classifiers, perplexity of models of tokens, cosine of encoders. */
void esp_eval_set_quality(const esp_model *model, const esp_dataset *data,
                          const esp_quality *quality, json_t *row) {
  json_object_set_new(row, "samples", json_integer(quality->samples));
  if (model->task == ESP_TASK_EMBED) {
    json_object_set_new(row, "cosine", esp_json_real(quality->cosine));
    return;
  }
  if (model->task == ESP_TASK_REGRESS) {
    set_numbers(quality, row);
    return;
  }
  json_object_set_new(row, "loss_nats", esp_json_real(quality->loss_nats));
  if (model->task == ESP_TASK_MULTI_LABEL)
    json_object_set_new(row, "f1_micro", esp_json_real(quality->f1));
  if (esp_model_is_by_sample(model)) {
    json_object_set_new(row, "accuracy",
                        esp_json_real((double)quality->correct / (double)quality->targets));
    return;
  }
  json_object_set_new(row, "perplexity", esp_json_real(exp(quality->loss_nats)));
  json_object_set_new(row, "context", json_integer(data->width));
  json_object_set_new(row, "targets", json_integer(quality->targets));
}

/* Weights that a policy has kept from training: none of them is gone. */
static int64_t count_frozen(const json_t *policy) {
  int64_t n = 0;
  size_t i;
  const json_t *part;
  json_array_foreach(json_object_get(policy, "parts"), i, part) n +=
      json_integer_value(json_object_get(part, "count")) -
      json_integer_value(json_object_get(part, "live"));
  return n;
}

/* What was pruned while it trained stands where a criterion and its sparsity do. */
static void describe_policy(const json_t *report, json_t *row) {
  const json_t *policy = json_object_get(json_object_get(report, "training"), "policy");
  if (!policy || json_object_get(report, "criterion")) return;
  json_object_set(row, "criterion", json_object_get(policy, "name"));
  json_object_set(row, "sparsity_asked", json_object_get(policy, "sparsity"));
  json_object_set(row, "granularity", json_object_get(policy, "granularity"));
  if (json_is_true(json_object_get(policy, "is_frozen")))
    json_object_set_new(row, "frozen_parameters", json_integer(count_frozen(policy)));
}

json_t *esp_eval_describe(const esp_model *model) {
  json_t *row = esp_json_pack("{s:o, s:s, s:I}", "model", esp_json_text(model->path), "family",
                              model->family->name, "parameters",
                              (json_int_t)esp_model_count_parameters(model));
  json_t *report = model->details ? json_loads(model->details, 0, NULL) : NULL;
  static const char *const copied[] = {"criterion", "repair", "sparsity_asked",
                                       "selection_checksum", "structure"};
  for (unsigned i = 0; i < sizeof copied / sizeof *copied; i++)
    if (report) json_object_set(row, copied[i], json_object_get(report, copied[i]));
  if (!report && model->is_masked) // a folder
    json_object_set_new(row, "structure", json_string("unstructured"));
  describe_policy(report, row);
  const json_t *recovery = json_object_get(report, "recovery");
  if (recovery) json_object_set(row, "recovery_steps", json_object_get(recovery, "best_step"));
  json_decref(report);
  return row;
}
