#include "pipeline.h"

#include "espalier/collect/sweep.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

enum { STREAM_NOISE = 0x401 };

/* The site that reads a stage next: the stage above, or the logits; and its features. */
static const char *name_above(const prune_job *job, int stage, int64_t *features) {
  if (stage + 1 == job->dense->n_stages) {
    *features = json_integer_value(json_object_get(job->stats->meta, ESP_META_LOGITS));
    return ESP_SITE_LOGITS;
  }
  *features = esp_stage_features(&job->dense->stages[stage + 1]);
  return job->dense->stages[stage + 1].name;
}

static void list_upper(const prune_job *job, int stage, int64_t features, site_evidence *self) {
  self->upper = ESP_NEW(int64_t, features);
  if (stage + 1 < job->dense->n_stages) {
    self->n_upper = esp_selection_features(&job->selection, &job->dense->stages[stage + 1],
                                           stage + 1, self->upper);
    return;
  }
  self->n_upper = features; // all logits
  for (int64_t i = 0; i < features; i++) self->upper[i] = i;
}

static void copy_unit(const esp_planes *from, int64_t i, esp_planes *to, int64_t j) {
  const int64_t planes = from->bins - 1;
  for (int64_t p = 0; p < planes; p++)
    memcpy(to->words + (j * planes + p) * to->stride, from->words + (i * planes + p) * from->stride,
           (size_t)from->n_words * sizeof *from->words);
}

/* The site's own planes with noise units behind them, whose information gives the null level. */
static void add_noise(const prune_job *job, int stream, const esp_planes *site, esp_planes *both) {
  uint8_t *valid = esp_stats_count_valid(job->stats);
  esp_planes_init(both, site->units + NOISE_UNITS, site->bins, site->n_words);
  for (int64_t i = 0; i < site->units; i++) copy_unit(site, i, both, i);
  for (int64_t i = 0; i < NOISE_UNITS; i++)
    esp_fill_noise((uint64_t)job->settings->seed,
                   (uint64_t)(STREAM_NOISE + stream * NOISE_UNITS + i),
                   job->stats->first * job->stats->words, valid, site->units + i, both);
  esp_free(&valid);
}

static void average_noise(const site_evidence *self, int64_t features) {
  for (int64_t i = 0; i < NOISE_UNITS; i++) {
    double sum = 0.0;
    for (int64_t j = 0; j < self->n_upper; j++)
      sum += self->information[(features + i) * self->n_upper + j];
    self->null_level[i] = sum / (double)self->n_upper;
  }
}

esp_status evidence_gather_information(prune_job *job, int stage, int stream,
                                       const esp_planes *site, site_evidence *self) {
  int64_t features;
  const char *name = name_above(job, stage, &features);
  esp_site_stats above;
  ESP_TRY(esp_stats_load_site(job->stats, name, features, ESP_LOAD_PLANES, &above));
  list_upper(job, stage, features, self);
  esp_planes upper, both;
  esp_planes_init(&upper, self->n_upper, above.planes.bins, above.planes.n_words);
  for (int64_t i = 0; i < self->n_upper; i++) copy_unit(&above.planes, self->upper[i], &upper, i);
  add_noise(job, stream, site, &both);
  self->information = ESP_NEW(float, both.units * self->n_upper);
  self->null_level = ESP_NEW(double, NOISE_UNITS);
  esp_sweep_information(job->comm, &both, &upper, job->stats->rows, self->information);
  average_noise(self, site->units);
  esp_planes_clear(&both);
  esp_planes_clear(&upper);
  esp_site_stats_clear(&above);
  return ESP_OK;
}

/* Covariance of the activations as measured, or their standard deviations times the codes'
 * correlation. */
void evidence_gather_covariance(prune_job *job, const esp_site_stats *site, site_evidence *self) {
  const int64_t n = site->features;
  const bool from_codes = strcmp(job->settings->moments, "codes") == 0;
  self->covariance = ESP_NEW(double, n *n);
  if (from_codes)
    esp_sweep_correlation(job->comm, &site->planes, job->stats->rows, self->covariance);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      self->covariance[i * n + j] =
          from_codes ? self->covariance[i * n + j] * sqrt(site->variance[i] * site->variance[j])
                     : (double)site->covariance[i * n + j];
}

