#include "policy.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

double policy_get_progress(const training *self) {
  const esp_policy_options *options = self->pruning.options;
  const double n = (double)self->schedule.n, step = (double)self->progress.step;
  const double from = floor(options->prune_from * n), to = ceil(options->prune_to * n);
  if (step >= to) return 1.0;
  return step <= from ? 0.0 : (step - from) / (to - from);
}

/* By default, about so many changes of the masks. */
enum { CHANGES = 32 };

int64_t policy_get_every(const training *self) {
  const esp_policy_options *options = self->pruning.options;
  if (options->prune_every > 0) return options->prune_every;
  const double steps = (options->prune_to - options->prune_from) * (double)self->schedule.n;
  return steps > CHANGES ? (int64_t)ceil(steps / CHANGES) : 1;
}

/* Only the policies that read both have a schedule of their own. */
esp_status policy_check_schedule_local(const training *self) {
  const esp_policy_options *options = self->pruning.options;
  const policy *of = self->pruning.of;
  if (!policy_reads(of, options, "prune-from") || !policy_reads(of, options, "prune-to") ||
      options->prune_from <= options->prune_to)
    return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--policy %s: expected --prune-from not above --prune-to, found %g and %g",
                  of->name, options->prune_from, options->prune_to);
}

/* The last change of the masks: behind the first step at the earliest. */
static int64_t find_last_change(const training *self) {
  const int64_t to = (int64_t)ceil(self->pruning.options->prune_to * (double)self->schedule.n);
  return to > 1 ? to : 1;
}

bool policy_is_due(const training *self) {
  const esp_policy_options *options = self->pruning.options;
  const int64_t step = self->progress.step;
  const double n = (double)self->schedule.n;
  const int64_t from = (int64_t)floor(options->prune_from * n);
  const int64_t to = find_last_change(self);
  if (step < from || step > to) return false;
  return step == to || (step - from) % policy_get_every(self) == 0;
}

double policy_get_cubic_sparsity(const training *self) {
  const double rest = 1.0 - policy_get_progress(self);
  return self->pruning.options->final_sparsity * (1.0 - rest * rest * rest);
}

static int64_t count_score_samples(const training *self) {
  const int64_t asked = self->pruning.options->score_samples;
  const int64_t batch = self->request->options->batch;
  const int64_t n = asked > 0 ? asked : batch;
  return n < self->n_samples ? n : self->n_samples;
}

int64_t policy_count_gradient_passes(const training *self) {
  const int64_t batch = self->request->options->batch;
  return (count_score_samples(self) + batch - 1) / batch;
}

/* Means of passes are weighted by their targets. */
static void add_mean(const training *self, double targets, double *sum) {
  for (int64_t i = 0; i < self->parts.n_own; i++)
    sum[i] += targets * (double)self->gradients.mean[i];
}

esp_status policy_measure_gradient(training *self) {
  const int64_t samples = count_score_samples(self), batch = self->request->options->batch;
  double *sum = ESP_NEW(double, self->parts.n_own), targets = 0.0;
  esp_status status = ESP_OK;
  order_set_epoch(self, 0);
  for (int64_t begin = 0; begin < samples && status == ESP_OK; begin += batch) {
    esp_tally tally = {0};
    const int64_t count = samples - begin < batch ? samples - begin : batch;
    status = pass_run(self, (esp_sample_range){begin, count}, &tally);
    add_mean(self, (double)tally.targets, sum);
    targets += (double)tally.targets;
  }
  for (int64_t i = 0; i < self->parts.n_own; i++)
    self->gradients.mean[i] = targets > 0.0 ? (float)(sum[i] / targets) : 0.0f;
  esp_free(&sum);
  return status;
}

static void resolve_number(const esp_option *row, esp_policy_options *self,
                           const esp_policy_options *defaults) {
  char *mine = (char *)self + row->offset;
  const char *theirs = (const char *)defaults + row->offset;
  if (row->kind == ESP_OPTION_INT && *(int64_t *)(void *)mine < 0)
    memcpy(mine, theirs, sizeof(int64_t));
  if (row->kind == ESP_OPTION_REAL && *(double *)(void *)mine < 0.0)
    memcpy(mine, theirs, sizeof(double));
}

esp_status esp_policy_options_resolve(esp_policy_options *self) {
  const policy *of;
  ESP_TRY(policy_find(self->policy, &of));
  const bool by_units = strcmp(self->granularity, "units") == 0;
  if (of && by_units && of->unit_penalty > 0.0 && self->penalty < 0.0)
    self->penalty = of->unit_penalty;
  for (int i = 0; of && i < esp_policy_option_group.count; i++)
    resolve_number(&esp_policy_option_group.rows[i], self, &of->defaults);
  return ESP_OK;
}

bool policy_reads(const policy *of, const esp_policy_options *options, const char *name) {
  static const char *const common[] = {"policy", "granularity", "kinds", NULL};
  if (of && of->is_unread && of->is_unread(options, name)) return false;
  if (of && !of->sets_sparsity && strcmp("final-sparsity", name) == 0) return true;
  for (const char *const *row = common; *row; row++)
    if (strcmp(*row, name) == 0) return true;
  for (const char *const *row = of ? of->options : NULL; row && *row; row++)
    if (strcmp(*row, name) == 0) return true;
  return false;
}

void policy_warn_unread(const esp_policy_options *options, const esp_option_table *given) {
  const policy *of = NULL;
  if (policy_find(options->policy, &of) != ESP_OK) return; // refused elsewhere
  for (int i = 0; i < esp_policy_option_group.count; i++) {
    const esp_option *row = &esp_policy_option_group.rows[i];
    if (!esp_options_is_given(given, row->key, ESP_FOR_TRAIN)) continue;
    char *flag = esp_option_format_flag(row);
    if (!of)
      esp_log_warn("without effect: %s without --policy", flag);
    else if (!policy_reads(of, options, flag + 2))
      esp_log_warn("without effect: %s with --policy %s", flag, of->name);
    esp_free(&flag);
  }
  const bool reads_least = of && policy_reads(of, options, "min-keep");
  if (esp_options_is_given(given, "prune.min_keep", ESP_FOR_TRAIN) && !reads_least)
    esp_log_warn("without effect: --min-keep without a policy that reads it");
}
