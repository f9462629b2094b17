#include "pruning.h"

#include "policy.h"

#include "espalier/core/memory.h"

#include <string.h>

static bool is_by_units(const esp_policy_options *options) {
  return strcmp(options->granularity, "units") == 0;
}

void pruning_prepare_model(esp_model *model, const esp_policy_options *options) {
  if (options && options->policy && is_by_units(options)) units_merge_groups(model);
}

static esp_status find_policy(train_pruning *self) {
  ESP_TRY(policy_find(self->options->policy, &self->of));
  self->by_units = is_by_units(self->options);
  const unsigned asked = self->by_units ? POLICY_UNITS : POLICY_WEIGHTS;
  if (self->of->granularities & asked) return ESP_OK;
  return esp_fail(ESP_USAGE, "--policy %s: expected --granularity %s, found %s: it has no other",
                  self->of->name, self->by_units ? "weights" : "units", self->options->granularity);
}

static bool has_slice(const esp_slice *slices, int n, int weight) {
  for (int s = 0; s < n; s++)
    if (slices[s].weight == weight) return true;
  return false;
}

/* Whether a matrix makes or reads the units of a site that is asked for. */
static bool is_asked(const train_pruning *self, int weight) {
  const esp_model *model = self->parts->model;
  for (int i = 0; i < model->n_stages; i++) {
    const esp_stage *site = &model->stages[i];
    if (units_is_asked(site, self->options->kinds) &&
        (has_slice(site->producers, site->n_producers, weight) ||
         has_slice(site->consumers, site->n_consumers, weight)))
      return true;
  }
  return false;
}

static void list_matrices(train_pruning *self) {
  const esp_model *model = self->parts->model;
  self->matrix_of = ESP_NEW(int, model->n_weights);
  self->sizes = ESP_NEW(int64_t, model->n_weights);
  for (int w = 0; w < model->n_weights; w++) {
    const bool is_pruned =
        self->parts->trains[w] && esp_model_is_prunable(model, w) && is_asked(self, w);
    self->matrix_of[w] = is_pruned ? self->n_matrices : -1;
    if (!is_pruned) continue;
    self->sizes[self->n_matrices] = esp_weight_count(&model->weights[w]);
    self->n_prunable += self->sizes[self->n_matrices++];
  }
}

static esp_status check_distribution(const train_pruning *self) {
  const char *asked = self->options->distribution;
  if (!self->by_units || !asked || strcmp(asked, "erk") != 0) return ESP_OK;
  return esp_fail(ESP_USAGE, "--distribution erk: expected single weights, found --granularity "
                             "units; give uniform or global");
}

esp_status pruning_lay_out_local(train_pruning *self, const train_parts *parts,
                                 const esp_policy_options *options) {
  *self = (train_pruning){.options = options, .parts = parts};
  if (!options || !options->policy) return ESP_OK;
  ESP_TRY(find_policy(self));
  ESP_TRY(check_distribution(self));
  ESP_TRY(units_check_kinds_local(parts->model, options->kinds));
  list_matrices(self);
  if (self->by_units) units_lay_out(&self->units, parts, options->kinds);
  if (self->by_units ? self->units.n > 0 : self->n_prunable > 0) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--policy %s: expected matrices that train and that units can leave, found none; "
                  "give another --trainable or --kinds",
                  self->of->name);
}

/* What masks hold at zero now. */
static void mask_zeros(train_pruning *self, const parts_run *run) {
  const float *value = parts_find_values(self->parts, run);
  for (int64_t i = 0; i < run->n; i++) self->mask[run->own + i] = value[i] != 0.0f;
}

int pruning_count_arrays(const train_pruning *self) {
  return self->by_units && self->of->arrays_of_weights ? 0 : self->of->n_arrays;
}

/* Of what is masked. */
static policy_values get_values(const train_pruning *self) {
  return self->by_units && self->of->keeps_units ? POLICY_KEPT : self->of->masked;
}

bool pruning_has_latent(const train_pruning *self) {
  return get_values(self) != POLICY_ZERO;
}

void pruning_init(const esp_comm *comm, train_pruning *self) {
  const train_parts *parts = self->parts;
  if (!self->of) return;
  self->mask = ESP_NEW(uint8_t, parts->n_own);
  memset(self->mask, 1, (size_t)parts->n_own);
  for (int r = 0; r < parts->n_runs && !self->by_units; r++)
    if (parts->is_masked[parts->runs[r].weight]) mask_zeros(self, &parts->runs[r]);
  if (pruning_has_latent(self)) {
    self->latent = ESP_NEW(float, parts->n_own);
    parts_copy_own_local(parts, self->latent);
  }
  for (int a = 0; a < pruning_count_arrays(self); a++)
    self->arrays[a] = ESP_NEW(float, parts->n_own);
  if (self->by_units) {
    units_init(&self->units);
    self->alive = ESP_NEW(uint8_t, self->units.n);
    memset(self->alive, 1, (size_t)self->units.n);
    for (int a = 0; a < self->of->n_unit_arrays; a++)
      self->unit_arrays[a] = ESP_NEW(double, self->units.n);
  }
  pruning_apply(comm, self);
}

