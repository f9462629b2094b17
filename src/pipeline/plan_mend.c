/* Memory of a repair: what is held throughout, and the largest sum of arrays that stand together.
 * Every term is an allocation of the repair's source. Letters: docs/method/README.md. */
#include "plan.h"

#include <math.h>
#include <string.h>

enum { MOST_TARGETS = 4096 }; // outputs that a stream fits at a time

/* A solution on every rank, and this rank's part of the factor and the right-hand sides. */
static double solve_bytes(const plan_job *plan, double k, double out) {
  return 8.0 * k * out + 8.0 * k * (k + out) / plan->ranks +
         plan_reduction_bytes(plan, 8.0 * k * out);
}

static double consumer_bytes(const plan_job *plan, int stage) {
  const esp_linear *dense = &plan->job.dense->stages[stage].consumer;
  const esp_linear *cut = &plan->job.pruned->stages[stage].consumer;
  return 4.0 * (double)(cut->outputs * (dense->inputs + cut->inputs)) +
         plan_loaded_bytes(plan->job.dense, stage) + plan_loaded_bytes(plan->job.pruned, stage);
}

/* surgery/repair_least_squares.c: the covariance, G_K: and G_K: W^T, the solution. */
static double least_squares_bytes(const plan_job *plan, int stage) {
  const esp_linear *cut = &plan->job.pruned->stages[stage].consumer;
  const double f = (double)plan_features(plan, stage), k = (double)cut->inputs;
  const double out = (double)cut->outputs;
  if (!plan->job.repair->needs_covariance) return consumer_bytes(plan, stage);
  return 4.0 * f * f + consumer_bytes(plan, stage) + 4.0 * k * out +
         fmax(4.0 * k * f, solve_bytes(plan, k, out));
}

/* surgery/regression.c and correction.c: sums fitted and held out, their moments in float, the
 * start, a correction and its product, a solution. */
static double fit_bytes(const plan_job *plan, double k, double out) {
  const double sums = 2.0 * 8.0 * (k * k + k * out);
  const double moments = 2.0 * 4.0 * (k * k + k * out) + 2.0 * 4.0 * k * out;
  return sums + fmax(moments + solve_bytes(plan, k, out), plan_reduction_bytes(plan, 8.0 * k * k));
}

/* Outputs of the widest map that is refitted at a time. */
static double count_targets(const plan_job *plan) {
  const esp_model *dense = plan->job.dense;
  double most = (double)dense->max_state;
  for (int i = 0; i < dense->width.n_readers && has_width(&plan->job); i++)
    most = fmax(most, (double)dense->width.readers[i].linear.outputs);
  return fmax(fmin(most, MOST_TARGETS), (double)dense->max_state);
}

/* surgery/streams.c: two streams of states, x twice, the target. */
static double streams_bytes(const plan_job *plan) {
  const esp_model *dense = plan->job.dense;
  const double widest =
      (double)(dense->max_features > dense->max_state ? dense->max_features : dense->max_state);
  return 2.0 * plan_states_bytes(plan) +
         4.0 * (double)plan->batch_rows * (2.0 * widest + count_targets(plan));
}

static double sequential_bytes(const plan_job *plan, int stage) {
  const esp_linear *cut = &plan->job.pruned->stages[stage].consumer;
  const double k = (double)cut->inputs, out = (double)cut->outputs;
  const double forming =
      2.0 * 8.0 * (k * k + k * out) + plan_scratch_bytes(plan, plan->job.dense, stage);
  return streams_bytes(plan) + consumer_bytes(plan, stage) + fmax(fit_bytes(plan, k, out), forming);
}

static bool is_fitted(const plan_job *plan, int reader) {
  const esp_linear *linear = &plan->job.dense->width.readers[reader].linear;
  return plan->job.dense->weights[linear->weight].stage != ESP_STAGE_EMBED;
}

static double fitted_reader_bytes(const plan_job *plan, int reader) {
  const esp_linear *cut = &plan->job.pruned->width.readers[reader].linear;
  return is_fitted(plan, reader) ? 4.0 * (double)(cut->inputs * cut->outputs) : 0.0;
}

