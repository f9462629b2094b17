/* Whole layers (--sites block). Each is measured by what it reads and what it leaves of the
 * residual stream, by criteria of its own. No other structure goes with it, since the sites of a
 * layer that is removed need no selection. */
#include "costs.h"
#include "structure.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/model/family.h"
#include "espalier/select/budget.h"
#include "espalier/sweep/sweep.h"

#include <inttypes.h>
#include <string.h>

enum { NEEDS_LAYERS = ESP_NEEDS_LAYER_INFORMATION | ESP_NEEDS_LAYER_COSINE };

static bool is_asked(const esp_prune_request *request) {
  return request->layer_sparsity >= 0.0;
}

static esp_status choose(esp_prune_request *request, double sparsity, bool is_own) {
  if (esp_model_count_layers(request->dense) == 0)
    return esp_fail(ESP_USAGE,
                    "--sites block: family '%s' has no residual stream, so no whole layer can be "
                    "left out; prune its units",
                    request->dense->family->name);
  request->layer_sparsity = sparsity;
  request->is_layer_fixed = is_own;
  return ESP_OK;
}

static esp_status take_site(esp_prune_request *request, const site_item *item, bool *taken) {
  if (strcmp(item->name, ESP_SITE_BLOCK) != 0) return ESP_OK;
  *taken = true;
  return choose(request, item->sparsity, item->is_own);
}

static void list_sites(const esp_model *dense, const char **names, int *n) {
  if (esp_model_count_layers(dense) > 0) names[(*n)++] = ESP_SITE_BLOCK;
}

/* By a criterion that ranks nothing else. */
static esp_status take_default(esp_prune_request *request) {
  if (!(request->criterion->needs & NEEDS_LAYERS)) return ESP_OK;
  for (int i = 0; i < request->dense->n_stages; i++) request->sparsity[i] = -1.0;
  return choose(request, request->asked, false);
}

static esp_status check_others(const esp_prune_request *request) {
  for (int i = 0; i <= request->dense->n_stages; i++)
    if (request->sparsity[i] >= 0.0)
      return esp_fail(ESP_USAGE,
                      "--sites block removes whole layers, and no other sites with them; prune "
                      "other sites of the result in a second run");
  if (request->allocation->needs_scores)
    return esp_fail(ESP_USAGE,
                    "--sites block: all layers are one site, so allocation '%s' has nothing to "
                    "share out; choose uniform",
                    request->allocation->name);
  return ESP_OK;
}

static esp_status check(const esp_prune_request *request) {
  if (!(request->criterion->needs & NEEDS_LAYERS))
    return esp_fail(ESP_USAGE,
                    "--sites block: criterion '%s' does not rank whole layers; choose block or "
                    "block-cosine",
                    request->criterion->name);
  ESP_TRY(check_others(request));
  if (request->repair->apply_to_layers) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--sites block: repair '%s' fits a consumer to its own units, which all stay; "
                  "choose sequential or none",
                  request->repair->name);
}

static int64_t count_kept(const esp_prune_request *request) {
  const esp_budget_rule rule = {.sparsity = request->layer_sparsity,
                                .multiple_of = 1,
                                .min_keep = request->settings->allocation.min_keep};
  return esp_budget_uniform(&rule, esp_model_count_layers(request->dense));
}

/* The lowest ones. */
static esp_status drop(const esp_prune_request *request, esp_model **resized) {
  const int64_t n = count_kept(request);
  int64_t *kept = ESP_NEW(int64_t, n);
  for (int64_t i = 0; i < n; i++) kept[i] = i;
  const esp_status status = esp_model_drop_layers(request->dense, kept, n, resized);
  esp_free(&kept);
  return status;
}

static void share(esp_prune_request *request, double sparsity) {
  if (!request->is_layer_fixed) request->layer_sparsity = sparsity;
}

static bool reads_statistics(const esp_prune_request *request) {
  (void)request;
  return true;
}

static bool reads_covariance(const esp_prune_request *request) {
  (void)request;
  return false;
}

static const char *reads_stream(const esp_prune_request *request) {
  (void)request;
  return "--sites block";
}

/* The stream as the layer that begins at a stage, or the head, reads it. */
static esp_status load_stream(prune_job *job, int stage, esp_site_stats *site) {
  const esp_model *dense = job->request->dense;
  return esp_stats_load_site(job->stats, esp_stats_name_reader(dense, stage).text,
                             dense->width.units, ESP_LOAD_PLANES, site);
}

static double compute_mean(const double *values, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += values[i];
  return sum / (double)n;
}

static unit_name name_layer(const prune_job *job, int64_t layer) {
  return journal_name_unit_local(&job->journal, "measured layer %" PRId64, layer);
}

static esp_status measure_layer(prune_job *job, int64_t layer, const esp_site_stats *below,
                                const esp_site_stats *above, double *mean) {
  const int64_t d = job->request->dense->width.units;
  double *information = ESP_NEW(double, d);
  esp_sweep_matched(job->comm, &below->planes, &above->planes, job->stats->rows, information);
  *mean = compute_mean(information, d);
  esp_free(&information);
  return journal_save_unit(&job->journal, name_layer(job, layer).text, sizeof *mean, mean);
}

