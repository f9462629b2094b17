/* The text of config.json, of every family: as the only file that matters, and beside weights that
 * do not fit. */
#include "fuzz.h"

#include "espalier/model/model.h"

static const char weights[] = "\70\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_"
                              "offsets\":[0,8]}}  \0\0\0\0\0\0\0";

void fuzz_start(void) {
  fuzz_make_folder("model");
  fuzz_write("model/model.safetensors", weights, sizeof weights - 1);
}

/* What commands that need no weights make of it. */
static void describe(const uint8_t *data, size_t size) {
  esp_model *model;
  json_t *config = json_loadb((const char *)data, size, 0, NULL);
  if (!json_is_object(config)) {
    json_decref(config);
    return;
  }
  const esp_status status = esp_model_new(config, &model);
  if (fuzz_succeeded(status, model)) {
    if (esp_model_count_parameters(model) < 0 || esp_model_count_prunable(model) < 0)
      __builtin_trap();
    esp_model_free(&model);
  }
  json_decref(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  esp_model *model;
  describe(data, size);
  fuzz_write("model/config.json", data, size);
  const esp_status status = esp_model_open(&fuzz_comm, fuzz_path("model"), &model);
  if (fuzz_succeeded(status, model)) esp_model_free(&model);
  return 0;
}
