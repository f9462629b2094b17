/* What a criterion needs of a stage. */
#include "pipeline.h"

#include "espalier/core/memory.h"
#include "espalier/sweep/sweep.h"

#include <math.h>
#include <string.h>

bool needs_activation_covariance(const prune_job *job) {
  const unsigned needs = job->criterion->needs;
  return needs & ESP_NEEDS_COVARIANCE && !(needs & ESP_NEEDS_CODES) &&
         strcmp(job->settings->prune.moments, "activations") == 0;
}

static esp_status read_covariance(prune_job *job, const esp_site_stats *site, int owner,
                                  double *covariance) {
  const int64_t n = site->features;
  float *stored = covariance ? ESP_NEW(float, n *n) : NULL;
  const esp_status status =
      esp_stats_load_matrix(job->stats, site->name, ESP_STATS_COVARIANCE, n, owner, stored);
  for (int64_t i = 0; covariance && status == ESP_OK && i < n * n; i++)
    covariance[i] = (double)stored[i];
  esp_free(&stored);
  return status;
}

/* Standard deviations times the codes' correlation. */
static void scale_correlation(const esp_site_stats *site, double *correlation) {
  const int64_t n = site->features;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      correlation[i * n + j] *= sqrt(site->variance[i] * site->variance[j]);
}

static void add_means(const esp_site_stats *site, double *covariance) {
  const int64_t n = site->features;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) covariance[i * n + j] += site->mean[i] * site->mean[j];
}

static esp_status gather_centred(prune_job *job, const esp_site_stats *site, int owner,
                                 site_evidence *self) {
  const bool is_mine = job->comm->rank == owner;
  if (is_mine) self->covariance = ESP_NEW(double, site->features * site->features);
  if (needs_activation_covariance(job)) return read_covariance(job, site, owner, self->covariance);
  esp_sweep_correlation(job->comm, &site->planes, job->stats->rows,
                        esp_sweep_find_reduce(job->settings->sweep.reduce), owner,
                        self->covariance);
  if (is_mine) scale_correlation(site, self->covariance);
  return ESP_OK;
}

esp_status evidence_gather_covariance(prune_job *job, const esp_site_stats *site, int owner,
                                      site_evidence *self) {
  ESP_TRY(gather_centred(job, site, owner, self));
  if (self->covariance && job->criterion->needs & ESP_NEEDS_ABOUT_ZERO)
    add_means(site, self->covariance);
  return ESP_OK;
}

void evidence_copy_moments(const esp_site_stats *site, site_evidence *self) {
  const size_t bytes = (size_t)site->features * sizeof(double);
  self->moments = ESP_NEW(double, 4 * site->features);
  memcpy(self->moments, site->mean, bytes);
  memcpy(self->moments + site->features, site->variance, bytes);
  memcpy(self->moments + 2 * site->features, site->norm, bytes);
  memcpy(self->moments + 3 * site->features, site->activation, bytes);
}

static esp_status read_fisher(prune_job *job, int stage, int owner, site_evidence *self) {
  const esp_stage *site = &job->dense->stages[stage];
  const int64_t n = site->consumer.outputs;
  if (job->comm->rank == owner) self->fisher = ESP_NEW(float, n *n);
  return esp_stats_load_matrix(job->stats, site->name, ESP_STATS_FISHER, n, owner, self->fisher);
}

static esp_status count_joint(prune_job *job, int stage) {
  esp_phases_begin(&job->phases, "joint counts");
  const esp_status status = information_gather_stage(job, stage);
  esp_phases_begin(&job->phases, "select");
  return status;
}

static esp_status read_site(prune_job *job, int stage, int owner, const esp_site_stats *site,
                            site_evidence *self) {
  const unsigned needs = job->criterion->needs;
  evidence_copy_moments(site, self);
  if (needs & ESP_NEEDS_COVARIANCE) ESP_TRY(evidence_gather_covariance(job, site, owner, self));
  if (uses_fisher(job)) ESP_TRY(read_fisher(job, stage, owner, self));
  return needs & ESP_NEEDS_INFORMATION ? count_joint(job, stage) : ESP_OK;
}

