/* Criteria without data [Ferianc]: statistics of input of maximum entropy, made on the fly; twice
 * the samples at a time, until the scores move by less than 5 %. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/pipeline/job.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LARGEST_CHANGE = 0.05;

bool has_data_for_repair(const prune_job *job) {
  return job->criterion->is_data_free && job->settings->data.data &&
         !esp_dataset_is_made(job->settings->data.data);
}

bool doubles_samples(const prune_job *job) {
  return job->criterion->is_data_free && !job->settings->prune.stats;
}

esp_status check_data_free(const prune_job *job) {
  const bool reads =
      job->repair->needs_data || (has_width(job) && job->repair->needs_data_for_width);
  if (!has_data_for_repair(job) || reads) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "criterion '%s' uses no data, and repair '%s' would not read %s; leave --data "
                  "out, or choose another of the two",
                  job->criterion->name, job->repair->name, job->settings->data.data);
}

esp_status check_made(const prune_job *job) {
  const char *data = json_string_value(json_object_get(job->stats->meta, "data"));
  if (!job->criterion->is_data_free || esp_dataset_is_made(data)) return ESP_OK;
  return esp_fail(
      ESP_MISMATCH,
      "%s: criterion '%s' uses no data, but these statistics were made from %s; collect "
      "with --data " ESP_MAXIMUM_ENTROPY ", or leave --stats out",
      job->stats->path, job->criterion->name, data ? data : "some");
}

static int compare(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static int64_t count_units(const prune_job *job, int site) {
  return site < job->dense->n_stages ? job->dense->stages[site].units : job->dense->width.units;
}

/* What there is of a round, as it is kept in the journal: scores of the sites that are pruned. */
typedef struct round_scores {
  int64_t n;      // scores
  double *values; // (1 + n): rows of the samples, then the scores
} round_scores;

static round_scores make_scores(const prune_job *job) {
  round_scores self = {0};
  for (int i = 0; i <= job->dense->n_stages; i++)
    if (job->sparsity[i] >= 0.0) self.n += count_units(job, i);
  self.values = ESP_NEW(double, 1 + self.n);
  return self;
}

static void take_scores(const prune_job *job, round_scores *self) {
  double *to = self->values;
  *to++ = (double)job->stats->rows;
  for (int i = 0; i <= job->dense->n_stages; i++) {
    if (job->sparsity[i] < 0.0) continue;
    memcpy(to, job->scores[i], (size_t)count_units(job, i) * sizeof *to);
    to += count_units(job, i);
  }
}

static double measure_unit(double score, double before) {
  return score == before ? 0.0 : score > 0.0 ? fabs(score - before) / score : 1.0;
}

/* Median over the units of all sites of |score - before| / score: costs of greedy elimination grow
 * steeply to a site's last few units, whose order is arbitrary, so that a mean would be theirs
 * alone. */
static double measure_change(const round_scores *now, const round_scores *before) {
  double *moved = ESP_NEW(double, now->n);
  for (int64_t u = 0; u < now->n; u++)
    moved[u] = measure_unit(now->values[1 + u], before->values[1 + u]);
  qsort(moved, (size_t)now->n, sizeof *moved, compare);
  const double median = now->n > 0 ? moved[now->n / 2] : 0.0;
  esp_free(&moved);
  return median;
}

static esp_status collect_and_select(prune_job *job, const esp_settings *settings) {
  esp_stats_close(&job->stats);
  ESP_TRY(collect_first(job, settings));
  ESP_TRY(check_stats(job));
  return select_from_top(job);
}

/* The next round overwrites this one's statistics, so that it has to be on disk first. */
static esp_status run_round(prune_job *job, const esp_settings *settings, round_scores *scores,
                            bool *was_done) {
  char name[32];
  const int64_t bytes = (1 + scores->n) * (int64_t)sizeof(double);
  snprintf(name, sizeof name, "round %d", job->round);
  ESP_TRY(journal_load_unit(job, name, bytes, scores->values, was_done));
  if (*was_done) return ESP_OK;
  ESP_TRY(collect_and_select(job, settings));
  take_scores(job, scores);
  ESP_TRY(journal_save_unit(job, name, bytes, scores->values));
  return journal_sync(job);
}

/* Whether the scores have come to rest. In the first round there is nothing to compare with, nor
 * where fewer samples than a sequence holds are one sequence, before and after doubling. */
static bool report_round(prune_job *job, const round_scores *now, const round_scores *before) {
  const double rows = now->values[0];
  json_t *row = json_pack("{s:I}", "rows", (json_int_t)rows);
  json_array_append_new(job->doublings, row);
  if (job->round == 0 || rows <= before->values[0]) return false;
  const double change = measure_change(now, before);
  json_object_set_new(row, "change", json_real(change));
  esp_log_info("%s: %.0f rows, scores moved by %.1f %%", job->criterion->name, rows,
               100.0 * change);
  return change < LARGEST_CHANGE;
}

/* A last round of an interrupted run has its statistics and its selection, to be taken over. */
static esp_status repeat(prune_job *job, round_scores *now, round_scores *before) {
  esp_settings settings = *job->settings;
  bool was_done;
  settings.data.data = (char *)(uintptr_t)ESP_MAXIMUM_ENTROPY; // borrowed
  for (job->round = 0;; job->round++, settings.data.samples *= 2) {
    ESP_TRY(run_round(job, &settings, now, &was_done));
    if (report_round(job, now, before)) break;
    if (job->round == ESP_MOST_DOUBLINGS) {
      esp_log_warn("%s: the scores still move after %d doublings; start from more --samples",
                   job->criterion->name, ESP_MOST_DOUBLINGS);
      break;
    }
    memcpy(before->values, now->values, (size_t)(1 + now->n) * sizeof *now->values);
  }
  return was_done ? collect_and_select(job, &settings) : ESP_OK;
}

esp_status collect_until_stable(prune_job *job) {
  job->doublings = json_array();
  round_scores now = make_scores(job), before = make_scores(job);
  const esp_status status = repeat(job, &now, &before);
  esp_free(&now.values);
  esp_free(&before.values);
  return status;
}
