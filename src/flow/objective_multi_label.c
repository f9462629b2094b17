/* What models of labels that do not exclude each other are judged by: the cross-entropy of every
 * label, which is present with the probability 1 / (1 + exp(-logit)). */
#include "flow_internal.h"

#include "espalier/core/rng.h"

#include <math.h>

double label_compute_probability(double z) {
  return z >= 0.0 ? 1.0 / (1.0 + exp(-z)) : exp(z) / (1.0 + exp(z));
}

double label_compute_loss(double z, double target) {
  return fmax(z, 0.0) - z * target + log1p(exp(-fabs(z)));
}

void label_count(double z, double target, esp_tally *tally) {
  const bool is_predicted = z > 0.0, is_present = target >= 0.5;
  tally->correct += is_predicted == is_present;
  tally->hits += is_predicted && is_present;
}

static void measure(const esp_outputs *self, esp_tally *tally) {
  const int64_t rows = self->batch->count, n = self->model->n_outputs;
  double loss = 0.0;
  for (int64_t i = 0; i < rows * n; i++) {
    const double z = self->logits[i], target = targets_get(self->batch, i / n, i % n);
    loss += label_compute_loss(z, target);
    if (tally) label_count(z, target, tally);
    if (self->dlogits) self->dlogits[i] = (float)(label_compute_probability(z) - target);
  }
  if (tally) tally_add_loss(tally, loss, rows * n);
}

static void differentiate_drawn(const esp_outputs *self, const esp_draw *draw) {
  const int64_t n = self->model->n_outputs;
  for (int64_t i = 0; i < self->batch->count * n; i++) {
    const double p = label_compute_probability(self->logits[i]);
    const double u = esp_rng_uniform(draw->seed, draw->stream, (uint64_t)(draw->first * n + i));
    self->dlogits[i] = (float)(p - (u < p ? 1.0 : 0.0));
  }
}

static esp_status check(const esp_model *model, const esp_dataset *data) {
  ESP_TRY(esp_model_check_targets(model, data));
  for (int64_t i = 0; data->targets && i < data->count * data->n_targets; i++)
    if (data->targets[i] < 0.0f || data->targets[i] > 1.0f)
      return esp_fail(ESP_MISMATCH,
                      "%s: expected labels from 0 (absent) to 1 (present) for a multi-label "
                      "classifier, found %g",
                      data->path, (double)data->targets[i]);
  if (data->targets || data->classes <= 2) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected labels 0 (absent) or 1 (present) for a multi-label classifier, "
                  "found %d",
                  data->path, data->classes - 1);
}

const esp_objective objective_multi_label = {
    .name = "multi-label",
    .summary = "cross-entropy of every label on its own",
    .task = ESP_TASK_MULTI_LABEL,
    .check = check,
    .measure = measure,
    .differentiate_drawn = differentiate_drawn,
};
