/* Trial cuts (ours): what a choice of counts loses, measured. The sites are cut to it, consumers
 * refitted from the statistics, and the loss taken on some of the calibration sequences. Prices
 * cannot say it: they are second-order and site by site, and leave out what the errors of several
 * layers do together, and what the loss has of first order where a model is not at its optimum,
 * more for neurons than for heads (docs/method/allocation.md). */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/eval/eval.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Some of the calibration sequences as a data set of their own; the arrays are the buffer's. */
static esp_dataset take_samples(const prune_job *job, esp_batch_buffer *buffer) {
  const int64_t wanted =
      (job->settings->allocation.trial_tokens + job->data->width - 1) / job->data->width;
  const int64_t count = wanted < job->shard.samples ? wanted : job->shard.samples;
  esp_dataset taken = *job->data;
  esp_batch batch;
  esp_dataset_read(job->data, job->shard.order, 0, count, buffer, &batch);
  taken.count = count;
  taken.labels = buffer->labels;
  taken.tokens = buffer->tokens;
  taken.types = buffer->types;
  taken.lengths = buffer->lengths;
  return taken;
}

static void select_counts(const prune_job *job, const esp_allocation_site *sites,
                          esp_selection *selection) {
  esp_selection_init(selection, job->dense->n_stages);
  for (int s = 0; s < job->dense->n_stages; s++) {
    const esp_stage *stage = &job->dense->stages[s];
    const int64_t n = sites[s].n_kept;
    selection->n_kept[s] = n;
    selection->kept[s] = ESP_NEW(int64_t, n);
    if (job->order[s])
      keep_of_stage(stage, job->order[s], n, selection->kept[s]);
    else
      for (int64_t u = 0; u < n; u++) selection->kept[s][u] = u;
  }
}

static esp_status refit(const prune_job *job, const esp_selection *selection, esp_model *pruned) {
  const esp_repair *repair;
  ESP_TRY(esp_repair_find("least-squares", &repair));
  esp_repair_job fit = {.comm = job->comm,
                        .dense = job->dense,
                        .pruned = pruned,
                        .selection = selection,
                        .stats = job->stats,
                        .ridge = job->settings->repair.ridge,
                        .report = json_object()};
  const esp_status status = repair->apply(&fit);
  json_decref(fit.report);
  return status;
}

static esp_status measure(const prune_job *job, esp_model *pruned, double *loss) {
  esp_batch_buffer buffer = {0};
  const esp_dataset samples = take_samples(job, &buffer);
  esp_quality quality;
  const esp_status status = esp_eval_quality(job->comm, pruned, &samples, NULL, &quality);
  esp_batch_buffer_clear(&buffer);
  if (status == ESP_OK) *loss = quality.loss_nats;
  return status;
}

/* Counts by kind, as far as the sites are alike. */
static void report_trial(const trial_context *self, double loss) {
  const prune_job *job = self->job;
  json_t *row = json_object();
  char text[256] = "";
  for (int s = 0; s < job->dense->n_stages; s++) {
    const esp_stage *stage = &job->dense->stages[s];
    if (job->sparsity[s] < 0.0 || json_object_get(row, stage->kind)) continue;
    json_object_set_new(row, stage->kind, json_integer(self->sites[s].n_kept));
    const size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, "%s %s %" PRId64, used ? "," : "", stage->kind,
             self->sites[s].n_kept);
  }
  json_object_set_new(row, "loss_nats", json_real(loss));
  json_array_append_new(self->report, row);
  esp_log_info("trial:%s units kept: loss %.4f nats", text, loss);
}

static esp_status cut_and_measure(const trial_context *self, double *loss) {
  const prune_job *job = self->job;
  esp_selection selection;
  esp_model *pruned = NULL;
  select_counts(job, self->sites, &selection);
  esp_status status = esp_agree(job->comm, esp_model_cut(job->dense, &selection, &pruned));
  if (status == ESP_OK) status = refit(job, &selection, pruned);
  if (status == ESP_OK) status = measure(job, pruned, loss);
  esp_model_free(&pruned);
  esp_selection_clear(&selection);
  return status;
}

/* The n-th trial of a run is the same one in a resumed run. */
esp_status try_counts(void *context, const esp_allocation_job *allocation, double *loss) {
  (void)allocation;
  const trial_context *self = context;
  bool found;
  char unit[32];
  snprintf(unit, sizeof unit, "trial %d", (int)json_array_size(self->report));
  esp_phases_begin(&self->job->phases, "trial");
  ESP_TRY(journal_load_unit(self->job, unit, sizeof *loss, loss, &found));
  if (!found) {
    ESP_TRY(cut_and_measure(self, loss));
    ESP_TRY(journal_save_unit(self->job, unit, sizeof *loss, loss));
  }
  report_trial(self, *loss);
  return ESP_OK;
}
