/* Mocanu et al. 2018 (SET), Evci et al. 2020 (RigL): masks of constant counts. By units: Chase, Yin
 * et al. 2023, whose channels become fewer while they are dropped and regrown. */
#include "dynamic.h"

#include "drop_rules.h"
#include "ranking.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const uint64_t stream_start = UINT64_C(0xd5700) << 40;

const char *const dynamic_options[] = {"distribution",  "min-keep",  "prune-to", "prune-every",
                                       "drop-fraction", "drop-rule", NULL};

int64_t dynamic_get_step(const training *self) {
  return self->progress.step + 1;
}

int64_t dynamic_find_end(const training *self) {
  return (int64_t)ceil(self->pruning.options->prune_to * (double)self->schedule.n);
}

/* Evci et al. 2020: 100; of a short training, a twentieth of the steps at which masks change. */
static int64_t choose_every(const training *self) {
  enum { USUAL = 100, CHANGES = 20, LEAST = 2 };
  if (self->pruning.options->prune_every > 0) return self->pruning.options->prune_every;
  const int64_t every = (dynamic_find_end(self) + CHANGES - 1) / CHANGES;
  return every > USUAL ? USUAL : every < LEAST ? LEAST : every;
}

double dynamic_get_fraction(double alpha, int64_t step, int64_t end) {
  return alpha / 2.0 * (1.0 + cos(3.141592653589793 * (double)step / (double)end));
}

/* Units reach their number at the end; of weights nothing would change there. */
static bool is_due(const training *self) {
  const int64_t step = dynamic_get_step(self), end = dynamic_find_end(self);
  const bool is_regular = step < end && step % choose_every(self) == 0;
  if (self->pruning.by_units) return is_regular || step == end;
  return is_regular && self->pruning.options->drop_fraction > 0.0;
}

esp_status dynamic_check_local(const training *self) {
  const char *name = self->pruning.of->name;
  ESP_TRY(drop_rules_check_local(self));
  const int64_t every = choose_every(self), end = dynamic_find_end(self);
  if (every < 2)
    return esp_fail(ESP_USAGE,
                    "--policy %s: expected --prune-every 2 or more, found %" PRId64
                    ": a step that changes masks does not train",
                    name, every);
  if (end > every || self->pruning.by_units || self->pruning.options->drop_fraction <= 0.0)
    return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--policy %s: expected masks that change, found a change every %" PRId64
                  " steps until step %" PRId64
                  "; give a smaller --prune-every, or --drop-fraction 0 to keep the first mask",
                  name, every, end);
}

/* A random mask of the counts that the distribution says; by units all live at first. */
esp_status dynamic_begin(training *self) {
  train_pruning *pruning = &self->pruning;
  if (pruning->by_units) return ESP_OK;
  float *scores = ESP_NEW(float, self->parts.n_own);
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    for (int64_t i = 0; i < run->n; i++)
      scores[run->own + i] =
          (float)esp_rng_uniform(self->request->seed, stream_start, (uint64_t)(run->place + i));
  }
  pruning_keep_weights(self->comm, pruning, scores, pruning->mask,
                       pruning->options->final_sparsity);
  esp_free(&scores);
  return ESP_OK;
}

/* Where masks no longer change. */
bool dynamic_is_final(const training *self) {
  const bool is_static = !self->pruning.by_units && self->pruning.options->drop_fraction <= 0.0;
  return is_static || self->progress.step >= dynamic_find_end(self);
}

static float *copy_magnitudes(const train_pruning *self) {
  float *scores = ESP_NEW(float, self->parts->n_own);
  parts_copy_own_local(self->parts, scores);
  for (int64_t i = 0; i < self->parts->n_own; i++) scores[i] = fabsf(scores[i]);
  return scores;
}

/* What was live and what is to be dropped, by matrix. */
static void count_changes(const esp_comm *comm, const ranking *live, double fraction, int64_t *keep,
                          int64_t *grow) {
  ranking_count(comm, live, keep);
  for (int m = 0; m < live->n_sets; m++) {
    grow[m] = (int64_t)floor(fraction * (double)keep[m]);
    keep[m] -= grow[m];
  }
}

void dynamic_change_weights(const esp_comm *comm, train_pruning *self, const float *growth,
                            double fraction, uint8_t *is_new) {
  const int64_t n = self->parts->n_own;
  float *magnitudes = copy_magnitudes(self);
  int64_t *keep = ESP_NEW(int64_t, self->n_matrices), *grow = ESP_NEW(int64_t, self->n_matrices);
  ranking of = {.parts = self->parts,
                .scores = magnitudes,
                .among = self->mask,
                .set_of = self->matrix_of,
                .n_sets = self->n_matrices,
                .keep = keep};
  count_changes(comm, &of, fraction, keep, grow);
  for (int64_t i = 0; i < n; i++) is_new[i] = !self->mask[i];
  ranking_mark_largest(comm, &of, self->mask);
  uint8_t *dead = ESP_NEW(uint8_t, n);
  for (int64_t i = 0; i < n; i++) dead[i] = !self->mask[i];
  of.scores = growth;
  of.among = dead;
  of.keep = grow;
  ranking_mark_largest(comm, &of, self->mask);
  for (int64_t i = 0; i < n; i++) is_new[i] = is_new[i] && self->mask[i];
  esp_free(&dead);
  esp_free(&grow);
  esp_free(&keep);
  esp_free(&magnitudes);
  pruning_apply(comm, self);
}

