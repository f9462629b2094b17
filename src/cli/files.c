/* What a command writes and reads: known from options and arguments alone, so that outputs are
 * checked against inputs before anything is opened. */
#include "commands.h"

#include "espalier/core/memory.h"
#include "espalier/io/dataset.h"
#include "espalier/io/file.h"
#include "espalier/io/h5.h"
#include "espalier/io/outputs.h"

#include <string.h>

enum { MOST_OUTPUTS = 4, OPTION_INPUTS = 7 };

static const char *const partial_only[] = {".partial", NULL};

static int list_outputs(const command *self, const esp_settings *settings, const char *folder,
                        esp_output *outputs) {
  int n = 0;
  if (self->list_beside)
    outputs[n++] = (esp_output){"-o", settings->run.output, self->list_beside(settings)};
  if (self->bit == ESP_FOR_EVAL)
    outputs[n++] = (esp_output){"--logits", settings->eval.logits, partial_only};
  outputs[n++] = (esp_output){"--json", settings->run.json, partial_only};
  outputs[n++] = (esp_output){"the folder", folder, partial_only};
  return n;
}

static bool is_file(const char *path) {
  return path && strcmp(path, "-") != 0;
}

static bool is_output(const command *self, int argument) {
  return self->output_argument == argument + 1;
}

static int list_inputs(const command *self, const esp_settings *settings, const esp_arguments *line,
                       esp_input *inputs) {
  const char *gates = settings->policy.policy ? settings->policy.gates_from : NULL;
  const char *data = esp_dataset_is_made(settings->data.data) ? NULL : settings->data.data;
  int n = 0;
  for (int i = 0; i < line->n_positional; i++)
    if (!is_output(self, i)) inputs[n++] = (esp_input){"an argument", line->positional[i]};
  inputs[n++] = (esp_input){"--data", data};
  inputs[n++] = (esp_input){"--stats", settings->prune.stats};
  inputs[n++] = (esp_input){"--teacher", settings->train.teacher};
  inputs[n++] = (esp_input){"--validation", settings->train.validation};
  inputs[n++] = (esp_input){"--gates-from", gates};
  inputs[n++] = (esp_input){"--config", settings->run.config};
  inputs[n++] = (esp_input){"--source", settings->exporting.source};
  return n;
}

static void follow_links(const esp_comm *comm, const command *self, esp_settings *settings,
                         esp_arguments *line, char **folder) {
  if (self->list_beside) esp_output_follow_links(comm, &settings->run.output);
  esp_output_follow_links(comm, &settings->run.json);
  esp_output_follow_links(comm, &settings->eval.logits);
  if (self->output_argument == 0) return;
  const char **argument = &line->positional[self->output_argument - 1];
  *folder = esp_strdup(*argument);
  esp_output_follow_links(comm, folder);
  *argument = *folder;
}

esp_status check_files(const esp_comm *comm, const command *self, esp_settings *settings,
                       esp_arguments *line, char **folder) {
  esp_output outputs[MOST_OUTPUTS];
  esp_input *inputs = ESP_NEW(esp_input, line->n_positional + OPTION_INPUTS);
  follow_links(comm, self, settings, line, folder);
  const esp_files files = {outputs, inputs, list_outputs(self, settings, *folder, outputs),
                           list_inputs(self, settings, line, inputs)};
  esp_status status = esp_outputs_check(comm, &files);
  if (status == ESP_OK && settings->eval.logits)
    status = esp_h5_check_writable(comm, settings->eval.logits, 0);
  if (status == ESP_OK && is_file(settings->run.json))
    status = esp_file_check_writable(comm, settings->run.json, 0);
  esp_free(&inputs);
  return status;
}