esp_status evidence_read(prune_job *job, int stage, int owner, site_evidence *self) {
  const esp_stage *stage_of = &job->dense->stages[stage];
  const bool from_codes =
      job->criterion->needs & ESP_NEEDS_COVARIANCE && !needs_activation_covariance(job);
  esp_site_stats site;
  *self = (site_evidence){0};
  ESP_TRY(esp_stats_load_site(job->stats, stage_of->name, esp_stage_features(stage_of),
                              from_codes ? ESP_LOAD_PLANES : 0, &site));
  const esp_status status = read_site(job, stage, owner, &site, self);
  esp_site_stats_clear(&site);
  if (status != ESP_OK) evidence_clear(self);
  return status;
}

/* Rows of the consumer for the outputs that stay, given the selection above. */
static esp_status gather_map(prune_job *job, int stage, site_evidence *self, int64_t *outputs) {
  const esp_linear *linear = &job->dense->stages[stage].consumer;
  ESP_TRY(esp_model_load_local(job->dense, stage));
  int64_t *rows = esp_selection_indices(&job->selection, job->dense, linear->weight,
                                        linear->input_major ? 1 : 0, outputs);
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

static void lend_information(const prune_job *job, int stage, esp_evidence *evidence) {
  if (job->information_stage == stage) information_lend(&job->information, evidence);
}

esp_status evidence_complete_local(prune_job *job, int stage, site_evidence *self,
                                   esp_evidence *evidence) {
  const esp_stage *stage_of = &job->dense->stages[stage];
  *evidence = (esp_evidence){.site = stage_of->name,
                             .units = stage_of->units,
                             .width = stage_of->width,
                             .ridge = job->settings->prune.ridge,
                             .seed = (uint64_t)job->settings->run.seed,
                             .stream = (uint64_t)stage};
  ESP_TRY(gather_map(job, stage, self, &evidence->outputs));
  ESP_TRY(evidence_apply_metric_local(job, stage, self));
  ESP_TRY(gather_norms(job, stage, self));
  evidence_lend(self, esp_stage_features(stage_of), evidence);
  lend_information(job, stage, evidence);
  return ESP_OK;
}

static bool has_slice(const esp_slice *slices, int n, int weight, int axis) {
  for (int s = 0; s < n; s++)
    if (slices[s].weight == weight && slices[s].axis == axis) return true;
  return false;
}

/* The map's rows are outputs of the consumer: a stage whose units are not chosen yet may remove
 * some. */
static bool has_open_outputs(const prune_job *job, int stage) {
  const esp_linear *linear = &job->dense->stages[stage].consumer;
  const int axis = linear->input_major ? 1 : 0;
  for (int i = 0; i < job->dense->n_stages; i++) {
    const esp_stage *other = &job->dense->stages[i];
    if (job->selection.kept[i]) continue;
    if (has_slice(other->producers, other->n_producers, linear->weight, axis) ||
        has_slice(other->consumers, other->n_consumers, linear->weight, axis))
      return true;
  }
  return false;
}

bool evidence_depends_on_selection(const prune_job *job, int stage) {
  const unsigned needs = job->criterion->needs;
  return needs & ESP_NEEDS_INFORMATION || (needs & ESP_NEEDS_MAP && has_open_outputs(job, stage));
}

void evidence_lend(const site_evidence *self, int64_t features, esp_evidence *evidence) {
  evidence->covariance = self->covariance;
  evidence->map = self->map;
  evidence->mean = self->moments;
  evidence->variance = self->moments + features;
  evidence->norm = self->moments + 2 * features;
  evidence->activation = self->moments + 3 * features;
  evidence->producer_norm = self->producer_norm;
  evidence->consumer_norm = self->consumer_norm;
}

void evidence_clear(site_evidence *self) {
  esp_free(&self->covariance);
  esp_free(&self->fisher);
  esp_free(&self->map);
  esp_free(&self->moments);
  esp_free(&self->producer_norm);
  esp_free(&self->consumer_norm);
}
