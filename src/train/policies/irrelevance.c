/* Regularisation of irrelevant weights [Bonetta, Ribero and Cancelliere 2022]: the gradient of
 * R = gamma sum_w exp(-|g_w| / alpha) w^2, g the loss's own gradient, held constant, is added to g,
 * so that one backward pass is enough. By units: R = gamma sum_u exp(-|g_u| / alpha) ||w_u||^2, g_u
 * the gradient of the unit's gate. After each evaluation whose held-out loss is within the bound
 * the smallest part of what is left goes. Beside it plain L2 (alpha -> infinity) and L1 (by units
 * the sum of norms). */
#include "policies.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* By the form of R: what a weight, or unit, is multiplied by; norm: of it. */
typedef struct penalty_form {
  double gamma, alpha;
  bool is_l1, is_selective;
} penalty_form;

/* Against the model before the first step. */
static bool is_within(const training *self, double held_out) {
  return held_out <=
         self->pruning.options->bound * esp_train_report_find(&self->report, 0)->held_out;
}

static bool may_prune(const training *self, int64_t step) {
  const double last = ceil(self->pruning.options->prune_to * (double)self->schedule.n);
  return step > 0 && step < self->schedule.n && (double)step <= last;
}

/* Behind which something went; 0: nothing did. */
static int64_t find_last_pruning(const training *self) {
  for (int i = self->report.n_points - 1; i >= 0; i--) {
    const esp_train_point *point = &self->report.points[i];
    if (may_prune(self, point->step) && is_within(self, point->held_out)) return point->step;
  }
  return 0;
}

/* gamma (1 - t / N), t steps behind the last pruning. */
static double get_gamma(const training *self) {
  const esp_policy_options *options = self->pruning.options;
  const double gone = (double)(self->progress.step - find_last_pruning(self));
  if (options->penalty_decay == 0) return options->penalty;
  return options->penalty * fmax(1.0 - gone / (double)options->penalty_decay, 0.0);
}

static penalty_form get_form(const training *self) {
  const char *name = self->pruning.of->name;
  return (penalty_form){.gamma = get_gamma(self),
                        .alpha = self->pruning.options->alpha,
                        .is_l1 = strcmp(name, "l1") == 0,
                        .is_selective = strcmp(name, "irrelevance") == 0};
}

/* exp(-|g| / alpha): 1 where the loss does not depend on it. */
static double compute_irrelevance(double gradient, double alpha) {
  return exp(-fabs(gradient) / alpha);
}

/* dR/dw over w, norm > 0. */
static double compute_factor(const penalty_form *form, double gradient, double norm) {
  if (form->is_l1) return form->gamma / norm;
  const double part = form->is_selective ? compute_irrelevance(gradient, form->alpha) : 1.0;
  return 2.0 * form->gamma * part;
}

static void add_to_weights(training *self, const penalty_form *form) {
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const float *value = parts_find_values(&self->parts, run);
    float *mean = self->gradients.mean + run->own;
    for (int64_t i = 0; i < run->n; i++) {
      const double w = (double)value[i], g = (double)mean[i];
      if (value[i] != 0.0f) mean[i] = (float)(g + compute_factor(form, g, fabs(w)) * w);
    }
  }
}

/* Gate gradients of the units as they are. */
static void compute_gradients(const training *self, double *gradients) {
  const train_units *units = &self->pruning.units;
  float *values = ESP_NEW(float, self->parts.n_own);
  parts_copy_own_local(&self->parts, values);
  units_sum_products(self->comm, units, units->consumed, self->gradients.mean, values, gradients);
  esp_free(&values);
}

/* Set gradients to dR/dw over w of each unit that lives. */
static void compute_factors(const training *self, const penalty_form *form, double *gradients) {
  const int64_t n = self->pruning.units.n;
  double *squares = ESP_NEW(double, n);
  if (form->is_l1) pruning_compute_unit_squares(self->comm, &self->pruning, squares);
  for (int64_t u = 0; u < n; u++) {
    const bool has = self->pruning.alive[u] && (!form->is_l1 || squares[u] > 0.0);
    gradients[u] = has ? compute_factor(form, gradients[u], sqrt(squares[u])) : 0.0;
  }
  esp_free(&squares);
}

static double find_factor(const double *factors, int32_t unit) {
  return unit >= 0 ? factors[unit] : 0.0;
}

static void add_to_units(training *self, const double *factors) {
  const train_units *units = &self->pruning.units;
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const float *value = parts_find_values(&self->parts, run);
    for (int64_t i = 0; i < run->n; i++) {
      const int64_t at = run->own + i;
      const double factor =
          find_factor(factors, units->consumed[at]) + find_factor(factors, units->produced[at]);
      self->gradients.mean[at] =
          (float)((double)self->gradients.mean[at] + factor * (double)value[i]);
    }
  }
}

