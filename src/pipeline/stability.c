/* How far the selection hangs on which samples were seen (ours): every site is ranked again from
 * the even-numbered micro-batches alone and from the odd-numbered ones, with the units above as
 * they were kept, and the sets that the two would keep are compared. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/select/budget.h"

#include <string.h>

enum { FROM_SAMPLES = ESP_NEEDS_INFORMATION | ESP_NEEDS_COVARIANCE | ESP_NEEDS_MOMENTS };

/* Of a site that is gone there are no kept sets to compare. */
static bool is_cut(const prune_job *job, int site) {
  const int n = job->dense->n_stages;
  const int64_t units = site < n ? job->dense->stages[site].units : job->dense->width.units;
  const int64_t n_kept = job->selection.n_kept[site];
  return job->sparsity[site] >= 0.0 && n_kept > 0 && n_kept < units;
}

static bool cuts_anything(const prune_job *job) {
  for (int site = 0; site <= job->dense->n_stages; site++)
    if (is_cut(job, site)) return true;
  return false;
}

/* Why there is no stability to measure; NULL: there is. */
static const char *find_obstacle(const prune_job *job) {
  if (!(job->criterion->needs & FROM_SAMPLES))
    return "the criterion reads no calibration data, so any half of it gives the same selection";
  if (!cuts_anything(job)) return "every site keeps all its units, or none";
  if (!json_is_true(json_object_get(job->stats->meta, ESP_META_HALVES)))
    return "the statistics have no halves; collect them again, with --halves";
  for (int half = ESP_EVEN; half <= ESP_ODD; half++)
    if (esp_stats_count_rows_local(job->stats, (esp_half)half) == 0)
      return "one half of the calibration data is empty; collect more samples, or with a smaller "
             "--micro-batch";
  return NULL;
}

/* The job as it was before the width was chosen, with other statistics and without rankings. */
static prune_job make_half_job(const prune_job *job, esp_stats *stats) {
  const int n = job->dense->n_stages;
  prune_job half = *job;
  half.stats = stats;
  half.phases = (esp_phases){0};
  half.information = (site_information){0};
  half.information_stage = -1;
  half.order = ESP_NEW(int64_t *, n + 1);
  half.n_ranked = ESP_NEW(int, n);
  half.whole = ESP_NEW(double, n);
  half.scores = ESP_NEW(double *, n + 1);
  half.sparsity = ESP_NEW(double, n + 1);
  for (int site = 0; site <= n; site++)
    half.sparsity[site] = is_cut(job, site) ? job->sparsity[site] : -1.0;
  half.selection.n_kept = ESP_NEW(int64_t, n + 1);
  half.selection.kept = ESP_NEW(int64_t *, n + 1);
  memcpy(half.selection.n_kept, job->selection.n_kept, (size_t)n * sizeof(int64_t));
  memcpy(half.selection.kept, job->selection.kept, (size_t)n * sizeof(int64_t *));
  return half;
}

static void clear_half_job(prune_job *half) {
  for (int site = 0; site <= half->dense->n_stages; site++) {
    esp_free(&half->order[site]);
    esp_free(&half->scores[site]);
  }
  esp_free(&half->order);
  esp_free(&half->n_ranked);
  esp_free(&half->whole);
  esp_free(&half->scores);
  esp_free(&half->sparsity);
  esp_free(&half->selection.n_kept);
  esp_free(&half->selection.kept);
  information_drop_stage(half);
  esp_stats_close(&half->stats);
}

static esp_status rank_half(prune_job *half) {
  const int n = half->dense->n_stages;
  for (int stage = n - 1; stage >= 0; stage--)
    if (half->sparsity[stage] >= 0.0 && !half->order[stage]) ESP_TRY(rank_sites(half, stage));
  information_drop_stage(half); // not to be held while the other half is ranked
  if (!has_width(half)) return ESP_OK;
  half->order[n] = ESP_NEW(int64_t, half->dense->width.units);
  half->scores[n] = ESP_NEW(double, half->dense->width.units);
  return rank_dimensions(half, half->order[n], half->scores[n]);
}

