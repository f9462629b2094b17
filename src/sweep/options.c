#include "espalier/sweep/sweep.h"

static const esp_option rows[] = {
    {.key = "prune.reduce",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_sweep_options, reduce),
     .initial = "auto",
     .choices = "allreduce|exchange|auto",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN | ESP_FOR_SWEEP,
     .value_name = "NAME",
     .help = "joint counts: every rank counts its rows and counts are added, or codes are "
             "exchanged and "
             "every rank counts its pairs; the same counts, auto: the cheaper"},
};

const esp_option_group esp_sweep_option_group = {rows, sizeof rows / sizeof *rows};
