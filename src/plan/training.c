/* The report of a training's plan. */
#include "plan_job.h"

/* Data sets are held throughout. */
static plan_phase make_phase(const char *name, const esp_train_cost *training, esp_cost cost) {
  plan_phase phase = {.name = name};
  esp_cost_hold(&phase.cost, training->data_bytes);
  cost.kept_bytes = 0.0;
  esp_cost_add(&phase.cost, &cost);
  return phase;
}

static void fill_sizes(const plan_job *plan, const esp_train_sizes *training,
                       esp_plan_report *report) {
  report->training = *training;
  report->sizes = (esp_plan_sizes){.ranks = plan->ranks,
                                   .ranks_per_node = plan->ranks_per_node,
                                   .samples = training->samples,
                                   .rows = training->rows,
                                   .n_batches = training->micro_batches,
                                   .share = training->share,
                                   .dense = training->parameters,
                                   .pruned = training->parameters};
}

void plan_fill_training(const plan_job *plan, const esp_train_cost *training,
                        esp_plan_report *report) {
  plan_phase rows[3] = {make_phase("train", training, training->steps)};
  int n = 1;
  if (training->sizes.evaluations > 0)
    rows[n++] = make_phase("evaluate", training, training->evaluations);
  rows[n++] = make_phase("write", training, training->write);
  const plan_phases phases = {rows, n, training->opening};
  fill_sizes(plan, &training->sizes, report);
  report->memory.data = training->data_bytes;
  report->statistics_bytes = -1.0;
  report->pruned_bytes = training->trained_bytes;
  report->checkpoint_bytes = training->checkpoint_bytes;
  plan_fill_phases(plan, &phases, report);
}
