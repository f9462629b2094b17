/* What a criterion needs of a stage. */
#include "evidence.h"

#include "espalier/core/memory.h"
#include "espalier/sweep/sweep.h"

#include <math.h>
#include <string.h>

static esp_status read_covariance(ranker *self, const esp_site_stats *stats, int owner,
                                  double *covariance) {
  const int64_t n = stats->features;
  float *stored = covariance ? ESP_NEW(float, n *n) : NULL;
  const esp_status status =
      esp_stats_load_matrix(self->stats, stats->name, ESP_STATS_COVARIANCE, n, owner, stored);
  for (int64_t i = 0; covariance && status == ESP_OK && i < n * n; i++)
    covariance[i] = (double)stored[i];
  esp_free(&stored);
  return status;
}

/* Standard deviations times the codes' correlation. */
static void scale_correlation(const esp_site_stats *stats, double *correlation) {
  const int64_t n = stats->features;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      correlation[i * n + j] *= sqrt(stats->variance[i] * stats->variance[j]);
}

static void add_means(const esp_site_stats *stats, double *covariance) {
  const int64_t n = stats->features;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) covariance[i * n + j] += stats->mean[i] * stats->mean[j];
}

static esp_status gather_centred(ranker *self, const esp_site_stats *stats, int owner,
                                 site_evidence *site) {
  const bool is_mine = self->comm->rank == owner;
  if (is_mine) site->covariance = ESP_NEW(double, stats->features * stats->features);
  if (reads_activation_covariance(self->request))
    return read_covariance(self, stats, owner, site->covariance);
  esp_sweep_correlation(self->comm, &stats->planes, self->stats->rows, self->request->reduce, owner,
                        site->covariance);
  if (is_mine) scale_correlation(stats, site->covariance);
  return ESP_OK;
}

esp_status evidence_gather_covariance(ranker *self, const esp_site_stats *stats, int owner,
                                      site_evidence *site) {
  ESP_TRY(gather_centred(self, stats, owner, site));
  if (site->covariance && self->request->criterion->needs & ESP_NEEDS_ABOUT_ZERO)
    add_means(stats, site->covariance);
  return ESP_OK;
}

void evidence_copy_moments(const esp_site_stats *stats, site_evidence *site) {
  const size_t bytes = (size_t)stats->features * sizeof(double);
  site->moments = ESP_NEW(double, 4 * stats->features);
  memcpy(site->moments, stats->mean, bytes);
  memcpy(site->moments + stats->features, stats->variance, bytes);
  memcpy(site->moments + 2 * stats->features, stats->norm, bytes);
  memcpy(site->moments + 3 * stats->features, stats->activation, bytes);
}

static esp_status read_fisher(ranker *self, int stage, int owner, site_evidence *site) {
  const esp_stage *of = &self->request->dense->stages[stage];
  const int64_t n = of->consumer.outputs;
  if (self->comm->rank == owner) site->fisher = ESP_NEW(float, n *n);
  return esp_stats_load_matrix(self->stats, of->name, ESP_STATS_FISHER, n, owner, site->fisher);
}

static esp_status count_joint(ranker *self, int stage) {
  ranker_begin_phase(self, "joint counts");
  const esp_status status = information_count(self, stage);
  ranker_begin_phase(self, "select");
  return status;
}

static esp_status read_site(ranker *self, int stage, int owner, const esp_site_stats *stats,
                            site_evidence *site) {
  const unsigned needs = self->request->criterion->needs;
  evidence_copy_moments(stats, site);
  if (needs & ESP_NEEDS_COVARIANCE) ESP_TRY(evidence_gather_covariance(self, stats, owner, site));
  if (metric_is_fisher(self->request, self->stats)) ESP_TRY(read_fisher(self, stage, owner, site));
  return needs & ESP_NEEDS_INFORMATION ? count_joint(self, stage) : ESP_OK;
}

esp_status evidence_read(ranker *self, int stage, int owner, site_evidence *site) {
  const esp_stage *of = &self->request->dense->stages[stage];
  const bool from_codes = self->request->criterion->needs & ESP_NEEDS_COVARIANCE &&
                          !reads_activation_covariance(self->request);
  esp_site_stats stats;
  *site = (site_evidence){0};
  if (!self->stats) return ESP_OK;
  ESP_TRY(esp_stats_load_site(self->stats, of->name, esp_stage_features(of),
                              from_codes ? ESP_LOAD_PLANES : 0, &stats));
  const esp_status status = read_site(self, stage, owner, &stats, site);
  esp_site_stats_clear(&stats);
  if (status != ESP_OK) evidence_clear(site);
  return status;
}

