/* By magnitude, as Chase does; or by set-mi, the criterion of prune: what the outputs of the site's
 * consumer lose where a unit goes, given all that stay (docs/method/set-mi.md), from the
 * activations of the step's own batch. */
#include "drop_rules.h"

#include "espalier/core/memory.h"
#include "espalier/linalg/cost.h"
#include "espalier/linalg/exact.h"
#include "espalier/model/cost.h"
#include "espalier/select/criterion.h"

#include <math.h>
#include <string.h>

static const double ridge = 1e-3; // as of prune

static bool is_by_set_mi(const training *self) {
  return strcmp(self->pruning.options->drop_rule, "set-mi") == 0;
}

esp_status drop_rules_check_local(const training *self) {
  const char *distribution = self->pruning.options->distribution;
  if (!is_by_set_mi(self)) return ESP_OK;
  if (!self->pruning.by_units)
    return esp_fail(ESP_USAGE, "--drop-rule set-mi: expected --granularity units, found weights");
  if (!distribution || strcmp(distribution, "global") != 0) return ESP_OK;
  return esp_fail(ESP_USAGE, "--drop-rule set-mi: expected --distribution uniform, found global: "
                             "it ranks the units of one site");
}

static void add_sums(const esp_comm *comm, const train_pruning *self, const int32_t *map,
                     const float *values, const float *ones, double *sums) {
  double *more = ESP_NEW(double, self->units.n);
  units_sum_products(comm, &self->units, map, values, ones, more);
  for (int64_t u = 0; u < self->units.n; u++) sums[u] += more[u];
  esp_free(&more);
}

void drop_rules_measure_magnitudes(const esp_comm *comm, const train_pruning *self, double *means) {
  const int32_t *const maps[2] = {self->units.consumed, self->units.produced};
  const int64_t n = self->parts->n_own, units = self->units.n;
  float *values = ESP_NEW(float, n), *ones = ESP_NEW(float, n);
  double *counts = ESP_NEW(double, units);
  for (int64_t i = 0; i < n; i++) {
    values[i] = fabsf(self->latent[i]);
    ones[i] = 1.0f;
  }
  memset(means, 0, (size_t)units * sizeof *means);
  for (int m = 0; m < 2; m++) {
    add_sums(comm, self, maps[m], values, ones, means);
    add_sums(comm, self, maps[m], ones, ones, counts);
  }
  for (int64_t u = 0; u < units; u++) means[u] /= counts[u] > 0.0 ? counts[u] : 1.0;
  esp_free(&counts);
  esp_free(&ones);
  esp_free(&values);
}

/* One site's living units, and their activations of this rank's micro-batches. */
typedef struct site_view {
  training *of;
  const units_site *site;
  const esp_stage *stage;
  int64_t n, features; // living units, and their features
  int64_t *units;      // (n) numbers within the site
  int64_t *rows;       // (micro-batches) that are not padding
  float *x;            // (micro-batches, rows of a full one, features)
  double *largest;     // (features) |x|, of all ranks
} site_view;

static void list_living(site_view *self) {
  const uint8_t *alive = self->of->pruning.alive + self->site->first;
  self->units = ESP_NEW(int64_t, self->site->n);
  for (int64_t u = 0; u < self->site->n; u++)
    if (alive[u]) self->units[self->n++] = u;
  self->features = self->n * self->stage->width;
}

/* Feature f of the living ones, in the stage's. */
static int64_t find_feature(const site_view *self, int64_t f) {
  const int64_t width = self->stage->width;
  return self->units[f / width] * width + f % width;
}

static float *find_rows(const site_view *self, int64_t i) {
  return self->x + i * self->of->stream.rows * self->features;
}

static void take_rows(site_view *self, int64_t i, const esp_step *step, float *x) {
  const int64_t all = esp_stage_features(self->stage);
  float *to = find_rows(self, i);
  self->rows[i] = esp_batch_compact(&step->call.batch, all, x);
  for (int64_t r = 0; r < self->rows[i]; r++)
    for (int64_t f = 0; f < self->features; f++) {
      const float value = x[r * all + find_feature(self, f)];
      to[r * self->features + f] = value;
      self->largest[f] = fmax(self->largest[f], fabs((double)value));
    }
}

