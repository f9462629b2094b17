#include "all_settings.h"

#define PART(member, group) \
  { &(group), offsetof(esp_settings, member) }

static const esp_option_part parts[] = {
    PART(run, esp_run_option_group),          PART(data, esp_data_option_group),
    PART(network, esp_network_option_group),  PART(train, esp_train_option_group),
    PART(policy, esp_policy_option_group),    PART(collect, esp_collect_option_group),
    PART(prune, esp_prune_option_group),      PART(allocation, esp_allocation_option_group),
    PART(sweep, esp_sweep_option_group),      PART(repair, esp_repair_option_group),
    PART(eval, esp_eval_option_group),        PART(plan, esp_plan_option_group),
    PART(exporting, esp_export_option_group), PART(series, esp_series_option_group),
};

const esp_option_table *esp_settings_table(void) {
  enum { MOST_ROWS = 224 };
  static esp_option rows[MOST_ROWS];
  static esp_option_table table;
  if (!table.rows) table = esp_options_join(parts, sizeof parts / sizeof *parts, rows, MOST_ROWS);
  return &table;
}

esp_train_settings settings_of_train(const esp_settings *all) {
  esp_train_settings train = {all->run,   all->data,   all->network,
                              all->train, all->policy, all->given};
  train.policy.min_keep = all->allocation.min_keep;
  return train;
}

esp_prune_settings settings_of_prune(const esp_settings *all) {
  return (esp_prune_settings){all->run,        all->data,  all->collect, all->prune,
                              all->allocation, all->sweep, all->repair};
}
