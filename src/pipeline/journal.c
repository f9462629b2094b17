/* What of a pruning is finished. Selections hold at any number of ranks; repairs are kept by
 * surgery/progress.c for one. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

journal_round journal_name_round(const prune_job *job) {
  journal_round name = {""};
  if (job->doublings) snprintf(name.text, sizeof name.text, " in round %d", job->round);
  return name;
}

typedef struct record_name {
  char text[96];
} record_name;

static const char statistics[] = "statistics"; // they are complete
static const char collecting[] = "collecting"; // they are, or were, under way

static record_name name_statistics(const prune_job *job, const char *state) {
  record_name name;
  snprintf(name.text, sizeof name.text, "%s%s", state, journal_name_round(job).text);
  return name;
}

/* All that the result hangs on, but the content of the statistics: that is checked once they are
 * open. Names of files may change. */
static json_t *describe(const prune_job *job) {
  char fingerprint[24];
  json_t *options = esp_options_dump(esp_settings_table(), job->settings, ESP_FOR_PRUNE);
  json_object_del(options, "run");
  json_object_del(json_object_get(options, "data"), "data");
  json_object_del(json_object_get(options, "prune"), "stats");
  snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64,
           esp_model_fingerprint(job->comm, job->dense));
  json_t *description = json_pack("{s:s, s:I, s:s, s:o}", "program", ESPALIER_VERSION, "seed",
                                  (json_int_t)job->settings->run.seed, "model_fingerprint",
                                  fingerprint, "options", options);
  if (doubles_samples(job)) // else --stats could take over what hangs on these
    json_object_set_new(description, "statistics", json_string("collected by the pruning itself"));
  return description;
}

static int count_records(const prune_job *job, const char *prefix) {
  int n = 0;
  for (int i = 0; i < esp_journal_count_local(job->journal); i++)
    n += strncmp(esp_journal_name_local(job->journal, i), prefix, strlen(prefix)) == 0;
  return n;
}

/* Repairs by another number of ranks are left alone, and not used. */
static void tell_resumed(const prune_job *job) {
  char own[64];
  snprintf(own, sizeof own, "repaired by %d ranks", job->comm->size);
  const int n_repaired = count_records(job, own);
  const int n_other = count_records(job, "repaired by ") - n_repaired;
  const int n_masked = count_records(job, "masked "), n_rounds = count_records(job, "round ");
  char *masks = n_masked ? esp_format(", %d matrices masked", n_masked) : esp_strdup("");
  char *rounds = n_rounds ? esp_format(", %d rounds of samples", n_rounds) : esp_strdup("");
  esp_log_info("prune: resuming after %d sites selected, %d repairs of stages%s%s",
               count_records(job, "selected "), n_repaired, masks, rounds);
  esp_free(&masks);
  esp_free(&rounds);
  if (n_other > 0)
    esp_log_warn("%d repairs of stages by another number of ranks are not used: their rounding is "
                 "not that of %d ranks",
                 n_other, job->comm->size);
}

esp_status journal_open(prune_job *job) {
  json_t *description = describe(job);
  const esp_status status = esp_journal_open(job->comm, job->settings->run.output, description,
                                             job->settings->run.restart, &job->journal);
  json_decref(description);
  if (status == ESP_OK && esp_journal_is_resumed_local(job->journal)) tell_resumed(job);
  return status;
}

static bool has_file(const esp_comm *comm, const char *path) {
  int exists = comm->rank == 0 && access(path, R_OK) == 0;
  esp_bcast(comm, &exists, sizeof exists, 0);
  return exists != 0;
}

/* A run may have been killed after its collection was complete, and before that was noted; where
 * the collection's own journal is left, esp_collect finds that out. */
static bool may_be_complete(const prune_job *job, const char *path) {
  char *journal = esp_format("%s.journal", path);
  const bool is_under_way = has_file(job->comm, journal);
  esp_free(&journal);
  return !is_under_way && has_file(job->comm, path) &&
         esp_journal_find_local(job->journal, name_statistics(job, collecting).text) >= 0;
}

/* Under that name other statistics may stand: those of another round, or of an earlier run. */
static esp_status take_complete(prune_job *job, const json_t *collection, const char *path) {
  if (!may_be_complete(job, path) || esp_stats_open(job->comm, path, &job->stats) != ESP_OK)
    return ESP_OK;
  if (!esp_stats_is_of_local(job->stats, collection)) esp_stats_close(&job->stats);
  return ESP_OK;
}

static esp_status note_collecting(prune_job *job) {
  const record_name name = name_statistics(job, collecting);
  if (job->stats || esp_journal_find_local(job->journal, name.text) >= 0) return ESP_OK;
  return esp_journal_append(job->journal, name.text, "", 0);
}

esp_status journal_open_statistics(prune_job *job, const json_t *collection, const char *path) {
  if (!job->journal) return ESP_OK;
  const bool is_noted =
      esp_journal_find_local(job->journal, name_statistics(job, statistics).text) >= 0 &&
      !job->doublings;
  if (!is_noted || !has_file(job->comm, path)) {
    ESP_TRY(take_complete(job, collection, path));
    return note_collecting(job);
  }
  ESP_TRY(esp_stats_open(job->comm, path, &job->stats));
  if (esp_stats_is_of_local(job->stats, collection)) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: the interrupted run collected these statistics from other data; give the "
                  "old data to go on with it, or --restart to begin again",
                  path);
}

