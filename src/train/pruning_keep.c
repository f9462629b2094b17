/* Which weights or units live, from their scores. */
#include "density.h"
#include "policy.h"
#include "ranking.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *get_distribution(const train_pruning *self) {
  const policy *of = self->of;
  if (self->options->distribution) return self->options->distribution;
  return self->by_units && of->unit_distribution ? of->unit_distribution : of->distribution;
}

bool pruning_is_global(const train_pruning *self) {
  const char *distribution = get_distribution(self);
  return distribution && strcmp(distribution, "global") == 0;
}

int64_t pruning_find_least(const train_pruning *self, int64_t n) {
  const int64_t least = self->options->min_keep > 1 ? self->options->min_keep : 1;
  return least < n ? least : n;
}

/* Matrices as they are shared out over. */
static density_matrix *describe_matrices(const train_pruning *self) {
  density_matrix *matrices = ESP_NEW(density_matrix, self->n_matrices);
  for (int w = 0; w < self->parts->model->n_weights; w++) {
    const esp_weight *weight = &self->parts->model->weights[w];
    const int m = self->matrix_of[w];
    if (m < 0) continue;
    matrices[m] = (density_matrix){self->sizes[m], weight->shape[1], weight->shape[0],
                                   pruning_find_least(self, self->sizes[m])};
  }
  return matrices;
}

static void keep_by_matrix(const esp_comm *comm, train_pruning *self, const ranking *scores,
                           double sparsity) {
  density_matrix *matrices = describe_matrices(self);
  int64_t *keep = ESP_NEW(int64_t, self->n_matrices);
  ranking of = *scores;
  if (strcmp(get_distribution(self), "erk") == 0)
    density_share_erk(matrices, self->n_matrices, sparsity, keep);
  else
    density_share_uniform(matrices, self->n_matrices, sparsity, keep);
  of.set_of = self->matrix_of;
  of.n_sets = self->n_matrices;
  of.keep = keep;
  ranking_mark_largest(comm, &of, self->mask);
  esp_free(&keep);
  esp_free(&matrices);
}

/* The least that every matrix keeps, marked in floors (n_own); so many there are. */
static int64_t mark_floors(const esp_comm *comm, const train_pruning *self, const ranking *scores,
                           uint8_t *floors) {
  int64_t *keep = ESP_NEW(int64_t, self->n_matrices), sum = 0;
  for (int m = 0; m < self->n_matrices; m++) keep[m] = pruning_find_least(self, self->sizes[m]);
  ranking of = *scores;
  of.set_of = self->matrix_of;
  of.n_sets = self->n_matrices;
  of.keep = keep;
  ranking_mark_largest(comm, &of, floors);
  for (int64_t i = 0; i < self->parts->n_own; i++) sum += floors[i];
  esp_free(&keep);
  return esp_agree_sum_i64(comm, sum);
}

static void keep_of_all(const esp_comm *comm, train_pruning *self, const ranking *scores,
                        double sparsity) {
  const int64_t n = self->parts->n_own;
  uint8_t *floors = ESP_NEW(uint8_t, n), *rest = ESP_NEW(uint8_t, n);
  int *one = ESP_NEW(int, self->parts->model->n_weights);
  const int64_t floor = mark_floors(comm, self, scores, floors);
  const int64_t asked = llround((1.0 - sparsity) * (double)self->n_prunable);
  const int64_t keep = asked > floor ? asked - floor : 0;
  for (int w = 0; w < self->parts->model->n_weights; w++) one[w] = self->matrix_of[w] < 0 ? -1 : 0;
  for (int64_t i = 0; i < n; i++) rest[i] = (!scores->among || scores->among[i]) && !floors[i];
  ranking of = *scores;
  of.among = rest;
  of.set_of = one;
  of.n_sets = 1;
  of.keep = &keep;
  ranking_mark_largest(comm, &of, self->mask);
  for (int64_t i = 0; i < n; i++)
    if (floors[i]) self->mask[i] = 1;
  esp_free(&one);
  esp_free(&rest);
  esp_free(&floors);
}

/* among may be the mask itself: it is read before it is written, value by value. */
void pruning_keep_weights(const esp_comm *comm, train_pruning *self, const float *scores,
                          const uint8_t *among, double sparsity) {
  const ranking of = {.parts = self->parts, .scores = scores, .among = among};
  if (among && among != self->mask)
    for (int64_t i = 0; i < self->parts->n_own; i++) self->mask[i] = among[i];
  if (pruning_is_global(self))
    keep_of_all(comm, self, &of, sparsity);
  else
    keep_by_matrix(comm, self, &of, sparsity);
  pruning_apply(comm, self);
}

/* A unit in its order: the highest score first, then the lowest number. */
typedef struct ranked_unit {
  double score;
  int64_t unit;
} ranked_unit;

static int compare_units(const void *left, const void *right) {
  const ranked_unit *a = left, *b = right;
  if (a->score != b->score) return a->score < b->score ? 1 : -1;
  return (a->unit > b->unit) - (a->unit < b->unit);
}

static int64_t rank_units(const double *scores, const uint8_t *among, int64_t first, int64_t n,
                          ranked_unit *list) {
  int64_t count = 0;
  for (int64_t u = first; u < first + n; u++)
    if (!among || among[u])
      list[count++] = (ranked_unit){isnan(scores[u]) ? -INFINITY : scores[u], u};
  qsort(list, (size_t)count, sizeof *list, compare_units);
  return count;
}

