#include "espalier/surgery/repair.h"

static const esp_option rows[] = {
    {.key = "prune.repair",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_repair_options, name),
     .initial = "sequential",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "how consumers are refitted after the cut; espalier info lists them"},
    {.key = "prune.repair_ridge",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_repair_options, ridge),
     .initial = "1e-4",
     .low = 1e-12,
     .high = 1e3,
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN | ESP_FOR_SWEEP,
     .value_name = "X",
     .help = "ridge of least squares, relative to the mean variance"},
};

const esp_option_group esp_repair_option_group = {rows, sizeof rows / sizeof *rows};
