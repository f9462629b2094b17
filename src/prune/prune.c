#include "espalier/prune/prune.h"

#include "allocation_choice.h"
#include "budget_search.h"
#include "inputs.h"
#include "pruned_file.h"
#include "recovery.h"
#include "selection.h"
#include "structure.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

static esp_status open_inputs(prune_job *job) {
  if (esp_prune_has_rounds(job->request)) {
    job->allocation = job->request->allocation;
    ESP_TRY(selection_run_rounds(job));
  } else {
    ESP_TRY(inputs_open_statistics(job));
  }
  ESP_TRY(inputs_open_samples(job));
  return allocation_choose(job);
}

static esp_status select_once(prune_job *job) {
  if (!job->selection.kept) ESP_TRY(selection_run(job));
  for (int i = 0; job->request->structures[i]; i++)
    if (job->request->structures[i]->measure_stability)
      ESP_TRY(job->request->structures[i]->measure_stability(job));
  return ESP_OK;
}

static esp_status cut_local(prune_job *job) {
  for (int i = 0; job->request->structures[i]; i++)
    if (job->request->structures[i]->cut_local) return job->request->structures[i]->cut_local(job);
  return ESP_OK;
}

static esp_status repair(prune_job *job) {
  esp_repair_job task = {.comm = job->comm,
                         .dense = job->request->dense,
                         .pruned = job->pruned,
                         .selection = &job->selection,
                         .stats = job->stats,
                         .shard = job->has_shard ? &job->shard : NULL,
                         .ridge = job->request->settings->repair.ridge,
                         .journal = job->journal.file,
                         .report = &job->report.parts.repairs};
  for (int i = 0; job->request->structures[i]; i++)
    if (job->request->structures[i]->repair)
      ESP_TRY(job->request->structures[i]->repair(job, &task));
  return ESP_OK;
}

static void measure_budget(prune_job *job) {
  if (!job->request->budget) return;
  esp_prune_request_take(job->report.request, job->pruned);
  if (job->allocation->needs_scores && job->report.allocated.name)
    job->report.request->budget->sparsity = job->report.allocated.got;
  budget_speed_measure(job->comm, job->report.request, job->pruned);
}

/* A matrix that is refitted, from second moments, has no zeros. */
static void warn_of_masks(const prune_job *job) {
  int n = 0;
  for (int w = 0; w < job->pruned->n_weights; w++)
    n += job->pruned->weights[w].is_final && job->pruned->weights[w].rank == 2 &&
         esp_model_is_prunable(job->pruned, w);
  if (job->request->dense->is_masked && n > 0 && job->request->repair->needs_covariance)
    esp_log_warn("the model's weights are masked, but the repair fits %d matrices anew: their "
                 "zeros are filled; give --repair none or bias to keep them",
                 n);
}

static esp_status run(prune_job *job) {
  ESP_TRY(journal_open(&job->journal, job->comm, job->request));
  ESP_TRY(budget_settle(job->comm, job->report.request, &job->journal));
  ESP_TRY(open_inputs(job));
  ESP_TRY(select_once(job));
  esp_phases_begin(&job->phases, "cut");
  ESP_TRY(esp_agree(job->comm, cut_local(job)));
  measure_budget(job);
  esp_phases_begin(&job->phases, "repair");
  ESP_TRY(repair(job));
  warn_of_masks(job);
  ESP_TRY(recovery_run(job));
  esp_phases_begin(&job->phases, "write");
  pruned_file_complete_report(job);
  ESP_TRY(pruned_file_write(job));
  if (job->report.warning) esp_log_warn("%s", job->report.warning);
  return ESP_OK;
}

static void clear(prune_job *job) {
  selection_clear(job);
  esp_free(&job->layer_scores);
  esp_model_free(&job->pruned);
  inputs_close(job);
}

static esp_status open_request(prune_job *job, const esp_prune_settings *settings,
                               const char *path) {
  if (!settings->run.output)
    return esp_fail(ESP_USAGE, "prune: expected where to write the pruned model; give -o FILE");
  ESP_TRY(esp_h5_check_writable(job->comm, settings->run.output, 0));
  esp_phases_begin(&job->phases, "read");
  ESP_TRY(esp_prune_request_open(job->comm, settings, path, &job->report.request));
  job->request = job->report.request;
  ESP_TRY(recovery_check_masks(job));
  job->report.sites = ESP_NEW(esp_site_report, job->request->dense->n_stages + 1);
  return ESP_OK;
}

esp_status esp_prune(const esp_comm *comm, const esp_prune_settings *settings, const char *path,
                     esp_prune_report *report) {
  prune_job job = {.comm = comm, .report.ranks = comm->size};
  esp_status status = open_request(&job, settings, path);
  if (status == ESP_OK) {
    status = run(&job);
    if (!esp_journal_is_kept_local(job.journal.file, status)) {
      recovery_finish(&job);
      inputs_discard(&job);
    }
    esp_journal_close(&job.journal.file, status);
    *report = job.report;
    job.report.allocated = (esp_allocation_report){0};
    job.report.sites = NULL;
    clear(&job);
  } else {
    *report = job.report;
  }
  if (status != ESP_OK) esp_prune_report_clear(report);
  return status;
}
