/* Information of a site with the units preserved above it. */
#include "evidence.h"

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

/* The residual stream after the stage, as its next reader gets it. */
static upper_site find_output(const esp_model *dense, int stage) {
  return (upper_site){
      .name = esp_stats_name_reader(dense, stage + 1), .features = dense->width.units, .stage = -1};
}

static bool is_empty(const ranker *self, int stage) {
  return self->request->dense->stages[stage].units == 0 ||
         (self->above->kept[stage] && self->above->n_kept[stage] == 0);
}

/* The site that reads a stage next: the next stage above with units, or the logits. */
static upper_site find_next(const ranker *self, int stage) {
  const esp_model *dense = self->request->dense;
  int above = stage + 1;
  while (above < dense->n_stages && is_empty(self, above)) above++;
  const bool is_last = above == dense->n_stages;
  const esp_stage *next = is_last ? NULL : &dense->stages[above];
  upper_site site = {.stage = is_last ? -1 : above};
  snprintf(site.name.text, sizeof site.name.text, "%s", is_last ? ESP_SITE_LOGITS : next->name);
  site.features = is_last ? self->stats->about.logits : esp_stage_features(next);
  return site;
}

/* The features preserved above, owned by the caller: all, where nothing was selected yet. */
static int64_t *list_upper(const ranker *self, const upper_site *above, int64_t *n_upper) {
  int64_t *upper = ESP_NEW(int64_t, above->features);
  *n_upper = above->features;
  if (above->stage >= 0 && self->above->kept[above->stage])
    *n_upper = esp_selection_features(self->above, &self->request->dense->stages[above->stage],
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

/* Noise units, whose information with the units above gives the null level. */
static void make_noise(const ranker *self, int stream, const esp_planes *site, esp_planes *noise) {
  uint8_t *valid = esp_stats_count_valid_local(self->stats);
  esp_planes_init(noise, NOISE_UNITS, site->bins, site->n_words);
  for (int64_t i = 0; i < NOISE_UNITS; i++)
    esp_fill_noise((uint64_t)self->request->settings->run.seed,
                   (uint64_t)(STREAM_NOISE + stream * NOISE_UNITS + i),
                   self->stats->first * self->stats->words, valid, i, noise);
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

static esp_status load_upper(const ranker *self, const upper_site *site, esp_planes *upper) {
  int64_t n;
  esp_site_stats above;
  if (site->features < 1)
    return esp_fail(ESP_FORMAT, "%s: expected units of '%s', found none; collect again",
                    self->stats->path, site->name.text);
  ESP_TRY(
      esp_stats_load_site(self->stats, site->name.text, site->features, ESP_LOAD_PLANES, &above));
  int64_t *list = list_upper(self, site, &n);
  if (n == above.planes.units) { // all of them, in order
    *upper = above.planes;
    above.planes = (esp_planes){0};
  } else {
    esp_planes_init(upper, n, above.planes.bins, above.planes.n_words);
    for (int64_t i = 0; i < n; i++) copy_unit(&above.planes, list[i], upper, i);
  }
  esp_free(&list);
  esp_site_stats_clear(&above);
  return ESP_OK;
}

/* Rows of information of the site's features, or of noise, with the units above. Collective. */
static void measure(const ranker *self, const esp_planes *planes, const esp_planes *upper,
                    float *values) {
  esp_sweep_information(self->comm, planes, upper, self->stats->rows, self->request->reduce,
                        values);
}

static esp_status gather(ranker *self, const upper_site *above, int stream,
                         const esp_planes *planes, site_information *information) {
  esp_planes upper, noise;
  *information = (site_information){.features = planes->units};
  ESP_TRY(load_upper(self, above, &upper));
  information->n_upper = upper.units;
  information->values = ESP_NEW(float, (planes->units + NOISE_UNITS) * upper.units);
  measure(self, planes, &upper, information->values);
  make_noise(self, stream, planes, &noise);
  measure(self, &noise, &upper, information->values + planes->units * upper.units);
  average_noise(information);
  information_add_pairs(self, planes, &upper, information);
  esp_planes_clear(&noise);
  esp_planes_clear(&upper);
  return ESP_OK;
}

esp_status information_gather_reader(ranker *self, int stage, const esp_planes *planes,
                                     site_information *information) {
  const upper_site above = find_next(self, stage - 1);
  return gather(self, &above, self->request->dense->n_stages + 1 + stage, planes, information);
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

esp_status information_count(ranker *self, int stage) {
  const esp_stage *of = &self->request->dense->stages[stage];
  esp_site_stats site;
  if (self->information_stage == stage) return ESP_OK;
  information_drop(self);
  ESP_TRY(
      esp_stats_load_site(self->stats, of->name, esp_stage_features(of), ESP_LOAD_PLANES, &site));
  const upper_site above = uses_own_output(self->request) ? find_output(self->request->dense, stage)
                                                          : find_next(self, stage);
  const esp_status status = gather(self, &above, stage, &site.planes, &self->information);
  esp_site_stats_clear(&site);
  if (status == ESP_OK) self->information_stage = stage;
  return status;
}

void information_drop(ranker *self) {
  information_clear(&self->information);
  self->information_stage = -1;
}
