/* Criteria without data [Ferianc]: statistics of input of maximum entropy, made on the fly; twice
 * the samples at a time, until the scores move by less than 5 %. */
#include "inputs.h"
#include "selection.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LARGEST_CHANGE = 0.05;

static int compare(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static int64_t count_units(const prune_job *job, int site) {
  return esp_prune_site_of(job->request->dense, site).units;
}

/* What there is of a round, as it is kept in the journal: scores of the sites that are pruned. */
typedef struct round_scores {
  int64_t n;      // scores
  double *values; // (1 + n): rows of the samples, then the scores
} round_scores;

static round_scores make_scores(const prune_job *job) {
  round_scores self = {0};
  for (int i = 0; i <= job->request->dense->n_stages; i++)
    if (job->request->sparsity[i] >= 0.0) self.n += count_units(job, i);
  self.values = ESP_NEW(double, 1 + self.n);
  return self;
}

static void take_scores(const prune_job *job, round_scores *self) {
  double *to = self->values;
  *to++ = (double)job->stats->rows;
  for (int i = 0; i <= job->request->dense->n_stages; i++) {
    if (job->request->sparsity[i] < 0.0) continue;
    memcpy(to, job->ranker.scores[i], (size_t)count_units(job, i) * sizeof *to);
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

static esp_status collect_and_select(prune_job *job, int64_t samples) {
  ESP_TRY(inputs_collect(job, ESP_MAXIMUM_ENTROPY, samples));
  return selection_run(job);
}

/* The next round overwrites this one's statistics, so that it has to be on disk first. */
static esp_status run_round(prune_job *job, int64_t samples, round_scores *scores, bool *was_done) {
  const int64_t bytes = (1 + scores->n) * (int64_t)sizeof(double);
  char *name = esp_format("round %d", job->journal.round);
  esp_status status = journal_load_unit(&job->journal, name, bytes, scores->values, was_done);
  if (status == ESP_OK && !*was_done) {
    status = collect_and_select(job, samples);
    if (status == ESP_OK) take_scores(job, scores);
    if (status == ESP_OK) status = journal_save_unit(&job->journal, name, bytes, scores->values);
    if (status == ESP_OK) status = journal_sync(&job->journal);
  }
  esp_free(&name);
  return status;
}

/* Whether the scores have come to rest. In the first round there is nothing to compare with, nor
 * where fewer samples than a sequence holds are one sequence, before and after doubling. */
static bool report_round(prune_job *job, const round_scores *now, const round_scores *before) {
  const double rows = now->values[0];
  esp_round_report *row = &job->report.rounds.rows[job->report.rounds.n++];
  *row = (esp_round_report){rows, -1.0};
  if (job->journal.round == 0 || rows <= before->values[0]) return false;
  row->change = measure_change(now, before);
  esp_log_info("%s: %.0f rows, scores moved by %.1f %%", job->request->criterion->name, rows,
               100.0 * row->change);
  return row->change < LARGEST_CHANGE;
}

/* A last round of an interrupted run has its statistics and its selection, to be taken over. */
static esp_status repeat(prune_job *job, round_scores *now, round_scores *before) {
  int64_t samples = job->request->settings->data.samples;
  bool was_done;
  for (job->journal.round = 0;; job->journal.round++, samples *= 2) {
    ESP_TRY(run_round(job, samples, now, &was_done));
    if (report_round(job, now, before)) break;
    if (job->journal.round == ESP_MOST_DOUBLINGS) {
      esp_log_warn("%s: the scores still move after %d doublings; start from more --samples",
                   job->request->criterion->name, ESP_MOST_DOUBLINGS);
      break;
    }
    memcpy(before->values, now->values, (size_t)(1 + now->n) * sizeof *now->values);
  }
  return was_done ? collect_and_select(job, samples) : ESP_OK;
}

esp_status selection_run_rounds(prune_job *job) {
  round_scores now = make_scores(job), before = make_scores(job);
  job->report.rounds.rows = ESP_NEW(esp_round_report, ESP_MOST_DOUBLINGS + 1);
  const esp_status status = repeat(job, &now, &before);
  esp_free(&now.values);
  esp_free(&before.values);
  return status;
}
