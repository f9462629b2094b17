#include "espalier/model/export_options.h"

static const esp_option rows[] = {
    {.key = "export.max_shard_bytes",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_export_options, max_shard_bytes),
     .initial = "5G",
     .low = 1,
     .high = 9e18,
     .commands = ESP_FOR_EXPORT,
     .value_name = "N",
     .help = "bytes of tensors a safetensors file, at most"},
    {.key = "export.source",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_export_options, source),
     .commands = ESP_FOR_EXPORT,
     .value_name = "FOLDER",
     .help = "original checkpoint, for its tokenizer and other files (default: the one that was "
             "pruned)"},
};

const esp_option_group esp_export_option_group = {rows, sizeof rows / sizeof *rows};
