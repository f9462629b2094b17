#include "espalier/prune/options.h"

static const esp_option rows[] = {
    {.key = "prune.stats",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_prune_options, stats),
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .short_name = 's',
     .value_name = "FILE",
     .help = "statistics from collect; without, they are collected first"},
    {.key = "prune.sites",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_prune_options, sites),
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "KINDS",
     .help =
         "kinds of sites to prune, or single sites, each with its own sparsity of units if given, "
         "later items winning: ffn=0.25,attention,width=0.1,ffn.0=0; or block=0.25 alone: whole "
         "layers (default: all but width and block, and but attention where transformers could not "
         "open the result, as of gpt2 and bert, unless --allocation is balanced or global)"},
    {.key = "prune.heads",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_prune_options, heads),
     .initial = "query",
     .choices = "query|group",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "under grouped queries remove equally many query heads of every KV group, or whole "
             "groups"},
    {.key = "prune.structure",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_prune_options, structure),
     .initial = "structured",
     .choices = "structured|unstructured",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "remove units, or, for comparison, set single weights to zero (criteria magnitude and "
             "wanda, "
             "--repair none), which shrinks nothing"},
    {.key = "prune.criterion",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_prune_options, criterion),
     .initial = "set-mi",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "what a unit is worth; espalier info lists them"},
    {.key = "prune.moments",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_prune_options, moments),
     .initial = "activations",
     .choices = "activations|codes",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "covariance behind set-mi: of activations, or from joint counts"},
    {.key = "prune.metric",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_prune_options, metric),
     .initial = "auto",
     .choices = "auto|outputs|fisher",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "in which set-mi compares outputs of a site: as they are, or by the softmax layer's "
             "Fisher "
             "information (auto: where it was collected)"},
    {.key = "prune.upper",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_prune_options, upper),
     .initial = "next",
     .choices = "next|output",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help =
         "units preserved above a site, whose information counts: those of the next site, or the "
         "site's own output"},
    {.key = "prune.ridge",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_prune_options, ridge),
     .initial = "1e-3",
     .low = 1e-12,
     .high = 1e3,
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "ridge of set-mi, relative to the mean variance"},
    {.key = "prune.targets",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_prune_options, targets),
     .initial = "4",
     .low = 1,
     .high = 1 << 20,
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "preserved units above that mi-jmi and mi-cmim condition on: those that tell most "
             "about the "
             "site"},
    {.key = "prune.stability",
     .kind = ESP_OPTION_FLAG,
     .offset = offsetof(esp_prune_options, stability),
     .initial = "true",
     .commands = ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .help =
         "rank again from each half of the calibration data, and report how much of what is kept "
         "agrees; two more rankings a site"},
};

const esp_option_group esp_prune_option_group = {rows, sizeof rows / sizeof *rows};
