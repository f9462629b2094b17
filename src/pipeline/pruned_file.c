#define _XOPEN_SOURCE 700 // realpath
#include "pipeline.h"

#include "espalier/core/memory.h"
#include "espalier/model/family.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void set_hash(json_t *report, const char *key, uint64_t hash) {
  char text[24];
  snprintf(text, sizeof text, "%016" PRIx64, hash);
  json_object_set_new(report, key, json_string(text));
}

/* Absolute, so that it is found from another folder too. */
static json_t *describe_path(const char *path) {
  char *whole = realpath(path, NULL);
  json_t *text = json_string(whole ? whole : path);
  free(whole);
  return text;
}

/* Sites may have sparsities of their own: the largest. */
static double find_sparsity(const prune_job *job) {
  double largest = 0.0;
  if (drops_layers(job)) return job->layers.sparsity;
  if (job->allocation->needs_scores) return job->settings->allocation.sparsity;
  for (int i = 0; i <= job->dense->n_stages; i++) largest = fmax(largest, job->sparsity[i]);
  return largest;
}

/* Of the matrices that sites of the dense model can shrink: heads that are left alone with their KV
 * head can shrink more of them. Keys and values that groups share and that went with the last head
 * count as well. */
static double count_prunable(const prune_job *job, const esp_model *model) {
  int64_t count = 0;
  for (int i = 0; i < model->n_weights; i++) {
    const int64_t n = esp_weight_count(&model->weights[i]);
    if (esp_model_is_prunable(job->dense, i))
      count += n;
    else if (n == 0 && model->weights[i].rank == 2)
      count -= esp_weight_count(&job->dense->weights[i]);
  }
  return (double)count;
}

/* Nothing is smaller: what went are values. */
static void report_masks(const prune_job *job, double prunable, json_t *report) {
  const int64_t all = esp_model_count_parameters(job->dense);
  json_object_set(report, "matrices", job->matrices);
  json_object_set_new(report, "parameters_unmasked", json_integer(all - job->masked));
  json_object_set_new(report, "sparsity_prunable", json_real((double)job->masked / prunable));
}

json_t *make_report(const prune_job *job) {
  const double dense = count_prunable(job, job->dense);
  const double pruned = count_prunable(job, job->pruned);
  const esp_settings *settings = job->settings;
  json_t *report =
      json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:I, s:I, s:I, s:I, s:O, s:O}", "family",
                job->dense->family->name, "criterion", job->criterion->name, "repair",
                job->repair->name, "moments", settings->prune.moments, "sparsity_asked",
                find_sparsity(job), "sparsity_prunable", dense > 0.0 ? 1.0 - pruned / dense : 0.0,
                "parameters_dense", (json_int_t)esp_model_count_parameters(job->dense),
                "parameters", (json_int_t)esp_model_count_parameters(job->pruned), "samples",
                (json_int_t)(job->stats ? job->stats->rows : 0), "bins",
                (json_int_t)(job->stats ? job->stats->bins : 0), "sites", job->sites,
                "repair_by_site", job->repairs);
  json_object_set_new(report, "sparsity_model",
                      json_real(1.0 - (double)esp_model_count_parameters(job->pruned) /
                                          (double)esp_model_count_parameters(job->dense)));
  json_object_set(report, "allocation", job->allocated);
  json_object_set_new(report, "metric", json_string(uses_fisher(job) ? "fisher" : "outputs"));
  json_object_update(report, job->stability);
  json_object_set_new(report, "structure", json_string(settings->prune.structure));
  if (is_unstructured(job)) report_masks(job, dense, report);
  if (job->doublings) json_object_set(report, "doublings", job->doublings);
  json_object_set_new(report, "warnings", make_warnings(job));
  set_hash(report, "selection_checksum", job->checksum);
  json_t *options = esp_options_dump(esp_settings_table(), settings, ESP_FOR_PRUNE);
  json_object_del(json_object_get(options, "run"), "restart"); // how, not what
  json_object_del(json_object_get(options, "run"), "save_every");
  json_object_set_new(report, "options", options);
  if (job->stats) json_object_set(report, "collection", job->stats->meta);
  json_object_set_new(report, "model_path", describe_path(job->dense->path));
  json_object_set_new(report, "program", json_string(ESPALIER_VERSION));
  return report;
}

static esp_status write_site(prune_job *job, esp_h5 *file, int i, const char *site, int64_t units) {
  const esp_h5_shape kept = {ESP_I64, 1, {job->selection.n_kept[i]}};
  const esp_h5_shape scores = {ESP_F64, 1, {units}};
  char name[96];
  snprintf(name, sizeof name, "/kept/%s", site);
  ESP_TRY(esp_h5_write_root(file, name, &kept, job->selection.kept[i]));
  snprintf(name, sizeof name, "/scores/%s", site);
  return esp_h5_write_root(file, name, &scores, job->scores[i]);
}

static esp_status write_kept(prune_job *job, esp_h5 *file) {
  const int n = job->dense->n_stages;
  if (drops_layers(job)) return layers_write(job, file);
  for (int i = 0; i < n; i++)
    ESP_TRY(write_site(job, file, i, job->dense->stages[i].name, job->dense->stages[i].units));
  return has_width(job) ? write_site(job, file, n, ESP_SITE_WIDTH, job->dense->width.units)
                        : ESP_OK;
}

static esp_status write_all(prune_job *job, const json_t *report, esp_h5 *file) {
  ESP_TRY(
      esp_meta_write(file, "espalier-model", "{\"program\": \"espalier " ESPALIER_VERSION "\"}"));
  ESP_TRY(esp_model_write(job->comm, job->pruned, file));
  ESP_TRY(write_kept(job, file));
  char *text = json_dumps(report, JSON_COMPACT | JSON_SORT_KEYS);
  const esp_status status = esp_h5_write_text(file, "/report", text);
  free(text);
  return status;
}

esp_status write_pruned(prune_job *job, const json_t *report) {
  esp_h5 *file = NULL;
  ESP_TRY(esp_h5_create(job->comm, job->settings->run.output, &file));
  const esp_status status = write_all(job, report, file);
  if (status == ESP_OK) return esp_h5_commit(&file);
  esp_h5_close(&file);
  return status;
}
