/* How far the selection depends on which samples were seen (ours): every site is ranked again from
 * the even-numbered micro-batches alone and from the odd-numbered ones, with the units above as
 * they were kept, and the sets that the two would keep are compared. */
#include "stability.h"

#include "evidence.h"
#include "keep.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <string.h>

/* Of a site that is gone there are no kept sets to compare. */
static bool is_cut(const prune_job *job, int site) {
  const int64_t n_kept = job->selection.n_kept[site];
  return job->request->sparsity[site] >= 0.0 && n_kept > 0 &&
         n_kept < esp_prune_site_of(job->request->dense, site).units;
}

static bool cuts_anything(const prune_job *job) {
  for (int site = 0; site <= job->request->dense->n_stages; site++)
    if (is_cut(job, site)) return true;
  return false;
}

/* Why there is no stability to measure; NULL: there is. */
static const char *find_obstacle(const prune_job *job) {
  if (!reads_calibration(job->request))
    return "the criterion reads no calibration data, so any half of it gives the same selection";
  if (!cuts_anything(job)) return "every site keeps all its units, or none";
  if (!job->stats->about.has_halves)
    return "the statistics have no halves; collect them again, with --halves";
  for (int half = ESP_EVEN; half <= ESP_ODD; half++)
    if (esp_stats_count_rows_local(job->stats, (esp_half)half) == 0)
      return "one half of the calibration data is empty; collect more samples, or with a smaller "
             "--micro-batch";
  return NULL;
}

/* A half of the statistics, ranked as before the width was chosen. */
typedef struct half_ranking {
  esp_stats *stats;
  esp_selection above; // of the stages as they were kept, borrowed; the width whole
  ranker ranker;
} half_ranking;

static esp_status open_half(prune_job *job, esp_half half, half_ranking *self) {
  const int n = job->request->dense->n_stages;
  ESP_TRY(esp_stats_open_half_local(job->stats, half, &self->stats));
  self->above = (esp_selection){
      .n_stages = n, .n_kept = ESP_NEW(int64_t, n + 1), .kept = ESP_NEW(int64_t *, n + 1)};
  memcpy(self->above.n_kept, job->selection.n_kept, (size_t)n * sizeof(int64_t));
  memcpy(self->above.kept, job->selection.kept, (size_t)n * sizeof(int64_t *));
  ranker_init(&self->ranker, job->comm, job->request, &job->journal);
  self->ranker.stats = self->stats;
  self->ranker.above = &self->above;
  for (int site = 0; site <= n; site++) self->ranker.is_asked[site] = is_cut(job, site);
  return ESP_OK;
}

static void close_half(half_ranking *self) {
  if (self->ranker.request) ranker_clear(&self->ranker);
  esp_free(&self->above.n_kept);
  esp_free(&self->above.kept);
  esp_stats_close(&self->stats);
}

static esp_status rank_half(ranker *self) {
  const int n = self->request->dense->n_stages;
  for (int stage = n - 1; stage >= 0; stage--)
    if (self->is_asked[stage] && !self->order[stage]) ESP_TRY(ranker_rank(self, stage));
  information_drop(self); // not to be held while the other half is ranked
  return self->is_asked[n] ? ranker_rank_width(self) : ESP_OK;
}

/* What a half would keep of a site: as a selection of it alone. */
static int64_t *list_kept(const half_ranking *self, int site, int64_t n) {
  const esp_model *dense = self->ranker.request->dense;
  esp_selection selection;
  esp_selection_init(&selection, dense->n_stages);
  if (site < dense->n_stages)
    keep_first(&dense->stages[site], site, self->ranker.order[site], n, &selection);
  else
    keep_dimensions(dense, self->ranker.order[site], n, &selection);
  int64_t *kept = selection.kept[site];
  selection.kept[site] = NULL;
  esp_selection_clear(&selection);
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

/* |A cap B| / K; of two random sets of K among U it is K / U. */
static esp_stability compare_site(const prune_job *job, const half_ranking halves[2], int site) {
  const int64_t n = job->selection.n_kept[site];
  int64_t *a = list_kept(&halves[0], site, n), *b = list_kept(&halves[1], site, n);
  const esp_stability found = {(double)count_common(a, b, n) / (double)n,
                               (double)n /
                                   (double)esp_prune_site_of(job->request->dense, site).units};
  esp_free(&a);
  esp_free(&b);
  return found;
}

static void compare(prune_job *job, const half_ranking halves[2]) {
  esp_stability sum = {0};
  int sites = 0;
  for (int site = 0; site <= job->request->dense->n_stages; site++) {
    if (!is_cut(job, site)) continue;
    const esp_stability found = compare_site(job, halves, site);
    job->report.sites[site].stability = found;
    job->report.sites[site].has_stability = true;
    sum.same += found.same;
    sum.by_chance += found.by_chance;
    sites++;
  }
  job->report.stability.is_measured = true;
  job->report.stability.mean = (esp_stability){sum.same / sites, sum.by_chance / sites};
  esp_log_info("stability: %.1f %% of the kept units are the same from either half of the "
               "calibration data, %.1f %% by chance",
               100.0 * sum.same / sites, 100.0 * sum.by_chance / sites);
}

static esp_status rank_halves(prune_job *job) {
  half_ranking halves[2] = {0};
  esp_status status = open_half(job, ESP_EVEN, &halves[0]);
  if (status == ESP_OK) status = open_half(job, ESP_ODD, &halves[1]);
  for (int i = 0; i < 2 && status == ESP_OK; i++) status = rank_half(&halves[i].ranker);
  if (status == ESP_OK) compare(job, halves);
  for (int i = 0; i < 2; i++) close_half(&halves[i]);
  return status;
}

static void note(prune_job *job, const char *why) {
  job->report.stability.note = esp_strdup(why);
  esp_log_info("stability not measured: %s", why);
}

esp_status stability_measure(prune_job *job) {
  if (!job->request->settings->prune.stability) return ESP_OK;
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