/* Rows of the consumer for the outputs that stay, given the selection above. */
static esp_status gather_map(prune_job *job, int stage, site_evidence *self, int64_t *outputs) {
  const esp_linear *linear = &job->dense->stages[stage].consumer;
  int64_t *rows = esp_selection_indices(&job->selection, job->dense, linear->weight,
                                        linear->input_major ? 1 : 0, outputs);
  ESP_TRY(esp_model_load_local(job->dense, stage));
  const float *weights = job->dense->weights[linear->weight].value;
  self->map = ESP_NEW(float, *outputs * linear->inputs);
  for (int64_t i = 0; i < *outputs; i++)
    for (int64_t j = 0; j < linear->inputs; j++) {
      const int64_t row = rows ? rows[i] : i;
      self->map[i * linear->inputs + j] =
          weights[linear->input_major ? j * linear->outputs + row : row * linear->inputs + j];
    }
  esp_free(&rows);
  esp_model_unload(job->dense, stage);
  return ESP_OK;
}

static esp_status gather_norms(prune_job *job, int stage, site_evidence *self) {
  const int64_t units = job->dense->stages[stage].units;
  self->producer_norm = ESP_NEW(double, units);
  self->consumer_norm = ESP_NEW(double, units);
  return compute_unit_norms(job->dense, stage, self->producer_norm, self->consumer_norm);
}

void evidence_copy_moments(const esp_site_stats *site, site_evidence *self) {
  const size_t bytes = (size_t)site->features * sizeof(double);
  self->moments = ESP_NEW(double, 4 * site->features);
  memcpy(self->moments, site->mean, bytes);
  memcpy(self->moments + site->features, site->variance, bytes);
  memcpy(self->moments + 2 * site->features, site->norm, bytes);
  memcpy(self->moments + 3 * site->features, site->activation, bytes);
}

static esp_status gather_all(prune_job *job, int stage, const esp_site_stats *site,
                             site_evidence *self, esp_evidence *evidence) {
  ESP_TRY(evidence_gather_information(job, stage, stage, &site->planes, self));
  evidence_copy_moments(site, self);
  if (job->criterion->needs & ESP_NEEDS_COVARIANCE) evidence_gather_covariance(job, site, self);
  ESP_TRY(esp_agree(job->comm, gather_map(job, stage, self, &evidence->outputs)));
  ESP_TRY(evidence_apply_metric(job, stage, self));
  return esp_agree(job->comm, gather_norms(job, stage, self));
}

bool needs_activation_covariance(const prune_job *job) {
  return job->criterion->needs & ESP_NEEDS_COVARIANCE &&
         strcmp(job->settings->moments, "activations") == 0;
}

void evidence_lend(const site_evidence *self, int64_t features, esp_evidence *evidence) {
  evidence->upper = self->n_upper;
  evidence->information = self->information;
  evidence->covariance = self->covariance;
  evidence->map = self->map;
  evidence->mean = self->moments;
  evidence->variance = self->moments + features;
  evidence->norm = self->moments + 2 * features;
  evidence->activation = self->moments + 3 * features;
  evidence->producer_norm = self->producer_norm;
  evidence->consumer_norm = self->consumer_norm;
}

esp_status evidence_gather(prune_job *job, int stage, site_evidence *self, esp_evidence *evidence) {
  const esp_stage *stage_of = &job->dense->stages[stage];
  esp_site_stats site;
  *self = (site_evidence){0};
  *evidence = (esp_evidence){.site = stage_of->name,
                             .units = stage_of->units,
                             .width = stage_of->width,
                             .ridge = job->settings->ridge,
                             .seed = (uint64_t)job->settings->seed,
                             .stream = (uint64_t)stage};
  ESP_TRY(esp_stats_load_site(
      job->stats, stage_of->name, esp_stage_features(stage_of),
      ESP_LOAD_PLANES | (needs_activation_covariance(job) ? ESP_LOAD_COVARIANCE : 0), &site));
  const esp_status status = gather_all(job, stage, &site, self, evidence);
  evidence_lend(self, site.features, evidence);
  esp_site_stats_clear(&site);
  if (status != ESP_OK) evidence_clear(self);
  return status;
}

void evidence_clear(site_evidence *self) {
  esp_free(&self->information);
  esp_free(&self->covariance);
  esp_free(&self->map);
  esp_free(&self->moments);
  esp_free(&self->producer_norm);
  esp_free(&self->consumer_norm);
  esp_free(&self->upper);
  esp_free(&self->null_level);
}
