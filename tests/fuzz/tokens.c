/* A token file with all its arrays, changed (h5.h). */
#include "h5.h"

#include "espalier/core/memory.h"
#include "espalier/io/dataset.h"
#include "espalier/io/h5.h"

enum { N = 3, T = 4 };

static const char *const names[] = {"/tokens",         "/lengths",   "/labels",
                                    "/token_types",    "/input_ids", "/attention_mask",
                                    "/token_type_ids", "/other",     NULL};

static void put(esp_h5 *file, const char *name, int rank) {
  static const int32_t values[N * T] = {3, 1, 2, 4, 1, 2, 3, 4, 1, 2, 3, 4};
  const esp_h5_shape shape = {ESP_I32, rank, {N, rank == 2 ? T : 0}};
  ESP_ASSERT(esp_h5_write_root(file, name, &shape, values) == ESP_OK);
}

void fuzz_start(void) {
  esp_h5 *file;
  ESP_ASSERT(esp_h5_create(&fuzz_comm, fuzz_path("good.h5"), &file) == ESP_OK);
  put(file, "/tokens", 2);
  put(file, "/token_types", 2);
  put(file, "/lengths", 1);
  put(file, "/labels", 1);
  ESP_ASSERT(esp_h5_commit(&file) == ESP_OK);
}

static void read_changed(void) {
  esp_dataset *dataset;
  const esp_status status =
      esp_dataset_open(&fuzz_comm, fuzz_path("changed.h5"), "train", &dataset);
  if (!fuzz_succeeded(status, dataset)) return;
  esp_batch batch;
  esp_batch_buffer buffer = {0};
  esp_dataset_read(dataset, NULL, 0, dataset->count, &buffer, &batch);
  for (int64_t i = 0; i < batch.count * batch.width; i++)
    ESP_ASSERT(batch.tokens[i] >= 0 && batch.tokens[i] <= dataset->max_token);
  for (int64_t i = 0; batch.lengths && i < batch.count; i++)
    ESP_ASSERT(batch.lengths[i] >= 1 && batch.lengths[i] <= batch.width);
  esp_batch_buffer_clear(&buffer);
  esp_dataset_close(&dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input input = {data, size};
  fuzz_h5_edit("good.h5", "changed.h5", names, &input);
  read_changed();
  fuzz_h5_end();
  return 0;
}
