/* The hidden dimensions, the same in all layers, are ranked by all readers of the residual stream
 * together, each for what the selection above has left of it. */
#include "ranker.h"

#include "evidence.h"

#include "espalier/core/memory.h"
#include "espalier/select/joint.h"

/* What has no units left reads nothing. */
static bool is_read(const ranker *self, int stage) {
  return stage == self->request->dense->n_stages || self->above->n_kept[stage] > 0;
}

static esp_status compute_norms_local(const ranker *self, double *norms) {
  if (!(self->request->criterion->needs & ESP_NEEDS_NORMS)) return ESP_OK;
  return norms_compute_writers_local(self->request->dense, norms);
}

/* Readers that are added at a time, one by each rank, or all by rank 0 one after the other. */
typedef struct readers {
  ranker *ranker;
  esp_joint *joint;
  const double *norms; // of what writes the stream
  bool is_held;        // this rank has one that is not added yet
  reader_evidence held;
} readers;

static esp_status add_held(readers *self, int n) {
  esp_status status = ESP_OK;
  ranker_begin_phase(self->ranker, "select");
  for (int i = 0; i < n && status == ESP_OK; i++) {
    const bool is_mine = self->ranker->comm->rank == esp_joint_get_owner(self->joint);
    status = esp_joint_add(self->joint, is_mine ? &self->held.evidence : NULL);
  }
  if (self->is_held) evidence_clear_reader(&self->held);
  self->is_held = false;
  return esp_agree(self->ranker->comm, status);
}

/* Gather one for the rank that is `ahead` of the next owner. */
static esp_status gather(readers *self, int stage, int ahead) {
  const esp_comm *comm = self->ranker->comm;
  const int owner = (esp_joint_get_owner(self->joint) + ahead) % comm->size;
  reader_evidence reader;
  ranker_begin_phase(self->ranker, "joint counts");
  ESP_TRY(evidence_gather_reader(self->ranker, stage, owner, &reader));
  reader.evidence.producer_norm = self->norms;
  self->is_held = self->is_held || comm->rank == owner;
  if (comm->rank == owner)
    self->held = reader;
  else
    evidence_clear_reader(&reader);
  return ESP_OK;
}

static esp_status add_readers(readers *self) {
  const ranker *of = self->ranker;
  const int most = esp_joint_is_shared(of->request->criterion) ? of->comm->size : 1;
  esp_status status = ESP_OK;
  int n = 0, n_weights;
  for (int stage = of->request->dense->n_stages; stage >= 0 && status == ESP_OK; stage--) {
    if (!is_read(of, stage) || !esp_model_get_readers(of->request->dense, stage, &n_weights))
      continue;
    status = gather(self, stage, n++);
    if (status != ESP_OK || n < most) continue;
    status = add_held(self, n);
    n = 0;
  }
  if (status == ESP_OK) return add_held(self, n);
  if (self->is_held) evidence_clear_reader(&self->held);
  return status;
}

static esp_status rank_readers(ranker *self, esp_joint *joint) {
  const int at = self->request->dense->n_stages;
  double *norms = ESP_NEW(double, self->request->dense->width.units);
  readers all = {.ranker = self, .joint = joint, .norms = norms};
  esp_status status = esp_agree(self->comm, compute_norms_local(self, norms));
  if (status == ESP_OK) status = add_readers(&all);
  if (status == ESP_OK) status = esp_joint_rank(joint, self->order[at], self->scores[at]);
  esp_free(&norms);
  return status;
}

esp_status ranker_rank_width(ranker *self) {
  const int at = self->request->dense->n_stages;
  const int64_t units = self->request->dense->width.units;
  const int64_t bytes = units * (int64_t)sizeof(int64_t);
  esp_joint *joint = NULL;
  esp_free(&self->order[at]);
  esp_free(&self->scores[at]);
  self->order[at] = ESP_NEW(int64_t, units);
  self->scores[at] = ESP_NEW(double, units);
  ESP_TRY(esp_joint_new_local(self->comm, self->request->criterion, units, at + 1, &joint));
  const esp_status status = rank_readers(self, joint);
  esp_joint_free(&joint);
  ESP_TRY(status);
  esp_bcast(self->comm, self->order[at], bytes, 0);
  esp_bcast(self->comm, self->scores[at], bytes, 0);
  return ESP_OK;
}
