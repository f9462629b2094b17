/* The hidden dimensions, the same in all layers, are chosen last: by all readers of the residual
 * stream together, each for what the selection above has left of it. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/select/budget.h"
#include "espalier/select/joint.h"

#include <inttypes.h>

bool has_width(const prune_job *job) {
  return job->sparsity[job->dense->n_stages] >= 0.0;
}

/* joint is NULL but on rank 0. */
static esp_status add_reader(prune_job *job, int stage, const double *producer_norm,
                             esp_joint *joint) {
  site_evidence site;
  site_information information;
  esp_evidence evidence;
  esp_status status = ESP_OK;
  esp_phases_begin(&job->phases, "joint counts");
  ESP_TRY(evidence_gather_reader(job, stage, &site, &information, &evidence));
  evidence.producer_norm = producer_norm;
  esp_phases_begin(&job->phases, "select");
  if (joint) status = esp_joint_add(joint, &evidence);
  evidence_clear(&site);
  information_clear(&information);
  return esp_agree(job->comm, status);
}

/* What has no units left reads nothing. */
static bool is_read(const prune_job *job, int stage) {
  return stage == job->dense->n_stages || job->selection.n_kept[stage] > 0;
}

static esp_status add_readers(prune_job *job, esp_joint *joint) {
  double *norms = ESP_NEW(double, job->dense->width.units);
  esp_status status = esp_agree(job->comm, compute_writer_norms(job->dense, norms));
  for (int stage = job->dense->n_stages; stage >= 0 && status == ESP_OK; stage--) {
    int n;
    if (!is_read(job, stage)) continue;
    if (esp_model_get_readers(job->dense, stage, &n)) status = add_reader(job, stage, norms, joint);
  }
  esp_free(&norms);
  return status;
}

esp_status rank_dimensions(prune_job *job, int64_t *order, double *score) {
  const int64_t bytes = job->dense->width.units * (int64_t)sizeof *order;
  esp_joint *joint = NULL;
  esp_status status = ESP_OK;
  if (job->comm->rank == 0)
    status =
        esp_joint_new(job->criterion, job->dense->width.units, job->dense->n_stages + 1, &joint);
  status = esp_agree(job->comm, status);
  if (status == ESP_OK) status = add_readers(job, joint);
  if (status == ESP_OK && joint) status = esp_joint_rank(joint, order, score);
  esp_joint_free(&joint);
  ESP_TRY(esp_agree(job->comm, status));
  esp_bcast(job->comm, order, bytes, 0);
  esp_bcast(job->comm, score, bytes, 0);
  return ESP_OK;
}

static void keep_dimensions(prune_job *job, const int64_t *order) {
  const int at = job->dense->n_stages;
  const int64_t units = job->dense->width.units;
  const esp_budget_rule rule = {.sparsity = job->sparsity[at],
                                .multiple_of = job->settings->allocation.multiple_of,
                                .min_keep = job->settings->allocation.min_keep};
  const int64_t n = esp_budget_uniform(&rule, units);
  job->selection.n_kept[at] = n;
  job->selection.kept[at] = ESP_NEW(int64_t, n);
  esp_keep_first(order, n, job->selection.kept[at]);
  json_array_insert_new(job->sites, 0,
                        json_pack("{s:s, s:s, s:I, s:I}", "site", ESP_SITE_WIDTH, "kind",
                                  ESP_SITE_WIDTH, "units", (json_int_t)units, "kept",
                                  (json_int_t)n));
  esp_log_info("select width: %" PRId64 " of %" PRId64 " hidden dimensions kept", n, units);
}

esp_status select_width(prune_job *job) {
  const int64_t units = job->dense->width.units;
  int64_t *order = ESP_NEW(int64_t, units);
  job->scores[job->dense->n_stages] = ESP_NEW(double, units);
  const esp_status status = rank_dimensions(job, order, job->scores[job->dense->n_stages]);
  if (status == ESP_OK) keep_dimensions(job, order);
  esp_free(&order);
  return status;
}
