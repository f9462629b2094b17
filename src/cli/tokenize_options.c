#include "tokenize_options.h"

static const esp_option rows[] = {
    {.key = "tokenize.decode",
     .kind = ESP_OPTION_FLAG,
     .offset = offsetof(tokenize_options, decode),
     .initial = "false",
     .commands = ESP_FOR_TOKENIZE,
     .help = "the other way: MODEL TOKENS.h5 to text, on stdout or to -o FILE"},
};

const esp_option_group tokenize_option_group = {rows, sizeof rows / sizeof *rows};
