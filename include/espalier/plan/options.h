/* Options of a plan. */
#ifndef ESPALIER_PLAN_OPTIONS_H
#define ESPALIER_PLAN_OPTIONS_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"

ESP_C_BEGIN

typedef struct esp_plan_options {
  char *job;                     // "prune", "train" or "recover"
  int64_t ranks, ranks_per_node; // 0: as many as plan runs on; as Slurm says, else all
  int64_t doublings;             // of the samples of a criterion without data
  int64_t memory;                // bytes a rank; 0: what this node has by its ranks
} esp_plan_options;
extern const esp_option_group esp_plan_option_group;

ESP_C_END

#endif
