/* Which statistics a pruning uses, in the journal. */
#include "prune_journal.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char complete[] = "statistics";
static const char collecting[] = "collecting"; // they are, or were, under way

static int64_t find(const prune_journal *self, const char *state) {
  return esp_journal_find_local(self->file, journal_name_unit_local(self, "%s", state).text);
}

static bool has_file(const esp_comm *comm, const char *path) {
  int exists = comm->rank == 0 && access(path, R_OK) == 0;
  esp_bcast(comm, &exists, sizeof exists, 0);
  return exists != 0;
}

/* A run may have been killed after its collection was complete, and before that was noted; where
 * the collection's own journal is left, esp_collect finds that out. */
static bool may_be_complete(const prune_journal *self, const char *path) {
  char *journal = esp_format("%s.journal", path);
  const bool is_under_way = has_file(self->comm, journal);
  esp_free(&journal);
  return !is_under_way && has_file(self->comm, path) && find(self, collecting) >= 0;
}

/* Under that name other statistics may stand: those of another round, or of an earlier run. */
static void take_complete(prune_journal *self, const json_t *collection, const char *path,
                          esp_stats **stats) {
  if (!may_be_complete(self, path) || esp_stats_open(self->comm, path, stats) != ESP_OK) return;
  if (!esp_stats_is_of_local(*stats, collection)) esp_stats_close(stats);
}

esp_status journal_open_statistics(prune_journal *self, const json_t *collection, const char *path,
                                   esp_stats **stats) {
  *stats = NULL;
  if (!self->file) return ESP_OK;
  const bool is_noted = find(self, complete) >= 0 && self->round < 0;
  if (!is_noted || !has_file(self->comm, path)) {
    take_complete(self, collection, path, stats);
    if (*stats || find(self, collecting) >= 0) return ESP_OK;
    return journal_append(self, journal_name_unit_local(self, "%s", collecting).text, 0, "");
  }
  ESP_TRY(esp_stats_open(self->comm, path, stats));
  if (esp_stats_is_of_local(*stats, collection)) return ESP_OK;
  char *difference = esp_journal_find_difference((*stats)->meta, collection);
  const esp_status status = esp_fail(
      ESP_MISMATCH,
      "%s: the interrupted run collected other statistics: %s; give the old data and options to go "
      "on with it, or --restart to begin again",
      path, difference);
  esp_free(&difference);
  return status;
}

static esp_status compare_local(const esp_stats *stats, const char *found, int64_t bytes) {
  json_t *old = json_loadb(found, (size_t)bytes, 0, NULL);
  char *difference = esp_journal_find_difference(old, stats->meta);
  esp_status status = ESP_OK;
  if (difference)
    status = esp_fail(ESP_MISMATCH,
                      "%s: the interrupted run used other statistics: %s; give those to go on with "
                      "it, or --restart to begin again",
                      stats->path, difference);
  esp_free(&difference);
  json_decref(old);
  return status;
}

static esp_status note(prune_journal *self, const char *name, const esp_stats *stats) {
  char *text = esp_json_dump(stats->meta, JSON_COMPACT | JSON_SORT_KEYS);
  const esp_status status = journal_append(self, name, (int64_t)strlen(text), text);
  esp_free(&text);
  return status;
}

esp_status journal_check_statistics(prune_journal *self, const esp_stats *stats) {
  if (!self->file) return ESP_OK;
  const unit_name name = journal_name_unit_local(self, "%s", complete);
  char *found;
  int64_t bytes;
  ESP_TRY(journal_load_any(self, name.text, &found, &bytes));
  if (!found) return note(self, name.text, stats);
  const esp_status status = esp_agree(self->comm, compare_local(stats, found, bytes));
  esp_free(&found);
  return status;
}
