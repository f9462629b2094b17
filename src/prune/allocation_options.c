#include "espalier/prune/options.h"

static const esp_option rows[] = {
    {.key = "prune.sparsity",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_allocation_options, sparsity),
     .initial = "0.5",
     .low = 0,
     .high = 1,
     .below_high = true,
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "X",
     .help =
         "fraction to remove: of every site's units (uniform), or of the parameters of all chosen "
         "sites' matrices (balanced, global)"},
    {.key = "prune.allocation",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_allocation_options, name),
     .initial = "auto",
     .choices = "auto|uniform|balanced|global",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help =
         "how many units a site keeps: the same fraction everywhere; the same in every layer, as "
         "kinds "
         "of sites share --sparsity best when tried; by one threshold on the price (auto: balanced "
         "for set-mi where it can be tried, else uniform)"},
    {.key = "prune.trial_tokens",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_allocation_options, trial_tokens),
     .initial = "16384",
     .low = 0,
     .high = 2e9,
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "rows (tokens) of calibration data on which counts are tried; 0: none are"},
    {.key = "prune.max_sparsity",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_allocation_options, max_sparsity),
     .initial = "0",
     .low = 0,
     .high = 1,
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "most that one site may lose of its units (balanced, global); 1: under global whole "
             "sub-layers of a transformer may go; 0: 1, but 0.8 under global where prices are not "
             "in nats"},
    {.key = "prune.multiple_of",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_allocation_options, multiple_of),
     .initial = "1",
     .low = 1,
     .high = 1 << 20,
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "kept counts are multiples of it"},
    {.key = "prune.min_keep",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_allocation_options, min_keep),
     .initial = "0",
     .low = 0,
     .high = 1 << 30,
     .commands = ESP_FOR_PRUNE | ESP_FOR_TRAIN | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "units, or weights of a matrix, that stay at least; 0: one, or none of a sub-layer that "
             "may go whole (--max-sparsity 1)"},
};

const esp_option_group esp_allocation_option_group = {rows, sizeof rows / sizeof *rows};
