#include "commands.h"
#include "limits.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/named.h"
#include "espalier/io/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const command *const commands[] = {&command_info,
                                   &command_plan,
                                   &command_train,
                                   &command_collect,
                                   &command_prune,
                                   &command_recover,
                                   &command_eval,
                                   &command_sweep,
                                   &command_export,
                                   &command_tokenize,
                                   NULL};

void print_result(const command_input *input, const char *format, ...) {
  const char *json = input->settings->run.json;
  if (input->comm->rank != 0 || (json && strcmp(json, "-") == 0)) return;
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
}

void print_opening(const command_input *input, const esp_opening *opening, bool is_exported) {
  if (!opening->with) return;
  print_result(input, "opens with: %s%s", opening->with, is_exported ? "" : ", once exported");
  print_result(input, *opening->why ? " (%s)\n" : "%s\n", opening->why);
}

void print_budget(const command_input *input, const esp_prune_budget *budget) {
  for (int i = 0; budget && i < budget->n; i++) {
    const esp_budget_limit *limit = &budget->limits[i];
    print_result(input, "budget: --%s %.15g: %.10g of %.10g%s\n", esp_budget_name(limit),
                 limit->asked, limit->got, limit->dense, limit->binds ? ", which binds" : "");
  }
  if (budget)
    print_result(input, "budget: found --sparsity %s%s\n", esp_budget_format(budget->sparsity).text,
                 budget->sparsity < 1.0 ? ""
                                        : ", with what whole sub-layers share; by a budget alone");
  if (budget && budget->measured > 0.0)
    print_result(input, "budget: measured %.3f times as fast, layer by layer\n", budget->measured);
}

static void print_help(void) {
  printf("espalier " ESPALIER_VERSION ": prunes trained neural networks on a cluster\n\n"
         "usage: [mpirun -n RANKS] espalier COMMAND ...\n\n");
  for (const command *const *row = commands; *row; row++)
    printf("  %-52s %s\n", (*row)->usage, (*row)->summary);
  printf("\nespalier COMMAND --help lists the options of a command.\n");
}

