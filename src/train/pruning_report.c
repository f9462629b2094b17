/* What a policy has left, for the report. */
#include "gates.h"
#include "policy.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <inttypes.h>
#include <math.h>

void pruning_warn_floor(const train_pruning *self, const char *name, int64_t live, int64_t n) {
  esp_log_warn("policy %s: %s keeps %" PRId64 " of %" PRId64 " %s, the least (--min-keep)",
               self->of->name, name, live, n, self->by_units ? "units" : "weights");
}

/* Of a matrix: those that are not zero, or those that trained. */
static int64_t count_live(const train_pruning *self, int weight) {
  const esp_weight *of = &self->parts->model->weights[weight];
  const int64_t n = esp_weight_count(of);
  int64_t live = 0;
  for (int64_t i = 0; i < n; i++) live += of->value[i] != 0.0f;
  return live;
}

static int64_t count_trained(const esp_comm *comm, const train_pruning *self, int weight) {
  int64_t live = 0;
  for (int r = 0; r < self->parts->n_runs; r++) {
    const parts_run *run = &self->parts->runs[r];
    for (int64_t i = 0; run->weight == weight && i < run->n; i++) live += self->mask[run->own + i];
  }
  return esp_agree_sum_i64(comm, live);
}

static void report_matrices(const esp_comm *comm, const train_pruning *self,
                            esp_train_report *report) {
  const bool is_frozen = self->of->masked == POLICY_FROZEN;
  report->policy.parts = ESP_NEW(esp_pruned_part, self->n_matrices);
  for (int w = 0; w < self->parts->model->n_weights; w++) {
    if (self->matrix_of[w] < 0) continue;
    report->policy.parts[report->policy.n++] =
        (esp_pruned_part){.name = esp_strdup(self->parts->model->weights[w].name),
                          .n = self->sizes[self->matrix_of[w]],
                          .live = is_frozen ? count_trained(comm, self, w) : count_live(self, w)};
  }
}

static void report_sites(const train_pruning *self, esp_train_report *report) {
  report->policy.parts = ESP_NEW(esp_pruned_part, self->units.n_sites);
  for (int s = 0; s < self->units.n_sites; s++) {
    const units_site *site = &self->units.sites[s];
    int64_t *kept = ESP_NEW(int64_t, site->n);
    report->policy.parts[report->policy.n++] =
        (esp_pruned_part){.name = esp_strdup(self->parts->model->stages[site->stage].name),
                          .n = site->n,
                          .live = gates_list_open(self->parts->model, site->stage, kept)};
    esp_free(&kept);
  }
}

/* Whether another part is gone than was asked: by more than rounding in every matrix or site, or,
 * where zeros of other causes count too, by more than a hundredth. */
static bool is_off(const esp_train_report *report, double gone, double n) {
  const double more = gone - report->policy.asked;
  return more > 0.01 || -more * n > 0.5 * report->policy.n + 0.5;
}

/* The part that is gone as the target counts it, of *n. */
static double count_gone(const train_pruning *self, const esp_train_report *report, double *n) {
  double live = 0.0;
  *n = 0.0;
  for (int i = 0; i < report->policy.n; i++) {
    const double one = self->by_units ? pruning_weigh_unit(self, &self->units.sites[i]) : 1.0;
    *n += one * (double)report->policy.parts[i].n;
    live += one * (double)report->policy.parts[i].live;
  }
  return *n > 0.0 ? 1.0 - live / *n : 0.0;
}

/* What was asked, and has not come about. */
static void warn_off(const train_pruning *self, const esp_train_report *report) {
  double n;
  const double gone = count_gone(self, report, &n);
  if (!report->policy.is_final)
    esp_log_warn("train: --policy %s was not done when the steps were: give more steps, or a "
                 "smaller --prune-to",
                 self->of->name);
  else if (is_off(report, gone, n))
    esp_log_warn(
        "train: --final-sparsity %g was asked, but %.4f has come about: no more may go than "
        "--min-keep (or one) leaves, and what a masked model has lost stays away",
        report->policy.asked, gone);
}

/* Layers of which no more can go, unless that is the even share of what was asked. */
static void warn_floors(const train_pruning *self, const esp_train_report *report) {
  for (int i = 0; i < report->policy.n; i++) {
    const esp_pruned_part *part = &report->policy.parts[i];
    if (!part->is_least) continue;
    const double share = (1.0 - report->policy.asked) * (double)part->n;
    if (!isfinite(share) || part->live != llround(share))
      pruning_warn_floor(self, part->name, part->live, part->n);
  }
}

void pruning_report(const esp_comm *comm, const train_pruning *self, bool is_final,
                    esp_train_report *report) {
  if (!self->of) return;
  report->policy.name = self->of->name;
  report->policy.by_units = self->by_units;
  report->policy.is_final = is_final;
  report->policy.is_frozen = self->of->masked == POLICY_FROZEN;
  report->policy.asked = policy_reads(self->of, self->options, "final-sparsity")
                             ? self->options->final_sparsity
                             : (double)NAN;
  if (self->by_units)
    report_sites(self, report);
  else
    report_matrices(comm, self, report);
  double n = 0.0, live = 0.0;
  for (int i = 0; i < report->policy.n; i++) {
    esp_pruned_part *part = &report->policy.parts[i];
    part->is_least = part->live < part->n && part->live <= pruning_find_least(self, part->n);
    n += (double)part->n;
    live += (double)part->live;
  }
  report->policy.sparsity = n > 0.0 ? 1.0 - live / n : 0.0;
  if (isnan(report->policy.asked) && live == n && self->of->remedy)
    esp_log_warn("train: --policy %s has pruned nothing; raise %s", self->of->name,
                 self->of->remedy);
  warn_off(self, report);
  if (!self->has_said_floors) warn_floors(self, report);
  if (self->of->sets_sparsity) report->policy.asked = report->policy.sparsity;
}
