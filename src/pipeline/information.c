/* Information of a site with the units preserved above it. */
#include "pipeline.h"

#include "espalier/collect/sweep.h"
#include "espalier/core/memory.h"

#include <string.h>

enum { STREAM_NOISE = 0x401 };

/* The site that reads a stage next: the stage above, or the logits; and its features. */
static const char *name_above(const prune_job *job, int stage, int64_t *features) {
  if (stage + 1 == job->dense->n_stages) {
    *features = json_integer_value(json_object_get(job->stats->meta, ESP_META_LOGITS));
    return ESP_SITE_LOGITS;
  }
  *features = esp_stage_features(&job->dense->stages[stage + 1]);
  return job->dense->stages[stage + 1].name;
}

/* The features preserved above, owned by the caller: all, where nothing was selected yet. */
static int64_t *list_upper(const prune_job *job, int stage, int64_t features, int64_t *n_upper) {
  int64_t *upper = ESP_NEW(int64_t, features);
  const int above = stage + 1;
  *n_upper = features;
  if (above < job->dense->n_stages && job->selection.kept[above])
    *n_upper = esp_selection_features(&job->selection, &job->dense->stages[above], above, upper);
  else
    for (int64_t i = 0; i < features; i++) upper[i] = i;
  return upper;
}

static void copy_unit(const esp_planes *from, int64_t i, esp_planes *to, int64_t j) {
  const int64_t planes = from->bins - 1;
  for (int64_t p = 0; p < planes; p++)
    memcpy(to->words + (j * planes + p) * to->stride, from->words + (i * planes + p) * from->stride,
           (size_t)from->n_words * sizeof *from->words);
}

/* The site's own planes with noise units behind them, whose information gives the null level. */
static void add_noise(const prune_job *job, int stream, const esp_planes *site, esp_planes *both) {
  uint8_t *valid = esp_stats_count_valid(job->stats);
  esp_planes_init(both, site->units + NOISE_UNITS, site->bins, site->n_words);
  for (int64_t i = 0; i < site->units; i++) copy_unit(site, i, both, i);
  for (int64_t i = 0; i < NOISE_UNITS; i++)
    esp_fill_noise((uint64_t)job->settings->seed,
                   (uint64_t)(STREAM_NOISE + stream * NOISE_UNITS + i),
                   job->stats->first * job->stats->words, valid, site->units + i, both);
  esp_free(&valid);
}

static void average_noise(site_information *self) {
  for (int64_t i = 0; i < NOISE_UNITS; i++) {
    double sum = 0.0;
    for (int64_t j = 0; j < self->n_upper; j++)
      sum += self->values[(self->features + i) * self->n_upper + j];
    self->null_level[i] = sum / (double)self->n_upper;
  }
}

static esp_status load_upper(prune_job *job, int stage, esp_planes *upper) {
  int64_t features, n;
  const char *name = name_above(job, stage, &features);
  esp_site_stats above;
  ESP_TRY(esp_stats_load_site(job->stats, name, features, ESP_LOAD_PLANES, &above));
  int64_t *list = list_upper(job, stage, features, &n);
  esp_planes_init(upper, n, above.planes.bins, above.planes.n_words);
  for (int64_t i = 0; i < n; i++) copy_unit(&above.planes, list[i], upper, i);
  esp_free(&list);
  esp_site_stats_clear(&above);
  return ESP_OK;
}

esp_status information_gather(prune_job *job, int stage, int stream, const esp_planes *planes,
                              site_information *self) {
  esp_planes upper, both;
  *self = (site_information){.features = planes->units};
  ESP_TRY(load_upper(job, stage, &upper));
  self->n_upper = upper.units;
  add_noise(job, stream, planes, &both);
  self->values = ESP_NEW(float, both.units * self->n_upper);
  esp_sweep_information(job->comm, &both, &upper, job->stats->rows, self->values);
  average_noise(self);
  esp_planes_clear(&both);
  esp_planes_clear(&upper);
  return ESP_OK;
}

void information_clear(site_information *self) {
  esp_free(&self->values);
}

esp_status information_gather_stage(prune_job *job, int stage) {
  const esp_stage *self = &job->dense->stages[stage];
  esp_site_stats site;
  if (job->information_stage == stage) return ESP_OK;
  information_drop_stage(job);
  ESP_TRY(esp_stats_load_site(job->stats, self->name, esp_stage_features(self), ESP_LOAD_PLANES,
                              &site));
  const esp_status status = information_gather(job, stage, stage, &site.planes, &job->information);
  esp_site_stats_clear(&site);
  if (status == ESP_OK) job->information_stage = stage;
  return status;
}

void information_drop_stage(prune_job *job) {
  information_clear(&job->information);
  job->information_stage = -1;
}
