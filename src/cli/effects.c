/* Options that were given and that nothing reads beside the others: one rule a row. */
#include "commands.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <string.h>

/* What rules look at. */
typedef struct choices {
  const esp_settings *settings;
  const esp_criterion *criterion;
  const esp_repair *repair;
} choices;

static bool is_text(const char *value, const char *text) {
  return value && strcmp(value, text) == 0;
}

static bool needs(const choices *of, unsigned what) {
  return (of->criterion->needs & what) != 0;
}

/* Units go, not single weights nor whole layers. */
static bool removes_units(const choices *of) {
  return is_text(of->settings->prune.structure, "structured") &&
         !needs(of, ESP_NEEDS_LAYER_INFORMATION | ESP_NEEDS_LAYER_COSINE);
}

static bool names_width(const choices *of) {
  const char *sites = of->settings->prune.sites;
  return sites && strstr(sites, ESP_SITE_WIDTH);
}

static bool reads_targets(const choices *of) {
  return needs(of, ESP_NEEDS_CONDITIONAL);
}

/* Fisher's is refused elsewhere. */
static bool reads_metric(const choices *of) {
  return needs(of, ESP_NEEDS_METRIC) || is_text(of->settings->prune.metric, "fisher");
}

static bool reads_ridge(const choices *of) {
  return needs(of, ESP_NEEDS_COVARIANCE);
}

static bool reads_moments(const choices *of) {
  return needs(of, ESP_NEEDS_COVARIANCE) && !needs(of, ESP_NEEDS_CODES);
}

static bool is_allocation(const choices *of, const char *name) {
  return is_text(of->settings->allocation.name, name);
}

static bool tries_counts(const choices *of) {
  if (!removes_units(of)) return false;
  return is_allocation(of, "balanced") ||
         (is_allocation(of, ESP_ALLOCATION_AUTO) && needs(of, ESP_NEEDS_METRIC));
}

static bool has_no_statistics(const choices *of) {
  return !of->settings->prune.stats;
}

/* For the report, if for nothing else; masks have no information. */
static bool reads_given(const choices *of) {
  return is_text(of->settings->prune.structure, "structured") || needs(of, ESP_NEEDS_MOMENTS);
}

static bool collects(const choices *of) {
  return has_no_statistics(of) &&
         (of->settings->prune.keep_stats || esp_prune_needs_statistics(of->criterion, of->repair) ||
          tries_counts(of));
}

/* What a pruning collects for itself alone has none where it reads moments. */
static bool collects_codes(const choices *of) {
  return collects(of) && (of->settings->prune.keep_stats || names_width(of) ||
                          esp_prune_reads_codes(&of->settings->prune, of->criterion));
}

static bool counts_information(const choices *of) {
  return removes_units(of) && (of->settings->prune.stats || collects_codes(of));
}

static bool counts_jointly(const choices *of) {
  return counts_information(of) || needs(of, ESP_NEEDS_LAYER_INFORMATION);
}

static bool allocates_unevenly(const choices *of) {
  return is_allocation(of, "global") || tries_counts(of);
}

static bool repairs_with_ridge(const choices *of) {
  return of->repair->needs_covariance || tries_counts(of);
}

static bool collects_fisher(const choices *of) {
  return collects(of) && needs(of, ESP_NEEDS_METRIC) &&
         !is_text(of->settings->prune.metric, "outputs");
}

static bool recovers(const choices *of) {
  return of->settings->prune.recover_tokens > 0;
}

static bool saves(const choices *of) {
  return collects(of) || recovers(of);
}

/* From statistics, samples are those that they were made of, but for a criterion without data. */
static bool chooses_samples(const choices *of) {
  return collects(of) || (of->criterion->is_data_free && of->settings->data.data);
}

static bool cuts_samples(const choices *of) {
  return chooses_samples(of) || recovers(of);
}

static bool reads_data(const choices *of) {
  return collects(of) || recovers(of) || of->repair->needs_data ||
         of->repair->needs_data_for_width || tries_counts(of);
}

static bool doubles(const choices *of) {
  return of->criterion->is_data_free && collects(of);
}

/* An item of --sites without a sparsity of its own. */
static bool shares_sparsity(const choices *of) {
  const char *sites = of->settings->prune.sites;
  while (sites && *sites) {
    sites += strspn(sites, ", ");
    const size_t length = strcspn(sites, ", ");
    if (length > 0 && !memchr(sites, '=', length)) return true;
    sites += length;
  }
  return of->settings->prune.sites == NULL;
}

static bool has_budget(const choices *of) {
  const esp_allocation_options *options = &of->settings->allocation;
  return options->max_parameters > 0 || options->max_bytes > 0 || options->min_speed_up > 0.0;
}

static bool reads_sparsity(const choices *of) {
  return shares_sparsity(of) && !has_budget(of);
}

static bool counts_cache(const choices *of) {
  return of->settings->allocation.max_bytes > 0;
}

static bool times(const choices *of) {
  return of->settings->eval.speed;
}

static bool writes_logits(const choices *of) {
  return of->settings->eval.logits != NULL;
}

