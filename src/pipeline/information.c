/* Information of a site with the units preserved above it. */
#include "pipeline.h"

#include "espalier/core/memory.h"
#include "espalier/sweep/sweep.h"

#include <stdio.h>
#include <string.h>

enum { STREAM_NOISE = 0x401 };

/* Planes whose units are preserved above a stage. */
typedef struct upper_site {
  esp_site_name name;
  int64_t features;
  int stage; // whose selection says which are preserved; -1: all are
} upper_site;

bool uses_own_output(const prune_job *job) {
  return strcmp(job->settings->prune.upper, "output") == 0 && job->dense->width.units > 0;
}

/* The residual stream after the stage, as its next reader gets it. */
static upper_site find_output(const prune_job *job, int stage) {
  return (upper_site){.name = esp_stats_name_reader(job->dense, stage + 1),
                      .features = job->dense->width.units,
                      .stage = -1};
}

static bool is_empty(const prune_job *job, int stage) {
  return job->dense->stages[stage].units == 0 ||
         (job->selection.kept[stage] && job->selection.n_kept[stage] == 0);
}

/* The site that reads a stage next: the next stage above with units, or the logits. */
static upper_site find_next(const prune_job *job, int stage) {
  int above = stage + 1;
  while (above < job->dense->n_stages && is_empty(job, above)) above++;
  const bool is_last = above == job->dense->n_stages;
  const esp_stage *next = is_last ? NULL : &job->dense->stages[above];
  upper_site self = {.stage = is_last ? -1 : above};
  snprintf(self.name.text, sizeof self.name.text, "%s", is_last ? ESP_SITE_LOGITS : next->name);
  self.features = is_last ? json_integer_value(json_object_get(job->stats->meta, ESP_META_LOGITS))
                          : esp_stage_features(next);
  return self;
}

/* The features preserved above, owned by the caller: all, where nothing was selected yet. */
static int64_t *list_upper(const prune_job *job, const upper_site *above, int64_t *n_upper) {
  int64_t *upper = ESP_NEW(int64_t, above->features);
  *n_upper = above->features;
  if (above->stage >= 0 && job->selection.kept[above->stage])
    *n_upper = esp_selection_features(&job->selection, &job->dense->stages[above->stage],
                                      above->stage, upper);
  else
    for (int64_t i = 0; i < above->features; i++) upper[i] = i;
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
  uint8_t *valid = esp_stats_count_valid_local(job->stats);
  esp_planes_init(both, site->units + NOISE_UNITS, site->bins, site->n_words);
  for (int64_t i = 0; i < site->units; i++) copy_unit(site, i, both, i);
  for (int64_t i = 0; i < NOISE_UNITS; i++)
    esp_fill_noise((uint64_t)job->settings->run.seed,
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

static esp_status load_upper(prune_job *job, const upper_site *site, esp_planes *upper) {
  int64_t n;
  esp_site_stats above;
  ESP_TRY(
      esp_stats_load_site(job->stats, site->name.text, site->features, ESP_LOAD_PLANES, &above));
  int64_t *list = list_upper(job, site, &n);
  esp_planes_init(upper, n, above.planes.bins, above.planes.n_words);
  for (int64_t i = 0; i < n; i++) copy_unit(&above.planes, list[i], upper, i);
  esp_free(&list);
  esp_site_stats_clear(&above);
  return ESP_OK;
}

static esp_status gather(prune_job *job, const upper_site *above, int stream,
                         const esp_planes *planes, site_information *self) {
  esp_planes upper, both;
  *self = (site_information){.features = planes->units};
  ESP_TRY(load_upper(job, above, &upper));
  self->n_upper = upper.units;
  add_noise(job, stream, planes, &both);
  self->values = ESP_NEW(float, both.units * self->n_upper);
  esp_sweep_information(job->comm, &both, &upper, job->stats->rows,
                        esp_sweep_find_reduce(job->settings->sweep.reduce), self->values);
  average_noise(self);
  information_add_pairs(job, planes, &upper, self);
  esp_planes_clear(&both);
  esp_planes_clear(&upper);
  return ESP_OK;
}

esp_status information_gather_reader(prune_job *job, int stage, const esp_planes *planes,
                                     site_information *self) {
  const upper_site above = find_next(job, stage - 1);
  return gather(job, &above, job->dense->n_stages + 1 + stage, planes, self);
}

void information_lend(const site_information *self, esp_evidence *evidence) {
  evidence->information = self->values;
  evidence->upper = self->n_upper;
  evidence->redundancy = self->redundancy;
  evidence->conditional = self->conditional;
  evidence->targets = self->targets;
  evidence->n_targets = self->n_targets;
}

void information_clear(site_information *self) {
  esp_free(&self->values);
  esp_free(&self->redundancy);
  esp_free(&self->conditional);
  esp_free(&self->targets);
}

esp_status information_gather_stage(prune_job *job, int stage) {
  const esp_stage *self = &job->dense->stages[stage];
  esp_site_stats site;
  if (job->information_stage == stage) return ESP_OK;
  information_drop_stage(job);
  ESP_TRY(esp_stats_load_site(job->stats, self->name, esp_stage_features(self), ESP_LOAD_PLANES,
                              &site));
  const upper_site above = uses_own_output(job) ? find_output(job, stage) : find_next(job, stage);
  const esp_status status = gather(job, &above, stage, &site.planes, &job->information);
  esp_site_stats_clear(&site);
  if (status == ESP_OK) job->information_stage = stage;
  return status;
}

void information_drop_stage(prune_job *job) {
  information_clear(&job->information);
  job->information_stage = -1;
}
