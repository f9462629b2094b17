#include "scores.h"

#include "espalier/core/memory.h"

#include <math.h>

void scores_init(training *self, double value) {
  train_pruning *pruning = &self->pruning;
  for (int64_t u = 0; u < pruning->units.n; u++) pruning->unit_arrays[0][u] = value;
  for (int64_t i = 0; !pruning->by_units && i < self->parts.n_own; i++)
    pruning->arrays[0][i] = (float)value;
}

void scores_list_weights(const training *self, uint8_t *among) {
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const bool is_masked =
        self->request->model->is_masked && self->pruning.matrix_of[run->weight] >= 0;
    for (int64_t i = run->own; i < run->own + run->n; i++)
      among[i] = !is_masked || self->pruning.latent[i] != 0.0f;
  }
}

void scores_compute_mask_gradient(const training *self, float *gradient) {
  const train_pruning *pruning = &self->pruning;
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const bool is_pruned = pruning->matrix_of[run->weight] >= 0;
    for (int64_t i = run->own; i < run->own + run->n; i++)
      gradient[i] = is_pruned ? self->gradients.mean[i] * pruning->latent[i] : 0.0f;
  }
}

void scores_compute_gate_gradient(const training *self, double *gradient) {
  const train_units *units = &self->pruning.units;
  units_sum_products(self->comm, units, units->consumed, self->gradients.mean, self->pruning.latent,
                     gradient);
}

static double compute_rate(const training *self) {
  schedule_shape shape = self->schedule;
  shape.rate = self->pruning.options->score_rate;
  return schedule_compute_rate(&shape, self->progress.step);
}

/* Of one step. */
typedef struct adam {
  double beta1, beta2, epsilon, rate, unbias;
} adam;

static adam begin_step(const training *self) {
  const double beta1 = self->request->options->momentum, beta2 = self->request->options->beta2;
  const double number = (double)self->progress.step + 1.0;
  return (adam){.beta1 = beta1,
                .beta2 = beta2,
                .epsilon = 1e-8,
                .rate = compute_rate(self) / (1.0 - pow(beta1, number)),
                .unbias = 1.0 / (1.0 - pow(beta2, number))};
}

static double mix(double beta, double before, double now) {
  return beta * before + (1.0 - beta) * now;
}

static double compute_move(const adam *self, double m, double v) {
  return self->rate * m / (sqrt(v * self->unbias) + self->epsilon);
}

void scores_step_weights(training *self, const float *gradient) {
  const adam of = begin_step(self);
  float *const *arrays = self->pruning.arrays, *score = arrays[0], *m = arrays[1], *v = arrays[2];
  for (int64_t i = 0; i < self->parts.n_own; i++) {
    const double g = (double)gradient[i];
    m[i] = (float)mix(of.beta1, (double)m[i], g);
    v[i] = (float)mix(of.beta2, (double)v[i], g * g);
    score[i] = (float)((double)score[i] - compute_move(&of, (double)m[i], (double)v[i]));
  }
}

/* On all ranks alike. */
void scores_step_units(training *self, const double *gradient) {
  const adam of = begin_step(self);
  double *const *arrays = self->pruning.unit_arrays, *m = arrays[1], *v = arrays[2];
  for (int64_t u = 0; u < self->pruning.units.n; u++) {
    m[u] = mix(of.beta1, m[u], gradient[u]);
    v[u] = mix(of.beta2, v[u], gradient[u] * gradient[u]);
    arrays[0][u] -= compute_move(&of, m[u], v[u]);
  }
}

double scores_weigh_matrix(const training *self, int weight) {
  const train_pruning *pruning = &self->pruning;
  const int matrix = pruning->matrix_of[weight];
  return matrix < 0 ? 0.0 : 1.0 / ((double)pruning->n_matrices * (double)pruning->sizes[matrix]);
}

double scores_weigh_site(const training *self, const units_site *site) {
  return 1.0 / ((double)self->pruning.units.n_sites * (double)site->n);
}

/* A draw and what is made of it take as long as so many elementwise values (measured). */
enum { DRAW_VALUES = 16 };

void scores_add_cost(const training *self, double draws, esp_cost *cost) {
  const double n =
      self->pruning.by_units ? (double)self->pruning.units.n : (double)self->parts.n_values;
  cost->work.values += (double)self->schedule.n * n * (1.0 + draws * DRAW_VALUES);
}

bool scores_are_due(const training *self) {
  const esp_policy_options *options = self->pruning.options;
  const int64_t n = self->schedule.n, step = self->progress.step;
  const int64_t from = (int64_t)floor(options->prune_from * (double)n);
  const int64_t to = (int64_t)ceil(options->prune_to * (double)n);
  const bool is_due = (step - from) % policy_get_every(self) == 0 || step == to || step == n;
  return step >= from && is_due;
}
