/* Bias: b' = b + W_removed E[x_removed]. */
#include "repair_cost.h"
#include "surgery_internal.h"

#include "espalier/core/memory.h"

static void add_removed_means(consumer *self, const double *mean) {
  for (int64_t i = 0; i < self->n_out; i++) {
    double sum = 0.0;
    for (int64_t j = 0; j < self->n_all; j++) sum += self->dense[i * self->n_all + j] * mean[j];
    for (int64_t k = 0; k < self->n_kept; k++)
      sum -= self->dense[i * self->n_all + self->features[k]] * mean[self->features[k]];
    self->bias[i] += (float)sum;
  }
}

static esp_status fit(esp_repair_job *job, int stage, consumer *self) {
  (void)stage;
  if (!self->bias)
    return esp_fail(
        ESP_USAGE,
        "repair 'bias': site '%s' has a consumer without bias; use least-squares or none",
        self->dense_stage->name);
  esp_site_stats site;
  ESP_TRY(esp_stats_load_site(job->stats, self->dense_stage->name, self->n_all, 0, &site));
  add_removed_means(self, site.mean);
  esp_site_stats_clear(&site);
  return ESP_OK;
}

static esp_status apply(esp_repair_job *job) {
  static const repair_pass pass = {.name = "bias"};
  return repair_each(job, &pass, fit);
}

/* No unit goes of what stays, and what a layer gave on average is not in the statistics. */
static esp_status apply_to_layers(esp_repair_job *job, const int64_t *kept) {
  (void)job, (void)kept;
  return ESP_OK;
}

static void add_fit_cost(const esp_repair_shape *shape, int stage, esp_cost *cost) {
  const double f = (double)shape->dense->stages[stage].consumer.inputs;
  esp_stats_add_load_cost(shape->stats, f, 0, cost);
}

static void add_cost(const esp_repair_shape *shape, esp_cost *cost) {
  if (!shape->is_of_layers) repair_each_add_cost(shape, add_fit_cost, cost);
}

const esp_repair repair_bias = {.name = "bias",
                                .summary =
                                    "move what the removed units gave on average into the bias",
                                .needs_moments = true,
                                .apply = apply,
                                .apply_to_layers = apply_to_layers,
                                .cost = add_cost};
