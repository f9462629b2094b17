/* --sites block: whole layers go. Each is measured by what it reads and what it leaves of the
 * residual stream, by criteria of its own; it goes alone, since the sites of a layer that is
 * removed need no selection. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/model/family.h"
#include "espalier/select/budget.h"
#include "espalier/sweep/sweep.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NEEDS_LAYERS = ESP_NEEDS_LAYER_INFORMATION | ESP_NEEDS_LAYER_COSINE };

bool drops_layers(const prune_job *job) {
  return job->layers.is_chosen;
}

esp_status layers_choose(prune_job *job, double sparsity) {
  if (esp_model_count_layers(job->dense) == 0)
    return esp_fail(ESP_USAGE,
                    "--sites block: family '%s' has no residual stream, so no whole layer can be "
                    "left out; prune its units",
                    job->dense->family->name);
  job->layers.is_chosen = true;
  job->layers.sparsity = sparsity;
  return ESP_OK;
}

esp_status layers_choose_default(prune_job *job) {
  if (!(job->criterion->needs & NEEDS_LAYERS)) return ESP_OK;
  for (int i = 0; i < job->dense->n_stages; i++) job->sparsity[i] = -1.0;
  return layers_choose(job, job->settings->allocation.sparsity);
}

esp_status layers_check(const prune_job *job) {
  const bool ranks_layers = job->criterion->needs & NEEDS_LAYERS;
  if (ranks_layers && !drops_layers(job))
    return esp_fail(ESP_USAGE, "criterion '%s' ranks whole layers; give --sites block",
                    job->criterion->name);
  if (!drops_layers(job)) return ESP_OK;
  if (!ranks_layers)
    return esp_fail(ESP_USAGE,
                    "--sites block: criterion '%s' does not rank whole layers; choose block or "
                    "block-cosine",
                    job->criterion->name);
  for (int i = 0; i <= job->dense->n_stages; i++)
    if (job->sparsity[i] >= 0.0)
      return esp_fail(ESP_USAGE,
                      "--sites block removes whole layers and goes alone; prune other sites of the "
                      "result in a second run");
  if (job->allocation->needs_scores)
    return esp_fail(ESP_USAGE,
                    "--sites block: all layers are one site, so allocation '%s' has nothing to "
                    "share out; choose uniform",
                    job->allocation->name);
  if (job->repair->apply_to_layers) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--sites block: repair '%s' fits a consumer to its own units, which all stay; "
                  "choose sequential or none",
                  job->repair->name);
}

/* The stream as the layer that begins at a stage, or the head, reads it. */
static esp_status load_stream(prune_job *job, int stage, esp_site_stats *site) {
  return esp_stats_load_site(job->stats, esp_stats_name_reader(job->dense, stage).text,
                             job->dense->width.units, ESP_LOAD_PLANES, site);
}

static double compute_mean(const double *values, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += values[i];
  return sum / (double)n;
}

typedef struct record_name {
  char text[48];
} record_name;

static record_name name_layer(int64_t layer) {
  record_name name;
  snprintf(name.text, sizeof name.text, "measured layer %" PRId64, layer);
  return name;
}

static esp_status measure_layer(prune_job *job, int64_t layer, const esp_site_stats *below,
                                const esp_site_stats *above, double *mean) {
  const int64_t d = job->dense->width.units;
  double *information = ESP_NEW(double, d);
  esp_sweep_matched(job->comm, &below->planes, &above->planes, job->stats->rows, information);
  *mean = compute_mean(information, d);
  esp_free(&information);
  return journal_save_unit(job, name_layer(layer).text, sizeof *mean, mean);
}

/* What an interrupted run has measured; *n layers from the bottom. */
static esp_status load_measured(prune_job *job, double *means, int64_t *n) {
  bool found = true;
  for (*n = 0; *n < esp_model_count_layers(job->dense); ++*n) {
    ESP_TRY(journal_load_unit(job, name_layer(*n).text, sizeof *means, &means[*n], &found));
    if (!found) break;
  }
  return ESP_OK;
}

