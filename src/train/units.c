#include "units.h"

#include "espalier/core/memory.h"
#include "espalier/core/named.h"

#include <math.h>
#include <string.h>

void units_merge_groups(esp_model *model) {
  for (int i = 0; i < model->n_stages; i++) esp_stage_merge_groups(&model->stages[i]);
}

bool units_is_asked(const esp_stage *site, const char *kinds) {
  return !kinds || esp_name_matches(site->name, kinds) || esp_name_matches(site->kind, kinds);
}

static bool is_site(const esp_stage *stage) {
  return stage->units > 0 && stage->n_consumers > 0;
}

static bool has_asked(const esp_model *model, const char *kinds) {
  bool found = false;
  for (int i = 0; i < model->n_stages && !found; i++)
    found = is_site(&model->stages[i]) && units_is_asked(&model->stages[i], kinds);
  return found;
}

/* Each once, with commas between them. */
static char *list_kinds(const esp_model *model) {
  char *kinds = esp_strdup("");
  for (int i = 0; i < model->n_stages; i++) {
    const esp_stage *stage = &model->stages[i];
    if (!is_site(stage) || esp_name_matches(stage->kind, kinds)) continue;
    char *more = esp_format("%s%s%s", kinds, *kinds ? ", " : "", stage->kind);
    esp_free(&kinds);
    kinds = more;
  }
  return kinds;
}

static esp_status fail_kinds(const esp_model *model, const char *word) {
  char *kinds = list_kinds(model);
  const esp_status status =
      esp_fail(ESP_USAGE,
               "--kinds: expected kinds of sites that the model has (%s), or single sites by name "
               "or pattern (*.0), found '%s'",
               kinds, word);
  esp_free(&kinds);
  return status;
}

esp_status units_check_kinds_local(const esp_model *model, const char *kinds) {
  if (!kinds) return ESP_OK;
  char *copy = esp_strdup(kinds), *rest = copy;
  esp_status status = ESP_OK;
  for (char *word = strtok_r(rest, ", ", &rest); word && status == ESP_OK;
       word = strtok_r(NULL, ", ", &rest))
    if (!has_asked(model, word)) status = fail_kinds(model, word);
  esp_free(&copy);
  return status;
}

static bool has_site(const train_parts *parts, int stage) {
  const esp_stage *site = &parts->model->stages[stage];
  for (int s = 0; s < site->n_consumers; s++)
    if (!parts->trains[site->consumers[s].weight]) return false;
  return site->units > 0 && site->n_consumers > 0;
}

void units_lay_out(train_units *self, const train_parts *parts, const char *kinds) {
  *self = (train_units){.parts = parts, .sites = ESP_NEW(units_site, parts->model->n_stages)};
  for (int i = 0; i < parts->model->n_stages; i++) {
    if (!has_site(parts, i) || !units_is_asked(&parts->model->stages[i], kinds)) continue;
    const int64_t n = parts->model->stages[i].units;
    self->sites[self->n_sites++] = (units_site){i, self->n, n};
    self->n += n;
  }
}

static double count_products(const esp_model *model, const esp_slice *slices, int n) {
  double sum = 0.0;
  for (int s = 0; s < n; s++) {
    const esp_weight *weight = &model->weights[slices[s].weight];
    if (weight->rank != 2) continue;
    sum += (double)slices[s].width * (double)weight->shape[1 - slices[s].axis];
  }
  return sum;
}

double units_count_products(const train_units *self, const units_site *site) {
  const esp_model *model = self->parts->model;
  const esp_stage *of = &model->stages[site->stage];
  return count_products(model, of->producers, of->n_producers) +
         count_products(model, of->consumers, of->n_consumers);
}

/* Index of a weight's element along an axis. */
static int64_t find_index(const esp_weight *weight, int axis, int64_t element) {
  int64_t stride = 1;
  for (int a = axis + 1; a < weight->rank; a++) stride *= weight->shape[a];
  return element / stride % weight->shape[axis];
}

static void map_run(const train_units *self, const units_site *site, const esp_slice *slice,
                    const parts_run *run, int32_t *map) {
  const esp_weight *weight = &self->parts->model->weights[run->weight];
  for (int64_t i = 0; i < run->n; i++) {
    const int64_t at = find_index(weight, slice->axis, run->at + i) - slice->offset;
    if (at >= 0 && at < site->n * slice->width)
      map[run->own + i] = (int32_t)(site->first + at / slice->width);
  }
}

static void map_slices(const train_units *self, const units_site *site, const esp_slice *slices,
                       int n, int32_t *map) {
  for (int s = 0; s < n; s++)
    for (int r = 0; r < self->parts->n_runs; r++)
      if (self->parts->runs[r].weight == slices[s].weight)
        map_run(self, site, &slices[s], &self->parts->runs[r], map);
}

static int32_t *new_map(const train_parts *parts) {
  int32_t *map = ESP_NEW(int32_t, parts->n_own);
  memset(map, 0xff, (size_t)parts->n_own * sizeof *map); // -1
  return map;
}

void units_init(train_units *self) {
  self->consumed = new_map(self->parts);
  self->produced = new_map(self->parts);
  for (int i = 0; i < self->n_sites; i++) {
    const units_site *site = &self->sites[i];
    const esp_stage *stage = &self->parts->model->stages[site->stage];
    map_slices(self, site, stage->consumers, stage->n_consumers, self->consumed);
    map_slices(self, site, stage->producers, stage->n_producers, self->produced);
  }
}

void units_clear(train_units *self) {
  esp_free(&self->sites);
  esp_free(&self->consumed);
  esp_free(&self->produced);
}

static double find_largest(const train_units *self, const int32_t *map, const float *a,
                           const float *b) {
  double largest = 0.0;
  for (int64_t i = 0; i < self->parts->n_own; i++)
    if (map[i] >= 0) largest = fmax(largest, fabs((double)a[i] * (double)b[i]));
  return largest;
}

void units_sum_products(const esp_comm *comm, const train_units *self, const int32_t *map,
                        const float *a, const float *b, double *sums) {
  double largest = find_largest(self, map, a, b);
  esp_allreduce_max_f64(comm, &largest, 1);
  memset(sums, 0, (size_t)self->n * sizeof *sums);
  if (!(largest > 0.0)) return;
  const int exponent = 61 - ilogb(largest) - ilogb((double)self->parts->n_values + 1.0) - 1;
  int64_t *fixed = ESP_NEW(int64_t, self->n);
  for (int64_t i = 0; i < self->parts->n_own; i++)
    if (map[i] >= 0) fixed[map[i]] += llrint(ldexp((double)a[i] * (double)b[i], exponent));
  esp_allreduce_sum_i64(comm, fixed, self->n);
  for (int64_t u = 0; u < self->n; u++) sums[u] = ldexp((double)fixed[u], -exponent);
  esp_free(&fixed);
}
