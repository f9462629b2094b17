#include "espalier/plan/options.h"

#include "espalier/prune/request.h"

static const esp_option rows[] = {
    {.key = "plan.ranks",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_plan_options, ranks),
     .initial = "0",
     .low = 0,
     .high = 1e6,
     .commands = ESP_FOR_PLAN,
     .short_name = 'n',
     .value_name = "N",
     .help = "ranks to plan for; 0: as many as plan itself runs on"},
    {.key = "plan.ranks_per_node",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_plan_options, ranks_per_node),
     .initial = "0",
     .low = 0,
     .high = 1e6,
     .commands = ESP_FOR_PLAN,
     .value_name = "N",
     .help = "ranks that share a node's memory; 0: SLURM_NTASKS_PER_NODE, else all"},
    {.key = "plan.doublings",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_plan_options, doublings),
     .initial = "1",
     .low = 1,
     .high = ESP_MOST_DOUBLINGS,
     .commands = ESP_FOR_PLAN,
     .value_name = "N",
     .help = "how often a criterion without data is taken to double its tokens, or images; a run "
             "may stop after one"},
    {.key = "plan.memory",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_plan_options, memory),
     .initial = "0",
     .low = 0,
     .high = 9e18,
     .commands = ESP_FOR_PLAN,
     .value_name = "BYTES",
     .help = "memory a rank may use; 0: what this node has (available, control group, "
             "SLURM_MEM_PER_NODE) by its ranks"},
};

const esp_option_group esp_plan_option_group = {rows, sizeof rows / sizeof *rows};
