/* Selection from the top [Fan]: the site below the softmax layer first, each site against the units
 * that the one above has kept. Rank 0 ranks the units; order and scores are broadcast. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/select/budget.h"

#include <inttypes.h>
#include <math.h>

/* Mean information of a unit with the units above, and its sums over all and over the kept units.
 */
static double unit_information(const esp_evidence *evidence, int64_t unit) {
  double sum = 0.0;
  for (int64_t i = unit * evidence->width; i < (unit + 1) * evidence->width; i++)
    for (int64_t j = 0; j < evidence->upper; j++)
      sum += evidence->information[i * evidence->upper + j];
  return sum / (double)evidence->upper;
}

static void report_information(const prune_job *job, int stage, const esp_evidence *evidence,
                               const site_evidence *site, json_t *report) {
  double all = 0.0, kept = 0.0, null_mean = 0.0, null_max = 0.0;
  for (int64_t u = 0; u < evidence->units; u++) all += unit_information(evidence, u);
  for (int64_t k = 0; k < job->selection.n_kept[stage]; k++)
    kept += unit_information(evidence, job->selection.kept[stage][k]);
  for (int i = 0; i < NOISE_UNITS; i++) {
    null_mean += site->null_level[i] / NOISE_UNITS;
    null_max = fmax(null_max, site->null_level[i]);
  }
  json_object_set_new(report, "information_nats", json_real(all / (double)evidence->units));
  json_object_set_new(report, "information_kept", json_real(all > 0.0 ? kept / all : 1.0));
  json_object_set_new(report, "null_level_nats", json_real(null_mean));
  json_object_set_new(report, "null_level_max_nats", json_real(null_max));
}

/* Heads come in whole groups' shares; --multiple-of and --min-keep are for single neurons. */
static void keep_units(prune_job *job, int stage, const int64_t *order) {
  const esp_stage *self = &job->dense->stages[stage];
  const int64_t n_groups = self->per_group > 1 ? self->units / self->per_group : 1;
  const bool is_neuron = self->width == 1;
  const esp_budget_rule rule = {.sparsity = job->sparsity[stage],
                                .multiple_of = is_neuron ? job->settings->multiple_of : n_groups,
                                .min_keep = is_neuron ? job->settings->min_keep : n_groups};
  const int64_t n = esp_budget_uniform(&rule, self->units);
  job->selection.n_kept[stage] = n;
  job->selection.kept[stage] = ESP_NEW(int64_t, n);
  if (n_groups == 1)
    esp_keep_first(order, n, job->selection.kept[stage]);
  else
    esp_keep_first_of_groups(order, self->units, self->per_group, n, job->selection.kept[stage]);
}

/* A site of a kind that is not pruned keeps all its units. */
static void keep_all(prune_job *job, int stage) {
  const int64_t units = job->dense->stages[stage].units;
  job->selection.n_kept[stage] = units;
  job->selection.kept[stage] = ESP_NEW(int64_t, units);
  job->scores[stage] = ESP_NEW(double, units);
  for (int64_t u = 0; u < units; u++) job->selection.kept[stage][u] = u;
}

static esp_status rank_units(prune_job *job, const esp_evidence *evidence, int64_t *order,
                             double *score) {
  esp_status status = ESP_OK;
  if (job->comm->rank == 0) status = job->criterion->rank(evidence, order, score);
  ESP_TRY(esp_agree(job->comm, status));
  esp_bcast(job->comm, order, evidence->units * (int64_t)sizeof *order, 0);
  esp_bcast(job->comm, score, evidence->units * (int64_t)sizeof *score, 0);
  return ESP_OK;
}

static void report_site(prune_job *job, int stage, const esp_evidence *evidence,
                        const site_evidence *site) {
  json_t *report = json_pack("{s:s, s:s, s:I, s:I}", "site", evidence->site, "kind",
                             job->dense->stages[stage].kind, "units", (json_int_t)evidence->units,
                             "kept", (json_int_t)job->selection.n_kept[stage]);
  report_information(job, stage, evidence, site, report);
  json_array_insert_new(job->sites, 0, report);
  esp_log_info("select %s: %" PRId64 " of %" PRId64 " units kept", evidence->site,
               job->selection.n_kept[stage], evidence->units);
}

static esp_status select_site(prune_job *job, int stage) {
  site_evidence site;
  esp_evidence evidence;
  esp_phases_begin(&job->phases, "joint counts");
  ESP_TRY(evidence_gather(job, stage, &site, &evidence));
  int64_t *order = ESP_NEW(int64_t, evidence.units);
  job->scores[stage] = ESP_NEW(double, evidence.units);
  esp_phases_begin(&job->phases, "select");
  const esp_status status = rank_units(job, &evidence, order, job->scores[stage]);
  if (status == ESP_OK) {
    keep_units(job, stage, order);
    report_site(job, stage, &evidence, &site);
  }
  esp_free(&order);
  evidence_clear(&site);
  return status;
}

esp_status run_chain(prune_job *job) {
  for (int stage = job->dense->n_stages - 1; stage >= 0; stage--)
    if (job->sparsity[stage] < 0.0)
      keep_all(job, stage);
    else
      ESP_TRY(select_site(job, stage));
  if (has_width(job)) ESP_TRY(select_width(job));
  for (int stage = 0; stage < job->dense->n_stages; stage++)
    job->checksum = esp_selection_checksum(
        job->checksum, job->dense->stages[stage].name, job->dense->stages[stage].units,
        job->selection.kept[stage], job->selection.n_kept[stage]);
  const int width = job->dense->n_stages;
  if (has_width(job))
    job->checksum =
        esp_selection_checksum(job->checksum, ESP_SITE_WIDTH, job->dense->width.units,
                               job->selection.kept[width], job->selection.n_kept[width]);
  return ESP_OK;
}
