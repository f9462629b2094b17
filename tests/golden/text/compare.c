/* Compares the program's tokenizer with what the reference made of difficult strings.
 *   compare TOKENIZER.json STRINGS.bin.gz EXPECTED.bin
 * The formats are make_expected.py's. Every string that differs is printed. */
#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "espalier/text/tokenizer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { FIELDS = 5, MOST_SHOWN = 10 };

static uint32_t read_word(const char *bytes) {
  const unsigned char *b = (const unsigned char *)bytes;
  return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint32_t sum(const void *bytes, int64_t count) {
  return (uint32_t)crc32(crc32(0, NULL, 0), count > 0 ? bytes : "", (unsigned)count);
}

static uint32_t sum_ids(const esp_token_ids *ids) {
  return sum(ids->id, ids->count * (int64_t)sizeof *ids->id);
}

static void print_text(const char *text, int64_t bytes) {
  for (int64_t i = 0; i < bytes && i < 400; i++)
    if (isprint((unsigned char)text[i]))
      putchar(text[i]);
    else
      printf("\\x%02x", (unsigned)(unsigned char)text[i]);
}

static void print_difference(const char *what, int n, const char *text, int64_t bytes,
                             const esp_token_ids *ids) {
  printf("string %d: other %s: \"", n, what);
  print_text(text, bytes);
  printf("\": ");
  for (int64_t i = 0; i < ids->count && i < 100; i++) printf(" %d", (int)ids->id[i]);
  putchar('\n');
}

/* The name of what differs, or NULL. */
static const char *compare(esp_tokenizer *tokenizer, const char *text, int64_t bytes,
                           const char *expected, esp_token_ids *ids) {
  uint32_t found[FIELDS];
  char *back = NULL;
  int64_t back_bytes = 0;
  ids->count = 0;
  if (esp_tokenizer_encode(tokenizer, text, bytes, true, ids) != ESP_OK) return esp_failure_text();
  found[2] = (uint32_t)ids->count;
  found[3] = sum_ids(ids);
  ids->count = 0;
  if (esp_tokenizer_encode(tokenizer, text, bytes, false, ids) != ESP_OK) return esp_failure_text();
  found[0] = (uint32_t)ids->count;
  found[1] = sum_ids(ids);
  if (esp_tokenizer_decode(tokenizer, ids->id, ids->count, false, &back, &back_bytes) != ESP_OK)
    return esp_failure_text();
  found[4] = sum(back, back_bytes);
  esp_free(&back);
  static const char *const names[] = {"number of ids", "ids", "number with special tokens",
                                      "ids with special tokens", "decoded text"};
  for (int i = 0; i < FIELDS; i++)
    if (found[i] != read_word(expected + 4 * i)) return names[i];
  return NULL;
}

static int compare_all(esp_tokenizer *tokenizer, const char *strings, int64_t bytes,
                       const char *expected, int64_t expected_bytes) {
  esp_token_ids ids = {0};
  int n = 0, failed = 0;
  for (int64_t at = 0; at < bytes; n++) {
    const int64_t count = read_word(strings + at);
    if ((n + 1) * 4 * FIELDS > expected_bytes) break;
    const char *what = compare(tokenizer, strings + at + 4, count, expected + n * 4 * FIELDS, &ids);
    if (what && failed++ < MOST_SHOWN) print_difference(what, n, strings + at + 4, count, &ids);
    at += 4 + count;
  }
  esp_token_ids_clear(&ids);
  printf("%d strings, %d differ\n", n, failed);
  return failed > 0 || n == 0 || n * 4 * FIELDS != expected_bytes;
}

int main(int argc, char **argv) {
  char *data[3] = {NULL};
  int64_t bytes[3];
  esp_tokenizer *tokenizer = NULL;
  esp_status status =
      argc == 4 ? ESP_OK : esp_fail(ESP_USAGE, "compare TOKENIZER STRINGS EXPECTED");
  for (int i = 0; i < 3 && status == ESP_OK; i++)
    status = esp_file_read_local(argv[i + 1], &data[i], &bytes[i]);
  if (status == ESP_OK) status = esp_tokenizer_new(data[0], bytes[0], argv[1], &tokenizer);
  if (status != ESP_OK) fprintf(stderr, "%s\n", esp_failure_text());
  const int failed =
      status != ESP_OK || compare_all(tokenizer, data[1], bytes[1], data[2], bytes[2]);
  esp_tokenizer_free(&tokenizer);
  for (int i = 0; i < 3; i++) esp_free(&data[i]);
  return failed;
}
