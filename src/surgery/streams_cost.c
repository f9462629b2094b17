#include "deal.h"
#include "repair_cost.h"
#include "streams.h"

#include "espalier/linalg/cost.h"
#include "espalier/model/cost.h"

/* In elementwise values (measured): an element of x or of a target that is weighed and summed. */
enum { WEIGH = 3 };

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Outputs of the widest map that is fitted at a time. */
static int64_t count_targets(const esp_repair_shape *shape) {
  const esp_model *model = shape->dense;
  int64_t most = model->max_state;
  for (int i = 0; i < model->width.n_readers && shape->is_width_cut; i++)
    most = larger(most, model->width.readers[i].linear.outputs);
  return larger(most < STREAM_OUTPUTS ? most : STREAM_OUTPUTS, model->max_state);
}

double streams_bytes(const esp_repair_shape *shape) {
  const esp_model *dense = shape->dense;
  const int64_t widest = larger(dense->max_features, dense->max_state);
  return esp_shard_shape_state_bytes(shape->samples, (double)dense->max_state) +
         esp_shard_shape_state_bytes(shape->samples, (double)shape->pruned->max_state) +
         sizeof(float) * (double)(shape->samples->batch_rows * (2 * widest + count_targets(shape)));
}

double streams_kept_bytes(const esp_repair_shape *shape, fit_size size) {
  return esp_shard_shape_state_bytes(shape->samples, size.n_in);
}

void streams_add_work(const esp_repair_shape *shape, const esp_model *model, int stage,
                      esp_work *work) {
  esp_stage_add_forward_work(model, stage, (double)shape->samples->rows,
                             (double)shape->samples->tokens, work);
}

void streams_add_dense_work(const esp_repair_shape *shape, esp_work *work) {
  for (int s = 0; s < shape->dense->n_stages; s++) streams_add_work(shape, shape->dense, s, work);
}

/* regression.c: products and vectors, fitted and held out; a micro-batch goes to one of the two. */
static void add_sums(const esp_repair_shape *shape, fit_size size, esp_cost *cost) {
  const double rows = (double)shape->samples->rows, batches = (double)shape->samples->n_batches;
  for (int part = 0; part < 2; part++) {
    const double samples = part == 0 ? rows : 0.0, added = part == 0 ? batches : 0.0;
    const esp_exact_shape sums[] = {
        {shape->ranks, size.n_in, size.n_in, samples, added, true},
        {shape->ranks, size.n_in, size.n_out, samples, added, false},
        {.ranks = shape->ranks, .rows = size.n_in + 2.0 * size.n_out + 1.0, .cols = 1.0}};
    for (int i = 0; i < 3; i++) esp_exact_add_cost(&sums[i], cost);
  }
}

/* correction.c: a solution and its product a ridge, and the fit of both parts, unless the start
 * stays. */
static void add_corrections(const esp_repair_shape *shape, fit_size size, esp_cost *cost) {
  enum { PARTS = 2 * CORRECTION_RIDGES };
  const int fits = size.stays ? 0 : 1, reads = 2 + fits;
  const double k = size.n_in, out = size.n_out, cells = k * (k + out);
  const double moments = 2.0 * sizeof(float) * cells, weights = 2.0 * fit_value_bytes(size);
  const double solution = sizeof(double) * k * out;
  esp_cost solves = {0};
  esp_cost_hold(&solves, solution);
  esp_solve_add_cost(shape->ranks, k, out, &solves);
  esp_cost_hold(&solves, -solution);
  solves.work.flops += 2.0 * k * k * out;
  esp_cost_repeat(&solves, CORRECTION_RIDGES + fits);
  esp_cost_hold(cost, moments + weights);
  esp_cost_add(cost, &solves);
  esp_cost_hold(cost, -moments - weights);
  cost->work.every += reads * ESP_EXACT_READ * cells;
  for (int read = 0; read < reads; read++) deal_add_cost(shape->ranks, k, out, cost);
  esp_cost_send(cost, shape->ranks, ESP_ALLREDUCE,
                sizeof(double) * PARTS * (double)deal_count_blocks((int64_t)k));
}

void streams_add_fit_cost(const esp_repair_shape *shape, fit_size size, double scratch,
                          esp_cost *cost) {
  const double sums =
      2.0 * (esp_exact_bytes(size.n_in, size.n_in) + esp_exact_bytes(size.n_in, size.n_out));
  esp_cost_send(cost, shape->ranks, ESP_BCAST, sizeof(double) * (size.n_in + size.n_out + 1.0));
  esp_cost_hold(cost, sums);
  esp_cost_touch(cost, scratch);
  add_sums(shape, size, cost);
  add_corrections(shape, size, cost);
  esp_cost_hold(cost, -sums);
  cost->work.values += WEIGH * (double)shape->samples->rows * (size.n_in + size.n_out);
}
