/* Operations that a phase's result takes, counted by hand from the sizes of matrices alone, and not
 * from the costs that the modules export: those say what is executed. docs/performance.md has the
 * same formulas. */
#include "plan_job.h"

#include "espalier/collect/cost.h"
#include "espalier/model/cost.h"
#include "espalier/model/model.h"

#include <math.h>
#include <string.h>

/* With second moments, and Fisher information. */
static bool is_full(const plan_job *plan, int stage) {
  const esp_collect_options *options = &plan->sketch->collect;
  return (!options->only || options->only[stage]) && (!options->full || options->full[stage]);
}

/* Half of n x n, from so many rows. */
static double gram(double rows, double n) {
  return rows * n * (n + 1.0);
}

static double features_of(const plan_job *plan, int stage) {
  return (double)esp_stage_features(&plan->request->dense->stages[stage]);
}

/* Rows through all of a model's matrices but embedding and head. */
static double forward(const esp_model *model, double rows) {
  double sum = 0.0;
  for (int s = 0; s < model->n_stages; s++) sum += esp_stage_count_products(model, s);
  return 2.0 * rows * sum;
}

static bool reads_head(const esp_collect_options *options, const esp_model *model) {
  const bool has_logits = !options->leaves_codes && !options->leaves_logits;
  return has_logits || (options->width && model->width.units > 0);
}

/* The same as far as anything is measured: of the highest site's stage all but the consumer. */
static double forward_measured(const plan_job *plan, double rows) {
  const esp_model *model = plan->request->dense;
  const esp_collect_options *options = &plan->sketch->collect;
  int last = model->n_stages - 1;
  double sum = 0.0;
  if (reads_head(options, model)) return forward(model, rows);
  while (last >= 0 && options->only && !options->only[last]) last--;
  for (int s = 0; s <= last; s++) sum += esp_stage_count_products(model, s);
  const esp_linear *above = last >= 0 ? &model->stages[last].consumer : NULL;
  return 2.0 * rows * (sum - (above ? (double)(above->inputs * above->outputs) : 0.0));
}

/* Logits of the rows, or the gradient of what the head reads. */
static double head(const esp_model *model, double rows) {
  const double width = model->width.units > 0 ? (double)model->width.units : 1.0;
  return 2.0 * rows * (double)model->n_outputs * width;
}

/* Back from the logits to what the lowest site's consumer leaves; products of all these gradients.
 * The states, and logits that are chosen from, are there since the samples passed. */
static double fisher(const plan_job *plan, double rows, bool has_logits) {
  const esp_model *model = plan->request->dense;
  double sum = (has_logits ? 1.0 : 2.0) * head(model, rows);
  bool is_above = false;
  for (int s = 0; s < model->n_stages; s++) {
    if (is_above) sum += 2.0 * rows * esp_stage_count_products(model, s);
    is_above = is_above || is_full(plan, s);
    if (is_full(plan, s)) sum += gram(rows, (double)model->stages[s].state_out);
  }
  return sum;
}

double plan_need_collect(const plan_job *plan, const plan_samples *samples) {
  const esp_model *model = plan->request->dense;
  const esp_collect_options *options = &plan->sketch->collect;
  const double rows = (double)samples->shard.rows, width = (double)model->width.units;
  const double fisher_rows = (double)esp_collect_count_fisher_rows(model, options, &samples->shard);
  double sum = forward_measured(plan, rows);
  for (int s = 0; s < model->n_stages && options->covariance; s++)
    if (is_full(plan, s)) sum += gram(rows, features_of(plan, s));
  if (options->width && options->covariance && !options->plain_streams)
    sum += (model->n_stages + 1.0) * gram(rows, width);
  const bool has_logits = !options->leaves_codes && !options->leaves_logits;
  if (has_logits) sum += head(model, rows);
  return fisher_rows > 0.0 ? sum + fisher(plan, fisher_rows, has_logits) : sum;
}

static bool cuts_units_alone(const plan_job *plan) {
  return plan->sketch->n_layers < 0 && esp_prune_selects(plan->sketch) &&
         plan->request->sparsity[plan->request->dense->n_stages] < 0.0;
}

