#include "espalier/model/cost.h"

#include "attention_block.h"

#include "espalier/io/cost.h"
#include "espalier/model/family.h"

#include <math.h>

/* Broadcast of a checkpoint (typical sizes): its configuration, and a weight in the list of what it
 * has. */
enum { CONFIG_BYTES = 1000, TENSOR_BYTES = 130 };

double esp_model_all_bytes(const esp_model *model) {
  double sum = 0.0;
  for (int s = ESP_STAGE_EMBED; s <= model->n_stages; s++) sum += esp_model_loaded_bytes(model, s);
  return sum;
}

double esp_stage_count_products(const esp_model *model, int stage) {
  double sum = 0.0;
  for (int i = 0; i < model->n_weights; i++)
    if (model->weights[i].stage == stage && model->weights[i].rank == 2)
      sum += (double)esp_weight_count(&model->weights[i]);
  return sum;
}

static double count_width(const esp_model *model) {
  return model->width.units > 0 ? (double)model->width.units : 1.0;
}

/* Of the weights whose products end in x, or in what x is made of. */
static double count_inside(const esp_model *model, int stage) {
  const int consumer = model->stages[stage].consumer.weight;
  return esp_stage_count_products(model, stage) -
         (double)esp_weight_count(&model->weights[consumer]);
}

/* The normalised state, and products that do not end in x (keys, values, the gate). */
double esp_stage_scratch_bytes(const esp_model *model, int stage, double rows) {
  const double width = count_width(model), x = (double)esp_stage_features(&model->stages[stage]);
  if (model->width.units == 0) return 0.0;
  const double produced = count_inside(model, stage) / width;
  return sizeof(float) * rows * fmax(width, width + produced - x);
}

/* x and its gradient; of a residual stream the gradient of what is read, what is read as
 * normalised, and what is produced, which attention holds with gradients apart (and Llama's
 * queries and keys also as they were before their positions). */
double esp_stage_backward_scratch_bytes(const esp_model *model, int stage, double rows) {
  const esp_stage *self = &model->stages[stage];
  const double width = count_width(model), x = (double)esp_stage_features(self);
  if (model->width.units == 0) return sizeof(float) * rows * 2.0 * x;
  const double produced = count_inside(model, stage) / width;
  const double inside = self->width > 1 ? 2.0 * produced + x : produced;
  return sizeof(float) * rows * (2.0 * x + 2.0 * width + inside);
}

/* Exponentials of a row: an activation a neuron; of a head as many as there are tokens, half of
 * them masked where text is causal, or as many as there are in the band of a block of queries. */
static double count_values(const esp_stage *stage, double tokens) {
  const double seen =
      stage->window > 0 ? fmin(tokens, (double)stage->window + QUERY_BLOCK) : tokens;
  return stage->width > 1 ? (double)stage->units * seen : (double)esp_stage_features(stage);
}

void esp_stage_add_forward_work(const esp_model *model, int stage, double rows, double tokens,
                                esp_work *work) {
  work->flops += rows * 2.0 * esp_stage_count_products(model, stage);
  work->values += rows * count_values(&model->stages[stage], tokens);
}

/* What attention or the activation is made of, and the activation itself. */
void esp_stage_add_produce_work(const esp_model *model, int stage, double rows, double tokens,
                                esp_work *work) {
  work->flops += rows * 2.0 * count_inside(model, stage);
  work->values += rows * count_values(&model->stages[stage], tokens);
}

/* esp_step_return: where esp_backward_consume does not make x by the way. */
void esp_stage_add_remake_work(const esp_model *model, int stage, double rows, double tokens,
                               esp_work *work) {
  if (model->stages[stage].is_residual && !model->family->finish_backward) return;
  esp_stage_add_produce_work(model, stage, rows, tokens, work);
}

/* The inside of a sub-layer once more, gradients through all matrices, and where something follows
 * the consumer its result. */
void esp_stage_add_backward_work(const esp_model *model, int stage, double rows, double tokens,
                                 esp_work *work) {
  const double all = esp_stage_count_products(model, stage);
  if (model->stages[stage].is_residual)
    esp_stage_add_produce_work(model, stage, rows, tokens, work);
  esp_stage_add_forward_work(model, stage, rows, tokens, work);
  if (model->family->finish_backward)
    work->flops += rows * 2.0 * (all - count_inside(model, stage));
}

void esp_head_add_work(const esp_model *model, double rows, esp_work *work) {
  work->flops += rows * 2.0 * (double)model->n_outputs * count_width(model);
}

void esp_model_add_open_cost(const esp_model *model, int ranks, esp_cost *cost) {
  esp_cost_send(cost, ranks, ESP_BCAST, CONFIG_BYTES + TENSOR_BYTES * (double)model->n_weights);
}

/* What is cut or masked is copied on its way; the rest is written from the mapping (rows.c). */
static bool is_copied(const esp_weight *weight) {
  for (int axis = 0; axis < weight->rank; axis++)
    if (weight->keep[axis]) return true;
  return weight->mask || weight->is_final;
}

/* Every rank picks, or converts, and checks its rows of one weight. */
void esp_model_add_write_cost(const esp_model *model, int ranks, bool is_trained, esp_cost *cost) {
  for (int i = 0; i < model->n_weights; i++) {
    const double count = (double)esp_weight_count(&model->weights[i]);
    const double bytes = count * (double)esp_dtype_bytes(model->weights[i].type);
    if (is_trained || is_copied(&model->weights[i])) esp_cost_touch(cost, bytes / ranks);
    cost->work.values += count;
    cost->work.bytes += bytes / ranks;
  }
  cost->work.datasets += (double)model->n_weights;
}

double esp_model_file_bytes(const esp_model *model) {
  double sum = 0.0;
  for (int i = 0; i < model->n_weights; i++) {
    const esp_weight *weight = &model->weights[i];
    sum += ESP_H5_OBJECT_BYTES +
           (double)esp_weight_count(weight) * (double)esp_dtype_bytes(weight->type);
  }
  return sum;
}