/* What an interrupted run has measured; *n layers from the bottom. */
static esp_status load_measured(prune_job *job, double *means, int64_t *n) {
  bool found = true;
  for (*n = 0; *n < esp_model_count_layers(job->request->dense); ++*n) {
    ESP_TRY(journal_load_unit(&job->journal, name_layer(job, *n).text, sizeof *means, &means[*n],
                              &found));
    if (!found) break;
  }
  return ESP_OK;
}

/* A layer's input and output are those of the readers at its two ends. */
static esp_status gather_information(prune_job *job, double *means) {
  const int64_t n = esp_model_count_layers(job->request->dense);
  int64_t first;
  esp_site_stats below, above;
  ESP_TRY(load_measured(job, means, &first));
  if (first == n) return ESP_OK;
  ESP_TRY(load_stream(job, (int)first * ESP_LAYER_STAGES, &below));
  esp_status status = ESP_OK;
  for (int64_t l = first; l < n && status == ESP_OK; l++) {
    status = load_stream(job, (int)(l + 1) * ESP_LAYER_STAGES, &above);
    if (status != ESP_OK) break;
    status = measure_layer(job, l, &below, &above, &means[l]);
    esp_site_stats_clear(&below);
    below = above;
  }
  esp_site_stats_clear(&below);
  return status;
}

static esp_status gather(prune_job *job, double *means) {
  if (job->request->criterion->needs & ESP_NEEDS_LAYER_INFORMATION)
    return gather_information(job, means);
  return esp_stats_load_layers(job->stats, esp_model_count_layers(job->request->dense), means);
}

/* The same sums on every rank, so every rank ranks alike. */
static esp_status rank(prune_job *job, double *means, int64_t *order) {
  const int64_t n = esp_model_count_layers(job->request->dense);
  const esp_evidence evidence = {.site = ESP_SITE_BLOCK,
                                 .units = n,
                                 .width = 1,
                                 .layer_information = means,
                                 .layer_cosine = means};
  ESP_TRY(gather(job, means));
  job->layer_scores = ESP_NEW(double, n);
  return esp_agree(job->comm, job->request->criterion->rank(&evidence, order, job->layer_scores));
}

static void keep(prune_job *job, const int64_t *order, double *means) {
  esp_layers_report *report = &job->report.layers;
  const int64_t n = esp_model_count_layers(job->request->dense);
  *report =
      (esp_layers_report){.units = n,
                          .n_kept = count_kept(job->request),
                          .is_cosine = job->request->criterion->needs & ESP_NEEDS_LAYER_COSINE,
                          .by_layer = means,
                          .mean = compute_mean(means, n)};
  report->kept = ESP_NEW(int64_t, report->n_kept);
  esp_keep_first(order, report->n_kept, report->kept);
  job->report.checksum =
      esp_selection_checksum(job->report.checksum, ESP_SITE_BLOCK, n, report->kept, report->n_kept);
  esp_log_info("select block: %" PRId64 " of %" PRId64 " layers kept", report->n_kept, n);
}

static esp_status select_layers(prune_job *job) {
  const int64_t n = esp_model_count_layers(job->request->dense);
  double *means = ESP_NEW(double, n);
  int64_t *order = ESP_NEW(int64_t, n);
  esp_phases_begin(&job->phases, "select");
  const esp_status status = rank(job, means, order);
  if (status == ESP_OK)
    keep(job, order, means);
  else
    esp_free(&means);
  esp_free(&order);
  return status;
}

static esp_status cut_local(prune_job *job) {
  return esp_model_drop_layers(job->request->dense, job->report.layers.kept,
                               job->report.layers.n_kept, &job->pruned);
}

static esp_status repair(prune_job *job, esp_repair_job *task) {
  return job->request->repair->apply_to_layers(task, job->report.layers.kept);
}

static esp_status write(const prune_job *job, esp_h5 *file) {
  const esp_layers_report *report = &job->report.layers;
  const esp_h5_shape kept = {ESP_I64, 1, {report->n_kept}};
  const esp_h5_shape scores = {ESP_F64, 1, {report->units}};
  ESP_TRY(esp_h5_write_root(file, "/kept/" ESP_SITE_BLOCK, &kept, report->kept));
  return esp_h5_write_root(file, "/scores/" ESP_SITE_BLOCK, &scores, job->layer_scores);
}

static esp_status sketch_cut(esp_prune_sketch *sketch) {
  sketch->n_layers = count_kept(sketch->request);
  return drop(sketch->request, &sketch->pruned);
}

const esp_prune_structure prune_structure_layers = {
    .name = "layers",
    .summary = "whole layers, no other sites",
    .is_asked = is_asked,
    .take_site = take_site,
    .list_sites = list_sites,
    .take_default = take_default,
    .check = check,
    .share = share,
    .resize = drop,
    .reads = {.statistics = reads_statistics,
              .covariance = reads_covariance,
              .stream = reads_stream},
    .select = select_layers,
    .cut_local = cut_local,
    .repair = repair,
    .write = write,
    .sketch = {.cut = sketch_cut,
               .add_select_cost = add_select_cost_of_layers,
               .count_file_bytes = file_bytes_of_layers}};
