/* How fast text is tokenised, on one core: the CPU time of encoding a file, without opening the
 * tokenizer.
 *   bench_text TOKENIZER.json TEXT [REPEATS]
 * One line: bytes, tokens, seconds of the fastest pass of a fresh tokenizer. bench/text/compare.py
 * sets it beside the reference. */
#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "espalier/text/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A fresh tokenizer knows no words yet; the text is encoded at once. */
static esp_status pass(const char *json, int64_t json_bytes, const char *text, int64_t bytes,
                       int64_t *tokens, double *seconds) {
  esp_tokenizer *tokenizer;
  esp_token_ids ids = {0};
  ESP_TRY(esp_tokenizer_new(json, json_bytes, "tokenizer", &tokenizer));
  const clock_t begin = clock();
  const esp_status status = esp_tokenizer_encode(tokenizer, text, bytes, false, &ids);
  *seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
  *tokens = ids.count;
  esp_token_ids_clear(&ids);
  esp_tokenizer_free(&tokenizer);
  return status;
}

static esp_status measure(char **argv, int repeats) {
  char *json = NULL, *text = NULL;
  int64_t json_bytes, bytes, tokens = 0;
  double best = 0.0;
  ESP_TRY(esp_file_read_local(argv[1], &json, &json_bytes));
  esp_status status = esp_file_read_local(argv[2], &text, &bytes);
  for (int i = 0; i < repeats && status == ESP_OK; i++) {
    double seconds = 0.0;
    status = pass(json, json_bytes, text, bytes, &tokens, &seconds);
    if (i == 0 || seconds < best) best = seconds;
  }
  if (status == ESP_OK) printf("%" PRId64 " %" PRId64 " %.4f\n", bytes, tokens, best);
  esp_free(&json);
  esp_free(&text);
  return status;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: bench_text TOKENIZER.json TEXT [REPEATS]\n");
    return 1;
  }
  const esp_status status = measure(argv, argc > 3 ? atoi(argv[3]) : 3);
  if (status != ESP_OK) fprintf(stderr, "%s\n", esp_failure_text());
  return (int)status;
}
