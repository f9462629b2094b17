/* Learned gates on frozen weights, by units [after GRASPrune 2026]: p = sigmoid(z / 1.5); in every
 * step the units of the highest p have gate 1 and the others 0, so that the size asked for is kept
 * to exactly; the gradient of a gate goes through p as if the gate were p. No weight trains. */
#include "policies.h"
#include "scores.h"

#include "espalier/core/memory.h"
#include "espalier/io/h5.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double temperature = 1.5;

typedef struct ranked {
  double score;
  int64_t unit;
} ranked;

/* The lowest first; of equal ones the last, so that the first has the higher z. */
static int compare(const void *left, const void *right) {
  const ranked *a = left, *b = right;
  if (a->score != b->score) return a->score < b->score ? -1 : 1;
  return (a->unit < b->unit) - (a->unit > b->unit);
}

/* z in (-1, 1), evenly, in the order of the scores of a site. */
static void spread_site(const units_site *site, const double *scores, double *z) {
  ranked *list = ESP_NEW(ranked, site->n);
  for (int64_t u = 0; u < site->n; u++)
    list[u] = (ranked){scores[site->first + u], site->first + u};
  qsort(list, (size_t)site->n, sizeof *list, compare);
  for (int64_t k = 0; k < site->n; k++)
    z[list[k].unit] = (2.0 * (double)k + 1.0) / (double)site->n - 1.0;
  esp_free(&list);
}

static bool starts_from(const esp_policy_options *options, const char *what) {
  const char *from = options->gates_from ? options->gates_from : "constant";
  return strcmp(from, what) == 0;
}

static esp_status measure_gates(training *self, double *scores) {
  ESP_TRY(policy_measure_gradient(self));
  scores_compute_gate_gradient(self, scores);
  for (int64_t u = 0; u < self->pruning.units.n; u++) scores[u] = fabs(scores[u]);
  return ESP_OK;
}

/* What a criterion has made of the units of all sites. */
static esp_status read_sites(const training *self, esp_h5 *file, double *scores) {
  const train_units *units = &self->pruning.units;
  for (int s = 0; s < units->n_sites; s++) {
    const units_site *site = &units->sites[s];
    const esp_h5_shape shape = {ESP_F64, 1, {site->n}};
    char name[96];
    snprintf(name, sizeof name, "/scores/%s", self->parts.model->stages[site->stage].name);
    ESP_TRY(esp_h5_expect_shape(file, name, &shape));
    ESP_TRY(esp_h5_read_all(file, name, scores + site->first));
  }
  return ESP_OK;
}

static esp_status read_scores(const training *self, double *scores) {
  const char *path = self->pruning.options->gates_from;
  esp_h5 *file = NULL;
  esp_status status = esp_h5_open(self->comm, path, &file);
  if (status == ESP_OK) status = read_sites(self, file, scores);
  esp_h5_close(&file);
  if (status == ESP_OK) return ESP_OK;
  return esp_fail(status,
                  "%s; --gates-from: expected constant, norms, gradients, or a pruned file of this "
                  "model with the scores of all of its units",
                  esp_failure_text());
}

static esp_status compute_start(training *self, double *scores) {
  const esp_policy_options *options = self->pruning.options;
  if (starts_from(options, "gradients")) return measure_gates(self, scores);
  if (!starts_from(options, "norms")) return read_scores(self, scores);
  pruning_compute_unit_squares(self->comm, &self->pruning, scores);
  return ESP_OK;
}

/* By norms of units, by their gates' gradients, by a criterion, or all alike. */
static esp_status choose_start(training *self) {
  const train_pruning *pruning = &self->pruning;
  if (starts_from(pruning->options, "constant")) return ESP_OK;
  double *scores = ESP_NEW(double, pruning->units.n);
  const esp_status status = compute_start(self, scores);
  for (int s = 0; s < pruning->units.n_sites && status == ESP_OK; s++)
    spread_site(&pruning->units.sites[s], scores, pruning->unit_arrays[0]);
  esp_free(&scores);
  return status;
}

static double compute_gate(double z) {
  return 1.0 / (1.0 + exp(-z / temperature));
}

/* Those of the highest p that the budget holds; of sites together it counts what a unit takes. */
static void project(training *self) {
  train_pruning *pruning = &self->pruning;
  double *p = ESP_NEW(double, pruning->units.n);
  for (int64_t u = 0; u < pruning->units.n; u++) p[u] = compute_gate(pruning->unit_arrays[0][u]);
  pruning_keep_units(self->comm, pruning, p, NULL, policy_get_cubic_sparsity(self));
  esp_free(&p);
}

static esp_status begin(training *self) {
  ESP_TRY(choose_start(self));
  project(self);
  return ESP_OK;
}

static esp_status after_gradient(training *self) {
  train_pruning *pruning = &self->pruning;
  double *gradient = ESP_NEW(double, pruning->units.n);
  scores_compute_gate_gradient(self, gradient);
  for (int64_t u = 0; u < pruning->units.n; u++) {
    const double p = compute_gate(pruning->unit_arrays[0][u]);
    gradient[u] *= p * (1.0 - p) / temperature;
  }
  scores_step_units(self, gradient);
  pruning->skips_update = true; // no weight trains
  esp_free(&gradient);
  return ESP_OK;
}

static esp_status after_step(training *self) {
  project(self);
  return ESP_OK;
}

static bool is_final(const training *self) {
  return policy_get_progress(self) >= 1.0;
}

static bool is_unread(const esp_policy_options *options, const char *name) {
  return strcmp(name, "score-samples") == 0 && !starts_from(options, "gradients");
}

static int64_t count_passes(const training *self) {
  return starts_from(self->pruning.options, "gradients") ? policy_count_gradient_passes(self) : 0;
}

static void add_cost(const training *self, int ranks, double changes, esp_cost *cost) {
  (void)ranks, (void)changes;
  scores_add_cost(self, 0.0, cost);
}

static const char *const options[] = {"distribution", "min-keep",   "prune-from",    "prune-to",
                                      "score-rate",   "gates-from", "score-samples", NULL};

const policy policy_gates = {.name = "gates",
                             .granularities = POLICY_UNITS,
                             .masked = POLICY_KEPT,
                             .holds_weights = true,
                             .holds_all = true,
                             .learns_scores = true,
                             .weighs_units = true,
                             .n_unit_arrays = SCORES_ARRAYS,
                             .distribution = "uniform",
                             .defaults = {.prune_from = 0.0, .prune_to = 0.0, .score_rate = 0.01},
                             .options = options,
                             .is_unread = is_unread,
                             .count_passes = count_passes,
                             .begin = begin,
                             .add_cost = add_cost,
                             .after_gradient = after_gradient,
                             .after_step = after_step,
                             .is_final = is_final};
