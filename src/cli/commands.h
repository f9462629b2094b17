/* The sub-commands: one file each, one row in commands.c. */
#ifndef ESPALIER_SRC_CLI_COMMANDS_H
#define ESPALIER_SRC_CLI_COMMANDS_H

#include "all_settings.h"

#include "espalier/comm/comm.h"
#include "espalier/model/opening.h"
#include "espalier/prune/budget.h"

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
  bool config_is_argument; // the first argument may be the file of options (is_options_file)
  bool computes;           // calls BLAS, and so needs its memory and threads
  bool tells_failure;      // where it fails with a result, that is written by --json all the same
  int output_argument;     // which argument is what is written, from 1; 0: none
  /* What is made beside -o on the way, ended by NULL; NULL: -o is not written. */
  const char *const *(*list_beside)(const esp_settings *settings);
  /* Do it; *result is what --json prints (a new reference), text goes to stdout on rank 0.
   * Collective. */
  esp_status (*run)(const command_input *input, json_t **result);
} command;

extern const command command_info, command_train, command_collect, command_prune, command_eval,
    command_export, command_plan, command_recover, command_sweep, command_tokenize;
/* The table, ended by NULL. */
extern const command *const commands[];

/* Warn, in one line, of options that were given to a command and that it does not read beside the
 * others. Local. */
void warn_unread(const esp_option_table *table, const esp_settings *settings, unsigned bit);

/* Check all that the command writes against all that it reads, and give the outputs their targets'
 * names where they are links; *folder, owned by the caller, is that of an output that is an
 * argument. Collective. */
esp_status check_files(const esp_comm *comm, const command *self, esp_settings *settings,
                       esp_arguments *line, char **folder);

/* Answer what needs neither MPI nor other ranks: --help, --version, COMMAND --help, no command.
 * True if it did; of several processes that a launcher has started the first one prints. Local. */
bool answer_without_mpi(int argc, char **argv, int *exit_code);

/* Run the program: find the command, read options, run it, report. Collective; returns the exit
 * code. */
int run_program(const esp_comm *comm, int argc, char **argv);

/* Whether an argument is a file of options by its name, *.yaml or *.yml. Local. */
bool is_options_file(const char *argument);

/* printf to stdout on rank 0, unless the JSON result goes there. Local. */
void print_result(const command_input *input, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Print what budgets have come to; NULL: there are none. Local. */
void print_budget(const command_input *input, const esp_prune_budget *budget);
/* Print what opens a model, outside of Espalier, if anything does. Local. */
void print_opening(const command_input *input, const esp_opening *opening, bool is_exported);

#endif
