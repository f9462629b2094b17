/* SynFlow [Tanaka et al. 2020]: what flows through a weight, or through a neuron, in 100 rounds,
 * without data. Every rank has all values, and computes the flow alone. */
#include "policies.h"
#include "start.h"

#include "synaptic_flow.h"

static esp_status fail_without_path(void) {
  return esp_fail(ESP_NUMERIC, "--policy synflow: expected a path from inputs to outputs, found "
                               "none is left; lower --final-sparsity or raise --min-keep");
}

static void score_run(const synaptic_flow *flow, const parts_run *run, float *scores) {
  const int layer = synaptic_flow_find_layer(flow, run->weight);
  for (int64_t i = 0; layer >= 0 && i < run->n; i++)
    scores[run->own + i] = (float)synaptic_flow_of_weight(flow, layer, run->at + i);
}

static esp_status score_weights(training *self, float *scores) {
  synaptic_flow flow;
  synaptic_flow_init(&flow, self->parts.model);
  for (int r = 0; r < self->parts.n_runs; r++) score_run(&flow, &self->parts.runs[r], scores);
  const double total = flow.total;
  synaptic_flow_clear(&flow);
  return total > 0.0 ? ESP_OK : fail_without_path();
}

static esp_status score_units(training *self, double *scores) {
  const train_units *units = &self->pruning.units;
  synaptic_flow flow;
  synaptic_flow_init(&flow, self->parts.model);
  for (int s = 0; s < units->n_sites; s++)
    for (int64_t u = 0; u < units->sites[s].n; u++)
      scores[units->sites[s].first + u] =
          synaptic_flow_of_input(&flow, units->sites[s].stage + 1, u);
  const double total = flow.total;
  synaptic_flow_clear(&flow);
  return total > 0.0 ? ESP_OK : fail_without_path();
}

const start_scores start_synflow = {score_weights, score_units};

static esp_status begin(training *self) {
  return start_prune(self, &start_synflow);
}

/* Values of what does not train are not at hand. */
static esp_status check_local(const training *self) {
  const esp_model *model = self->parts.model;
  ESP_TRY(synaptic_flow_check_local(model));
  for (int w = 0; w < model->n_weights; w++)
    if (model->weights[w].rank == 2 && !self->parts.trains[w])
      return esp_fail(ESP_USAGE,
                      "--policy synflow: expected all matrices to train, found %s left out; give "
                      "--trainable all, and --kinds for what is pruned",
                      model->weights[w].name);
  return ESP_OK;
}

static const char *const options[] = {"distribution", "min-keep", "rounds", NULL};

const policy policy_synflow = {.name = "synflow",
                               .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                               .masked = POLICY_ZERO,
                               .prunes_once = true,
                               .distribution = "global",
                               .defaults = {.rounds = 100},
                               .options = options,
                               .check_local = check_local,
                               .begin = begin};
