/* The hidden dimensions, the same in all layers, are ranked by all readers of the residual stream
 * together, each for what the selection above has left of it. */
#include "ranker.h"

#include "evidence.h"

#include "espalier/core/memory.h"
#include "espalier/select/joint.h"

/* joint is NULL but on rank 0. */
static esp_status add_reader(ranker *self, int stage, const double *producer_norm,
                             esp_joint *joint) {
  site_evidence site;
  site_information information;
  esp_evidence evidence;
  esp_status status = ESP_OK;
  ranker_begin_phase(self, "joint counts");
  ESP_TRY(evidence_gather_reader(self, stage, &site, &information, &evidence));
  evidence.producer_norm = producer_norm;
  ranker_begin_phase(self, "select");
  if (joint) status = esp_joint_add(joint, &evidence);
  evidence_clear(&site);
  information_clear(&information);
  return esp_agree(self->comm, status);
}

/* What has no units left reads nothing. */
static bool is_read(const ranker *self, int stage) {
  return stage == self->request->dense->n_stages || self->above->n_kept[stage] > 0;
}

static esp_status compute_norms_local(const ranker *self, double *norms) {
  if (!(self->request->criterion->needs & ESP_NEEDS_NORMS)) return ESP_OK;
  return norms_compute_writers_local(self->request->dense, norms);
}

static esp_status add_readers(ranker *self, esp_joint *joint) {
  esp_model *dense = self->request->dense;
  double *norms = ESP_NEW(double, dense->width.units);
  esp_status status = esp_agree(self->comm, compute_norms_local(self, norms));
  for (int stage = dense->n_stages; stage >= 0 && status == ESP_OK; stage--) {
    int n;
    if (!is_read(self, stage)) continue;
    if (esp_model_get_readers(dense, stage, &n)) status = add_reader(self, stage, norms, joint);
  }
  esp_free(&norms);
  return status;
}

esp_status ranker_rank_width(ranker *self) {
  const int at = self->request->dense->n_stages;
  const int64_t units = self->request->dense->width.units;
  const int64_t bytes = units * (int64_t)sizeof(int64_t);
  esp_joint *joint = NULL;
  esp_status status = ESP_OK;
  esp_free(&self->order[at]);
  esp_free(&self->scores[at]);
  self->order[at] = ESP_NEW(int64_t, units);
  self->scores[at] = ESP_NEW(double, units);
  if (self->comm->rank == 0)
    status = esp_joint_new(self->request->criterion, units, at + 1, &joint);
  status = esp_agree(self->comm, status);
  if (status == ESP_OK) status = add_readers(self, joint);
  if (status == ESP_OK && joint) status = esp_joint_rank(joint, self->order[at], self->scores[at]);
  esp_joint_free(&joint);
  ESP_TRY(esp_agree(self->comm, status));
  esp_bcast(self->comm, self->order[at], bytes, 0);
  esp_bcast(self->comm, self->scores[at], bytes, 0);
  return ESP_OK;
}
