/* What of a repair is finished: a record of the journal holds the fitted weights of one stage, as
 * float32 like in memory, and the report so far. Its head is [weights, bytes of the report, then
 * index and count of each weight], int64. */
#include "surgery_internal.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/linalg/solve.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct record_name {
  char text[128];
} record_name;

/* Who may use a record: "repaired by any ranks" where they give the same bits, else by so many. */
static record_name name_makers(int ranks, bool is_same_at_any) {
  record_name name;
  if (is_same_at_any)
    snprintf(name.text, sizeof name.text, "repaired by any ranks: ");
  else
    snprintf(name.text, sizeof name.text, "repaired by %d ranks: ", ranks);
  return name;
}

static record_name name_record(const esp_repair_job *job, const repair_pass *pass, int stage) {
  const esp_model *dense = job->dense;
  const int64_t unknowns = pass->count_unknowns ? pass->count_unknowns(job, stage) : 0;
  const record_name makers = name_makers(job->comm->size, esp_solve_is_whole_local(unknowns));
  const char *what = stage < dense->n_stages ? dense->stages[stage].name : "head";
  record_name name;
  snprintf(name.text, sizeof name.text, "%.40s%s %.64s", makers.text, pass->name, what);
  return name;
}

static int count_records(const esp_journal *journal, const char *prefix) {
  int n = 0;
  for (int i = 0; i < esp_journal_count_local(journal); i++)
    n += strncmp(esp_journal_name_local(journal, i), prefix, strlen(prefix)) == 0;
  return n;
}

int esp_repair_count_records_local(const esp_journal *journal, int ranks, int *n_others) {
  const int n = count_records(journal, name_makers(ranks, true).text) +
                count_records(journal, name_makers(ranks, false).text);
  *n_others = count_records(journal, "repaired by ") - n;
  return n;
}

bool repair_is_done_local(const esp_repair_job *job, const repair_pass *pass, int stage) {
  return job->journal &&
         esp_journal_find_local(job->journal, name_record(job, pass, stage).text) >= 0;
}

static bool is_fitted(const esp_weight *weight, int stage) {
  return weight->stage == stage && weight->is_final;
}

/* What a record is made of. */
typedef struct record {
  int64_t n_weights, head_bytes, value_bytes;
  char *report; // JSON
} record;

static record describe(const esp_repair_job *job, int stage) {
  record self = {0};
  for (int i = 0; i < job->pruned->n_weights; i++) {
    const esp_weight *weight = &job->pruned->weights[i];
    if (!is_fitted(weight, stage)) continue;
    self.n_weights++;
    self.value_bytes += esp_weight_count(weight) * (int64_t)sizeof(float);
  }
  self.head_bytes = (2 + 2 * self.n_weights) * (int64_t)sizeof(int64_t);
  json_t *rows = esp_repair_report_dump(job->report);
  self.report = esp_json_dump(rows, JSON_COMPACT | JSON_SORT_KEYS);
  json_decref(rows);
  return self;
}

static void pack(const esp_repair_job *job, int stage, const record *self, char *to) {
  int64_t *head = (int64_t *)(void *)to;
  char *values = to + self->head_bytes;
  *head++ = self->n_weights;
  *head++ = (int64_t)strlen(self->report);
  for (int i = 0; i < job->pruned->n_weights; i++) {
    const esp_weight *weight = &job->pruned->weights[i];
    if (!is_fitted(weight, stage)) continue;
    const size_t bytes = (size_t)esp_weight_count(weight) * sizeof(float);
    *head++ = i;
    *head++ = esp_weight_count(weight);
    memcpy(values, weight->value, bytes);
    values += bytes;
  }
  memcpy(values, self->report, strlen(self->report));
}

esp_status repair_save(esp_repair_job *job, const repair_pass *pass, int stage) {
  if (!job->journal) return ESP_OK;
  record self = describe(job, stage);
  const int64_t bytes = self.head_bytes + self.value_bytes + (int64_t)strlen(self.report);
  const bool is_root = job->comm->rank == 0;
  char *payload = ESP_NEW(char, is_root ? bytes : 0);
  if (is_root) pack(job, stage, &self, payload);
  const esp_status status =
      esp_journal_append(job->journal, name_record(job, pass, stage).text, payload, bytes);
  esp_free(&payload);
  esp_free(&self.report);
  return status == ESP_OK ? esp_journal_check_interrupt(job->journal, "in the repair") : status;
}

static esp_status fail_record(int stage) {
  return esp_fail(ESP_FORMAT,
                  "journal: expected the repaired weights of stage %d, found others; give "
                  "--restart",
                  stage);
}

static esp_status take_report(esp_repair_job *job, const char *text, int64_t bytes) {
  json_t *report = json_loadb(text, (size_t)bytes, 0, NULL);
  if (!report) return esp_fail(ESP_FORMAT, "journal: expected JSON behind the weights");
  esp_repair_report_read(job->report, report);
  json_decref(report);
  return ESP_OK;
}

static esp_status unpack(esp_repair_job *job, int stage, const char *from, int64_t bytes) {
  const int64_t *head = (const int64_t *)(const void *)from;
  const int64_t n = bytes >= 16 ? head[0] : -1;
  if (n < 0 || n > job->pruned->n_weights || (2 + 2 * n) * (int64_t)sizeof *head > bytes)
    return fail_record(stage);
  int64_t at = (2 + 2 * n) * (int64_t)sizeof *head;
  for (int64_t i = 0; i < n; i++) {
    const int64_t index = head[2 + 2 * i], count = head[3 + 2 * i];
    if (index < 0 || index >= job->pruned->n_weights) return fail_record(stage);
    esp_weight *weight = &job->pruned->weights[index];
    if (weight->stage != stage || count != esp_weight_count(weight) ||
        count * (int64_t)sizeof(float) > bytes - at)
      return fail_record(stage);
    memcpy(esp_weight_own(weight), from + at, (size_t)count * sizeof(float));
    at += count * (int64_t)sizeof(float);
  }
  return head[1] == bytes - at ? take_report(job, from + at, bytes - at) : fail_record(stage);
}

esp_status repair_restore(esp_repair_job *job, const repair_pass *pass, int stage) {
  const record_name name = name_record(job, pass, stage);
  const int64_t bytes = esp_journal_find_local(job->journal, name.text);
  char *payload = ESP_NEW(char, bytes);
  esp_status status = esp_journal_read(job->journal, name.text, payload);
  if (status == ESP_OK) status = esp_agree(job->comm, unpack(job, stage, payload, bytes));
  esp_free(&payload);
  return status;
}

esp_status repair_restore_all(esp_repair_job *job, const repair_pass *pass, int n, bool *done) {
  *done = true;
  for (int stage = 0; stage < n; stage++) *done = *done && repair_is_done_local(job, pass, stage);
  for (int stage = 0; stage < n && *done; stage++) ESP_TRY(repair_restore(job, pass, stage));
  return ESP_OK;
}
