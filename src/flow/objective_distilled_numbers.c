/* What a model of numbers learns from a teacher: with y the model's outputs, t the teacher's and l
 * the label, of every output (1 - mix) (y - t)^2 + mix (y - l)^2; the mix where there are labels.
 */
#include "flow_internal.h"

static double find_target(const esp_outputs *self, int64_t i, double mix) {
  const double t = self->teacher[i];
  if (mix <= 0.0) return t;
  const int64_t n = self->model->n_outputs;
  return (1.0 - mix) * t + mix * targets_get(self->batch, i / n, i % n);
}

/* The sum of both squares; its gradient is that of the square about their weighted mean. */
static double compute_loss(const esp_outputs *self, int64_t i, double mix) {
  const double y = self->logits[i], from_teacher = y - (double)self->teacher[i];
  const double loss = (1.0 - mix) * from_teacher * from_teacher;
  if (mix <= 0.0) return loss;
  const int64_t n = self->model->n_outputs;
  const double from_label = y - targets_get(self->batch, i / n, i % n);
  return loss + mix * from_label * from_label;
}

static void measure(const esp_outputs *self, esp_tally *tally) {
  const int64_t count = self->batch->count * self->model->n_outputs;
  const double mix = self->options ? self->options->mix : 0.0;
  double loss = 0.0;
  for (int64_t i = 0; i < count; i++) {
    loss += compute_loss(self, i, mix);
    if (self->dlogits)
      self->dlogits[i] = (float)(2.0 * ((double)self->logits[i] - find_target(self, i, mix)));
  }
  if (!tally) return;
  tally_add_loss(tally, tally->unit > 0.0 ? loss / tally->unit : loss, count);
}

const esp_objective objective_distilled_numbers = {
    .name = "distilled-numbers",
    .summary = "squared distance from a teacher's numbers",
    .task = ESP_ANY_TASK,
    .needs_teacher = true,
    .measure = measure,
    .find_unit = targets_find_unit,
};
