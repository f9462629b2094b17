/* A command line: the command's number, then arguments, each on a line, with the options of the
 * program. */
#include "fuzz.h"

#include "all_settings.h"

#include <string.h>

enum { MOST_ARGUMENTS = 64 };

static const unsigned commands[] = {ESP_FOR_INFO, ESP_FOR_TRAIN,  ESP_FOR_COLLECT, ESP_FOR_PRUNE,
                                    ESP_FOR_EVAL, ESP_FOR_EXPORT, ESP_FOR_PLAN};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

void fuzz_start(void) {}

static int split_lines(char *text, char **lines) {
  int count = 0;
  while (text && count < MOST_ARGUMENTS) {
    char *end = strchr(text, '\n');
    if (end) *end = 0;
    lines[count++] = text;
    text = end ? end + 1 : NULL;
  }
  return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input input = {data, size};
  static char text[1 << 12];
  char *argv[MOST_ARGUMENTS];
  const char *positional[MOST_ARGUMENTS];
  esp_settings settings;
  const esp_option_table *table = esp_settings_table();
  esp_arguments line = {
      .command = commands[fuzz_take(&input) % N_COMMANDS], .argv = argv, .positional = positional};
  strncpy(text, fuzz_take_text(&input, size), sizeof text - 1);
  line.argc = split_lines(text, argv);
  esp_options_init(table, &settings);
  if (fuzz_is_ok(esp_options_read_arguments(table, &settings, &line)))
    json_decref(esp_options_dump(table, &settings, line.command));
  for (int i = 0; i < line.n_positional; i++)
    fuzz_touch(line.positional[i], (int64_t)strlen(line.positional[i]));
  esp_options_clear(table, &settings);
  return 0;
}