/* Rows of the consumer for the outputs that stay, given the selection above. */
static esp_status gather_map(const ranker *self, int stage, site_evidence *site, int64_t *outputs) {
  esp_model *dense = self->request->dense;
  const esp_linear *linear = &dense->stages[stage].consumer;
  ESP_TRY(esp_model_load_local(dense, stage));
  int64_t *rows = esp_selection_indices(self->above, dense, linear->weight,
                                        linear->input_major ? 1 : 0, outputs);
  const float *weights = dense->weights[linear->weight].value;
  site->map = ESP_NEW(float, *outputs * linear->inputs);
  for (int64_t i = 0; i < *outputs; i++)
    for (int64_t j = 0; j < linear->inputs; j++) {
      const int64_t row = rows ? rows[i] : i;
      site->map[i * linear->inputs + j] =
          weights[linear->input_major ? j * linear->outputs + row : row * linear->inputs + j];
    }
  esp_free(&rows);
  esp_model_unload(dense, stage);
  return ESP_OK;
}

static esp_status gather_norms(const ranker *self, int stage, site_evidence *site) {
  const int64_t units = self->request->dense->stages[stage].units;
  site->producer_norm = ESP_NEW(double, units);
  site->consumer_norm = ESP_NEW(double, units);
  return norms_compute_local(self->request->dense, stage, site->producer_norm, site->consumer_norm);
}

esp_evidence evidence_of_sizes(const ranker *self, int stage) {
  const esp_stage *of = &self->request->dense->stages[stage];
  return (esp_evidence){.site = of->name,
                        .units = of->units,
                        .width = of->width,
                        .ridge = self->request->settings->prune.ridge,
                        .seed = (uint64_t)self->request->settings->run.seed,
                        .stream = (uint64_t)stage};
}

esp_status evidence_complete_local(ranker *self, int stage, site_evidence *site,
                                   esp_evidence *evidence) {
  const esp_stage *of = &self->request->dense->stages[stage];
  const unsigned needs = self->request->criterion->needs;
  *evidence = evidence_of_sizes(self, stage);
  if (needs & ESP_NEEDS_MAP) {
    ESP_TRY(gather_map(self, stage, site, &evidence->outputs));
    ESP_TRY(evidence_apply_metric_local(self, stage, site));
  }
  if (needs & ESP_NEEDS_NORMS) ESP_TRY(gather_norms(self, stage, site));
  evidence_lend(site, esp_stage_features(of), evidence);
  if (self->information_stage == stage) information_lend(&self->information, evidence);
  return ESP_OK;
}

static bool has_slice(const esp_slice *slices, int n, int weight, int axis) {
  for (int s = 0; s < n; s++)
    if (slices[s].weight == weight && slices[s].axis == axis) return true;
  return false;
}

/* The map's rows are outputs of the consumer: a stage whose units are not chosen yet may remove
 * some. */
static bool has_open_outputs(const esp_model *dense, const esp_selection *above, int stage) {
  const esp_linear *linear = &dense->stages[stage].consumer;
  const int axis = linear->input_major ? 1 : 0;
  for (int i = 0; i < dense->n_stages; i++) {
    const esp_stage *other = &dense->stages[i];
    if (above->kept[i]) continue;
    if (has_slice(other->producers, other->n_producers, linear->weight, axis) ||
        has_slice(other->consumers, other->n_consumers, linear->weight, axis))
      return true;
  }
  return false;
}

bool evidence_depends_on_selection(const esp_prune_request *request, const esp_selection *above,
                                   int stage) {
  const unsigned needs = request->criterion->needs;
  return needs & ESP_NEEDS_INFORMATION ||
         (needs & ESP_NEEDS_MAP && has_open_outputs(request->dense, above, stage));
}

void evidence_lend(const site_evidence *site, int64_t features, esp_evidence *evidence) {
  evidence->covariance = site->covariance;
  evidence->map = site->map;
  evidence->producer_norm = site->producer_norm;
  evidence->consumer_norm = site->consumer_norm;
  if (!site->moments) return;
  evidence->mean = site->moments;
  evidence->variance = site->moments + features;
  evidence->norm = site->moments + 2 * features;
  evidence->activation = site->moments + 3 * features;
}

void evidence_clear(site_evidence *site) {
  esp_free(&site->covariance);
  esp_free(&site->fisher);
  esp_free(&site->map);
  esp_free(&site->moments);
  esp_free(&site->producer_norm);
  esp_free(&site->consumer_norm);
}
