#include "mpi.h"
#include "scratch.h"

#include "espalier/core/memory.h"
#include "espalier/io/text_data.h"

#include <stdlib.h>
#include <string.h>

/* A token a character: a 0, b 1, unknown 2, end 3. */
static const char json[] =
    "{\"added_tokens\":[{\"id\":3,\"content\":\"<e>\",\"special\":true}],\"post_processor\":{"
    "\"type\":\"BertProcessing\",\"sep\":[\"<e>\",3],\"cls\":[\"<e>\",3]},\"model\":{\"type\":"
    "\"BPE\",\"unk_token\":\"?\",\"vocab\":{\"a\":0,\"b\":1,\"?\":2},\"merges\":[]}}";

static esp_status open_source(esp_text_source source, esp_dataset **data) {
  esp_tokenizer *tokenizer;
  if (!source.split) source.split = "train";
  if (source.most_context == 0) source.most_context = 8;
  ESP_ASSERT(esp_tokenizer_new(json, sizeof json - 1, "tokenizer", &tokenizer) == ESP_OK);
  const esp_status status = esp_text_open(&test_comm, tokenizer, &source, data);
  esp_tokenizer_free(&tokenizer);
  return status;
}

static const char *write_named(const char *name, const char *text) {
  static char names[4][160];
  static int next;
  char *to = names[next++ % 4];
  snprintf(to, sizeof names[0], "%s", test_path(name));
  test_write_file(to, text, strlen(text));
  return to;
}

static int has_tokens(const esp_dataset *data, const int32_t *tokens, int64_t n) {
  return data->count * data->width == n &&
         memcmp(data->tokens, tokens, (size_t)n * sizeof *tokens) == 0;
}

static void esp_text_open_packs_documents_with_an_end_token_between(void **state) {
  (void)state;
  esp_dataset *data;
  char *both = esp_format("%s,%s", write_named("x.txt", "abab"), write_named("y.txt", "bbb"));
  ASSERT_ALL(open_source((esp_text_source){.data = both, .context = 3, .end_token = 3}, &data) ==
             ESP_OK);
  static const int32_t expected[] = {0, 1, 0, 1, 3, 1};
  ASSERT_ALL(has_tokens(data, expected, 6) && !data->lengths && data->max_token == 3);
  ASSERT_ALL(data->text.documents == 2 && data->text.tokens == 8 && data->text.left_out == 2);
  ASSERT_ALL(data->text.words == 2 && data->text.bytes == 7);
  esp_dataset_close(&data);
  esp_free(&both);
}

static void esp_text_open_gives_a_document_a_row(void **state) {
  (void)state;
  esp_dataset *data;
  const char *name = write_named("x.jsonl", "{\"text\":\"ab\",\"label\":1}\n\n"
                                            "{\"text\":\"bbbbb\",\"label\":0}\n"
                                            "{\"text\":\"\",\"label\":4}\r\n");
  ASSERT_ALL(open_source((esp_text_source){.data = name, .context = 6, .pad = true}, &data) ==
             ESP_OK);
  static const int32_t expected[] = {3, 0, 1, 3, 0, 0,
                                     3, 1, 1, 1, 1, 3}; // cut before the end token
  ASSERT_ALL(has_tokens(data, expected, 12));
  ASSERT_ALL(data->lengths[0] == 4 && data->lengths[1] == 6);
  ASSERT_ALL(data->labels[0] == 1 && data->labels[1] == 0 && data->classes == 2);
  ASSERT_ALL(data->text.cut == 1 && data->text.left_out == 1 && data->text.empty == 1);
  esp_dataset_close(&data);
}

