/* The sub-commands: one file each, one row in commands.c. */
#ifndef ESPALIER_SRC_CLI_COMMANDS_H
#define ESPALIER_SRC_CLI_COMMANDS_H

#include "settings.h"

#include "espalier/comm/comm.h"

typedef struct command_input {
  const esp_comm *comm;
  const esp_settings *settings;
  const char *const *arguments; // positional
  int n_arguments;
} command_input;

typedef struct command {
  const char *name, *usage, *summary;
  unsigned bit;            // ESP_FOR_...
  int least, most;         // positional arguments
  bool config_is_argument; // the first argument is the configuration file
  bool computes;           // calls BLAS, and so needs its memory and threads
  /* Do it; *result is what --json prints (a new reference), text goes to stdout on rank 0.
   * Collective. */
  esp_status (*run)(const command_input *input, json_t **result);
} command;

extern const command command_info, command_train, command_collect, command_prune, command_eval,
    command_export, command_plan;
/* The table, ended by NULL. */
extern const command *const commands[];

/* Run the program: find the command, read options, run it, report. Collective; returns the exit
 * code. */
int run_program(const esp_comm *comm, int argc, char **argv);

/* printf to stdout on rank 0, unless the JSON result goes there. Local. */
void print_result(const command_input *input, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
