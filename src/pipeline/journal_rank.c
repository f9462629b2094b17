/* Rankings in the journal: a site that is ranked a second time, against another selection above,
 * has a record for each. */
#include "pipeline.h"

#include "espalier/core/memory.h"

#include <stdio.h>
#include <string.h>

typedef struct record_name {
  char text[128];
} record_name;

static record_name name_ranking(const prune_job *job, int stage) {
  static const char *const of[] = {
      [ESP_WHOLE] = "", [ESP_EVEN] = " from even", [ESP_ODD] = " from odd"};
  record_name name;
  snprintf(name.text, sizeof name.text, "ranked%s %d %s%s", of[job->stats->half],
           job->n_ranked[stage], job->dense->stages[stage].name, journal_name_round(job).text);
  return name;
}

static size_t count_bytes(const prune_job *job, int stage) {
  return (size_t)job->dense->stages[stage].units * sizeof(int64_t);
}

/* Order, scores, and what all units cost together. */
static size_t count_payload(const prune_job *job, int stage) {
  return 2 * count_bytes(job, stage) + sizeof *job->whole;
}

/* A permutation of the units. */
static esp_status check_order(const int64_t *order, int64_t units, const char *site) {
  bool *seen = ESP_NEW(bool, units);
  bool good = true;
  for (int64_t i = 0; i < units && good; i++) {
    good = order[i] >= 0 && order[i] < units && !seen[order[i]];
    if (good) seen[order[i]] = true;
  }
  esp_free(&seen);
  if (good) return ESP_OK;
  return esp_fail(ESP_FORMAT, "journal: what is kept of '%s' is no order of its units; --restart",
                  site);
}

static esp_status take_ranking(prune_job *job, int stage, const char *payload, int64_t size) {
  const esp_stage *site = &job->dense->stages[stage];
  const size_t bytes = count_bytes(job, stage);
  if (size != (int64_t)count_payload(job, stage))
    return esp_fail(ESP_FORMAT, "journal: what is kept of '%s' does not fit the model; --restart",
                    site->name);
  ESP_TRY(check_order((const int64_t *)(const void *)payload, site->units, site->name));
  esp_free(&job->scores[stage]);
  job->order[stage] = ESP_NEW(int64_t, site->units);
  job->scores[stage] = ESP_NEW(double, site->units);
  memcpy(job->order[stage], payload, bytes);
  memcpy(job->scores[stage], payload + bytes, bytes);
  memcpy(&job->whole[stage], payload + 2 * bytes, sizeof *job->whole);
  job->n_ranked[stage]++;
  return ESP_OK;
}

static esp_status load_ranking(prune_job *job, int stage) {
  const record_name name = name_ranking(job, stage);
  const int64_t size = esp_journal_find_local(job->journal, name.text);
  if (size < 0) return ESP_OK;
  char *payload = ESP_NEW(char, size);
  esp_status status = esp_journal_read(job->journal, name.text, payload);
  if (status == ESP_OK) status = esp_agree(job->comm, take_ranking(job, stage, payload, size));
  esp_free(&payload);
  return status;
}

esp_status journal_load_rankings(prune_job *job) {
  for (int stage = 0; job->journal && stage < job->dense->n_stages; stage++)
    if (!job->order[stage]) ESP_TRY(load_ranking(job, stage));
  return ESP_OK;
}

esp_status journal_save_ranking(prune_job *job, int stage) {
  if (!job->journal) return ESP_OK;
  const record_name name = name_ranking(job, stage);
  const size_t bytes = count_bytes(job, stage), size = count_payload(job, stage);
  char *payload = ESP_NEW(char, (int64_t)size);
  memcpy(payload, job->order[stage], bytes);
  memcpy(payload + bytes, job->scores[stage], bytes);
  memcpy(payload + 2 * bytes, &job->whole[stage], sizeof *job->whole);
  const esp_status status = esp_journal_append(job->journal, name.text, payload, (int64_t)size);
  esp_free(&payload);
  if (status == ESP_OK) job->n_ranked[stage]++;
  return status;
}
