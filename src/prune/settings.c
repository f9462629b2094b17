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

static const esp_option_table *join_all(void) {
  enum { MOST = 64 };
  static esp_option rows[MOST];
  static esp_option_table table;
  if (!table.rows) table = esp_options_join(parts, sizeof parts / sizeof *parts, rows, MOST);
  return &table;
}

void esp_prune_settings_init(esp_prune_settings *settings) {
  esp_options_init(join_all(), settings);
}

esp_status esp_prune_settings_set(esp_prune_settings *settings, const char *name,
                                  const char *value) {
  return esp_options_set(join_all(), settings, name, value);
}

void esp_prune_settings_clear(esp_prune_settings *settings) {
  esp_options_clear(join_all(), settings);
}

json_t *esp_prune_settings_dump(const esp_prune_settings *settings) {
  return esp_options_dump(join_all(), settings, ESP_FOR_PRUNE);
}

esp_collect_settings esp_prune_settings_of_collection(const esp_prune_settings *settings) {
  return (esp_collect_settings){settings->run, settings->data, settings->collect,
                                settings->collect.width};
}
