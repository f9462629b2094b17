/* What a model of labels that do not exclude each other learns from a teacher: of every label, with
 * t the teacher's logit, s the model's, T the temperature, sigma(z) = 1 / (1 + exp(-z)) and mix,
 *
 *   loss = (1 - mix) T^2 KL(sigma(t / T) || sigma(s / T)) + mix (cross-entropy of the label).
 *
 * Its gradient by s is (1 - mix) T (sigma(s / T) - sigma(t / T)) + mix (sigma(s) - label). */
#include "flow_internal.h"

#include <math.h>

/* KL of two labels given by their logits: cross-entropy less entropy. */
static double compute_divergence(double t, double s) {
  const double p = label_compute_probability(t);
  return label_compute_loss(s, p) - label_compute_loss(t, p);
}

static double measure_label(const esp_outputs *self, int64_t i, esp_tally *tally) {
  const int64_t n = self->model->n_outputs;
  const double T = self->options ? self->options->temperature : 1.0;
  const double mix = self->options ? self->options->mix : 0.0, part = (1.0 - mix) * T;
  const double s = self->logits[i], t = self->teacher[i];
  const bool has_label = self->batch->targets || self->batch->labels;
  const double label = has_label ? targets_get(self->batch, i / n, i % n) : 0.0;
  double slope = part * (label_compute_probability(s / T) - label_compute_probability(t / T));
  double loss = part * T * compute_divergence(t / T, s / T);
  if (mix > 0.0) {
    loss += mix * label_compute_loss(s, label);
    slope += mix * (label_compute_probability(s) - label);
  }
  if (tally && has_label) label_count(s, label, tally);
  if (self->dlogits) self->dlogits[i] = (float)slope;
  return loss;
}

static void measure(const esp_outputs *self, esp_tally *tally) {
  const int64_t count = self->batch->count * self->model->n_outputs;
  double loss = 0.0;
  for (int64_t i = 0; i < count; i++) loss += measure_label(self, i, tally);
  if (tally) tally_add_loss(tally, loss, count);
}

const esp_objective objective_distilled_labels = {
    .name = "distilled-labels",
    .summary = "divergence of every label from a teacher's",
    .task = ESP_ANY_TASK,
    .needs_teacher = true,
    .measure = measure,
};
