#include "espalier/io/journal.h"
#include "espalier/core/json.h"

#include "espalier/core/interrupt.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "journal_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char description_name[] = "espalier-journal-1";

/* On ranks above 0 the file is not open, but its records are listed. */
struct esp_journal {
  const esp_comm *comm; // borrowed
  char *output;         // owned
  char *description;    // rank 0: JSON text, owned
  bool is_resumed;
  journal_file file;
};

static esp_status compare_descriptions_local(const esp_journal *self, const char *found) {
  json_t *old = json_loads(found, 0, NULL), *new = json_loads(self->description, 0, NULL);
  char *difference = esp_journal_find_difference(old, new);
  esp_status status = ESP_OK;
  if (difference)
    status = esp_fail(ESP_MISMATCH,
                      "%s is of an interrupted run of another command: %s; give that command to go "
                      "on with it, or --restart to begin again",
                      self->file.path, difference);
  esp_free(&difference);
  json_decref(old);
  json_decref(new);
  return status;
}

static esp_status begin_local(esp_journal *self) {
  ESP_TRY(journal_file_empty(&self->file));
  return journal_file_append(&self->file, description_name, self->description,
                             (int64_t)strlen(self->description));
}

/* What is there is described by its first record; without, nothing of it can be used. */
static esp_status take_over_local(esp_journal *self, bool restart) {
  const journal_file *file = &self->file;
  if (restart || file->count == 0 || strcmp(file->records[0].name, description_name) != 0) {
    if (!restart && file->is_torn)
      esp_log_warn("%s is damaged from its beginning; beginning again", file->path);
    return begin_local(self);
  }
  char *found = ESP_NEW(char, file->records[0].bytes + 1);
  esp_status status = journal_file_read(file, &file->records[0], found);
  if (status == ESP_OK) status = compare_descriptions_local(self, found);
  esp_free(&found);
  if (status == ESP_OK && file->is_torn)
    esp_log_info("%s: what follows record %d was torn and is done again", file->path, file->count);
  return status;
}

static esp_status open_local(esp_journal *self, const char *path, const json_t *description,
                             bool restart) {
  self->description = esp_json_dump(description, JSON_COMPACT | JSON_SORT_KEYS);
  ESP_TRY(journal_file_open(path, &self->file));
  return take_over_local(self, restart);
}

/* Ranks above 0 learn the list. */
static void share_list(esp_journal *self) {
  journal_file *file = &self->file;
  int count = file->count;
  esp_bcast(self->comm, &count, sizeof count, 0);
  for (int i = 0; i < count; i++) {
    char *name = self->comm->rank == 0 ? esp_strdup(file->records[i].name) : NULL;
    int64_t bytes = self->comm->rank == 0 ? file->records[i].bytes : 0;
    esp_bcast_text(self->comm, &name, 0);
    esp_bcast(self->comm, &bytes, sizeof bytes, 0);
    if (self->comm->rank != 0) journal_file_list(file, name, 0, bytes);
    esp_free(&name);
  }
}

static void free_journal_local(esp_journal **journal) {
  journal_file_close(&(*journal)->file);
  esp_free(&(*journal)->output);
  esp_free(&(*journal)->description);
  esp_free(journal);
}

esp_status esp_journal_open(const esp_comm *comm, const char *output, const json_t *description,
                            bool restart, esp_journal **journal) {
  esp_journal *self = ESP_NEW(esp_journal, 1);
  *self = (esp_journal){.comm = comm, .output = esp_strdup(output), .file = {.fd = -1}};
  char *path = esp_format("%s.journal", output);
  esp_status status = comm->rank == 0 ? open_local(self, path, description, restart) : ESP_OK;
  status = esp_agree(comm, status);
  esp_free(&path);
  *journal = self;
  if (status == ESP_OK) {
    share_list(self);
    self->is_resumed = self->file.count > 1;
  } else {
    free_journal_local(journal);
  }
  return status;
}

bool esp_journal_is_resumed_local(const esp_journal *journal) {
  return journal->is_resumed;
}

bool esp_journal_is_kept_local(const esp_journal *journal, esp_status status) {
  return journal && (status == ESP_INTERRUPTED || (status != ESP_OK && journal->is_resumed));
}

void esp_journal_close(esp_journal **journal, esp_status status) {
  if (!*journal) return;
  if ((*journal)->comm->rank == 0 && !esp_journal_is_kept_local(*journal, status))
    unlink((*journal)->file.path);
  free_journal_local(journal);
}

esp_status esp_journal_restart(esp_journal *journal) {
  const bool is_root = journal->comm->rank == 0;
  ESP_TRY(esp_agree(journal->comm, is_root ? begin_local(journal) : ESP_OK));
  journal->is_resumed = false;
  while (!is_root && journal->file.count > 1)
    esp_free(&journal->file.records[--journal->file.count].name);
  return ESP_OK;
}

int esp_journal_count_local(const esp_journal *journal) {
  return journal->file.count - 1;
}

const char *esp_journal_name_local(const esp_journal *journal, int i) {
  return journal->file.records[i + 1].name;
}

static const journal_record *find_local(const esp_journal *journal, const char *name) {
  for (int i = 1; i < journal->file.count; i++)
    if (strcmp(journal->file.records[i].name, name) == 0) return &journal->file.records[i];
  return NULL;
}

int64_t esp_journal_find_local(const esp_journal *journal, const char *name) {
  const journal_record *record = find_local(journal, name);
  return record ? record->bytes : -1;
}

esp_status esp_journal_read(esp_journal *journal, const char *name, void *data) {
  const journal_record *record = find_local(journal, name);
  ESP_ASSERT(record);
  const bool is_root = journal->comm->rank == 0;
  ESP_TRY(
      esp_agree(journal->comm, is_root ? journal_file_read(&journal->file, record, data) : ESP_OK));
  esp_bcast(journal->comm, data, record->bytes, 0);
  return ESP_OK;
}

esp_status esp_journal_append(esp_journal *journal, const char *name, const void *data,
                              int64_t bytes) {
  ESP_ASSERT(!find_local(journal, name));
  const bool is_root = journal->comm->rank == 0;
  ESP_TRY(esp_agree(journal->comm,
                    is_root ? journal_file_append(&journal->file, name, data, bytes) : ESP_OK));
  if (!is_root) journal_file_list(&journal->file, name, 0, bytes);
  return ESP_OK;
}

esp_status esp_journal_sync(esp_journal *journal) {
  const bool is_root = journal->comm->rank == 0;
  return esp_agree(journal->comm, is_root ? journal_file_sync(&journal->file) : ESP_OK);
}

esp_status esp_journal_check_interrupt(const esp_journal *journal, const char *done) {
  if (!esp_agree_max_i64(journal->comm, esp_interrupt_seen())) return ESP_OK;
  return esp_fail(ESP_INTERRUPTED,
                  "%s: asked to stop by a signal, %s; give the same command again and it goes on "
                  "from there",
                  journal->output, done);
}
