/* Units of work whose record is plain bytes: masks, a layer's information, a round of samples,
 * which data a repair reads. */
#include "pipeline.h"

#include "espalier/core/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char repair_data_name[] = "data for the repair";

esp_status journal_load_unit(prune_job *job, const char *name, int64_t bytes, void *data,
                             bool *found) {
  const int64_t size = job->journal ? esp_journal_find_local(job->journal, name) : -1;
  *found = size >= 0;
  if (!*found) return ESP_OK;
  if (size != bytes)
    return esp_fail(ESP_FORMAT,
                    "journal: expected %" PRId64 " bytes of '%s', found %" PRId64
                    ": it does not fit the model; --restart",
                    bytes, name, size);
  return esp_journal_read(job->journal, name, data);
}

esp_status journal_save_unit(prune_job *job, const char *name, int64_t bytes, const void *data) {
  if (!job->journal) return ESP_OK;
  char done[96];
  snprintf(done, sizeof done, "after '%s'", name);
  ESP_TRY(esp_journal_append(job->journal, name, data, bytes));
  return esp_journal_check_interrupt(job->journal, done);
}

esp_status journal_sync(prune_job *job) {
  return job->journal ? esp_journal_sync(job->journal) : ESP_OK;
}

esp_status journal_check_repair_data(prune_job *job) {
  const uint64_t now = job->data->fingerprint;
  uint64_t then;
  bool found;
  ESP_TRY(journal_load_unit(job, repair_data_name, sizeof then, &then, &found));
  if (!found) return journal_save_unit(job, repair_data_name, sizeof now, &now);
  if (then == now) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: the interrupted run repaired from other data; give the old data to go on "
                  "with it, or --restart to begin again",
                  job->data->path);
}
