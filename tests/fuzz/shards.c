/* The text of model.safetensors.index.json, beside two shards. */
#include "fuzz.h"

#include "espalier/io/tensors.h"

#include <string.h>

static const char config[] = "{\"model_type\": \"llama\"}";

static void write_shard(const char *name, const char *header) {
  char bytes[128] = {0};
  const size_t length = strlen(header);
  bytes[0] = (char)length;
  memcpy(bytes + 8, header, length);
  fuzz_write(name, bytes, 8 + length + 8);
}

void fuzz_start(void) {
  fuzz_make_folder("model");
  fuzz_write("model/config.json", config, sizeof config - 1);
  write_shard("model/a.safetensors",
              "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}");
  write_shard("model/b.safetensors",
              "{\"b\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  esp_tensor_set *set;
  fuzz_write("model/model.safetensors.index.json", data, size);
  const esp_status status = esp_tensor_set_open(&fuzz_comm, fuzz_path("model"), &set);
  if (!fuzz_succeeded(status, set)) return 0;
  for (int i = 0; i < set->n_tensors; i++) fuzz_touch(set->tensors[i].data, 8);
  esp_tensor_set_close(&set);
  return 0;
}
