#include "start.h"

#include "ranking.h"

#include "espalier/core/memory.h"

#include <math.h>

int64_t start_count_rounds(const training *self) {
  const int64_t rounds = self->pruning.options->rounds;
  return rounds > 1 ? rounds : 1;
}

const char *const start_gradient_options[] = {"distribution", "min-keep", "rounds", "score-samples",
                                              NULL};

int64_t start_count_passes(const training *self) {
  return start_count_rounds(self) * policy_count_gradient_passes(self);
}

static double find_sparsity(const training *self, int64_t round) {
  const double final = self->pruning.options->final_sparsity;
  const int64_t rounds = start_count_rounds(self);
  return round == rounds ? final : 1.0 - pow(1.0 - final, (double)round / (double)rounds);
}

static esp_status prune_weights(training *self, const start_scores *how, double sparsity) {
  float *scores = ESP_NEW(float, self->parts.n_own);
  const esp_status status = how->of_weights(self, scores);
  if (status == ESP_OK)
    pruning_keep_weights(self->comm, &self->pruning, scores, self->pruning.mask, sparsity);
  esp_free(&scores);
  return status;
}

static esp_status prune_units(training *self, const start_scores *how, double sparsity) {
  double *scores = ESP_NEW(double, self->pruning.units.n);
  const esp_status status = how->of_units(self, scores);
  if (status == ESP_OK)
    pruning_keep_units(self->comm, &self->pruning, scores, self->pruning.alive, sparsity);
  esp_free(&scores);
  return status;
}

/* Unless that is the even share of what was asked. */
static void say_floor(const training *self, const char *name, int64_t live, int64_t n) {
  const int64_t share = llround((1.0 - self->pruning.options->final_sparsity) * (double)n);
  if (live >= n || live > pruning_find_least(&self->pruning, n) || live == share) return;
  pruning_warn_floor(&self->pruning, name, live, n);
}

static void say_floors_of_matrices(const training *self) {
  const train_pruning *pruning = &self->pruning;
  int64_t *live = ESP_NEW(int64_t, pruning->n_matrices);
  const ranking of = {.parts = &self->parts,
                      .among = pruning->mask,
                      .set_of = pruning->matrix_of,
                      .n_sets = pruning->n_matrices};
  ranking_count(self->comm, &of, live);
  for (int w = 0; w < self->parts.model->n_weights; w++) {
    const int m = pruning->matrix_of[w];
    if (m >= 0) say_floor(self, self->parts.model->weights[w].name, live[m], pruning->sizes[m]);
  }
  esp_free(&live);
}

static void say_floors_of_sites(const training *self) {
  const train_pruning *pruning = &self->pruning;
  for (int s = 0; s < pruning->units.n_sites; s++) {
    const units_site *site = &pruning->units.sites[s];
    int64_t live = 0;
    for (int64_t u = site->first; u < site->first + site->n; u++) live += pruning->alive[u];
    say_floor(self, self->parts.model->stages[site->stage].name, live, site->n);
  }
}

esp_status start_prune(training *self, const start_scores *how) {
  for (int64_t round = 1; round <= start_count_rounds(self); round++) {
    const double sparsity = find_sparsity(self, round);
    ESP_TRY(self->pruning.by_units ? prune_units(self, how, sparsity)
                                   : prune_weights(self, how, sparsity));
    parts_gather(self->comm, &self->parts, NULL);
  }
  if (self->pruning.by_units)
    say_floors_of_sites(self);
  else
    say_floors_of_matrices(self);
  self->pruning.has_said_floors = true;
  return ESP_OK;
}

void start_copy_magnitudes(const training *self, float *scores) {
  parts_copy_own_local(&self->parts, scores);
  for (int64_t i = 0; i < self->parts.n_own; i++) scores[i] = fabsf(scores[i]);
}

void start_multiply(const training *self, const float *a, const float *b, float *scores) {
  for (int64_t i = 0; i < self->parts.n_own; i++) scores[i] = fabsf(a[i] * b[i]);
}

void start_sum_gates(const training *self, const float *a, double *scores) {
  const train_units *units = &self->pruning.units;
  float *values = ESP_NEW(float, self->parts.n_own);
  parts_copy_own_local(&self->parts, values);
  units_sum_products(self->comm, units, units->consumed, a, values, scores);
  for (int64_t u = 0; u < units->n; u++) scores[u] = fabs(scores[u]);
  esp_free(&values);
}
