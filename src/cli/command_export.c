#include "commands.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/pipeline/export.h"

#include <inttypes.h>

static int64_t get_int(const json_t *report, const char *key) {
  return json_integer_value(json_object_get(report, key));
}

static esp_status run(const command_input *input, json_t **result) {
  const char *folder = input->arguments[1];
  ESP_TRY(esp_export(input->comm, input->settings, input->arguments[0], folder, result));
  char *source = esp_json_bytes(json_object_get(*result, "source"));
  print_result(input,
               "%s: %" PRId64 " parameters in %" PRId64 " safetensors files, %" PRId64 " bytes\n",
               folder, get_int(*result, "parameters"), get_int(*result, "weight_files"),
               get_int(*result, "weight_bytes"));
  if (source)
    print_result(input, "%" PRId64 " other files copied from %s\n",
                 get_int(*result, "copied_files"), source);
  esp_free(&source);
  return ESP_OK;
}

const command command_export = {.name = "export",
                                .usage = "export MODEL FOLDER",
                                .summary =
                                    "Hugging Face folder: configuration, safetensors, tokenizer",
                                .bit = ESP_FOR_EXPORT,
                                .least = 2,
                                .most = 2,
                                .output_argument = 2,
                                .run = run};
