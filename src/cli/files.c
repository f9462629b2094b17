/* What a command writes and reads: known from options and arguments alone, so that outputs are
 * checked against inputs before anything is opened. */
#include "commands.h"

#include "espalier/core/memory.h"
#include "espalier/io/dataset.h"
#include "espalier/io/file.h"
#include "espalier/io/h5.h"
#include "espalier/io/outputs.h"
#include "espalier/io/text_data.h"

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

/* What is read; names of data are copies, since one option may list several. */
typedef struct input_list {
  esp_input *rows; // owned
  char **names;    // owned: copies
  int count, n_names;
} input_list;

static void add_input(input_list *to, const char *option, const char *path) {
  to->rows[to->count++] = (esp_input){option, path};
}

static int count_data(const char *data) {
  return data && !esp_dataset_is_made(data) ? esp_text_count_names(data) : 0;
}

static void add_data(input_list *to, const char *option, const char *data) {
  for (int i = 0; i < count_data(data); i++) {
    char *name = esp_text_get_name(data, i);
    to->names[to->n_names++] = name;
    add_input(to, option, name);
  }
}

static input_list list_inputs(const command *self, const esp_settings *settings,
                              const esp_arguments *line) {
  const char *gates = settings->policy.policy ? settings->policy.gates_from : NULL;
  const char *data = settings->data.data, *validation = settings->train.validation;
  const int n_data = count_data(data) + count_data(validation);
  input_list to = {ESP_NEW(esp_input, line->n_positional + n_data + OPTION_INPUTS),
                   ESP_NEW(char *, n_data), 0, 0};
  for (int i = 0; i < line->n_positional; i++)
    if (!is_output(self, i)) add_input(&to, "an argument", line->positional[i]);
  add_data(&to, "--data", data);
  add_input(&to, "--stats", settings->prune.stats);
  add_input(&to, "--teacher", settings->train.teacher);
  add_data(&to, "--validation", validation);
  add_input(&to, "--gates-from", gates);
  add_input(&to, "--rewind", settings->policy.rewind);
  add_input(&to, "--config", settings->run.config);
  add_input(&to, "--source", settings->exporting.source);
  return to;
}

static void clear_inputs(input_list *self) {
  for (int i = 0; i < self->n_names; i++) esp_free(&self->names[i]);
  esp_free(&self->names);
  esp_free(&self->rows);
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
  follow_links(comm, self, settings, line, folder);
  input_list inputs = list_inputs(self, settings, line);
  const esp_files files = {outputs, inputs.rows, list_outputs(self, settings, *folder, outputs),
                           inputs.count};
  esp_status status = esp_outputs_check(comm, &files);
  if (status == ESP_OK && settings->eval.logits)
    status = esp_h5_check_writable(comm, settings->eval.logits, 0);
  if (status == ESP_OK && is_file(settings->run.json))
    status = esp_file_check_writable(comm, settings->run.json, 0);
  clear_inputs(&inputs);
  return status;
}
