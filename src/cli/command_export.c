#include "commands.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/model/export.h"

#include <inttypes.h>

static json_t *dump(const command_input *input, const esp_export_result *done) {
  return esp_json_pack(
      "{s:o, s:o, s:s, s:I, s:i, s:I, s:o, s:i, s:b, s:s?}", "model",
      esp_json_text(input->arguments[0]), "output", esp_json_text(input->arguments[1]), "family",
      done->family, "parameters", (json_int_t)done->parameters, "weight_files", done->files.count,
      "weight_bytes", (json_int_t)done->files.bytes, "source", esp_json_text(done->source),
      "copied_files", done->n_copied, "per_layer_sizes", (int)done->has_layer_sizes, "opens_with",
      done->opening.with);
}

static esp_status run(const command_input *input, json_t **result) {
  const char *folder = input->arguments[1];
  esp_export_result done;
  esp_export_options options = input->settings->exporting;
  options.ignored = input->settings->run.ignore_tensors;
  ESP_TRY(esp_export(input->comm, &options, input->arguments[0], folder, &done));
  print_result(input, "%s: %" PRId64 " parameters in %d safetensors files, %" PRId64 " bytes\n",
               folder, done.parameters, done.files.count, done.files.bytes);
  if (done.source)
    print_result(input, "%d other files copied from %s\n", done.n_copied, done.source);
  print_opening(input, &done.opening, true);
  *result = dump(input, &done);
  esp_free(&done.source);
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