static int64_t *list_kept(const prune_job *half, int site, int64_t n) {
  int64_t *kept = ESP_NEW(int64_t, n);
  if (site < half->dense->n_stages)
    keep_of_stage(&half->dense->stages[site], half->order[site], n, kept);
  else
    esp_keep_first(half->order[site], n, kept);
  return kept;
}

/* Of two ascending lists. */
static int64_t count_common(const int64_t *a, const int64_t *b, int64_t n) {
  int64_t common = 0;
  for (int64_t i = 0, j = 0; i < n; i++) {
    while (j < n && b[j] < a[i]) j++;
    common += j < n && b[j] == a[i];
  }
  return common;
}

static json_t *find_report(const prune_job *job, const char *site) {
  size_t i;
  json_t *report;
  json_array_foreach(job->sites, i,
                     report) if (strcmp(json_string_value(json_object_get(report, "site")), site) ==
                                 0) return report;
  ESP_ASSERT(!"a site that was cut is reported");
  return NULL;
}

static void set_stability(json_t *report, double stability, double by_chance) {
  json_object_set_new(report, "stability", json_real(stability));
  json_object_set_new(report, "stability_by_chance", json_real(by_chance));
}

/* |A cap B| / K; of two random sets of K among U it is K / U. */
static void compare(prune_job *job, const prune_job halves[2]) {
  const int width = job->dense->n_stages;
  double stability = 0.0, by_chance = 0.0;
  int sites = 0;
  for (int site = 0; site <= width; site++) {
    if (!is_cut(job, site)) continue;
    const esp_stage *stage = site < width ? &job->dense->stages[site] : NULL;
    const int64_t n = job->selection.n_kept[site];
    int64_t *a = list_kept(&halves[0], site, n), *b = list_kept(&halves[1], site, n);
    const double same = (double)count_common(a, b, n) / (double)n;
    const double chance = (double)n / (double)(stage ? stage->units : job->dense->width.units);
    set_stability(find_report(job, stage ? stage->name : ESP_SITE_WIDTH), same, chance);
    stability += same;
    by_chance += chance;
    sites++;
    esp_free(&a);
    esp_free(&b);
  }
  set_stability(job->stability, stability / sites, by_chance / sites);
  esp_log_info("stability: %.1f %% of the kept units are the same from either half of the "
               "calibration data, %.1f %% by chance",
               100.0 * stability / sites, 100.0 * by_chance / sites);
}

static esp_status rank_halves(prune_job *job) {
  esp_stats *even = NULL, *odd = NULL;
  ESP_TRY(esp_stats_open_half_local(job->stats, ESP_EVEN, &even));
  ESP_TRY(esp_stats_open_half_local(job->stats, ESP_ODD, &odd));
  prune_job halves[2] = {make_half_job(job, even), make_half_job(job, odd)};
  esp_status status = rank_half(&halves[0]);
  if (status == ESP_OK) status = rank_half(&halves[1]);
  if (status == ESP_OK) compare(job, halves);
  for (int i = 0; i < 2; i++) clear_half_job(&halves[i]);
  return status;
}

static void note(prune_job *job, const char *why) {
  json_object_set_new(job->stability, "stability_note", json_string(why));
  esp_log_info("stability not measured: %s", why);
}

esp_status measure_stability(prune_job *job) {
  if (!job->settings->prune.stability) return ESP_OK;
  const char *obstacle = find_obstacle(job);
  if (obstacle) {
    note(job, obstacle);
    return ESP_OK;
  }
  esp_phases_begin(&job->phases, "stability");
  const esp_status status = rank_halves(job);
  if (status != ESP_NUMERIC) return status;
  note(job, esp_failure_text()); // half the samples may be too few for a criterion that all suffice
  return ESP_OK;
}
