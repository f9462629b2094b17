/* A record of the journal is the number of units kept, these, the scores of all, and the site's
 * information. */
#include "selected.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/select/budget.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The end of a record. */
typedef struct record_end {
  int64_t has_information;
  esp_site_information information;
} record_end;

static unit_name name_record(const prune_job *job, int site) {
  return journal_name_unit_local(&job->journal, "selected %s",
                                 esp_prune_site_of(job->request->dense, site).name);
}

esp_status selected_save(prune_job *job, int site) {
  const int64_t n_kept = job->selection.n_kept[site];
  const int64_t units = esp_prune_site_of(job->request->dense, site).units;
  const size_t kept_bytes = (size_t)n_kept * sizeof(int64_t);
  const size_t score_bytes = (size_t)units * sizeof(double);
  const record_end end = {job->report.sites[site].has_information,
                          job->report.sites[site].information};
  const size_t bytes = sizeof n_kept + kept_bytes + score_bytes + sizeof end;
  char *payload = ESP_NEW(char, (int64_t)bytes), *to = payload;
  memcpy(to, &n_kept, sizeof n_kept);
  memcpy(to += sizeof n_kept, job->selection.kept[site], kept_bytes);
  memcpy(to += kept_bytes, job->ranker.scores[site], score_bytes);
  memcpy(to + score_bytes, &end, sizeof end);
  const esp_status status =
      journal_append(&job->journal, name_record(job, site).text, (int64_t)bytes, payload);
  esp_free(&payload);
  return status == ESP_OK ? journal_check_interrupt(&job->journal, "in the selection") : status;
}

static bool is_ascending(const int64_t *kept, int64_t n, int64_t units) {
  for (int64_t i = 0; i < n; i++)
    if (kept[i] < (i > 0 ? kept[i - 1] + 1 : 0) || kept[i] >= units) return false;
  return true;
}

/* The count is checked before anything is computed from it. */
static bool fits(const char *from, int64_t bytes, int64_t units, int64_t *n_kept) {
  const int64_t fixed =
      (int64_t)(sizeof *n_kept + sizeof(record_end)) + units * (int64_t)sizeof(double);
  *n_kept = -1;
  if (bytes >= fixed) memcpy(n_kept, from, sizeof *n_kept);
  return *n_kept >= 0 && *n_kept <= units && bytes == fixed + *n_kept * (int64_t)sizeof(int64_t) &&
         is_ascending((const int64_t *)(const void *)from + 1, *n_kept, units);
}

static esp_status unpack(prune_job *job, int site, const char *from, int64_t bytes) {
  const esp_prune_site of = esp_prune_site_of(job->request->dense, site);
  record_end end;
  int64_t n_kept;
  if (!fits(from, bytes, of.units, &n_kept))
    return esp_fail(ESP_FORMAT,
                    "journal: what is kept of 'selected %s' does not fit the model; --restart",
                    of.name);
  const size_t kept_bytes = (size_t)n_kept * sizeof(int64_t);
  const size_t score_bytes = (size_t)of.units * sizeof(double);
  job->selection.n_kept[site] = n_kept;
  job->selection.kept[site] = ESP_NEW(int64_t, n_kept);
  esp_free(&job->ranker.scores[site]);
  job->ranker.scores[site] = ESP_NEW(double, of.units);
  memcpy(job->selection.kept[site], from += sizeof n_kept, kept_bytes);
  memcpy(job->ranker.scores[site], from += kept_bytes, score_bytes);
  memcpy(&end, from + score_bytes, sizeof end);
  job->report.sites[site] = (esp_site_report){.is_selected = true,
                                              .units = of.units,
                                              .kept = n_kept,
                                              .has_information = end.has_information != 0,
                                              .information = end.information};
  return ESP_OK;
}

esp_status selected_load(prune_job *job, int site, bool *found) {
  char *payload;
  int64_t bytes;
  ESP_TRY(journal_load_any(&job->journal, name_record(job, site).text, &payload, &bytes));
  *found = payload != NULL;
  if (!payload) return ESP_OK;
  const esp_status status = esp_agree(job->comm, unpack(job, site, payload, bytes));
  esp_free(&payload);
  return status;
}

void selected_report(prune_job *job, int site) {
  const esp_prune_site of = esp_prune_site_of(job->request->dense, site);
  const int64_t kept = job->selection.n_kept[site];
  esp_site_report *report = &job->report.sites[site];
  report->is_selected = true;
  report->units = of.units;
  report->kept = kept;
  esp_log_info("select %s: %" PRId64 " of %" PRId64 " %s kept", of.name, kept, of.units,
               site < job->request->dense->n_stages ? "units" : "hidden dimensions");
}

void selected_chain_checksum(prune_job *job, int site) {
  const esp_prune_site of = esp_prune_site_of(job->request->dense, site);
  job->report.checksum =
      esp_selection_checksum(job->report.checksum, of.name, of.units, job->selection.kept[site],
                             job->selection.n_kept[site]);
}

esp_status selected_write(const prune_job *job, int site, esp_h5 *file) {
  const esp_prune_site of = esp_prune_site_of(job->request->dense, site);
  const esp_h5_shape kept = {ESP_I64, 1, {job->selection.n_kept[site]}};
  const esp_h5_shape scores = {ESP_F64, 1, {of.units}};
  char name[96];
  snprintf(name, sizeof name, "/kept/%s", of.name);
  ESP_TRY(esp_h5_write_root(file, name, &kept, job->selection.kept[site]));
  snprintf(name, sizeof name, "/scores/%s", of.name);
  return esp_h5_write_root(file, name, &scores, job->ranker.scores[site]);
}
