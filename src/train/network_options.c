#include "espalier/train/options.h"

static const esp_option rows[] = {
    {.key = "model.hidden",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_network_options, hidden),
     .initial = "512,256",
     .commands = ESP_FOR_TRAIN | ESP_FOR_PLAN,
     .value_name = "SIZES",
     .help = "hidden layer sizes of an mlp, comma-separated"},
    {.key = "model.activation",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_network_options, activation),
     .initial = "relu",
     .choices = "relu|gelu|tanh|sigmoid",
     .commands = ESP_FOR_TRAIN | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "non-linearity of an mlp"},
};

const esp_option_group esp_network_option_group = {rows, sizeof rows / sizeof *rows};
