/* What a report should be read with: too few samples for the bins. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Bias and null level are small while below this part of the mean information of a pair. */
static const double SMALL_PART = 0.25;

/* The site where bias or null level is the largest part of the mean information of a pair. */
typedef struct worst_site {
  const char *name;
  double part, information, null_level;
  int n_bad, n; // sites above SMALL_PART, and all
} worst_site;

static int64_t find_width(const prune_job *job, const char *site) {
  for (int i = 0; i < job->dense->n_stages; i++)
    if (strcmp(job->dense->stages[i].name, site) == 0) return job->dense->stages[i].width;
  return 1;
}

/* (B-1)^2 / 2S, what the plug-in information of independent units is on average. */
static double compute_bias(const prune_job *job) {
  const double cells = (double)((job->stats->bins - 1) * (job->stats->bins - 1));
  return cells / (2 * (double)job->stats->rows);
}

/* A unit's information is the sum over its features. */
static void look_at(const prune_job *job, const json_t *report, worst_site *worst) {
  const char *name = json_string_value(json_object_get(report, "site"));
  const json_t *information = json_object_get(report, "information_nats");
  if (!information) return;
  const double mean = json_real_value(information) / (double)find_width(job, name);
  const double null_level = json_real_value(json_object_get(report, "null_level_nats"));
  const double noise = fmax(compute_bias(job), null_level);
  const double part = mean > 0 ? noise / mean : INFINITY;
  worst->n++;
  worst->n_bad += part > SMALL_PART;
  if (part <= worst->part) return;
  worst->part = part;
  worst->name = name;
  worst->information = mean;
  worst->null_level = null_level;
}

static char *describe(const prune_job *job, const worst_site *worst) {
  char more[64] = "more samples";
  if (isfinite(worst->part))
    snprintf(more, sizeof more, "%.2g times as many samples", worst->part / SMALL_PART);
  return esp_format(
      "S = %lld rows are few for B = %d bins: at %d of %d sites the bias (B-1)^2 / 2S = %.2g nats "
      "or the null level is above a quarter of the mean information of a pair (%s: %.2g nats, null "
      "level %.2g); collect %s, or with fewer --bins",
      (long long)job->stats->rows, job->stats->bins, worst->n_bad, worst->n, compute_bias(job),
      worst->name, worst->information, worst->null_level, more);
}

json_t *make_warnings(const prune_job *job) {
  json_t *warnings = json_array(), *site;
  worst_site worst = {.part = -1};
  size_t i;
  json_array_foreach(job->sites, i, site) look_at(job, site, &worst);
  if (worst.n_bad == 0) return warnings;
  char *text = describe(job, &worst);
  json_array_append_new(warnings, json_string(text));
  esp_free(&text);
  return warnings;
}

void log_warnings(const json_t *report) {
  const json_t *warnings = json_object_get(report, "warnings");
  for (size_t i = 0; i < json_array_size(warnings); i++)
    esp_log_warn("%s", json_string_value(json_array_get(warnings, i)));
}
