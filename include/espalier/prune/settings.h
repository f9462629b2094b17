/* All that a pruning is told: the options of its modules. */
#ifndef ESPALIER_PRUNE_SETTINGS_H
#define ESPALIER_PRUNE_SETTINGS_H

#include "espalier/collect/command.h"
#include "espalier/core/c_linkage.h"
#include "espalier/prune/options.h"
#include "espalier/surgery/repair.h"
#include "espalier/sweep/sweep.h"

ESP_C_BEGIN

typedef struct esp_prune_settings {
  esp_run_options run;
  esp_data_options data;
  esp_collect_options collect;
  esp_prune_options prune;
  esp_allocation_options allocation;
  esp_sweep_options sweep;
  esp_repair_options repair;
} esp_prune_settings;

/* Set every option to its default; set one by key or name from text; free the texts. USAGE as
 * esp_options_set. Local. */
void esp_prune_settings_init(esp_prune_settings *settings);
esp_status esp_prune_settings_set(esp_prune_settings *settings, const char *name,
                                  const char *value);
void esp_prune_settings_clear(esp_prune_settings *settings);

/* All of them, resolved, as they are stored with the result: {"section": {"name": value}}. A new
 * reference. Local. */
json_t *esp_prune_settings_dump(const esp_prune_settings *settings);

/* Those of a collection. Local. */
esp_collect_settings esp_prune_settings_of_collection(const esp_prune_settings *settings);

ESP_C_END

#endif
