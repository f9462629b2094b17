/* Units of work in the journal. */
#include "prune_journal.h"

#include "espalier/core/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char data_name[] = "data for the repair";

unit_name journal_name_unit_local(const prune_journal *self, const char *format, ...) {
  unit_name name;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name.text, sizeof name.text, format, arguments);
  va_end(arguments);
  const size_t used = strlen(name.text);
  if (self->round >= 0)
    snprintf(name.text + used, sizeof name.text - used, " in round %d", self->round);
  return name;
}

esp_status journal_load_unit(prune_journal *self, const char *name, int64_t bytes, void *data,
                             bool *found) {
  const int64_t size = self->file ? esp_journal_find_local(self->file, name) : -1;
  *found = size >= 0;
  if (!*found) return ESP_OK;
  if (size != bytes)
    return esp_fail(ESP_FORMAT,
                    "journal: expected %" PRId64 " bytes of '%s', found %" PRId64
                    ": it does not fit the model; --restart",
                    bytes, name, size);
  return esp_journal_read(self->file, name, data);
}

esp_status journal_append(prune_journal *self, const char *name, int64_t bytes, const void *data) {
  return self->file ? esp_journal_append(self->file, name, data, bytes) : ESP_OK;
}

esp_status journal_check_interrupt(prune_journal *self, const char *done) {
  return self->file ? esp_journal_check_interrupt(self->file, done) : ESP_OK;
}

esp_status journal_save_unit(prune_journal *self, const char *name, int64_t bytes,
                             const void *data) {
  char done[160];
  snprintf(done, sizeof done, "after '%s'", name);
  ESP_TRY(journal_append(self, name, bytes, data));
  return journal_check_interrupt(self, done);
}

esp_status journal_load_any(prune_journal *self, const char *name, char **payload, int64_t *bytes) {
  *payload = NULL;
  *bytes = self->file ? esp_journal_find_local(self->file, name) : -1;
  if (*bytes < 0) return ESP_OK;
  *payload = ESP_NEW(char, *bytes);
  const esp_status status = esp_journal_read(self->file, name, *payload);
  if (status != ESP_OK) esp_free(payload);
  return status;
}

esp_status journal_sync(prune_journal *self) {
  return self->file ? esp_journal_sync(self->file) : ESP_OK;
}

esp_status journal_check_data(prune_journal *self, const esp_dataset *data) {
  const uint64_t now = data->fingerprint;
  uint64_t then;
  bool found;
  ESP_TRY(journal_load_unit(self, data_name, sizeof then, &then, &found));
  if (!found) return journal_save_unit(self, data_name, sizeof now, &now);
  if (then == now) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected the data that the interrupted run repaired from (fingerprint "
                  "%016" PRIx64 "), found other data (%016" PRIx64 "); give the old data to go on "
                  "with it, or --restart to begin again",
                  data->path, then, now);
}
