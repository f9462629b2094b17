/* The files of IDX images and labels: 2 bytes say how long the labels are, the first whether the
 * images are packed. */
#include "fuzz.h"

#include "espalier/io/dataset.h"

#include <stdio.h>
#include <unistd.h>

#define IMAGES "data/train-images-idx3-ubyte"

void fuzz_start(void) {
  fuzz_make_folder("data");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input input = {data, size};
  esp_dataset *dataset;
  const bool is_packed = fuzz_take(&input) & 1;
  size_t labels = fuzz_take(&input);
  if (labels > input.size) labels = input.size;
  fuzz_write("data/train-labels-idx1-ubyte", input.data, labels);
  fuzz_write(is_packed ? IMAGES ".gz" : IMAGES, input.data + labels, input.size - labels);
  if (is_packed) remove(fuzz_path(IMAGES));
  const esp_status status = esp_dataset_open(&fuzz_comm, fuzz_path("data"), "train", &dataset);
  if (fuzz_succeeded(status, dataset)) {
    esp_batch batch;
    esp_batch_buffer buffer = {0};
    esp_dataset_read(dataset, NULL, 0, dataset->count, &buffer, &batch);
    fuzz_touch(batch.pixels, batch.count * batch.width * (int64_t)sizeof *batch.pixels);
    fuzz_touch(batch.labels, batch.count * (int64_t)sizeof *batch.labels);
    esp_batch_buffer_clear(&buffer);
    esp_dataset_close(&dataset);
  }
  if (is_packed) remove(fuzz_path(IMAGES ".gz"));
  return 0;
}