/* The states before the stage are those of the pass. */
static esp_status read_activations_local(site_view *self) {
  esp_stream *stream = &self->of->stream;
  esp_status status = ESP_OK;
  ESP_TRY(esp_model_load_local(stream->model, self->site->stage));
  for (int64_t i = 0; i < stream->count && status == ESP_OK; i++) {
    const esp_step step = esp_stream_step(stream, self->site->stage, i);
    esp_workspace *workspace = step.call.workspace;
    const esp_workspace_mark mark = esp_workspace_set_mark(workspace);
    float *x = ESP_TAKE(workspace, float, stream->rows *esp_stage_features(self->stage));
    status = esp_step_produce(&step, x);
    if (status == ESP_OK) take_rows(self, i, &step, x);
    esp_workspace_release(workspace, mark);
  }
  esp_model_unload(stream->model, self->site->stage);
  return status;
}

static esp_status add_columns_local(const site_view *self, esp_exact *sums) {
  for (int64_t i = 0; i < self->of->stream.count; i++)
    ESP_TRY(esp_exact_add_local(sums, self->rows[i], find_rows(self, i), self->features, NULL, 1));
  return ESP_OK;
}

/* Take the mean, in single precision, from the activations: products of values far from 0 would
 * lose their spread. Collective. */
static esp_status centre(const site_view *self, double rows) {
  const int64_t n = self->features;
  esp_exact sums;
  esp_exact_init(&sums, n, 1, self->largest, NULL);
  esp_status status = esp_agree(self->of->comm, add_columns_local(self, &sums));
  if (status == ESP_OK) status = esp_exact_reduce(self->of->comm, &sums);
  for (int64_t i = 0; i < self->of->stream.count && status == ESP_OK; i++) {
    float *x = find_rows(self, i);
    for (int64_t r = 0; r < self->rows[i]; r++)
      for (int64_t f = 0; f < n; f++) x[r * n + f] -= (float)(esp_exact_get(&sums, f, 0) / rows);
  }
  esp_exact_clear(&sums);
  return status;
}

static esp_status sum_local(const site_view *self, esp_exact *products, esp_exact *sums) {
  const int64_t n = self->features;
  for (int64_t i = 0; i < self->of->stream.count; i++) {
    const float *x = find_rows(self, i);
    ESP_TRY(esp_exact_add_local(products, self->rows[i], x, n, x, n));
    ESP_TRY(esp_exact_add_local(sums, self->rows[i], x, n, NULL, 1));
  }
  return ESP_OK;
}

static int64_t count_rows(const site_view *self) {
  int64_t rows = 0;
  for (int64_t i = 0; i < self->of->stream.count; i++) rows += self->rows[i];
  return esp_agree_sum_i64(self->of->comm, rows);
}

/* (features, features), from sums that are exact. */
static esp_status compute_covariance(const site_view *self, double *covariance) {
  const esp_comm *comm = self->of->comm;
  const int64_t n = self->features;
  const double rows = (double)count_rows(self);
  esp_exact products, sums;
  ESP_TRY(centre(self, rows));
  esp_exact_init(&products, n, n, self->largest, self->largest);
  esp_exact_init(&sums, n, 1, self->largest, NULL);
  esp_status status = esp_agree(comm, sum_local(self, &products, &sums));
  if (status == ESP_OK) status = esp_exact_reduce(comm, &products);
  if (status == ESP_OK) status = esp_exact_reduce(comm, &sums);
  for (int64_t i = 0; i < n * n && status == ESP_OK; i++)
    covariance[i] = esp_exact_get(&products, i / n, i % n) / rows -
                    esp_exact_get(&sums, i / n, 0) / rows * esp_exact_get(&sums, i % n, 0) / rows;
  esp_exact_clear(&sums);
  esp_exact_clear(&products);
  return status;
}

/* How the consumer reads the living features: (outputs, features). */
static float *copy_map(const site_view *self) {
  const esp_linear *consumer = &self->stage->consumer;
  const float *values = self->of->parts.model->weights[consumer->weight].value;
  float *map = ESP_NEW(float, consumer->outputs * self->features);
  for (int64_t o = 0; o < consumer->outputs; o++)
    for (int64_t f = 0; f < self->features; f++) {
      const int64_t in = find_feature(self, f);
      map[o * self->features + f] = consumer->input_major ? values[in * consumer->outputs + o]
                                                          : values[o * consumer->inputs + in];
    }
  return map;
}