static void esp_text_open_has_a_token_file_s_fingerprint(void **state) {
  (void)state;
  esp_dataset *data, *file;
  const char *text = write_named("x.txt", "ababbbaab");
  ASSERT_ALL(open_source((esp_text_source){.data = text, .context = 3}, &data) == ESP_OK);
  set_path("x.h5");
  ASSERT_ALL(esp_text_write_tokens(&test_comm, data, path) == ESP_OK);
  ASSERT_ALL(esp_dataset_open(&test_comm, path, "train", &file) == ESP_OK);
  ASSERT_ALL(file->fingerprint == data->fingerprint && file->count == data->count);
  esp_dataset_close(&file);
  esp_dataset_close(&data);
}

/* More ranks than documents, and the other way round: known by the sum that one rank alone finds.
 */
static void esp_text_open_is_the_same_at_any_rank_count(void **state) {
  (void)state;
  esp_dataset *data;
  char text[4000] = "";
  for (int i = 0; i < 60; i++)
    sprintf(text + strlen(text), "{\"text\":\"%.*s\"}\n", i % 11 + 1, "abbabaababba");
  ASSERT_ALL(open_source((esp_text_source){.data = write_named("many.jsonl", text), .end_token = 3},
                         &data) == ESP_OK);
  ASSERT_ALL(data->fingerprint == 0x620203b6250e5117u);
  esp_dataset_close(&data);
}

static void esp_text_is_knows_names_and_folders(void **state) {
  (void)state;
  char folder[160], file[200];
  snprintf(folder, sizeof folder, "%s", test_path("texts"));
  test_make_folder(folder);
  ASSERT_ALL(esp_text_is(&test_comm, "a.txt") && esp_text_is(&test_comm, "a.txt.gz,b.jsonl"));
  ASSERT_ALL(!esp_text_is(&test_comm, "a.h5") && !esp_text_is(&test_comm, "a.txt,b.h5"));
  ASSERT_ALL(!esp_text_is(&test_comm, folder));
  snprintf(file, sizeof file, "%s/b.txt", folder);
  test_write_file(file, "ab", 2);
  ASSERT_ALL(esp_text_is(&test_comm, folder));
  ASSERT_ALL(esp_text_count_names("a.txt,b.txt.gz") == 2 && esp_text_count_names("a,b") == 1);
}

static void check_refused(esp_text_source source, esp_status status, const char *text) {
  esp_dataset *data;
  ASSERT_ALL(open_source(source, &data) == status);
  ASSERT_ALL(strstr(esp_failure_text(), text) != NULL);
  ASSERT_ALL(data == NULL);
}

static void esp_text_open_refuses(void **state) {
  (void)state;
  const char *labels = write_named("l.jsonl", "{\"text\":\"ab\",\"label\":1}\n");
  const char *bad = write_named("b.jsonl", "{\"text\":\"ab\"}\n{\"text\":\n");
  const char *two = write_named("t.jsonl", "{\"text\":\"ab\"}\n{\"text\":\"abab\"}\n");
  check_refused((esp_text_source){.data = labels}, ESP_USAGE, "give --pad");
  check_refused((esp_text_source){.data = bad}, ESP_FORMAT, "line 2");
  check_refused((esp_text_source){.data = two, .context = 2, .end_token = -1}, ESP_USAGE,
                "an end token");
  check_refused((esp_text_source){.data = two, .context = 99}, ESP_USAGE,
                "at least one row of 99 tokens, found 7");
  check_refused((esp_text_source){.data = two, .context = 2, .pad = true}, ESP_USAGE,
                "special tokens");
  check_refused((esp_text_source){.data = "missing.txt"}, ESP_IO, "missing.txt");
}

ESP_TEST_MAIN(cmocka_unit_test(esp_text_open_packs_documents_with_an_end_token_between),
              cmocka_unit_test(esp_text_open_gives_a_document_a_row),
              cmocka_unit_test(esp_text_open_has_a_token_file_s_fingerprint),
              cmocka_unit_test(esp_text_open_is_the_same_at_any_rank_count),
              cmocka_unit_test(esp_text_is_knows_names_and_folders),
              cmocka_unit_test(esp_text_open_refuses))