/* A layer's input and output are those of the readers at its two ends. */
static esp_status gather_information(prune_job *job, double *means) {
  const int64_t n = esp_model_count_layers(job->dense);
  int64_t first;
  esp_site_stats below, above;
  ESP_TRY(load_measured(job, means, &first));
  if (first == n) return ESP_OK;
  esp_status status = load_stream(job, (int)first * ESP_LAYER_STAGES, &below);
  for (int64_t l = first; l < n && status == ESP_OK; l++) {
    status = load_stream(job, (int)(l + 1) * ESP_LAYER_STAGES, &above);
    if (status == ESP_OK) status = measure_layer(job, l, &below, &above, &means[l]);
    esp_site_stats_clear(&below);
    below = above;
  }
  esp_site_stats_clear(&below);
  return status;
}

static esp_status gather(prune_job *job, double *means) {
  if (job->criterion->needs & ESP_NEEDS_LAYER_INFORMATION) return gather_information(job, means);
  return esp_stats_load_layers(job->stats, esp_model_count_layers(job->dense), means);
}

static void report_layers(prune_job *job, const double *means) {
  const int64_t n = esp_model_count_layers(job->dense);
  const char *measure =
      job->criterion->needs & ESP_NEEDS_LAYER_COSINE ? "cosine" : "information_nats";
  json_t *report = json_pack("{s:s, s:s, s:I, s:I}", "site", ESP_SITE_BLOCK, "kind", ESP_SITE_BLOCK,
                             "units", (json_int_t)n, "kept", (json_int_t)job->layers.n_kept);
  json_t *list = json_array(), *kept = json_array();
  for (int64_t l = 0; l < n; l++) json_array_append_new(list, json_real(means[l]));
  for (int64_t k = 0; k < job->layers.n_kept; k++)
    json_array_append_new(kept, json_integer(job->layers.kept[k]));
  json_object_set_new(report, measure, json_real(compute_mean(means, n)));
  json_object_set_new(report, "by_layer", list);
  json_object_set_new(report, "kept_layers", kept);
  json_array_append_new(job->sites, report);
  esp_log_info("select block: %" PRId64 " of %" PRId64 " layers kept", job->layers.n_kept, n);
}

void layers_keep(prune_job *job, const int64_t *order) {
  const int64_t n = esp_model_count_layers(job->dense);
  const esp_budget_rule rule = {.sparsity = job->layers.sparsity,
                                .multiple_of = 1,
                                .min_keep = job->settings->allocation.min_keep};
  job->layers.n_kept = esp_budget_uniform(&rule, n);
  job->layers.kept = ESP_NEW(int64_t, job->layers.n_kept);
  esp_keep_first(order, job->layers.n_kept, job->layers.kept);
  job->checksum = esp_selection_checksum(job->checksum, ESP_SITE_BLOCK, n, job->layers.kept,
                                         job->layers.n_kept);
}

/* The same sums on every rank, so every rank ranks alike. */
esp_status layers_select(prune_job *job) {
  const int64_t n = esp_model_count_layers(job->dense);
  double *means = ESP_NEW(double, n);
  int64_t *order = ESP_NEW(int64_t, n);
  esp_phases_begin(&job->phases, "select");
  esp_status status = gather(job, means);
  const esp_evidence evidence = {.site = ESP_SITE_BLOCK,
                                 .units = n,
                                 .width = 1,
                                 .layer_information = means,
                                 .layer_cosine = means};
  job->layers.scores = ESP_NEW(double, n);
  if (status == ESP_OK)
    status = esp_agree(job->comm, job->criterion->rank(&evidence, order, job->layers.scores));
  if (status == ESP_OK) {
    layers_keep(job, order);
    report_layers(job, means);
  }
  esp_free(&order);
  esp_free(&means);
  return status;
}

esp_status layers_write(prune_job *job, esp_h5 *file) {
  const esp_h5_shape kept = {ESP_I64, 1, {job->layers.n_kept}};
  const esp_h5_shape scores = {ESP_F64, 1, {esp_model_count_layers(job->dense)}};
  ESP_TRY(esp_h5_write_root(file, "/kept/" ESP_SITE_BLOCK, &kept, job->layers.kept));
  return esp_h5_write_root(file, "/scores/" ESP_SITE_BLOCK, &scores, job->layers.scores);
}

void layers_clear(prune_job *job) {
  esp_free(&job->layers.kept);
  esp_free(&job->layers.scores);
}
