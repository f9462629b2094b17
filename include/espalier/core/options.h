/* Options from one table: command line, YAML keys, help, defaults, ranges, dump.
 *
 * A table row binds a key such as "prune.sparsity" to a member of the caller's settings struct. On
 * the command line it is --sparsity (the part after the dot, of one row a command) or the whole
 * key,
 * --prune.sparsity; '_' and '-' are the same there. In YAML it is `prune: {sparsity: 0.5}` or
 * `prune.sparsity: 0.5`. Command line over file over default. */
#ifndef ESPALIER_CORE_OPTIONS_H
#define ESPALIER_CORE_OPTIONS_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

ESP_C_BEGIN

/* Commands that take an option. */
enum {
  ESP_FOR_INFO = 1,
  ESP_FOR_TRAIN = 2,
  ESP_FOR_COLLECT = 4,
  ESP_FOR_PRUNE = 8,
  ESP_FOR_EVAL = 16,
  ESP_FOR_RECOVER = 32,
  ESP_FOR_EXPORT = 64,
  ESP_FOR_PLAN = 128,  // takes what it plans
  ESP_FOR_SWEEP = 256, // takes what prune takes of one cut, and eval
  ESP_FOR_TOKENIZE = 512,
  ESP_FOR_ALL = 1023
};

/* Kind of a value and the type of the member it is stored in. */
typedef enum esp_option_kind {
  ESP_OPTION_FLAG, // bool; --name, --name=false, --no-name
  ESP_OPTION_INT,  // int64_t; accepts 1e6 and the suffixes k, M, G (powers of ten)
  ESP_OPTION_REAL, // double
  ESP_OPTION_TEXT  // char *, owned by the settings; NULL when not given and without default
} esp_option_kind;

typedef struct esp_option {
  const char *key; // "section.name"
  esp_option_kind kind;
  size_t offset;          // of the member in the settings struct
  const char *initial;    // default as text, NULL for none
  double low, high;       // inclusive range of INT and REAL, INFINITY for an open end;
                          // low >= high: any, so a row that names none has none
  bool below_high;        // REAL: high itself is not allowed
  bool or_initial;        // INT, REAL: the default stands beside the range, for a choice of the
                          // command's own
  const char *choices;    // TEXT: "a|b|c", NULL for any; stored as spelled here
  unsigned commands;      // bit set of the commands that take it
  char short_name;        // 'o' for -o, 0 for none
  bool only_if_given;     // left out of a dump while NULL (TEXT), 0 (INT, REAL), false (FLAG)
  const char *word;       // INT: a word that stands for 0, whatever the range; NULL: none
  const char *value_name; // "FILE", shown in help
  const char *help;       // one line
} esp_option;

/* Where an option was given last. */
typedef enum esp_option_origin {
  ESP_NOT_GIVEN, // it has its default
  ESP_GIVEN_IN_FILE,
  ESP_GIVEN_ON_LINE
} esp_option_origin;

typedef struct esp_option_table {
  const esp_option *rows;
  int count;
  esp_option_origin *origins; // (count), the caller's: noted by reading; NULL: not wanted
} esp_option_table;

/* The options of one module, declared where they belong: offsets are in the module's own struct. */
typedef struct esp_option_group {
  const esp_option *rows;
  int count;
} esp_option_group;

/* A group, and where its struct lies in the settings of the program. */
typedef struct esp_option_part {
  const esp_option_group *group;
  size_t offset;
} esp_option_part;

/* Join groups into one table: their rows are copied to rows (most), the caller's, which must
 * outlive the table, and their offsets moved. Panics where most is too few. Local. */
esp_option_table esp_options_join(const esp_option_part *parts, int n_parts, esp_option *rows,
                                  int most);

/* Set every member to its default: initial, else 0, false, NULL. Panics on a table with two options
 * of one name or a default that its own row refuses. Local. */
void esp_options_init(const esp_option_table *table, void *settings);

/* Free the owned texts and set them NULL. Local. */
void esp_options_clear(const esp_option_table *table, void *settings);

/* Set one option by key or name from text. USAGE: unknown (nearest named), not a number, outside
 * its range or choices. Local. */
esp_status esp_options_set(const esp_option_table *table, void *settings, const char *name,
                           const char *value);

/* Read YAML text (a mapping, one level of sections); source names it in messages. Keys of options
 * that a command does not take are accepted and kept. A text set to null goes back to its default.
 * USAGE: unknown key, bad value. FORMAT: not YAML, nested too deep, a list, given twice, anchors,
 * tags. Local. */
esp_status esp_options_read_yaml(const esp_option_table *table, void *settings, const char *text,
                                 const char *source);

/* The command line of a command. */
typedef struct esp_arguments {
  unsigned command; // its bit
  int argc;
  char **argv;
  int n_positional; // set by reading, as is:
  const char *
      *positional; // (argc), the caller's: those that are neither option nor value, in order
} esp_arguments;

/* Read the options of a command line. An option whose row lacks the command's bit is USAGE. Local.
 */
esp_status esp_options_read_arguments(const esp_option_table *table, void *settings,
                                      esp_arguments *arguments);

/* Whether an option of this key, which the command takes, was given, in a file or on the line;
 * false without origins. Local. */
bool esp_options_is_given(const esp_option_table *table, const char *key, unsigned command);

/* How an option is written on the command line, "--micro-batch"; owned by the caller. Local. */
char *esp_option_format_flag(const esp_option *row);

/* Print the help of all options of a command to stdout, by section. Local. */
void esp_options_print_help(const esp_option_table *table, unsigned command);

/* Dump all options of a command, resolved: {"section": {"name": value}}. A new reference. Local. */
json_t *esp_options_dump(const esp_option_table *table, const void *settings, unsigned command);

ESP_C_END

#endif
