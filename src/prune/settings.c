#include "espalier/prune/settings.h"

#define PART(member, group) \
  { &(group), offsetof(esp_prune_settings, member) }

static const esp_option_part parts[] = {
    PART(run, esp_run_option_group),
    PART(data, esp_data_option_group),
    PART(collect, esp_collect_option_group),
    PART(prune, esp_prune_option_group),
    PART(allocation, esp_allocation_option_group),
    PART(sweep, esp_sweep_option_group),
    PART(repair, esp_repair_option_group),
};

json_t *esp_prune_settings_dump(const esp_prune_settings *settings) {
  enum { MOST = 64 };
  esp_option rows[MOST];
  const esp_option_table table = esp_options_join(parts, sizeof parts / sizeof *parts, rows, MOST);
  return esp_options_dump(&table, settings, ESP_FOR_PRUNE);
}

esp_collect_settings esp_prune_settings_of_collection(const esp_prune_settings *settings) {
  return (esp_collect_settings){settings->run, settings->data, settings->collect,
                                settings->collect.width};
}
