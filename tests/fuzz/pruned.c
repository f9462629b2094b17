/* A model's own file, changed (h5.h): opened, loaded, and its units read. */
#include "h5.h"
#include "small.h"

#include "espalier/core/memory.h"

static const char *const names[] = {"/meta",
                                    "/config",
                                    "/report",
                                    "/model",
                                    "/model/layers.0.weight",
                                    "/model/layers.0.bias",
                                    "/model/layers.1.weight",
                                    "/model/layers.1.bias",
                                    "/model/other",
                                    NULL};

void fuzz_start(void) {
  static const int64_t sizes[] = {3, 2, 3};
  esp_model *model = small_model_open(&fuzz_comm, sizes, 3, fuzz_path("good.h5"));
  esp_model_free(&model);
}

static void read_changed(void) {
  esp_model *model;
  const esp_status status = esp_model_open(&fuzz_comm, fuzz_path("changed.h5"), &model);
  if (!fuzz_succeeded(status, model)) return;
  if (fuzz_is_ok(esp_model_load_all(&fuzz_comm, model)))
    for (int i = 0; i < model->n_weights; i++)
      fuzz_touch(model->weights[i].value,
                 esp_weight_count(&model->weights[i]) * (int64_t)sizeof(float));
  esp_model_free(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input input = {data, size};
  fuzz_h5_edit("good.h5", "changed.h5", names, &input);
  read_changed();
  fuzz_h5_end();
  return 0;
}