/* surgery/readers.c: all that was fitted of a map, the rows being fitted, the dense map's. */
static double reader_fit_bytes(const plan_job *plan, int reader) {
  const esp_linear *cut = &plan->job.pruned->width.readers[reader].linear;
  const int stage = plan->job.dense->width.readers[reader].stage;
  const double k = (double)cut->inputs, d = (double)plan->job.dense->width.units;
  const double out = fmin((double)cut->outputs, MOST_TARGETS);
  if (!is_fitted(plan, reader)) return 0.0;
  return streams_bytes(plan) + plan_loaded_bytes(plan->job.dense, stage) +
         plan_loaded_bytes(plan->job.pruned, stage) + fitted_reader_bytes(plan, reader) +
         4.0 * out * (2.0 * k + d) + fit_bytes(plan, k, out);
}

/* surgery/repair_layers.c: every writer is fitted whole, and then kept. */
static double repair_layers_bytes(const plan_job *plan) {
  double most = 0.0, fitted = 0.0;
  for (int s = 0; s < plan->job.pruned->n_stages && plan->job.repair->needs_data; s++) {
    const esp_linear *writer = &plan->job.pruned->stages[s].consumer;
    const double k = (double)writer->inputs, out = (double)writer->outputs;
    const double weights = 2.0 * plan_loaded_bytes(plan->job.pruned, s) + 4.0 * k * out;
    const double forming =
        2.0 * 8.0 * (k * k + k * out) + plan_scratch_bytes(plan, plan->job.pruned, s);
    most = fmax(most, fitted + weights + fmax(fit_bytes(plan, k, out), forming));
    fitted += 4.0 * k * out;
  }
  return most > 0.0 ? streams_bytes(plan) + most : 0.0;
}

/* Refitted consumers stay in memory until they are written. */
static double repair_bytes(const plan_job *plan) {
  double most = 0.0, fitted = 0.0;
  if (strcmp(plan->job.repair->name, "none") == 0) return 0.0;
  for (int s = 0; s < plan->job.dense->n_stages; s++) {
    const esp_linear *cut = &plan->job.pruned->stages[s].consumer;
    most = fmax(most, least_squares_bytes(plan, s) + fitted);
    fitted += 4.0 * (double)(cut->inputs * cut->outputs);
  }
  for (int s = 0; s < plan->job.dense->n_stages && plan->job.repair->needs_data; s++)
    most = fmax(most, sequential_bytes(plan, s) + fitted);
  if (!has_width(&plan->job) || !plan_repair_reads(plan)) return most;
  for (int i = 0; i < plan->job.dense->width.n_readers; i++) {
    most = fmax(most, reader_fit_bytes(plan, i) + fitted);
    fitted += fitted_reader_bytes(plan, i);
  }
  return most;
}

/* What is left of a repair, as float32, or all masks. */
double plan_fitted_bytes(const plan_job *plan) {
  const esp_repair *repair = plan->job.repair;
  double sum = 0.0;
  if (is_unstructured(&plan->job)) return plan_masks_held_bytes(plan);
  if (strcmp(repair->name, "none") == 0) return 0.0;
  for (int s = 0; s < plan->job.pruned->n_stages; s++) {
    const esp_linear *cut = &plan->job.pruned->stages[s].consumer;
    sum += 4.0 * (double)(cut->inputs * cut->outputs);
  }
  for (int i = 0; i < plan->job.dense->width.n_readers && has_width(&plan->job); i++)
    if (plan_repair_reads(plan)) sum += fitted_reader_bytes(plan, i);
  return sum;
}

/* Once selected: what the job repairs by, and how. */
double plan_mend_bytes(const plan_job *plan) {
  if (is_unstructured(&plan->job)) return plan_masks_bytes(plan);
  return drops_layers(&plan->job) ? repair_layers_bytes(plan) : repair_bytes(plan);
}
