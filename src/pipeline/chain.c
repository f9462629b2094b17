/* Selection from the top [Fan]: the site below the softmax layer first, each site against the units
 * that the one above has kept. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/select/budget.h"

#include <inttypes.h>
#include <math.h>

/* Mean information of a unit with the units above. */
static double unit_information(const site_information *self, int64_t width, int64_t unit) {
  double sum = 0.0;
  for (int64_t i = unit * width * self->n_upper; i < (unit + 1) * width * self->n_upper; i++)
    sum += self->values[i];
  return sum / (double)self->n_upper;
}

static void report_information(const prune_job *job, int stage, json_t *report) {
  const esp_stage *site = &job->dense->stages[stage];
  const site_information *information = &job->information;
  double all = 0.0, kept = 0.0, null_mean = 0.0, null_max = 0.0;
  for (int64_t u = 0; u < site->units; u++) all += unit_information(information, site->width, u);
  for (int64_t k = 0; k < job->selection.n_kept[stage]; k++)
    kept += unit_information(information, site->width, job->selection.kept[stage][k]);
  for (int i = 0; i < NOISE_UNITS; i++) {
    null_mean += information->null_level[i] / NOISE_UNITS;
    null_max = fmax(null_max, information->null_level[i]);
  }
  json_object_set_new(report, "information_nats", json_real(all / (double)site->units));
  json_object_set_new(report, "information_kept", json_real(all > 0.0 ? kept / all : 1.0));
  json_object_set_new(report, "null_level_nats", json_real(null_mean));
  json_object_set_new(report, "null_level_max_nats", json_real(null_max));
}

void keep_of_stage(const esp_stage *stage, const int64_t *order, int64_t n, int64_t *kept) {
  int64_t *grouped = ESP_NEW(int64_t, stage->units);
  esp_order_by_groups(order, stage->units, stage->per_group, grouped);
  esp_keep_first(grouped, n, kept);
  esp_free(&grouped);
}

void keep_units(prune_job *job, int stage) {
  const int64_t n = job->n_keep[stage];
  job->selection.n_kept[stage] = n;
  job->selection.kept[stage] = ESP_NEW(int64_t, n);
  keep_of_stage(&job->dense->stages[stage], job->order[stage], n, job->selection.kept[stage]);
}

/* A site of a kind that is not pruned keeps all its units. */
void keep_all(prune_job *job, int stage) {
  const int64_t units = job->dense->stages[stage].units;
  job->selection.n_kept[stage] = units;
  job->selection.kept[stage] = ESP_NEW(int64_t, units);
  job->scores[stage] = ESP_NEW(double, units);
  for (int64_t u = 0; u < units; u++) job->selection.kept[stage][u] = u;
}

static void report_site(prune_job *job, int stage) {
  const esp_stage *site = &job->dense->stages[stage];
  const int64_t n_kept = job->selection.n_kept[stage];
  json_t *report = json_pack("{s:s, s:s, s:I, s:I}", "site", site->name, "kind", site->kind,
                             "units", (json_int_t)site->units, "kept", (json_int_t)n_kept);
  report_information(job, stage, report);
  json_array_insert_new(job->sites, 0, report);
  esp_log_info("select %s: %" PRId64 " of %" PRId64 " units kept", site->name, n_kept, site->units);
}

static esp_status select_site(prune_job *job, int stage) {
  if (!job->order[stage]) ESP_TRY(rank_sites(job, stage));
  esp_phases_begin(&job->phases, "joint counts");
  ESP_TRY(information_gather_stage(job, stage));
  keep_units(job, stage);
  report_site(job, stage);
  information_drop_stage(job);
  return ESP_OK;
}

static void compute_checksum(prune_job *job) {
  const int width = job->dense->n_stages;
  for (int stage = 0; stage < width; stage++)
    job->checksum = esp_selection_checksum(
        job->checksum, job->dense->stages[stage].name, job->dense->stages[stage].units,
        job->selection.kept[stage], job->selection.n_kept[stage]);
  if (has_width(job))
    job->checksum =
        esp_selection_checksum(job->checksum, ESP_SITE_WIDTH, job->dense->width.units,
                               job->selection.kept[width], job->selection.n_kept[width]);
}

/* Rank all sites as if all stayed above them. */
static esp_status price_sites(prune_job *job) {
  for (int stage = job->dense->n_stages - 1; stage >= 0; stage--) {
    if (job->sparsity[stage] >= 0.0 && !job->order[stage]) ESP_TRY(rank_sites(job, stage));
    information_drop_stage(job);
  }
  return ESP_OK;
}

/* Sites whose order hangs on what is kept above are ranked again. */
static void forget_prices(prune_job *job) {
  for (int stage = 0; stage < job->dense->n_stages; stage++)
    if (evidence_depends_on_selection(job, stage)) esp_free(&job->order[stage]);
}

/* Unless an interrupted run has. */
static esp_status select_unless_done(prune_job *job, int stage) {
  bool found;
  ESP_TRY(journal_load_site(job, stage, &found));
  if (found) return ESP_OK;
  ESP_TRY(stage < job->dense->n_stages ? select_site(job, stage) : select_width(job));
  return journal_save_site(job, stage);
}

esp_status run_chain(prune_job *job) {
  if (job->allocation->needs_scores) ESP_TRY(price_sites(job));
  ESP_TRY(allocate_units(job));
  forget_prices(job);
  for (int stage = job->dense->n_stages - 1; stage >= 0; stage--)
    if (job->sparsity[stage] < 0.0)
      keep_all(job, stage);
    else
      ESP_TRY(select_unless_done(job, stage));
  if (has_width(job)) ESP_TRY(select_unless_done(job, job->dense->n_stages));
  compute_checksum(job);
  return ESP_OK;
}