static bool is_ranked(const plan_job *plan, esp_half half, int stage) {
  if (plan->request->sparsity[stage] < 0.0) return false;
  return half == ESP_WHOLE ||
         plan->sketch->selection.n_kept[stage] < plan->request->dense->stages[stage].units;
}

/* Features that stay in the next site above; of the last one, the logits. */
static double features_above(const plan_job *plan, int stage) {
  const esp_model *model = plan->request->dense;
  if (strcmp(plan->request->settings->prune.upper, "output") == 0 && model->width.units > 0)
    return (double)model->width.units;
  for (int s = stage + 1; s < model->n_stages; s++)
    if (model->stages[s].units > 0)
      return (double)(plan->sketch->selection.n_kept[s] * model->stages[s].width);
  return (double)plan->sketch->logits;
}

double plan_need_counts(const plan_job *plan, const plan_samples *samples) {
  const unsigned needs = plan->request->criterion->needs;
  const double planes = (double)plan->sketch->collect.bins - 1.0;
  double pairs = 0.0;
  if (!cuts_units_alone(plan) || needs & (ESP_NEEDS_REDUNDANCY | ESP_NEEDS_CONDITIONAL))
    return -1.0;
  if (plan->sketch->collect.leaves_codes && !(needs & ESP_NEEDS_INFORMATION)) return 0.0;
  for (int s = 0; s < plan->request->dense->n_stages; s++)
    if (is_ranked(plan, ESP_WHOLE, s)) pairs += features_of(plan, s) * features_above(plan, s);
  return pairs * planes * planes * ceil((double)samples->shard.rows / ESP_WORD_BITS);
}

/* docs/method/set-mi.md: F^3 for A, 3 F^2 P for Q, 2 F^3 for the eliminations; with a metric its
 * root, and the map times it. */
static double eliminate(const plan_job *plan, int stage) {
  const double f = features_of(plan, stage);
  const double p = (double)plan->request->dense->stages[stage].consumer.outputs;
  const double metric = plan->sketch->has_metric ? p * p * (p / 3.0 + f) : 0.0;
  return 3.0 * f * f * (f + p) + metric;
}

double plan_need_select(const plan_job *plan, esp_half half) {
  const bool is_counted = strcmp(plan->request->criterion->name, "set-mi") == 0 &&
                          strcmp(plan->request->settings->prune.moments, "activations") == 0;
  double sum = 0.0;
  if (!is_counted || !cuts_units_alone(plan)) return -1.0;
  for (int s = 0; s < plan->request->dense->n_stages; s++)
    if (is_ranked(plan, half, s)) sum += eliminate(plan, s);
  return sum;
}

/* A factorisation and its triangles. */
static double solve(double k, double n) {
  return k * k * (k / 3.0 + 2.0 * n);
}

/* Right-hand sides from the statistics, and their solution. */
static double refit(const esp_linear *dense, const esp_linear *cut) {
  const double k = (double)cut->inputs, n = (double)cut->outputs;
  return 2.0 * k * n * (double)dense->inputs + solve(k, n);
}

/* From sums over rows, each ridge that is tried and the last solution with its product. */
static double correct(const esp_linear *cut, double rows) {
  enum { SOLUTIONS = 7 };
  const double k = (double)cut->inputs, n = (double)cut->outputs;
  return gram(rows, k) + 2.0 * rows * k * n + SOLUTIONS * (solve(k, n) + 2.0 * k * k * n);
}

double plan_need_repair(const plan_job *plan) {
  const esp_model *dense = plan->request->dense, *pruned = plan->sketch->pruned;
  const char *name = plan->request->repair->name;
  const bool is_sequential = strcmp(name, "sequential") == 0;
  const double rows = (double)plan_samples_of_repair(plan)->shard.rows;
  double sum = is_sequential ? forward(dense, rows) + forward(pruned, rows) : 0.0;
  if (strcmp(name, "none") == 0 || strcmp(name, "bias") == 0) return 0.0;
  if (!cuts_units_alone(plan) || (!is_sequential && strcmp(name, "least-squares") != 0))
    return -1.0;
  for (int s = 0; s < dense->n_stages; s++) {
    const esp_linear *before = &dense->stages[s].consumer, *after = &pruned->stages[s].consumer;
    if (after->inputs < before->inputs) sum += refit(before, after);
    if (is_sequential) sum += correct(after, rows);
  }
  return sum;
}
