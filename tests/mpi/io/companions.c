#include "espalier/io/companions.h"
#include "scratch_folder.h"

#include "espalier/core/memory.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char to[160];

/* "FOLDER/name" in a static buffer. */
static const char *at(const char *where, const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", where, name);
  return path;
}

static void put(const char *name) {
  test_write_file(at(folder, name), name, strlen(name));
}

static void begin(const char *name) {
  char target[64];
  snprintf(target, sizeof target, "%s.to", name);
  make_folder(target);
  snprintf(to, sizeof to, "%s", folder);
  make_folder(name);
}

static bool is_copied(const char *name) {
  char found[64] = "";
  FILE *file = fopen(at(to, name), "rb");
  if (!file) return false;
  const size_t n = fread(found, 1, sizeof found, file);
  fclose(file);
  return n == strlen(name) && memcmp(found, name, n) == 0;
}

static const char *const kept[] = {"tokenizer.json",
                                   "vocab.txt",
                                   "merges.txt",
                                   "spiece.model",
                                   "chat_template.jinja",
                                   "generation_config.json",
                                   "preprocessor_config.json",
                                   "modules.json",
                                   "sentence_bert_config.json",
                                   "config_sentence_transformers.json",
                                   "README.md",
                                   "LICENSE.txt",
                                   "NOTICE",
                                   "modeling_own.py"};
static const char *const weights[] = {"model.safetensors",    "model-00001-of-00002.safetensors",
                                      "pytorch_model.bin",    "tf_model.h5",
                                      "flax_model.msgpack",   "model.gguf",
                                      "consolidated.00.pth",  "pytorch_model.bin.index.json",
                                      "tokenizer.safetensors"};

static void esp_companions_copy_keeps_what_other_libraries_read(void **state) {
  (void)state;
  esp_companions done;
  begin("companions_kept");
  for (unsigned i = 0; i < ESP_COUNT(kept); i++) put(kept[i]);
  ASSERT_ALL(esp_companions_copy(&test_comm, folder, to, &done) == ESP_OK);
  for (unsigned i = 0; i < ESP_COUNT(kept); i++) ASSERT_ALL(is_copied(kept[i]));
  ASSERT_ALL(done.copied == (int)ESP_COUNT(kept) && done.code == 1 && !done.left_out);
  esp_companions_clear(&done);
}

static void esp_companions_copy_copies_no_weights_in_any_format(void **state) {
  (void)state;
  esp_companions done;
  begin("companions_weights");
  for (unsigned i = 0; i < ESP_COUNT(weights); i++) put(weights[i]);
  test_make_folder(at(folder, "onnx"));
  put("onnx/model.onnx");
  put("config.json");
  ASSERT_ALL(esp_companions_copy(&test_comm, folder, to, &done) == ESP_OK && done.copied == 0);
  for (unsigned i = 0; i < ESP_COUNT(weights); i++) ASSERT_ALL(!is_copied(weights[i]));
  ASSERT_ALL(access(at(to, "onnx"), F_OK) != 0);
  ASSERT_ALL(test_comm.rank != 0 ||
             strcmp(done.left_out,
                    "consolidated.00.pth, flax_model.msgpack, model.gguf, onnx/, "
                    "pytorch_model.bin, pytorch_model.bin.index.json, tf_model.h5") == 0);
  esp_companions_clear(&done);
}

static void esp_companions_copy_copies_modules_whole(void **state) {
  (void)state;
  esp_companions done;
  begin("companions_modules");
  test_make_folder(at(folder, "1_Pooling"));
  put("1_Pooling/config.json");
  test_make_folder(at(folder, "2_Dense"));
  put("2_Dense/model.safetensors");
  test_make_folder(at(folder, "1_Transformer"));
  put("1_Transformer/x.txt");
  ASSERT_ALL(esp_companions_copy(&test_comm, folder, to, &done) == ESP_OK && done.copied == 2);
  ASSERT_ALL(is_copied("1_Pooling/config.json") && is_copied("2_Dense/model.safetensors"));
  ASSERT_ALL(test_comm.rank != 0 || strcmp(done.left_out, "1_Transformer/") == 0);
  esp_companions_clear(&done);
}

static void esp_companions_copy_follows_links_and_passes_dangling_ones(void **state) {
  (void)state;
  esp_companions done;
  struct stat about;
  begin("companions_links");
  put("blob");
  if (test_comm.rank == 0) {
    assert_int_equal(symlink("blob", at(folder, "vocab.txt")), 0);
    assert_int_equal(symlink("none", at(folder, "merges.txt")), 0);
  }
  esp_barrier(&test_comm);
  ASSERT_ALL(esp_companions_copy(&test_comm, folder, to, &done) == ESP_OK && done.copied == 1);
  ASSERT_ALL(lstat(at(to, "vocab.txt"), &about) == 0 && S_ISREG(about.st_mode));
  esp_companions_clear(&done);
}

static void esp_companions_copy_copies_more_than_a_buffer(void **state) {
  (void)state;
  enum { BYTES = (1 << 20) + 17 };
  esp_companions done;
  struct stat about;
  begin("companions_large");
  char *bytes = esp_alloc(BYTES, 1);
  test_write_file(at(folder, "a.model"), bytes, BYTES);
  esp_free(&bytes);
  ASSERT_ALL(esp_companions_copy(&test_comm, folder, to, &done) == ESP_OK && done.copied == 1);
  ASSERT_ALL(stat(at(to, "a.model"), &about) == 0 && about.st_size == BYTES);
  esp_companions_clear(&done);
}

static void esp_companions_copy_fails_everywhere_when_it_cannot(void **state) {
  (void)state;
  esp_companions done;
  begin("companions_broken");
  put("vocab.txt");
  ASSERT_ALL(esp_companions_copy(&test_comm, "/no/such", to, &done) == ESP_IO);
  esp_companions_clear(&done);
  ASSERT_ALL(esp_companions_copy(&test_comm, folder, "/no/such", &done) == ESP_IO);
  esp_companions_clear(&done);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_companions_copy_keeps_what_other_libraries_read),
              cmocka_unit_test(esp_companions_copy_copies_no_weights_in_any_format),
              cmocka_unit_test(esp_companions_copy_copies_modules_whole),
              cmocka_unit_test(esp_companions_copy_follows_links_and_passes_dangling_ones),
              cmocka_unit_test(esp_companions_copy_copies_more_than_a_buffer),
              cmocka_unit_test(esp_companions_copy_fails_everywhere_when_it_cannot))
