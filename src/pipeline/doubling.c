/* Criteria without data [Ferianc]: statistics of input of maximum entropy, made on the fly; twice
 * the samples at a time, until the scores move by less than 5 %. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/pipeline/job.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LARGEST_CHANGE = 0.05;
enum { MOST_DOUBLINGS = 6 };

static bool is_made(const char *data) {
  return data && strcmp(data, ESP_MAXIMUM_ENTROPY) == 0;
}

bool has_data_for_repair(const prune_job *job) {
  return job->criterion->is_data_free && job->settings->data && !is_made(job->settings->data);
}

esp_status check_data_free(const prune_job *job) {
  const bool reads =
      job->repair->needs_data || (has_width(job) && job->repair->needs_data_for_width);
  if (!has_data_for_repair(job) || reads) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "criterion '%s' uses no data, and repair '%s' would not read %s; leave --data "
                  "out, or choose another of the two",
                  job->criterion->name, job->repair->name, job->settings->data);
}

esp_status check_made(const prune_job *job) {
  const char *data = json_string_value(json_object_get(job->stats->meta, "data"));
  if (!job->criterion->is_data_free || is_made(data)) return ESP_OK;
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

static double measure_unit(double score, double before) {
  return score == before ? 0.0 : score > 0.0 ? fabs(score - before) / score : 1.0;
}

/* Median over the units of all sites of |score - before| / score: costs of greedy elimination grow
 * steeply to a site's last few units, whose order is arbitrary, so that a mean would be theirs
 * alone. */
static double measure_change(const prune_job *job, double *const *before) {
  int64_t most = 0, n = 0;
  for (int i = 0; i <= job->dense->n_stages; i++) most += count_units(job, i);
  double *moved = ESP_NEW(double, most);
  for (int i = 0; i <= job->dense->n_stages; i++)
    for (int64_t u = 0; job->sparsity[i] >= 0.0 && u < count_units(job, i); u++)
      moved[n++] = measure_unit(job->scores[i][u], before[i][u]);
  qsort(moved, (size_t)n, sizeof *moved, compare);
  const double median = n > 0 ? moved[n / 2] : 0.0;
  esp_free(&moved);
  return median;
}

static void copy_scores(const prune_job *job, double **copy) {
  for (int i = 0; i <= job->dense->n_stages; i++) {
    if (!job->scores[i]) continue;
    const int64_t units = count_units(job, i);
    esp_free(&copy[i]);
    copy[i] = ESP_NEW(double, units);
    memcpy(copy[i], job->scores[i], (size_t)units * sizeof *copy[i]);
  }
}

static esp_status collect_and_select(prune_job *job, const esp_settings *settings) {
  esp_stats_close(&job->stats);
  ESP_TRY(collect_first(job, settings));
  ESP_TRY(check_stats(job));
  return select_from_top(job);
}

/* Fewer samples than a sequence holds are one sequence, before and after doubling. */
static bool has_grown(const prune_job *job) {
  const json_t *last = json_array_get(job->doublings, json_array_size(job->doublings) - 1);
  return job->stats->rows > json_integer_value(json_object_get(last, "rows"));
}

/* Whether the scores have come to rest; at the first step there is nothing to compare with. */
static bool report_step(prune_job *job, int step, double *const *before) {
  const bool is_more = has_grown(job);
  json_t *row = json_pack("{s:I}", "rows", (json_int_t)job->stats->rows);
  json_array_append_new(job->doublings, row);
  if (step == 0 || !is_more) return false;
  const double change = measure_change(job, before);
  json_object_set_new(row, "change", json_real(change));
  esp_log_info("%s: %" PRId64 " rows, scores moved by %.1f %%", job->criterion->name,
               job->stats->rows, 100.0 * change);
  return change < LARGEST_CHANGE;
}

static esp_status repeat(prune_job *job, double **before) {
  esp_settings settings = *job->settings;
  settings.data = (char *)(uintptr_t)ESP_MAXIMUM_ENTROPY; // borrowed
  settings.restart = true;                                // an interrupted step is not gone on with
  for (int step = 0; step <= MOST_DOUBLINGS; step++, settings.samples *= 2) {
    ESP_TRY(collect_and_select(job, &settings));
    if (report_step(job, step, before)) return ESP_OK;
    copy_scores(job, before);
  }
  esp_log_warn("%s: the scores still move after %d doublings; start from more --samples",
               job->criterion->name, MOST_DOUBLINGS);
  return ESP_OK;
}

esp_status collect_until_stable(prune_job *job) {
  double **before = ESP_NEW(double *, job->dense->n_stages + 1);
  job->doublings = json_array();
  const esp_status status = repeat(job, before);
  for (int i = 0; i <= job->dense->n_stages; i++) esp_free(&before[i]);
  esp_free(&before);
  return status;
}
