#include "pruned_file.h"

#include "budget_search.h"
#include "structure.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "espalier/model/family.h"

#include <math.h>
#include <stdlib.h>

/* Of the matrices that sites of the dense model can shrink: heads that are left alone with their KV
 * head can shrink more of them. Keys and values that groups share and that went with the last head
 * count as well. */
static double count_prunable(const esp_model *dense, const esp_model *model) {
  int64_t count = 0;
  for (int i = 0; i < model->n_weights; i++) {
    const int64_t n = esp_weight_count(&model->weights[i]);
    if (esp_model_is_prunable(dense, i))
      count += n;
    else if (n == 0 && model->weights[i].rank == 2)
      count -= esp_weight_count(&dense->weights[i]);
  }
  return (double)count;
}

static bool tells_alignment(const prune_job *job) {
  const int64_t multiple = job->request->settings->allocation.multiple_of;
  if (job->report.masks.rows || job->report.layers.units > 0) return false;
  return multiple == 0 || (multiple > 1 && job->request->budget);
}

/* What else would have been left: as the budgets were searched; by the part that was asked, which
 * shared counts come near to where they need no multiple; or in every site. */
static double count_unaligned(const prune_job *job) {
  const esp_prune_report *report = &job->report;
  const esp_allocation_report *allocated = &report->allocated;
  const esp_prune_budget *budget = job->request->budget;
  if (budget) return fmax(budget->unaligned, 0.0);
  if (!job->allocation->needs_scores) return (double)budget_count_unaligned(job->request);
  return round((double)report->sizes.pruned + (allocated->got - allocated->asked) * allocated->all);
}

void pruned_file_complete_report(prune_job *job) {
  const esp_model *dense = job->request->dense;
  esp_prune_report *report = &job->report;
  report->sizes.dense = esp_model_count_parameters(dense);
  report->sizes.pruned = esp_model_count_parameters(job->pruned);
  report->sizes.prunable = count_prunable(dense, dense);
  report->sizes.prunable_pruned = count_prunable(dense, job->pruned);
  report->opening = esp_model_find_opening(job->pruned);
  report->allocation = job->allocation;
  report->is_fisher = metric_is_fisher(job->request, job->stats);
  if (tells_alignment(job)) report->unaligned = count_unaligned(job);
  report->warning = pruned_file_make_warning(job);
  if (!job->stats) report->fingerprint = esp_model_fingerprint(job->comm, dense);
  if (!job->stats) return;
  report->rows = job->stats->rows;
  report->bins = job->stats->bins;
  report->parts.collection = json_incref(job->stats->meta);
}

static esp_status write_all(const prune_job *job, const char *report, esp_h5 *file) {
  ESP_TRY(esp_meta_write(file, ESP_MODEL_KIND, "{\"program\": \"espalier " ESPALIER_VERSION "\"}"));
  ESP_TRY(esp_model_write(job->comm, job->pruned, file));
  for (int i = 0; job->request->structures[i]; i++)
    ESP_TRY(job->request->structures[i]->write(job, file));
  return esp_h5_write_text(file, "/report", report);
}

static esp_status write_model(const prune_job *job) {
  json_t *report = esp_prune_report_dump(&job->report);
  char *text = esp_json_dump(report, JSON_COMPACT | JSON_SORT_KEYS);
  esp_h5 *file = NULL;
  esp_status status = esp_h5_create(job->comm, job->request->settings->run.output, &file);
  if (status == ESP_OK) status = write_all(job, text, file);
  if (status == ESP_OK) status = esp_h5_commit(&file);
  esp_h5_close(&file);
  esp_free(&text);
  json_decref(report);
  return status;
}

static esp_status write_report(prune_job *job) {
  char *path = esp_format("%s.report.json", job->request->settings->run.output);
  json_t *report = esp_prune_report_dump_run(&job->report);
  char *text = esp_json_dump(report, JSON_INDENT(2) | JSON_SORT_KEYS);
  const esp_status status = esp_file_write_text(job->comm, path, text);
  esp_free(&text);
  json_decref(report);
  esp_free(&path);
  return status;
}

esp_status pruned_file_write(prune_job *job) {
  ESP_TRY(write_model(job));
  esp_phases_end(&job->phases);
  job->report.parts.run = esp_phases_gather(job->comm, &job->phases);
  esp_phases_log(job->report.parts.run);
  return write_report(job);
}