/* Those that stay stand above all that may grow. */
static double *rank_growth(const train_pruning *self, const double *growth) {
  double *scores = ESP_NEW(double, self->units.n);
  for (int64_t u = 0; u < self->units.n; u++) scores[u] = self->alive[u] ? INFINITY : growth[u];
  return scores;
}

void dynamic_change_units(const esp_comm *comm, train_pruning *self, const dynamic_units *change,
                          uint8_t *is_new) {
  const int64_t units = self->units.n;
  const double stays = (1.0 - change->sparsity) * (1.0 - change->fraction);
  uint8_t *before = ESP_NEW(uint8_t, units);
  memcpy(before, self->alive, (size_t)units);
  pruning_keep_units(comm, self, change->standing, before, 1.0 - stays);
  double *scores = rank_growth(self, change->growth);
  pruning_keep_units(comm, self, scores, NULL, change->sparsity);
  for (int64_t i = 0; i < self->parts->n_own; i++) {
    const int32_t unit = self->units.consumed[i];
    is_new[i] = unit >= 0 && self->alive[unit] && !before[unit];
  }
  esp_free(&scores);
  esp_free(&before);
}

void dynamic_measure_gates(const esp_comm *comm, const train_pruning *self, const float *gradient,
                           double *scores) {
  units_sum_products(comm, &self->units, self->units.consumed, gradient, self->latent, scores);
  for (int64_t u = 0; u < self->units.n; u++) scores[u] = fabs(scores[u]);
}

/* Second moments of a block's values. */
typedef struct moments {
  const uint8_t *is_new, *lives; // (n)
  int64_t n;
  float *second; // (n)
} moments;

/* Of those that live and are not new; 0: none do. */
static float compute_mean(const moments *self) {
  double sum = 0.0;
  int64_t count = 0;
  for (int64_t i = 0; i < self->n; i++) {
    if (self->is_new[i] || (self->lives ? !self->lives[i] : self->second[i] == 0.0f)) continue;
    sum += (double)self->second[i];
    count++;
  }
  return count > 0 ? (float)(sum / (double)count) : 0.0f;
}

static void set_new(const uint8_t *is_new, int64_t n, float value, float *slot) {
  for (int64_t i = 0; i < n; i++)
    if (is_new[i]) slot[i] = value;
}

static void begin_second_moments(const train_parts *parts, const moments *all) {
  for (int p = 0; p < parts->n_pieces; p++) {
    const parts_piece *piece = &parts->pieces[p];
    const int64_t n = parts_own_end(parts, piece) - parts_own_begin(parts, piece);
    for (int64_t i = 0; i < n; i += PARTS_BLOCK) {
      const int64_t at = piece->own + i;
      const moments block = {.is_new = all->is_new + at,
                             .lives = all->lives ? all->lives + at : NULL,
                             .n = n - i < PARTS_BLOCK ? n - i : PARTS_BLOCK,
                             .second = all->second + at};
      set_new(block.is_new, block.n, compute_mean(&block), block.second);
    }
  }
}

void dynamic_begin_slots(const optimizer *method, const train_parts *parts, const uint8_t *is_new,
                         const uint8_t *lives, float *const *slots) {
  for (int s = 0; s < method->n_slots; s++)
    if (s == method->second_moment)
      begin_second_moments(parts, &(moments){is_new, lives, parts->n_own, slots[s]});
    else
      set_new(is_new, parts->n_own, 0.0f, slots[s]);
}

static void change_weights(training *self, const dynamic_growth *by, double fraction,
                           uint8_t *is_new) {
  float *growth = ESP_NEW(float, self->parts.n_own);
  by->score_weights(self, dynamic_get_step(self), growth);
  dynamic_change_weights(self->comm, &self->pruning, growth, fraction, is_new);
  esp_free(&growth);
}

/* Fewer by the cubic schedule, so that what a model has learnt leaves it bit by bit. */
static esp_status change_units(training *self, const dynamic_growth *by, double fraction,
                               uint8_t *is_new) {
  train_pruning *pruning = &self->pruning;
  const double end = (double)dynamic_find_end(self), step = (double)dynamic_get_step(self);
  const double rest = 1.0 - step / end;
  const double sparsity = pruning->options->final_sparsity * (1.0 - rest * rest * rest);
  double *standing = ESP_NEW(double, pruning->units.n);
  double *growth = ESP_NEW(double, pruning->units.n);
  const esp_status status = drop_rules_rank(self, standing); // equal on all ranks
  by->score_units(self, dynamic_get_step(self), growth);
  if (status == ESP_OK)
    dynamic_change_units(self->comm, pruning,
                         &(dynamic_units){standing, growth, fraction, sparsity}, is_new);
  esp_free(&growth);
  esp_free(&standing);
  return status;
}

esp_status dynamic_change_if_due(training *self, const dynamic_growth *by) {
  if (!is_due(self)) return ESP_OK;
  const double fraction = dynamic_get_fraction(self->pruning.options->drop_fraction,
                                               dynamic_get_step(self), dynamic_find_end(self));
  uint8_t *is_new = ESP_NEW(uint8_t, self->parts.n_own);
  esp_status status = ESP_OK;
  if (self->pruning.by_units)
    status = change_units(self, by, fraction, is_new);
  else
    change_weights(self, by, fraction, is_new);
  dynamic_begin_slots(self->method, &self->parts, is_new, self->pruning.mask, self->slots);
  esp_free(&is_new);
  self->pruning.skips_update = true;
  return status;
}
