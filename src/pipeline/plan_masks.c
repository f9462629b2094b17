/* Unstructured masks: what finding them holds, sends and computes. */
#include "plan.h"

#include <math.h>

/* Call with every matrix that gets a mask. */
typedef void (*visit)(const plan_job *plan, const masked_matrix *matrix, double *sum);

static double for_each(const plan_job *plan, visit with) {
  double sum = 0.0;
  for (int w = 0; w < plan->job.dense->n_weights; w++) {
    const masked_matrix matrix = mask_describe(&plan->job, w);
    if (matrix.sparsity >= 0.0) with(plan, &matrix, &sum);
  }
  return sum;
}

static double count_weights(const plan_job *plan, const masked_matrix *matrix) {
  return (double)esp_weight_count(&plan->job.dense->weights[matrix->weight]);
}

static double count_inputs(const plan_job *plan, const masked_matrix *matrix) {
  return (double)plan->job.dense->weights[matrix->weight].shape[matrix->input_major ? 0 : 1];
}

static void add_mask(const plan_job *plan, const masked_matrix *matrix, double *sum) {
  *sum += ceil(count_weights(plan, matrix) / 8.0);
}

static void find_stage(const plan_job *plan, const masked_matrix *matrix, double *most) {
  const int stage = plan->job.dense->weights[matrix->weight].stage;
  const double row = (8.0 + 4.0) * count_inputs(plan, matrix); // scale and scores
  *most = fmax(*most, plan_loaded_bytes(plan->job.dense, stage) + row);
}

/* All masks, and a stage whose matrix is ranked. */
double plan_masks_bytes(const plan_job *plan) {
  return for_each(plan, add_mask) + for_each(plan, find_stage);
}

double plan_masks_held_bytes(const plan_job *plan) {
  return for_each(plan, add_mask);
}

/* The mask, and the norms of its inputs with the rest of their site. */
static void add_read(const plan_job *plan, const masked_matrix *matrix, double *sum) {
  add_mask(plan, matrix, sum);
  if (mask_reads_norms(&plan->job, matrix))
    *sum += count_inputs(plan, matrix) * (4.0 * (plan->bins - 1) + 4.0 * 8.0);
}

double plan_masks_read_bytes(const plan_job *plan) {
  return for_each(plan, add_read);
}

static void add_weights(const plan_job *plan, const masked_matrix *matrix, double *sum) {
  *sum += count_weights(plan, matrix);
}

double plan_masks_weights(const plan_job *plan) {
  return for_each(plan, add_weights);
}