/* The first `keep` of some units live, beside those that do already. */
static void let_live(train_pruning *self, const double *scores, const uint8_t *among,
                     const units_site *of, int64_t keep) {
  ranked_unit *list = ESP_NEW(ranked_unit, of->n);
  const int64_t count = rank_units(scores, among, of->first, of->n, list);
  for (int64_t k = 0; k < count && k < keep; k++) self->alive[list[k].unit] = 1;
  esp_free(&list);
}

static int64_t count_alive(const train_pruning *self) {
  int64_t count = 0;
  for (int64_t u = 0; u < self->units.n; u++) count += self->alive[u];
  return count;
}

double pruning_weigh_unit(const train_pruning *self, const units_site *site) {
  double most = 0.0;
  if (!self->of->weighs_units || !pruning_is_global(self)) return 1.0;
  for (int s = 0; s < self->units.n_sites; s++)
    most = fmax(most, units_count_products(&self->units, &self->units.sites[s]));
  return units_count_products(&self->units, site) / most;
}

/* What all units take, and those that live already. */
static void weigh_units(const train_pruning *self, double *sizes, double *all, double *live) {
  *all = *live = 0.0;
  for (int s = 0; s < self->units.n_sites; s++) {
    const units_site *site = &self->units.sites[s];
    const double size = units_count_products(&self->units, site);
    for (int64_t u = site->first; u < site->first + site->n; u++) {
      sizes[u] = size;
      *all += size;
      *live += self->alive[u] ? size : 0.0;
    }
  }
}

/* The highest scores that a part of what all units take holds, up to the first that it does not. */
static void fill_budget(train_pruning *self, const double *scores, const uint8_t *may,
                        double sparsity) {
  double all, live;
  double *sizes = ESP_NEW(double, self->units.n);
  ranked_unit *list = ESP_NEW(ranked_unit, self->units.n);
  weigh_units(self, sizes, &all, &live);
  double rest = round((1.0 - sparsity) * all) - live;
  const int64_t count = rank_units(scores, may, 0, self->units.n, list);
  for (int64_t k = 0; k < count && sizes[list[k].unit] <= rest; k++) {
    self->alive[list[k].unit] = 1;
    rest -= sizes[list[k].unit];
  }
  esp_free(&list);
  esp_free(&sizes);
}

/* Of all sites together, beside those that live already. */
static void keep_of_all_units(train_pruning *self, const double *scores, uint8_t *may,
                              double sparsity) {
  const units_site all = {.first = 0, .n = self->units.n};
  const int64_t keep = llround((1.0 - sparsity) * (double)all.n) - count_alive(self);
  for (int64_t u = 0; u < self->units.n; u++) may[u] = may[u] && !self->alive[u];
  if (self->of->weighs_units)
    fill_budget(self, scores, may, sparsity);
  else
    let_live(self, scores, may, &all, keep);
}

void pruning_keep_units(const esp_comm *comm, train_pruning *self, const double *scores,
                        const uint8_t *among, double sparsity) {
  const bool together = pruning_is_global(self);
  uint8_t *may = ESP_NEW(uint8_t, self->units.n);
  for (int64_t u = 0; u < self->units.n; u++) may[u] = !among || among[u];
  memset(self->alive, 0, (size_t)self->units.n);
  for (int s = 0; s < self->units.n_sites; s++) {
    const units_site *site = &self->units.sites[s];
    const int64_t least = pruning_find_least(self, site->n);
    const int64_t share = llround((1.0 - sparsity) * (double)site->n);
    let_live(self, scores, may, site, together || share < least ? least : share);
  }
  if (together) keep_of_all_units(self, scores, may, sparsity);
  esp_free(&may);
  pruning_apply(comm, self);
}

void pruning_keep_weights_above(const esp_comm *comm, train_pruning *self, const float *scores,
                                const uint8_t *among, double threshold) {
  const ranking of = {.parts = self->parts, .scores = scores, .among = among};
  uint8_t *floors = ESP_NEW(uint8_t, self->parts->n_own);
  mark_floors(comm, self, &of, floors);
  for (int r = 0; r < self->parts->n_runs; r++) {
    const parts_run *run = &self->parts->runs[r];
    if (self->matrix_of[run->weight] < 0) continue;
    for (int64_t i = run->own; i < run->own + run->n; i++)
      self->mask[i] = (!among || among[i]) && (floors[i] || (double)scores[i] > threshold);
  }
  esp_free(&floors);
  pruning_apply(comm, self);
}

void pruning_keep_units_above(const esp_comm *comm, train_pruning *self, const double *scores,
                              double threshold) {
  for (int64_t u = 0; u < self->units.n; u++) self->alive[u] = scores[u] > threshold;
  for (int s = 0; s < self->units.n_sites; s++) {
    const units_site *site = &self->units.sites[s];
    let_live(self, scores, NULL, site, pruning_find_least(self, site->n));
  }
  pruning_apply(comm, self);
}

static void keep_largest_weights(const esp_comm *comm, train_pruning *self, double sparsity) {
  float *scores = ESP_NEW(float, self->parts->n_own);
  parts_copy_own_local(self->parts, scores);
  for (int64_t i = 0; i < self->parts->n_own; i++) scores[i] = fabsf(scores[i]);
  pruning_keep_weights(comm, self, scores, self->mask, sparsity);
  esp_free(&scores);
}

static void keep_largest_units(const esp_comm *comm, train_pruning *self, double sparsity) {
  double *scores = ESP_NEW(double, self->units.n);
  pruning_compute_unit_squares(comm, self, scores);
  pruning_keep_units(comm, self, scores, self->alive, sparsity);
  esp_free(&scores);
}

void pruning_keep_by_magnitude(const esp_comm *comm, train_pruning *self, double sparsity) {
  if (self->by_units)
    keep_largest_units(comm, self, sparsity);
  else
    keep_largest_weights(comm, self, sparsity);
}
