/* All options of all commands: one struct, one table (settings.c). */
#ifndef ESPALIER_PIPELINE_SETTINGS_H
#define ESPALIER_PIPELINE_SETTINGS_H

#include "espalier/core/options.h"

enum {
  ESP_COMMAND_INFO = 1,
  ESP_COMMAND_TRAIN = 2,
  ESP_COMMAND_COLLECT = 4,
  ESP_COMMAND_PRUNE = 8,
  ESP_COMMAND_EVAL = 16,
  ESP_COMMAND_EXPORT = 64,
  ESP_COMMAND_PLAN = 128,
};

enum { ESP_MOST_DOUBLINGS = 6 }; // of the samples of a criterion without data

typedef struct esp_settings {
  char *config, *output, *json; // run
  int64_t seed;
  bool quiet, allow_idle, resume, restart;
  double save_every;
  char *data, *split; // data
  int64_t micro_batch;
  char *hidden, *activation; // model
  int64_t epochs, batch;     // train
  char *optimizer;
  double rate, warmup, weight_decay, momentum;
  int64_t samples, bins, pilot, top_units, fisher_tokens; // collect
  int64_t trial_tokens;                                   // prune
  bool covariance, width, halves;
  char *stats, *criterion, *moments, *metric, *repair, *sites, *heads, *allocation, *upper,
      *structure; // prune
  char *reduce;
  double sparsity, max_sparsity, ridge, repair_ridge;
  bool stability;
  int64_t multiple_of, min_keep, targets;
  int64_t state_bytes, speed_batch, repeats; // eval
  bool speed;
  char *logits;
  int64_t sequences;
  int64_t max_shard_bytes; // export
  char *source;
  int64_t ranks, ranks_per_node, memory, doublings; // plan
} esp_settings;

extern const esp_option_table esp_settings_table;

#endif
