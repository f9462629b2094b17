#include "commands.h"
#include "limits.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/named.h"
#include "espalier/io/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const command *const commands[] = {&command_info,  &command_plan, &command_train,  &command_collect,
                                   &command_prune, &command_eval, &command_export, NULL};

void print_result(const command_input *input, const char *format, ...) {
  const char *json = input->settings->run.json;
  if (input->comm->rank != 0 || (json && strcmp(json, "-") == 0)) return;
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
}

static void print_help(void) {
  printf("espalier " ESPALIER_VERSION ": prunes trained neural networks on a cluster\n\n"
         "usage: [mpirun -n RANKS] espalier COMMAND ...\n\n");
  for (const command *const *row = commands; *row; row++)
    printf("  %-52s %s\n", (*row)->usage, (*row)->summary);
  printf("\nespalier COMMAND --help lists the options of a command.\n");
}

static esp_status find_command(const char *name, const command **found) {
  int i;
  ESP_TRY(esp_find_pointer("command", name, commands, &i));
  *found = commands[i];
  return ESP_OK;
}

static bool asks_help(int argc, char **argv) {
  for (int i = 0; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
  return false;
}

static esp_status read_config(const esp_comm *comm, const char *path, esp_settings *settings) {
  char *text = NULL;
  int64_t bytes;
  ESP_TRY(esp_file_read(comm, path, &text, &bytes));
  const esp_status status =
      strlen(text) == (size_t)bytes
          ? esp_options_read_yaml(esp_settings_table(), settings, text, path)
          : esp_fail(ESP_FORMAT,
                     "%s: expected YAML text, found a zero byte at %zu; give a text file", path,
                     strlen(text));
  esp_free(&text);
  return status;
}

static esp_status check_arguments(const command *self, int n) {
  if (n >= self->least && n <= self->most) return ESP_OK;
  return esp_fail(ESP_USAGE, "%s: expected %s, found %d arguments; see espalier %s --help",
                  self->name, self->usage, n, self->name);
}

/* Twice over the command line: to know the configuration file, and to win over it. */
static esp_status read_settings(const esp_comm *comm, const command *self, esp_arguments *line,
                                esp_settings *settings) {
  ESP_TRY(esp_options_read_arguments(esp_settings_table(), settings, line));
  ESP_TRY(check_arguments(self, line->n_positional));
  const char *config = settings->run.config;
  if (!config && self->config_is_argument && line->n_positional > 0) config = line->positional[0];
  if (!config) return ESP_OK;
  char *path = esp_strdup(config);
  esp_options_clear(esp_settings_table(), settings);
  esp_options_init(esp_settings_table(), settings);
  esp_status status = read_config(comm, path, settings);
  if (status == ESP_OK) status = esp_options_read_arguments(esp_settings_table(), settings, line);
  esp_free(&path);
  return status;
}

static esp_status write_json(const esp_comm *comm, const esp_settings *settings, json_t *result) {
  if (!settings->run.json || !result) return ESP_OK;
  char *text = json_dumps(result, JSON_INDENT(2) | JSON_SORT_KEYS);
  char *line = esp_format("%s\n", text);
  const esp_status status = esp_file_write_text(comm, settings->run.json, line);
  free(text);
  esp_free(&line);
  return status;
}

static esp_status run_command(const esp_comm *comm, const command *self, int argc, char **argv) {
  esp_settings settings;
  esp_arguments line = {self->bit, argc, argv, 0, ESP_NEW(const char *, argc)};
  json_t *result = NULL;
  esp_options_init(esp_settings_table(), &settings);
  esp_status status = esp_agree(comm, read_settings(comm, self, &line, &settings));
  const command_input input = {comm, &settings, line.positional, line.n_positional};
  if (comm->rank == 0) esp_log_set_level(settings.run.quiet ? ESP_LOG_WARN : ESP_LOG_INFO);
  if (status == ESP_OK && settings.run.json && strcmp(settings.run.json, "-") != 0)
    status = esp_file_check_writable(comm, settings.run.json, 0);
  if (status == ESP_OK && self->computes) status = limits_check(comm);
  if (status == ESP_OK) status = self->run(&input, &result);
  if (status == ESP_OK) status = write_json(comm, &settings, result);
  json_decref(result);
  esp_options_clear(esp_settings_table(), &settings);
  esp_free(&line.positional);
  return status;
}

static esp_status run_named(const esp_comm *comm, int argc, char **argv) {
  const command *self = NULL;
  ESP_TRY(find_command(argv[1], &self));
  if (!asks_help(argc - 2, argv + 2)) return run_command(comm, self, argc - 2, argv + 2);
  if (comm->rank == 0) {
    printf("usage: espalier %s\n%s\n\n", self->usage, self->summary);
    esp_options_print_help(esp_settings_table(), self->bit);
  }
  return ESP_OK;
}

/* Other ranks' stdout holds nothing. */
static esp_status flush_stdout_local(const esp_comm *comm) {
  if (comm->rank != 0 || (fflush(stdout) == 0 && !ferror(stdout))) return ESP_OK;
  return esp_fail(ESP_IO, "cannot write the result to stdout: %s; free some space",
                  strerror(errno));
}

int run_program(const esp_comm *comm, int argc, char **argv) {
  if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    if (comm->rank == 0) print_help();
    return argc < 2 ? ESP_USAGE : ESP_OK;
  }
  if (strcmp(argv[1], "--version") == 0) {
    if (comm->rank == 0) printf("espalier " ESPALIER_VERSION "\n");
    return ESP_OK;
  }
  esp_status status = run_named(comm, argc, argv);
  if (status == ESP_OK) status = esp_agree(comm, flush_stdout_local(comm));
  if (status != ESP_OK && comm->rank == 0)
    fprintf(stderr, "espalier: error: %s\n", esp_failure_text());
  return (int)status;
}
