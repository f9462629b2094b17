/* Ranking over ranks: sites whose evidence does not hang on the selection above are ranked as many
 * at a time as there are ranks, one by each; the others one at a time, by rank 0. A rank holds the
 * arrays of one site. */
#include "pipeline.h"

#include "espalier/core/memory.h"

typedef struct batch {
  int n;
  int *stages; // (n): the one of rank i, from the top
} batch;

static bool is_ready(const prune_job *job, int stage) {
  return job->sparsity[stage] >= 0.0 && !job->order[stage] &&
         !evidence_depends_on_selection(job, stage);
}

static batch choose_batch(const prune_job *job, int first) {
  batch self = {.n = 1, .stages = ESP_NEW(int, job->comm->size)};
  self.stages[0] = first;
  for (int i = first - 1; is_ready(job, first) && i >= 0 && self.n < job->comm->size; i--)
    if (is_ready(job, i)) self.stages[self.n++] = i;
  return self;
}

/* What all ranks read together; each keeps what it owns. */
static esp_status read_batch(prune_job *job, const batch *self, site_evidence *mine) {
  esp_status status = ESP_OK;
  for (int owner = 0; owner < self->n && status == ESP_OK; owner++) {
    site_evidence other;
    site_evidence *site = owner == job->comm->rank ? mine : &other;
    status = evidence_read(job, self->stages[owner], owner, site);
    if (status == ESP_OK && site == &other) evidence_clear(&other);
  }
  return status;
}

static void allocate_ranking(prune_job *job, int stage) {
  const int64_t units = job->dense->stages[stage].units;
  esp_free(&job->scores[stage]);
  job->order[stage] = ESP_NEW(int64_t, units);
  job->scores[stage] = ESP_NEW(double, units);
}

static esp_status rank_mine_local(prune_job *job, const batch *self, site_evidence *mine) {
  const int i = job->comm->rank;
  esp_evidence evidence;
  if (i >= self->n) return ESP_OK;
  const int stage = self->stages[i];
  ESP_TRY(evidence_complete_local(job, stage, mine, &evidence));
  job->whole[stage] = evidence_price_whole_local(job, stage, &evidence);
  return job->criterion->rank(&evidence, job->order[stage], job->scores[stage]);
}

static void bcast_rankings(prune_job *job, const batch *self) {
  for (int i = 0; i < self->n; i++) {
    const int stage = self->stages[i];
    const int64_t bytes = job->dense->stages[stage].units * (int64_t)sizeof(int64_t);
    esp_bcast(job->comm, job->order[stage], bytes, i);
    esp_bcast(job->comm, job->scores[stage], bytes, i);
    esp_bcast(job->comm, &job->whole[stage], sizeof *job->whole, i);
  }
}

static esp_status save_rankings(prune_job *job, const batch *self) {
  for (int i = 0; i < self->n; i++) ESP_TRY(journal_save_ranking(job, self->stages[i]));
  return job->journal ? esp_journal_check_interrupt(job->journal, "in the selection") : ESP_OK;
}

esp_status rank_sites(prune_job *job, int stage) {
  ESP_TRY(journal_load_rankings(job));
  if (job->order[stage]) return ESP_OK;
  batch self = choose_batch(job, stage);
  site_evidence mine = {0};
  esp_phases_begin(&job->phases, "select");
  for (int i = 0; i < self.n; i++) allocate_ranking(job, self.stages[i]);
  esp_status status = read_batch(job, &self, &mine);
  if (status == ESP_OK) status = esp_agree(job->comm, rank_mine_local(job, &self, &mine));
  if (status == ESP_OK) {
    bcast_rankings(job, &self);
    status = save_rankings(job, &self);
  }
  evidence_clear(&mine);
  esp_free(&self.stages);
  return status;
}