static void count(int64_t *bins, double irrelevance) {
  const int64_t bin = (int64_t)(irrelevance * ESP_TRAIN_BINS);
  bins[bin < ESP_TRAIN_BINS ? bin : ESP_TRAIN_BINS - 1]++;
}

/* The histogram of a step whose end is a point of the curve; gates (units.n) by units. */
static void report_histogram(training *self, const penalty_form *form, const double *gates) {
  const int64_t step = self->progress.step + 1;
  int64_t *bins = self->report.policy.irrelevance;
  if (!form->is_selective || (step % self->evaluate_every != 0 && step != self->schedule.n)) return;
  memset(bins, 0, ESP_TRAIN_BINS * sizeof *bins);
  self->report.policy.irrelevance_step = step;
  for (int64_t u = 0; u < self->pruning.units.n; u++)
    if (self->pruning.alive[u]) count(bins, compute_irrelevance(gates[u], form->alpha));
  if (gates) return;
  for (int64_t i = 0; i < self->parts.n_own; i++)
    if (self->pruning.mask[i])
      count(bins, compute_irrelevance((double)self->gradients.mean[i], form->alpha));
  esp_allreduce_sum_i64(self->comm, bins, ESP_TRAIN_BINS);
}

static esp_status after_gradient(training *self) {
  const penalty_form form = get_form(self);
  if (!self->pruning.by_units) {
    report_histogram(self, &form, NULL);
    add_to_weights(self, &form);
    return ESP_OK;
  }
  double *gradients = ESP_NEW(double, self->pruning.units.n);
  compute_gradients(self, gradients);
  report_histogram(self, &form, gradients);
  compute_factors(self, &form, gradients);
  add_to_units(self, gradients);
  esp_free(&gradients);
  return ESP_OK;
}

/* Of what is left when the smallest part has gone: one at least. */
static double find_sparsity(const training *self) {
  const train_pruning *pruning = &self->pruning;
  const double all = (double)(pruning->by_units ? pruning->units.n : pruning->n_prunable);
  const double live = (double)pruning->live;
  const double left = fmin(round((1.0 - pruning->options->prune_fraction) * live), live - 1.0);
  return 1.0 - fmax(left, 0.0) / all;
}

static bool is_result(const training *self, double held_out) {
  return self->progress.step == 0 || is_within(self, held_out);
}

/* A bound that random weights set says nothing. */
static esp_status begin(training *self) {
  if (!self->request->model->path)
    esp_log_warn("train: --bound is over the held-out loss of the model as read, and a new one has "
                 "random weights: train it first");
  return ESP_OK;
}

/* What goes behind the last step would not be measured. */
static esp_status after_measure(training *self, double held_out) {
  const bool prunes = self->pruning.options->prune_fraction > 0.0;
  if (!prunes || !is_result(self, held_out) || !may_prune(self, self->progress.step)) return ESP_OK;
  pruning_keep_by_magnitude(self->comm, &self->pruning, find_sparsity(self));
  return ESP_OK;
}

static esp_status check_local(const training *self) {
  if (!self->held.objective)
    return esp_fail(ESP_USAGE,
                    "--policy %s prunes while the held-out loss is within its bound: expected "
                    "held-out data, found none; give --validation DATA or --hold-out N",
                    self->pruning.of->name);
  const double alpha = self->pruning.options->alpha;
  if (strcmp(self->pruning.of->name, "irrelevance") != 0 || alpha > 0.0) return ESP_OK;
  return esp_fail(ESP_USAGE, "--alpha %g: expected a number above 0, found none; give --alpha 1",
                  alpha);
}

static bool is_unread(const esp_policy_options *options, const char *name) {
  (void)options;
  return strcmp(name, "final-sparsity") == 0;
}

static const char *const options[] = {"penalty",        "penalty-decay", "alpha",
                                      "prune-fraction", "prune-to",      "bound",
                                      "distribution",   "min-keep",      NULL};
static const char *const plain_options[] = {
    "penalty", "penalty-decay", "prune-fraction", "prune-to",
    "bound",   "distribution",  "min-keep",       NULL};

#define POLICY(its_name, its_options)                                                           \
  {                                                                                             \
    .name = its_name, .granularities = POLICY_WEIGHTS | POLICY_UNITS, .masked = POLICY_ZERO,    \
    .distribution = "global", .unit_distribution = "uniform", /* norms of sites differ */       \
        .defaults = {.prune_to = 1.0,                                                           \
                     .penalty = 1e-5,                                                           \
                     .alpha = 1.0,                                                              \
                     .prune_fraction = 0.1,                                                     \
                     .bound = 1.05},                                                            \
    .options = its_options, .is_unread = is_unread, .check_local = check_local, .begin = begin, \
    .remedy = "--bound, or evaluate more often", .after_gradient = after_gradient,              \
    .after_measure = after_measure, .is_result = is_result                                      \
  }

const policy policy_irrelevance = POLICY("irrelevance", options);
const policy policy_l1 = POLICY("l1", plain_options);
const policy policy_l2 = POLICY("l2", plain_options);
