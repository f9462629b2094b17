/* What of a pruning is finished. Selections hold at any number of ranks; repairs, which
 * surgery/progress.c keeps, where their rounding does not depend on it. */
#include "prune_journal.h"
#include "rules.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/surgery/repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RECORDS_VERSION = 3 }; // of what the records hold

/* Else --stats could take over what depends on those of rounds, or what was told without any. */
static const char *name_statistics(const esp_prune_request *request) {
  if (!esp_prune_reads_statistics(request)) return "(none are read)";
  return esp_prune_has_rounds(request) ? "(collected in rounds)" : "(given, or collected once)";
}

/* All that the result depends on, but the content of the statistics: that is checked once they are
 * open. Names of files may change. */
static json_t *describe(const esp_comm *comm, const esp_prune_request *request) {
  char fingerprint[24];
  json_t *options = esp_prune_settings_dump(request->settings);
  json_object_del(options, "run");
  json_object_del(json_object_get(options, "data"), "data");
  json_object_del(json_object_get(options, "prune"), "stats");
  snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64,
           esp_model_fingerprint(comm, request->dense));
  json_t *description = esp_json_pack(
      "{s:s, s:i, s:I, s:s, s:o, s:s}", "program", ESPALIER_VERSION, "records", RECORDS_VERSION,
      "seed", (json_int_t)request->settings->run.seed, "model_fingerprint", fingerprint, "options",
      options, "statistics", name_statistics(request));
  return description;
}

static int count_records(const prune_journal *self, const char *prefix) {
  int n = 0;
  for (int i = 0; i < esp_journal_count_local(self->file); i++)
    n += strncmp(esp_journal_name_local(self->file, i), prefix, strlen(prefix)) == 0;
  return n;
}

/* Repairs that round as another number of ranks does are left alone, and not used. */
static void tell_resumed(const prune_journal *self) {
  int n_other;
  const int n_repaired = esp_repair_count_records_local(self->file, self->comm->size, &n_other);
  const int n_masked = count_records(self, "masked "), n_rounds = count_records(self, "round ");
  char *masks = n_masked ? esp_format(", %d matrices masked", n_masked) : esp_strdup("");
  char *rounds = n_rounds ? esp_format(", %d rounds of samples", n_rounds) : esp_strdup("");
  esp_log_info("prune: resuming after %d sites selected, %d repairs of stages%s%s",
               count_records(self, "selected "), n_repaired, masks, rounds);
  esp_free(&masks);
  esp_free(&rounds);
  if (n_other > 0)
    esp_log_warn("%d repairs of stages by another number of ranks are not used: their rounding is "
                 "not that of %d ranks",
                 n_other, self->comm->size);
}

esp_status journal_open(prune_journal *self, const esp_comm *comm,
                        const esp_prune_request *request) {
  const esp_run_options *run = &request->settings->run;
  json_t *description = describe(comm, request);
  *self = (prune_journal){.comm = comm, .round = -1};
  const esp_status status =
      esp_journal_open(comm, run->output, description, run->restart, &self->file);
  json_decref(description);
  if (status == ESP_OK && esp_journal_is_resumed_local(self->file)) tell_resumed(self);
  return status;
}