/* standing: of the living, the one that stays longest has the highest. */
static esp_status eliminate_local(const site_view *self, const double *covariance,
                                  double *standing) {
  const int64_t outputs = self->stage->consumer.outputs;
  const esp_criterion *criterion;
  ESP_TRY(esp_criterion_find("set-mi", &criterion));
  float *map = copy_map(self);
  double *scale = ESP_NEW(double, outputs), *score = ESP_NEW(double, self->n);
  int64_t *order = ESP_NEW(int64_t, self->n);
  esp_evidence evidence = {.site = self->stage->name,
                           .units = self->n,
                           .width = self->stage->width,
                           .outputs = outputs,
                           .covariance = covariance,
                           .map = map,
                           .ridge = ridge};
  esp_status status = esp_compute_output_scale(&evidence, scale);
  evidence.output_scale = scale;
  if (status == ESP_OK && criterion->rank(&evidence, order, score) != ESP_OK)
    status =
        esp_fail(ESP_NUMERIC,
                 "--drop-rule set-mi: site '%s': the %lld features that live, in the samples of "
                 "one step, have a singular covariance; raise --batch, or take --drop-rule "
                 "magnitude",
                 self->stage->name, (long long)self->features);
  for (int64_t k = 0; k < self->n && status == ESP_OK; k++)
    standing[self->site->first + self->units[order[k]]] = (double)(self->n - k);
  esp_free(&order);
  esp_free(&score);
  esp_free(&scale);
  esp_free(&map);
  return status;
}

/* Rank 0 eliminates. */
static esp_status rank_living(site_view *self, double *standing) {
  const esp_comm *comm = self->of->comm;
  double *covariance = ESP_NEW(double, self->features * self->features);
  esp_status status = esp_agree(comm, read_activations_local(self));
  esp_allreduce_max_f64(comm, self->largest, self->features);
  if (status == ESP_OK) status = compute_covariance(self, covariance);
  if (status == ESP_OK)
    status =
        esp_agree(comm, comm->rank == 0 ? eliminate_local(self, covariance, standing) : ESP_OK);
  esp_bcast(comm, standing + self->site->first, self->site->n * (int64_t)sizeof *standing, 0);
  esp_free(&covariance);
  return status;
}

static esp_status rank_site(training *of, const units_site *site, double *standing) {
  site_view self = {.of = of, .site = site, .stage = &of->parts.model->stages[site->stage]};
  list_living(&self);
  self.rows = ESP_NEW(int64_t, of->stream.count);
  self.x = ESP_NEW(float, of->stream.count * of->stream.rows * self.features);
  self.largest = ESP_NEW(double, self.features);
  const esp_status status = rank_living(&self, standing);
  esp_free(&self.largest);
  esp_free(&self.x);
  esp_free(&self.rows);
  esp_free(&self.units);
  return status;
}

esp_status drop_rules_rank(training *self, double *standing) {
  train_pruning *pruning = &self->pruning;
  if (!is_by_set_mi(self)) {
    drop_rules_measure_magnitudes(self->comm, pruning, standing);
    return ESP_OK;
  }
  for (int64_t u = 0; u < pruning->units.n; u++) standing[u] = 0.0;
  for (int s = 0; s < pruning->units.n_sites; s++)
    ESP_TRY(rank_site(self, &pruning->units.sites[s], standing));
  return ESP_OK;
}

/* A site whose units all live. */
static void add_site_cost(const training *self, const units_site *site, int ranks, esp_cost *cost) {
  const esp_model *model = self->parts.model;
  const esp_stage *stage = &model->stages[site->stage];
  const esp_dataset *data = self->request->data;
  const double features = (double)esp_stage_features(stage);
  const double outputs = (double)stage->consumer.outputs;
  const double tokens = data->kind == ESP_DATA_TOKENS ? (double)data->width : 1.0;
  const double batch = (double)self->request->options->batch, rows = batch * tokens;
  const double batches = ceil(batch / (double)self->request->options->micro_batch);
  const double held = sizeof(float) * features * (ceil(rows / ranks) + outputs) +
                      sizeof(double) * features * features + esp_exact_bytes(features, features);
  const esp_exact_shape products = {ranks, features, features, rows, batches, true};
  const esp_criterion_shape shape = {
      .units = stage->units, .width = stage->width, .outputs = stage->consumer.outputs};
  const esp_criterion *criterion;
  esp_cost_hold(cost, held);
  esp_stage_add_forward_work(model, site->stage, rows, tokens, &cost->work);
  esp_exact_add_cost(&products, cost);
  if (esp_criterion_find("set-mi", &criterion) == ESP_OK)
    esp_criterion_add_cost(criterion, &shape, cost);
  esp_cost_hold(cost, -held);
}

void drop_rules_add_cost(const training *self, int ranks, double times, esp_cost *cost) {
  esp_cost one = {0};
  if (!self->pruning.by_units || !is_by_set_mi(self)) return;
  for (int s = 0; s < self->pruning.units.n_sites; s++)
    add_site_cost(self, &self->pruning.units.sites[s], ranks, &one);
  esp_cost_repeat(&one, times);
  esp_cost_add(cost, &one);
}