void pruning_clear(train_pruning *self) {
  units_clear(&self->units);
  esp_free(&self->matrix_of);
  esp_free(&self->sizes);
  esp_free(&self->mask);
  esp_free(&self->latent);
  esp_free(&self->alive);
  for (int a = 0; a < MOST_POLICY_ARRAYS; a++) esp_free(&self->arrays[a]);
  for (int a = 0; a < MOST_UNIT_ARRAYS; a++) esp_free(&self->unit_arrays[a]);
}

void pruning_take_masks(const train_pruning *self, train_parts *parts) {
  for (int w = 0; self->of && !self->by_units && w < parts->model->n_weights; w++)
    if (self->matrix_of[w] >= 0) parts->is_masked[w] = false;
}

void pruning_hold_gradient(const train_pruning *self, float *mean) {
  for (int r = 0; self->of && r < self->parts->n_runs; r++) {
    const parts_run *run = &self->parts->runs[r];
    const bool holds = self->of->holds_weights && self->matrix_of[run->weight] >= 0;
    for (int64_t i = run->own; i < run->own + run->n; i++)
      if (holds || !self->mask[i]) mean[i] = 0.0f;
  }
}

static void set_latent(train_pruning *self, const parts_run *run) {
  memcpy(parts_find_values(self->parts, run), self->latent + run->own,
         (size_t)run->n * sizeof(float));
}

static void take_latent(train_pruning *self, const parts_run *run) {
  const bool keeps = get_values(self) == POLICY_KEPT;
  const bool holds = self->of->holds_weights && self->matrix_of[run->weight] >= 0;
  const float *value = parts_find_values(self->parts, run);
  for (int64_t i = 0; i < run->n && !holds; i++)
    if (keeps || self->mask[run->own + i]) self->latent[run->own + i] = value[i];
}

/* The weights as their masks have them. */
static void mask_run(train_pruning *self, const parts_run *run) {
  float *value = parts_find_values(self->parts, run);
  if (self->latent) set_latent(self, run);
  if (self->latent && self->of->masked == POLICY_FROZEN) return;
  for (int64_t i = 0; i < run->n; i++)
    if (!self->mask[run->own + i]) value[i] = 0.0f;
}

void pruning_before_update(train_pruning *self) {
  if (!self->of || get_values(self) != POLICY_KEPT) return;
  for (int r = 0; r < self->parts->n_runs; r++) set_latent(self, &self->parts->runs[r]);
}

void pruning_after_update(train_pruning *self) {
  if (!self->of) return;
  for (int r = 0; r < self->parts->n_runs; r++) {
    if (self->latent) take_latent(self, &self->parts->runs[r]);
    mask_run(self, &self->parts->runs[r]);
  }
}

static void mask_units(train_pruning *self) {
  for (int64_t i = 0; i < self->parts->n_own; i++) {
    const int32_t unit = self->units.consumed[i];
    self->mask[i] = unit < 0 || self->alive[unit];
  }
}

static int64_t count_live_weights(const esp_comm *comm, const train_pruning *self) {
  int64_t live = 0;
  for (int r = 0; r < self->parts->n_runs; r++) {
    const parts_run *run = &self->parts->runs[r];
    for (int64_t i = 0; i < run->n && self->matrix_of[run->weight] >= 0; i++)
      live += self->mask[run->own + i];
  }
  return esp_agree_sum_i64(comm, live);
}

void pruning_apply(const esp_comm *comm, train_pruning *self) {
  if (self->by_units) mask_units(self);
  for (int r = 0; r < self->parts->n_runs; r++) mask_run(self, &self->parts->runs[r]);
  self->live = 0;
  for (int64_t u = 0; u < self->units.n; u++) self->live += self->alive[u];
  if (!self->by_units) self->live = count_live_weights(comm, self);
}

double pruning_get_sparsity(const train_pruning *self) {
  const int64_t all = self->by_units ? self->units.n : self->n_prunable;
  return all > 0 ? 1.0 - (double)self->live / (double)all : 0.0;
}

/* Of this rank's values, in their order. */
static void sum_squares(const esp_comm *comm, const train_pruning *self, const int32_t *map,
                        const float *values, double *squares) {
  double *sums = ESP_NEW(double, self->units.n);
  units_sum_products(comm, &self->units, map, values, values, sums);
  for (int64_t u = 0; u < self->units.n; u++) squares[u] += sums[u];
  esp_free(&sums);
}

void pruning_compute_unit_squares(const esp_comm *comm, const train_pruning *self,
                                  double *squares) {
  float *values = ESP_NEW(float, self->parts->n_own);
  parts_copy_own_local(self->parts, values);
  memset(squares, 0, (size_t)self->units.n * sizeof *squares);
  sum_squares(comm, self, self->units.consumed, values, squares);
  sum_squares(comm, self, self->units.produced, values, squares);
  esp_free(&values);
}