static const struct {
  const char *key;
  unsigned commands;
  bool (*is_read)(const choices *of);
} rules[] = {
    {"prune.targets", ESP_FOR_PRUNE | ESP_FOR_PLAN, reads_targets},
    {"prune.metric", ESP_FOR_PRUNE | ESP_FOR_PLAN, reads_metric},
    {"prune.stats", ESP_FOR_PRUNE | ESP_FOR_PLAN, reads_given},
    {"prune.keep_stats", ESP_FOR_PRUNE | ESP_FOR_PLAN, has_no_statistics},
    {"prune.ridge", ESP_FOR_PRUNE | ESP_FOR_PLAN, reads_ridge},
    {"prune.moments", ESP_FOR_PRUNE | ESP_FOR_PLAN, reads_moments},
    {"prune.upper", ESP_FOR_PRUNE | ESP_FOR_PLAN, counts_information},
    {"prune.heads", ESP_FOR_PRUNE | ESP_FOR_PLAN, removes_units},
    {"prune.reduce", ESP_FOR_PRUNE | ESP_FOR_PLAN, counts_jointly},
    {"prune.sparsity", ESP_FOR_PRUNE | ESP_FOR_PLAN, reads_sparsity},
    {"prune.cache_tokens", ESP_FOR_PRUNE | ESP_FOR_PLAN, counts_cache},
    {"prune.trial_tokens", ESP_FOR_PRUNE | ESP_FOR_PLAN, tries_counts},
    {"prune.max_sparsity", ESP_FOR_PRUNE | ESP_FOR_PLAN, allocates_unevenly},
    {"prune.multiple_of", ESP_FOR_PRUNE | ESP_FOR_PLAN, removes_units},
    {"prune.repair_ridge", ESP_FOR_PRUNE | ESP_FOR_PLAN, repairs_with_ridge},
    {"data.data", ESP_FOR_PRUNE | ESP_FOR_PLAN, reads_data},
    {"data.split", ESP_FOR_PRUNE | ESP_FOR_PLAN, cuts_samples},
    {"data.micro_batch", ESP_FOR_PRUNE | ESP_FOR_PLAN, cuts_samples},
    {"data.context", ESP_FOR_PRUNE | ESP_FOR_PLAN, reads_data},
    {"data.pad", ESP_FOR_PRUNE | ESP_FOR_PLAN, reads_data},
    {"collect.samples", ESP_FOR_PRUNE | ESP_FOR_PLAN, chooses_samples},
    {"collect.bins", ESP_FOR_PRUNE | ESP_FOR_PLAN, collects_codes},
    {"collect.pilot", ESP_FOR_PRUNE | ESP_FOR_PLAN, collects},
    {"collect.top_units", ESP_FOR_PRUNE | ESP_FOR_PLAN, collects_codes},
    {"collect.fisher_tokens", ESP_FOR_PRUNE | ESP_FOR_PLAN, collects_fisher},
    {"run.save_every", ESP_FOR_PRUNE | ESP_FOR_PLAN, saves},
    {"plan.doublings", ESP_FOR_PLAN, doubles},
    {"eval.prefill", ESP_FOR_EVAL | ESP_FOR_SWEEP, times},
    {"eval.speed_batch", ESP_FOR_EVAL | ESP_FOR_SWEEP, times},
    {"eval.repeats", ESP_FOR_EVAL | ESP_FOR_SWEEP, times},
    {"eval.sequences", ESP_FOR_EVAL, writes_logits},
};

static bool is_read(const char *key, unsigned bit, const choices *of) {
  for (unsigned i = 0; i < sizeof rules / sizeof *rules; i++)
    if (rules[i].commands & bit && strcmp(rules[i].key, key) == 0) return rules[i].is_read(of);
  return true;
}

/* The command whose options are read: of a plan the job's. */
static unsigned find_reader(const esp_settings *settings, unsigned bit) {
  if (bit != ESP_FOR_PLAN) return bit;
  if (is_text(settings->plan.job, "train")) return ESP_FOR_TRAIN;
  return is_text(settings->plan.job, "recover") ? ESP_FOR_RECOVER : ESP_FOR_PRUNE;
}

/* The rules are those of prunings, and of evaluations. A file may have options of other commands.
 */
static bool has_effect(const esp_option *row, esp_option_origin origin, unsigned bit,
                       const choices *of) {
  const unsigned reader = find_reader(of->settings, bit);
  const bool trains = reader == ESP_FOR_TRAIN || reader == ESP_FOR_RECOVER;
  if (row->commands == ESP_FOR_PLAN && trains) return strcmp(row->key, "plan.doublings") != 0;
  if (row->commands != ESP_FOR_PLAN && !(row->commands & reader))
    return origin == ESP_GIVEN_IN_FILE;
  return trains || is_read(row->key, bit, of);
}

static void append(const esp_option *row, esp_option_origin origin, char **list) {
  char *flag = esp_option_format_flag(row), *before = *list;
  *list = esp_format("%s%s%s%s", before ? before : "", before ? ", " : "", flag,
                     origin == ESP_GIVEN_IN_FILE ? " (configuration file)" : "");
  esp_free(&before);
  esp_free(&flag);
}

static char *list_unread(const esp_option_table *table, const esp_settings *settings,
                         unsigned bit) {
  choices of = {.settings = settings};
  char *list = NULL;
  /* An unknown name is an error, which the command makes. */
  if (esp_criterion_find(settings->prune.criterion, &of.criterion) != ESP_OK ||
      esp_repair_find(settings->repair.name, &of.repair) != ESP_OK)
    return NULL;
  for (int i = 0; i < table->count; i++) {
    const esp_option *row = &table->rows[i];
    const esp_option_origin origin = table->origins[i];
    if (origin != ESP_NOT_GIVEN && row->commands & bit && !has_effect(row, origin, bit, &of))
      append(row, origin, &list);
  }
  return list;
}

void warn_unread(const esp_option_table *table, const esp_settings *settings, unsigned bit) {
  char *list = list_unread(table, settings, bit);
  if (list) esp_log_warn("without effect beside the other options: %s", list);
  esp_free(&list);
}
