/* What a report should be read with: nothing was removed, or too few samples for the bins. */
#include "pruned_file.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <stdio.h>

/* Bias and null level are small while below this part of the mean information of a pair. */
static const double SMALL_PART = 0.25;

/* The site where bias or null level is the largest part of the mean information of a pair. */
typedef struct worst_site {
  const char *name;
  double part, information, null_level;
  int n_bad, n; // sites above SMALL_PART, and all
} worst_site;

/* (B-1)^2 / 2S, what the plug-in information of independent units is on average. */
static double compute_bias(const esp_stats *stats) {
  const double cells = (double)((stats->bins - 1) * (stats->bins - 1));
  return cells / (2 * (double)stats->rows);
}

/* A unit's information is the sum over its features. */
static void look_at(const prune_job *job, int site, worst_site *worst) {
  const esp_site_report *report = &job->report.sites[site];
  const esp_prune_site of = esp_prune_site_of(job->request->dense, site);
  if (!report->has_information) return;
  const double mean = report->information.mean / (double)of.width;
  const double noise = fmax(compute_bias(job->stats), report->information.null_level);
  const double part = mean > 0 ? noise / mean : INFINITY;
  worst->n++;
  worst->n_bad += part > SMALL_PART;
  if (part <= worst->part) return;
  *worst = (worst_site){.name = of.name,
                        .part = part,
                        .information = mean,
                        .null_level = report->information.null_level,
                        .n_bad = worst->n_bad,
                        .n = worst->n};
}

/* Rounded up, so that it is enough and never 1: bias and null level fall as 1 / S. */
static void print_factor(double factor, char *text, size_t size) {
  const double rounded = factor < 10 ? ceil(10 * factor) / 10 : ceil(factor);
  snprintf(text, size, " (%.*f times as many)", factor < 10 ? 1 : 0, fmax(rounded, 1.1));
}

static char *describe(const esp_stats *stats, const worst_site *worst) {
  const double bias = compute_bias(stats);
  char more[64] = "";
  if (isfinite(worst->part)) print_factor(worst->part / SMALL_PART, more, sizeof more);
  return esp_format(
      "S = %lld rows are few for B = %d bins: at %d of %d sites the bias (B-1)^2 / 2S = %.2g nats "
      "or the null level is above a quarter of the mean information of a pair (%s: %.2g nats, null "
      "level %.2g); collect more samples%s, or use fewer --bins",
      (long long)stats->rows, stats->bins, worst->n_bad, worst->n, bias, worst->name,
      worst->information, worst->null_level, more);
}

/* Counts are rounded to what is kept: to multiples of --multiple-of, to whole heads and groups. */
static bool removes_nothing(const prune_job *job) {
  if (job->report.masks.rows || esp_prune_report_get_asked(&job->report) <= 0) return false;
  return job->report.sizes.pruned == job->report.sizes.dense;
}

static char *describe_nothing(const prune_job *job) {
  const int64_t asked = job->request->settings->allocation.multiple_of;
  char multiple[24] = "auto";
  if (asked > 0) snprintf(multiple, sizeof multiple, "%lld", (long long)asked);
  return esp_format(
      "nothing is removed: a sparsity of %g rounds to no unit of any site, since kept "
      "counts are multiples of --multiple-of %s or of the groups of heads; use a "
      "larger sparsity or a smaller multiple",
      esp_prune_report_get_asked(&job->report), multiple);
}

char *pruned_file_make_warning(const prune_job *job) {
  if (removes_nothing(job)) return describe_nothing(job);
  worst_site worst = {.part = -1};
  for (int i = 0; i <= job->request->dense->n_stages; i++) look_at(job, i, &worst);
  return worst.n_bad > 0 ? describe(job->stats, &worst) : NULL;
}
