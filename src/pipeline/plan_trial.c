/* Trial cuts of the balanced allocation: a refit from the statistics, and a pass over some rows,
 * each as of the model that is planned: how many units of a kind a trial keeps is not known. */
#include "plan.h"

#include "espalier/eval/eval.h"

#include <math.h>

plan_job plan_of_trial(const plan_job *plan) {
  static const esp_repair refit = {.name = "least-squares", .needs_covariance = true};
  plan_job trial = *plan;
  trial.job.repair = &refit;
  return trial;
}

double plan_trial_rows(const plan_job *plan) {
  return fmin((double)plan->job.settings->allocation.trial_tokens, (double)plan->rows);
}

static double count_batch_rows(const plan_job *plan) {
  const esp_dataset data = {.kind = ESP_DATA_TOKENS, .width = plan->tokens};
  return (double)(esp_eval_batch(&data) * plan->tokens);
}

/* Refitted consumers, the states of this rank's rows, what a stage makes of a micro-batch, and the
 * head's logits. */
double plan_trial_bytes(const plan_job *plan) {
  const esp_model *model = plan->job.pruned;
  const plan_job trial = plan_of_trial(plan);
  const double rows = fmin(plan_trial_rows(plan), count_batch_rows(plan)), floats = 4.0 * rows;
  const double batches = ceil(plan_trial_rows(plan) / rows / plan->ranks);
  const double states =
      fmin(floats * batches * (double)model->max_state, fmax(ESP_EVAL_STATE_BYTES, floats));
  double most = 0.0;
  for (int s = ESP_STAGE_EMBED; s <= model->n_stages; s++) {
    const bool is_stage = s >= 0 && s < model->n_stages;
    const double made =
        is_stage ? floats * (double)model->max_features + plan_scratch_bytes(plan, model, s)
                 : floats * (double)model->n_outputs;
    most = fmax(most, plan_loaded_bytes(model, s) + made);
  }
  return fmax(plan_mend_bytes(&trial), plan_fitted_bytes(&trial) + states + most);
}