bool is_options_file(const char *argument) {
  const char *dot = strrchr(argument, '.');
  return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static esp_status find_command(const char *name, const command **found) {
  int i;
  ESP_TRY(esp_find_pointer("command", name, commands, &i));
  *found = commands[i];
  return ESP_OK;
}

static bool is_help(const char *argument) {
  return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static bool asks_help(int argc, char **argv) {
  for (int i = 0; i < argc; i++)
    if (is_help(argv[i])) return true;
  return false;
}

static esp_status read_config(const esp_comm *comm, const esp_option_table *table, const char *path,
                              esp_settings *settings) {
  char *text = NULL;
  int64_t bytes;
  ESP_TRY(esp_file_read(comm, path, &text, &bytes));
  const esp_status status =
      strlen(text) == (size_t)bytes
          ? esp_options_read_yaml(table, settings, text, path)
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
static esp_status read_settings(const esp_comm *comm, const command *self,
                                const esp_option_table *table, esp_arguments *line,
                                esp_settings *settings) {
  ESP_TRY(esp_options_read_arguments(table, settings, line));
  ESP_TRY(check_arguments(self, line->n_positional));
  const char *config = settings->run.config;
  if (!config && self->config_is_argument && line->n_positional > 0 &&
      is_options_file(line->positional[0]))
    config = line->positional[0];
  if (!config) return ESP_OK;
  char *path = esp_strdup(config);
  esp_options_clear(table, settings);
  esp_options_init(table, settings);
  esp_status status = read_config(comm, table, path, settings);
  if (status == ESP_OK) status = esp_options_read_arguments(table, settings, line);
  esp_free(&path);
  return status;
}

static esp_status write_json(const esp_comm *comm, const esp_settings *settings, json_t *result) {
  if (!settings->run.json || !result) return ESP_OK;
  char *text = esp_json_dump(result, JSON_INDENT(2) | JSON_SORT_KEYS);
  char *line = esp_format("%s\n", text);
  const esp_status status = esp_file_write_text(comm, settings->run.json, line);
  esp_free(&text);
  esp_free(&line);
  return status;
}

/* What was found is written all the same; failing at that is the worse failure. */
static esp_status write_failed(const esp_comm *comm, const esp_settings *settings, json_t *result,
                               esp_status failure) {
  char *text = esp_strdup(esp_failure_text());
  esp_status status = write_json(comm, settings, result);
  if (status == ESP_OK) status = esp_fail(failure, "%s", text);
  esp_free(&text);
  return status;
}

static esp_status run_command(const esp_comm *comm, const command *self, int argc, char **argv) {
  esp_settings settings = {0}; // members without an option too
  esp_arguments line = {self->bit, argc, argv, 0, ESP_NEW(const char *, argc)};
  json_t *result = NULL;
  char *folder = NULL;
  esp_option_table table = *esp_settings_table();
  table.origins = ESP_NEW(esp_option_origin, table.count);
  esp_options_init(&table, &settings);
  settings.given = &table;
  esp_status status = esp_agree(comm, read_settings(comm, self, &table, &line, &settings));
  if (status == ESP_OK) status = check_files(comm, self, &settings, &line, &folder);
  const command_input input = {comm, &settings, line.positional, line.n_positional};
  if (comm->rank == 0) esp_log_set_level(settings.run.quiet ? ESP_LOG_WARN : ESP_LOG_INFO);
  if (status == ESP_OK && comm->rank == 0) warn_unread(&table, &settings, self->bit);
  if (status == ESP_OK && self->computes) status = limits_check(comm);
  if (status == ESP_OK) status = self->run(&input, &result);
  if (status == ESP_OK)
    status = write_json(comm, &settings, result);
  else if (self->tells_failure && result)
    status = write_failed(comm, &settings, result, status);
  json_decref(result);
  esp_options_clear(&table, &settings);
  esp_free(&table.origins);
  esp_free(&line.positional);
  esp_free(&folder);
  return status;
}

static void print_command_help(const command *self) {
  printf("usage: espalier %s\n%s\n\n", self->usage, self->summary);
  esp_options_print_help(esp_settings_table(), self->bit);
}

static esp_status flush_stdout(void) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return ESP_OK;
  return esp_fail(ESP_IO, "cannot write the result to stdout: %s; free some space",
                  strerror(errno));
}

static int print_failure(esp_status status) {
  if (status != ESP_OK) fprintf(stderr, "espalier: error: %s\n", esp_failure_text());
  return (int)status;
}

static bool is_version(const char *argument) {
  return strcmp(argument, "--version") == 0;
}

static void print_answer(int argc, char **argv, const command *self) {
  if (self)
    print_command_help(self);
  else if (argc > 1 && is_version(argv[1]))
    printf("espalier " ESPALIER_VERSION "\n");
  else
    print_help();
}

/* As launchers tell it in the environment. */
static bool is_first_process(void) {
  static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK",      "PMI_RANK",
                                      "PALS_RANKID",          "FLUX_TASK_RANK", "SLURM_PROCID"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    const char *rank = getenv(names[i]);
    if (rank) return strcmp(rank, "0") == 0;
  }
  return true;
}

bool answer_without_mpi(int argc, char **argv, int *exit_code) {
  const command *self = NULL;
  const bool is_general = argc < 2 || is_help(argv[1]) || is_version(argv[1]);
  if (!is_general && !asks_help(argc - 2, argv + 2)) return false;
  if (!is_general && find_command(argv[1], &self) != ESP_OK) return false;
  if (is_first_process())
    print_answer(argc, argv, self);
  else if (argc < 2)
    sleep(2); // or the launcher would end the first one before it has spoken
  *exit_code = print_failure(flush_stdout());
  if (*exit_code == ESP_OK && argc < 2) *exit_code = ESP_USAGE;
  return true;
}

int run_program(const esp_comm *comm, int argc, char **argv) {
  const command *self = NULL;
  esp_status status = find_command(argv[1], &self);
  if (status == ESP_OK) status = run_command(comm, self, argc - 2, argv + 2);
  if (status == ESP_OK) status = esp_agree(comm, comm->rank == 0 ? flush_stdout() : ESP_OK);
  return comm->rank == 0 ? print_failure(status) : (int)status;
}
