/* All options of all commands: the modules' groups side by side, joined into one table. */
#ifndef ESPALIER_SRC_CLI_ALL_SETTINGS_H
#define ESPALIER_SRC_CLI_ALL_SETTINGS_H

#include "espalier/collect/collect.h"
#include "espalier/core/run_options.h"
#include "espalier/eval/eval.h"
#include "espalier/flow/data_options.h"
#include "espalier/model/export_options.h"
#include "espalier/plan/options.h"
#include "espalier/prune/request.h"
#include "espalier/series/series.h"
#include "espalier/surgery/repair.h"
#include "espalier/sweep/sweep.h"
#include "espalier/train/command.h"

typedef struct esp_settings {
  esp_run_options run;
  esp_data_options data;
  esp_network_options network;
  esp_train_options train;
  esp_policy_options policy;
  esp_collect_options collect;
  esp_prune_options prune;
  esp_allocation_options allocation;
  esp_sweep_options sweep;
  esp_repair_options repair;
  esp_eval_options eval;
  esp_plan_options plan;
  esp_export_options exporting;
  esp_series_options series;
  const esp_option_table *given; // whose origins tell what was given, borrowed
} esp_settings;

/* The joined table. Local. */
const esp_option_table *esp_settings_table(void);

/* Those of a training, of a pruning; texts stay the owner's. Local. */
esp_train_settings settings_of_train(const esp_settings *all);
esp_prune_settings settings_of_prune(const esp_settings *all);

#endif
