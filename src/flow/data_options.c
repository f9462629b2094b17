#include "espalier/flow/data_options.h"

enum {
  TEXT_READERS = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_COLLECT | ESP_FOR_PRUNE | ESP_FOR_EVAL |
                 ESP_FOR_PLAN | ESP_FOR_SWEEP | ESP_FOR_TOKENIZE
};

static const esp_option rows[] = {
    {.key = "data.data",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_data_options, data),
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_COLLECT | ESP_FOR_PRUNE | ESP_FOR_EVAL |
                 ESP_FOR_PLAN | ESP_FOR_SWEEP,
     .short_name = 'd',
     .value_name = "PATH",
     .help = "data set: text (.txt or .jsonl, plain or .gz, some with commas between them, or a "
             "folder), a token file (HDF5), or a folder of such or of IDX files; for collect and "
             "prune also maximum-entropy: made on the fly, --samples tokens or images"},
    {.key = "data.context",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_data_options, context),
     .initial = "0",
     .low = 0,
     .high = 1 << 24,
     .commands = TEXT_READERS,
     .only_if_given = true,
     .value_name = "T",
     .help = "text: tokens of a row; 0: the model's longest, at most 512"},
    {.key = "data.pad",
     .kind = ESP_OPTION_FLAG,
     .offset = offsetof(esp_data_options, pad),
     .initial = "false",
     .commands = TEXT_READERS,
     .only_if_given = true,
     .help = "text: a row for every document, with its special tokens, padded; else documents are "
             "packed into full rows"},
    {.key = "data.decode",
     .kind = ESP_OPTION_FLAG,
     .offset = offsetof(esp_data_options, decode),
     .initial = "false",
     .commands = ESP_FOR_TOKENIZE,
     .help = "the other way: MODEL TOKENS.h5 to text, on stdout or to -o FILE"},
    {.key = "data.split",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_data_options, split),
     .choices = "train|test",
     .commands = TEXT_READERS,
     .value_name = "NAME",
     .help = "part of the data set; if not given test for eval, else train"},
    {.key = "data.micro_batch",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_data_options, micro_batch),
     .initial = "0",
     .low = 0,
     .high = 1 << 20,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_COLLECT | ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "sequences, or images, a unit of work; 0: sequences of about 1024 tokens together; of "
             "images 256, and 64 for train"},
    {.key = "collect.samples",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_data_options, samples),
     .initial = "8192",
     .low = 0,
     .high = 2e9,
     .commands = ESP_FOR_COLLECT | ESP_FOR_PRUNE | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "calibration sequences, or images; 0: all there are; under maximum-entropy tokens, or "
             "images"},
};

const esp_option_group esp_data_option_group = {rows, sizeof rows / sizeof *rows};
