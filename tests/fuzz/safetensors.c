/* The bytes of model.safetensors, beside a configuration. */
#include "fuzz.h"

#include "espalier/io/tensors.h"

static const char config[] = "{\"model_type\": \"llama\"}";

void fuzz_start(void) {
  fuzz_make_folder("model");
  fuzz_write("model/config.json", config, sizeof config - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  esp_tensor_set *set;
  fuzz_write("model/model.safetensors", data, size);
  const esp_status status = esp_tensor_set_open(&fuzz_comm, fuzz_path("model"), &set);
  if (!fuzz_succeeded(status, set)) return 0;
  for (int i = 0; i < set->n_tensors; i++) {
    const esp_tensor *tensor = &set->tensors[i];
    const int64_t bytes =
        esp_tensor_count_elements(tensor) * (int64_t)esp_dtype_bytes(tensor->type);
    fuzz_touch(tensor->data, bytes);
  }
  esp_tensor_set_close(&set);
  return 0;
}
