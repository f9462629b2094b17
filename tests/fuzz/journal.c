/* The bytes of a journal. Where the first one is odd, every record gets the hash that it should
 * have, since no search would find one. The journal is then read, added to, and read again. */
#include "fuzz.h"

#include "espalier/core/hash.h"
#include "espalier/core/memory.h"
#include "espalier/io/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HASH_DIGITS = 16 };

static json_t *description;

void fuzz_start(void) {
  description = json_object();
  json_object_set_new(description, "seed", json_integer(1));
}

/* A record at text, of so many bytes that are left: gives it its hash and returns its size; 0: it
 * is none. */
static size_t mend_record(char *text, size_t left, uint64_t *chain) {
  long long bytes;
  char name[160], digits[HASH_DIGITS + 1];
  int head = 0;
  if (sscanf(text, "%*16x %lld %159[^\n]%n", &bytes, name, &head) != 2 || head < HASH_DIGITS)
    return 0;
  if (bytes < 0 || (size_t)head + 2 > left || (size_t)bytes > left - (size_t)head - 2) return 0;
  const int64_t size = bytes;
  *chain = esp_hash_text(esp_hash(*chain, &size, sizeof size), name);
  if (bytes > 0) *chain = esp_hash(*chain, text + head + 1, (size_t)bytes);
  snprintf(digits, sizeof digits, "%016" PRIx64, *chain);
  memcpy(text, digits, HASH_DIGITS);
  return (size_t)head + 2 + (size_t)bytes;
}

static void mend(char *text, size_t size) {
  uint64_t chain = 0;
  for (size_t at = 0, record = 1; record > 0 && at < size; at += record)
    record = mend_record(text + at, size - at, &chain);
}

static void read_records(esp_journal *journal) {
  for (int i = 0; i < esp_journal_count_local(journal); i++) {
    const char *name = esp_journal_name_local(journal, i);
    const int64_t bytes = esp_journal_find_local(journal, name);
    char *payload = ESP_NEW(char, bytes);
    if (fuzz_is_ok(esp_journal_read(journal, name, payload))) fuzz_touch(payload, bytes);
    esp_free(&payload);
  }
}

static void use(esp_journal *journal) {
  read_records(journal);
  const int before = esp_journal_count_local(journal);
  if (esp_journal_find_local(journal, "added") < 0) {
    ESP_ASSERT(esp_journal_append(journal, "added", "12", 2) == ESP_OK);
    ESP_ASSERT(esp_journal_count_local(journal) == before + 1);
  }
  read_records(journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  esp_journal *journal;
  char *text = ESP_NEW(char, (int64_t)size + 1);
  if (size > 0) memcpy(text, data + 1, size - 1);
  if (size > 1 && data[0] & 1) mend(text, size - 1);
  fuzz_write("out.journal", text, size > 0 ? size - 1 : 0);
  esp_free(&text);
  for (int restart = 0; restart < 2; restart++) {
    const esp_status status =
        esp_journal_open(&fuzz_comm, fuzz_path("out"), description, restart, &journal);
    if (!fuzz_succeeded(status, journal)) continue;
    use(journal);
    esp_journal_close(&journal, restart ? ESP_OK : ESP_INTERRUPTED);
  }
  return 0;
}
