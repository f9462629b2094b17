/* Trial cuts (ours): the sites are cut, consumers refitted from the statistics, and the loss taken
 * on some of the calibration sequences. Prices cannot say it: they are second-order and site by
 * site, and leave out what the errors of several layers do together, and what the loss has of first
 * order where a model is not at its optimum, more for neurons than for heads (docs/method). */
#include "trial.h"

#include "keep.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/eval/eval.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Some of the calibration sequences as a data set of their own; the arrays are the buffer's. */
static esp_dataset take_samples(const trial_context *self, esp_batch_buffer *buffer) {
  const esp_dataset *data = self->data;
  const int64_t rows = self->ranker->request->settings->allocation.trial_tokens;
  const int64_t wanted = (rows + data->width - 1) / data->width;
  const int64_t count = wanted < self->shard->samples ? wanted : self->shard->samples;
  esp_dataset taken = *data;
  esp_batch batch;
  esp_dataset_read(data, self->shard->order, 0, count, buffer, &batch);
  taken.count = count;
  taken.labels = buffer->labels;
  taken.tokens = buffer->tokens;
  taken.types = buffer->types;
  taken.lengths = buffer->lengths;
  taken.targets = buffer->targets;
  return taken;
}

static void select_counts(const ranker *self, const esp_allocation_job *job,
                          esp_selection *selection) {
  const esp_model *dense = self->request->dense;
  esp_selection_init(selection, dense->n_stages);
  for (int s = 0; s < dense->n_stages; s++)
    keep_first(&dense->stages[s], s, self->order[s], job->sites[s].n_kept, selection);
}

static esp_status refit(const ranker *self, const esp_selection *selection, esp_model *pruned) {
  const esp_repair *repair;
  ESP_TRY(esp_repair_find("least-squares", &repair));
  esp_repair_report report = {0};
  esp_repair_job fit = {.comm = self->comm,
                        .dense = self->request->dense,
                        .pruned = pruned,
                        .selection = selection,
                        .stats = self->stats,
                        .ridge = self->request->settings->repair.ridge,
                        .report = &report};
  const esp_status status = repair->apply(&fit);
  esp_repair_report_clear(&report);
  esp_release_unused(); // pieces too small for what follows
  return status;
}

static esp_status measure(const trial_context *self, esp_model *pruned, double *loss) {
  esp_batch_buffer buffer = {0};
  const esp_dataset samples = take_samples(self, &buffer);
  esp_quality quality;
  const esp_status status = esp_eval_quality(self->ranker->comm, pruned, &samples, NULL, &quality);
  esp_batch_buffer_clear(&buffer);
  if (status == ESP_OK) *loss = quality.loss_nats;
  return status;
}

static esp_status cut_and_measure(const trial_context *self, const esp_allocation_job *job,
                                  double *loss) {
  const ranker *ranked = self->ranker;
  esp_selection selection;
  esp_model *pruned = NULL;
  select_counts(ranked, job, &selection);
  esp_status status =
      esp_agree(ranked->comm, esp_model_cut(ranked->request->dense, &selection, &pruned));
  if (status == ESP_OK) status = refit(ranked, &selection, pruned);
  if (status == ESP_OK) status = measure(self, pruned, loss);
  esp_model_free(&pruned);
  esp_selection_clear(&selection);
  return status;
}

static void add_row(esp_allocation_report *report, const esp_allocation_job *job, double loss) {
  esp_trial_report *rows = ESP_NEW(esp_trial_report, report->n_trials + 1);
  if (report->n_trials > 0) memcpy(rows, report->trials, (size_t)report->n_trials * sizeof *rows);
  esp_free(&report->trials);
  report->trials = rows;
  rows[report->n_trials] =
      (esp_trial_report){.kept = ESP_NEW(int64_t, job->n_sites), .loss_nats = loss};
  for (int i = 0; i < job->n_sites; i++) rows[report->n_trials].kept[i] = job->sites[i].n_kept;
  report->n_trials++;
}

/* Counts by kind, as far as the sites are alike: those of the first site of each. */
static void tell_trial(const esp_prune_request *request, const esp_allocation_job *job,
                       double loss) {
  char text[256] = "";
  for (int s = 0; s < job->n_sites; s++) {
    size_t used = strlen(text);
    bool is_known = request->sparsity[s] < 0.0;
    for (int i = 0; i < s; i++)
      is_known = is_known || (request->sparsity[i] >= 0.0 &&
                              strcmp(job->sites[i].kind, job->sites[s].kind) == 0);
    if (is_known) continue;
    snprintf(text + used, sizeof text - used, "%s %s %" PRId64, used ? "," : "", job->sites[s].kind,
             job->sites[s].n_kept);
  }
  if (request->dense->task == ESP_TASK_REGRESS)
    esp_log_info("trial:%s units kept: mean squared error %.4g", text, loss);
  else
    esp_log_info("trial:%s units kept: loss %.4f nats", text, loss);
}

/* The n-th trial of a run is the same one in a resumed run. */
esp_status trial_run(void *context, const esp_allocation_job *job, double *loss) {
  const trial_context *self = context;
  prune_journal *journal = self->ranker->journal;
  const unit_name unit = journal_name_unit_local(journal, "trial %d", self->report->n_trials);
  bool found;
  ranker_begin_phase(self->ranker, "trial");
  ESP_TRY(journal_load_unit(journal, unit.text, sizeof *loss, loss, &found));
  if (!found) {
    ESP_TRY(cut_and_measure(self, job, loss));
    ESP_TRY(journal_save_unit(journal, unit.text, sizeof *loss, loss));
  }
  add_row(self->report, job, *loss);
  tell_trial(self->ranker->request, job, *loss);
  return ESP_OK;
}
