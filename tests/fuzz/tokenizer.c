/* The text of tokenizer.json, of every kind: what is made of it encodes and decodes hard strings.
 */
#include "fuzz.h"

#include "espalier/core/memory.h"
#include "espalier/text/tokenizer.h"

#include <string.h>

static const char *const texts[] = {
    "",
    " ",
    "the  cat's 123\r\n\n",
    "caf\xC3\xA9 e\xCC\x81 \xE4\xB8\xAD\xE2\x96\x81x",
    "\xFF\xC3",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"};

void fuzz_start(void) {}

static void go_back(esp_tokenizer *tokenizer, const esp_token_ids *ids) {
  char *text;
  int64_t bytes;
  const esp_status status =
      esp_tokenizer_decode(tokenizer, ids->id, ids->count, true, &text, &bytes);
  if (fuzz_succeeded(status, text)) fuzz_touch(text, bytes);
  esp_free(&text);
}

static void run(esp_tokenizer *tokenizer, const char *text, size_t size, bool with_special) {
  esp_token_ids ids = {0};
  if (fuzz_is_ok(esp_tokenizer_encode(tokenizer, text, (int64_t)size, with_special, &ids))) {
    for (int64_t i = 0; i < ids.count; i++)
      if (ids.id[i] < 0 || ids.id[i] >= esp_tokenizer_count_ids(tokenizer)) __builtin_trap();
    go_back(tokenizer, &ids);
  }
  esp_token_ids_clear(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  esp_tokenizer *tokenizer;
  const esp_status status =
      esp_tokenizer_new((const char *)data, (int64_t)size, "tokenizer.json", &tokenizer);
  if (!fuzz_succeeded(status, tokenizer)) return 0;
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
    run(tokenizer, texts[i], strlen(texts[i]), i % 2 == 0);
  esp_tokenizer_free(&tokenizer);
  return 0;
}