static esp_status compare_statistics(const prune_job *job, const char *found, int64_t bytes) {
  json_t *old = json_loadb(found, (size_t)bytes, 0, NULL);
  const bool same = json_equal(old, job->stats->meta);
  json_decref(old);
  if (same) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: the interrupted run used other statistics than these; give the old ones to "
                  "go on with it, or --restart to begin again",
                  job->stats->path);
}

esp_status journal_check_statistics(const prune_job *job) {
  if (!job->journal) return ESP_OK;
  const record_name name = name_statistics(job, statistics);
  const int64_t bytes = esp_journal_find_local(job->journal, name.text);
  esp_status status;
  if (bytes < 0) {
    char *text = json_dumps(job->stats->meta, JSON_COMPACT | JSON_SORT_KEYS);
    status = esp_journal_append(job->journal, name.text, text, (int64_t)strlen(text));
    free(text);
    return status;
  }
  char *found = ESP_NEW(char, bytes);
  status = esp_journal_read(job->journal, name.text, found);
  if (status == ESP_OK) status = esp_agree(job->comm, compare_statistics(job, found, bytes));
  esp_free(&found);
  return status;
}

typedef struct site_record {
  char name[128];
  int64_t units, kept_bytes, score_bytes;
} site_record;

/* A record is the number of units kept, these, the scores of all, and the site's report (JSON). */
static site_record describe_site(const prune_job *job, int stage) {
  const esp_model *dense = job->dense;
  const bool is_width = stage == dense->n_stages;
  site_record self = {.units = is_width ? dense->width.units : dense->stages[stage].units};
  snprintf(self.name, sizeof self.name, "selected %s%s",
           is_width ? ESP_SITE_WIDTH : dense->stages[stage].name, journal_name_round(job).text);
  self.kept_bytes = (1 + job->selection.n_kept[stage]) * (int64_t)sizeof(int64_t);
  self.score_bytes = self.units * (int64_t)sizeof(double);
  return self;
}

esp_status journal_save_site(prune_job *job, int stage) {
  if (!job->journal) return ESP_OK;
  const site_record self = describe_site(job, stage);
  const int64_t n_kept = job->selection.n_kept[stage];
  char *report = json_dumps(json_array_get(job->sites, 0), JSON_COMPACT | JSON_SORT_KEYS);
  const int64_t bytes = self.kept_bytes + self.score_bytes + (int64_t)strlen(report);
  char *payload = ESP_NEW(char, bytes);
  memcpy(payload, &n_kept, sizeof n_kept);
  memcpy(payload + sizeof n_kept, job->selection.kept[stage],
         (size_t)self.kept_bytes - sizeof n_kept);
  memcpy(payload + self.kept_bytes, job->scores[stage], (size_t)self.score_bytes);
  memcpy(payload + self.kept_bytes + self.score_bytes, report, strlen(report));
  esp_status status = esp_journal_append(job->journal, self.name, payload, bytes);
  free(report);
  esp_free(&payload);
  if (status != ESP_OK) return status;
  return esp_journal_check_interrupt(job->journal, "in the selection");
}

static esp_status unpack(prune_job *job, int stage, const char *from, int64_t bytes) {
  site_record self = describe_site(job, stage);
  int64_t n_kept = -1;
  if (bytes >= (int64_t)sizeof n_kept) memcpy(&n_kept, from, sizeof n_kept);
  self.kept_bytes = (1 + n_kept) * (int64_t)sizeof n_kept;
  const int64_t at = self.kept_bytes + self.score_bytes;
  json_t *report = n_kept >= 0 && n_kept <= self.units && at < bytes
                       ? json_loadb(from + at, (size_t)(bytes - at), 0, NULL)
                       : NULL;
  if (!report)
    return esp_fail(ESP_FORMAT, "journal: what is kept of '%s' does not fit the model; --restart",
                    self.name);
  job->selection.n_kept[stage] = n_kept;
  job->selection.kept[stage] = ESP_NEW(int64_t, n_kept);
  esp_free(&job->scores[stage]);
  job->scores[stage] = ESP_NEW(double, self.units);
  memcpy(job->selection.kept[stage], from + sizeof n_kept, (size_t)n_kept * sizeof n_kept);
  memcpy(job->scores[stage], from + self.kept_bytes, (size_t)self.score_bytes);
  json_array_insert_new(job->sites, 0, report);
  return ESP_OK;
}

esp_status journal_load_site(prune_job *job, int stage, bool *found) {
  const site_record self = describe_site(job, stage);
  const int64_t bytes = job->journal ? esp_journal_find_local(job->journal, self.name) : -1;
  *found = bytes >= 0;
  if (!*found) return ESP_OK;
  char *payload = ESP_NEW(char, bytes);
  esp_status status = esp_journal_read(job->journal, self.name, payload);
  if (status == ESP_OK) status = esp_agree(job->comm, unpack(job, stage, payload, bytes));
  esp_free(&payload);
  return status;
}
