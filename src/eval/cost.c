#include "espalier/eval/cost.h"

#include "espalier/eval/eval.h"
#include "espalier/flow/chunk.h"
#include "espalier/model/cost.h"

#include <math.h>

static double count_batch_rows(const esp_eval_shape *shape) {
  const esp_dataset data = {.kind = shape->kind, .width = shape->tokens};
  return fmin(shape->rows, (double)(esp_eval_batch(&data) * shape->tokens));
}

/* States of this rank's micro-batches, as many as the bound allows, and one at least. */
static double state_bytes(const esp_model *model, const esp_eval_shape *shape, double batch_rows) {
  const double batch = sizeof(float) * batch_rows * (double)model->max_state;
  const double batches = batch_rows > 0.0 ? ceil(shape->rows / batch_rows / shape->ranks) : 0.0;
  return fmin(batch * batches, fmax((double)ESP_CHUNK_STATE_BYTES, batch));
}

static void add_stage(const esp_model *model, int stage, const esp_eval_shape *shape,
                      esp_cost *cost) {
  const double rows = count_batch_rows(shape);
  esp_cost_touch(cost, esp_model_loaded_bytes(model, stage) +
                           sizeof(float) * rows * (double)model->max_features +
                           esp_stage_scratch_bytes(model, stage, rows));
  esp_stage_add_forward_work(model, stage, shape->rows, (double)shape->tokens, &cost->work);
}

/* What it reads, as normalised, beside the logits. */
static void add_head(const esp_model *model, const esp_eval_shape *shape, esp_cost *cost) {
  const double logits = (double)model->n_outputs, floats = logits + (double)model->width.units;
  esp_cost_touch(cost, esp_model_loaded_bytes(model, model->n_stages) +
                           sizeof(float) * count_batch_rows(shape) * floats);
  esp_head_add_work(model, shape->rows, &cost->work);
  cost->work.values += ESP_SOFTMAX_VALUES * shape->rows * logits;
}

void esp_eval_add_quality_cost(const esp_model *model, const esp_eval_shape *shape,
                               esp_cost *cost) {
  const double states = state_bytes(model, shape, count_batch_rows(shape));
  esp_cost_hold(cost, states);
  esp_cost_touch(cost, esp_model_embedding_bytes(model));
  for (int s = 0; s < model->n_stages; s++) add_stage(model, s, shape, cost);
  add_head(model, shape, cost);
  esp_cost_hold(cost, -states);
}

void esp_eval_add_speed_cost(const esp_model *model, double rows, esp_cost *cost) {
  const double floats = (double)(model->max_state + model->max_features + model->n_outputs);
  esp_cost_touch(cost, esp_model_all_bytes(model) + sizeof(float) * rows * floats);
}
