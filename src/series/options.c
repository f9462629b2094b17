#include "espalier/series/series.h"

static const esp_option rows[] = {
    {.key = "series.sparsity",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_series_options, sparsity),
     .initial = "0.25,0.5,0.75",
     .commands = ESP_FOR_SWEEP,
     .value_name = "LIST",
     .help = "sparsities of the points, as prune takes them; 0.1,0.2,...,0.7 counts on"},
    {.key = "series.criterion",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_series_options, criterion),
     .initial = "random,flap,set-mi",
     .commands = ESP_FOR_SWEEP,
     .value_name = "LIST",
     .help = "criteria of the points; espalier info lists them"},
    {.key = "series.repair",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_series_options, repair),
     .initial = "sequential",
     .commands = ESP_FOR_SWEEP,
     .value_name = "LIST",
     .help = "repairs of the points; espalier info lists them"},
};

const esp_option_group esp_series_option_group = {rows, sizeof rows / sizeof *rows};
