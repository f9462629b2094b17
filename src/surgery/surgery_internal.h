/* What the repairs share. */
#ifndef ESPALIER_SRC_SURGERY_SURGERY_INTERNAL_H
#define ESPALIER_SRC_SURGERY_SURGERY_INTERNAL_H

#include "espalier/linalg/exact.h"
#include "espalier/surgery/repair.h"

extern const esp_repair repair_none, repair_bias, repair_least_squares, repair_sequential;

/* Element (out, in) of a linear map in whichever layout. */
static inline int64_t linear_at(const esp_linear *linear, int64_t out, int64_t in) {
  return linear->input_major ? in * linear->outputs + out : out * linear->inputs + in;
}

/* Whether the width is cut; NULL: whole layers were, and nothing else. */
static inline bool selection_cuts_width(const esp_selection *selection) {
  return selection && selection->kept && selection->kept[selection->n_stages];
}

/* A stage's consumer as matrices: dense rows that stay, and where the pruned one's values go. */
typedef struct consumer {
  const esp_stage *dense_stage, *pruned_stage;
  int64_t n_out, n_all, n_kept; // preserved outputs, all features F, kept features K
  int64_t *features;            // (n_kept) kept feature indices
  float *dense;                 // (n_out, n_all): dense W, preserved rows
  float *fitted;                // (n_out, n_kept): starts as the cut W
  float *bias;                  // (n_out) or NULL without a bias
} consumer;

/* Read a consumer's weights; both models' stage must be loaded. Local. */
void consumer_init(consumer *self, const esp_repair_job *job, int stage);
/* Make fitted and bias the pruned model's own values. Local. */
void consumer_store(const consumer *self, const esp_repair_job *job, int stage);
void consumer_clear(consumer *self);

/* Load a stage's weights of both models. Collective. */
esp_status repair_load(esp_repair_job *job, int stage);
/* Which dense output each pruned output is; NULL: all. Local. */
const int64_t *consumer_kept_outputs_local(const esp_repair_job *job, int stage);

/* A pass of a repair over the stages. count_unknowns: of the largest system that a stage's weights
 * depend on, those of the stages below too where it follows them; NULL: of none. */
typedef struct repair_pass {
  const char *name; // in the journal
  int64_t (*count_unknowns)(const esp_repair_job *job, int stage);
} repair_pass;
/* Inputs of a stage's pruned consumer; the most of it, of all below and, where the width is cut, of
 * the readers. Local. */
int64_t consumer_count_inputs_local(const esp_repair_job *job, int stage);
int64_t consumer_count_unknowns_local(const esp_repair_job *job, int stage);

/* A pass is gone on with where it was interrupted. is_done: it has finished the stage (n_stages:
 * the head), at this number of ranks where rounding depends on that (linalg/solve.h). restore: give
 * the stage's weights the values that it had then, and the report its numbers. save: keep these.
 * Weights and numbers are exact. IO, INTERRUPTED (after saving). The first is local, the others
 * collective. */
bool repair_is_done_local(const esp_repair_job *job, const repair_pass *pass, int stage);
esp_status repair_restore(esp_repair_job *job, const repair_pass *pass, int stage);
esp_status repair_save(esp_repair_job *job, const repair_pass *pass, int stage);
/* Restore the first n stages if this pass has finished them all: *done. Samples are then not needed
 * again. Collective. */
esp_status repair_restore_all(esp_repair_job *job, const repair_pass *pass, int n, bool *done);

/* Run fit on every stage's consumer, weights loaded, from the bottom; agree. Collective. */
typedef esp_status (*consumer_fit)(esp_repair_job *job, int stage, consumer *self);
esp_status repair_each(esp_repair_job *job, const repair_pass *pass, consumer_fit fit);
/* Least squares from the statistics. */
extern const repair_pass least_squares_pass;
esp_status least_squares_fit(esp_repair_job *job, int stage, consumer *self);

/* Moments of regressors x (n_in) and targets t (n_out) over samples, as exact sums. */
typedef struct regression {
  int64_t n_in, n_out, samples;
  esp_exact xx, xt; // (n_in, n_in), (n_in, n_out)
  esp_exact x, t;   // (n_in, 1), (n_out, 1): with the constant
  esp_exact tt;     // (n_out, 1): sums of t^2
  esp_exact one;    // (1, 1): sum of the constant's square, the total weight
} regression;

/* rms are the magnitudes that the exact sums are scaled by: root mean squares of x (n_in), t
 * (n_out), and of the constant. */
void regression_init(regression *self, int64_t n_in, int64_t n_out, const double *rms);
void regression_clear(regression *self);
/* Add rows of x (rows, n_in) and t (rows, n_out), and the constant's column (rows): all scaled by
 * the square root of the row's weight, so that the constant is that root. NUMERIC. Local. */
esp_status regression_add_local(regression *self, int64_t rows, const float *x, const float *t,
                                const float *constant);
/* Total weight of the rows. Local. */
double regression_weight(const regression *self);
/* Add the sums of all ranks. Collective. */
esp_status regression_reduce(const esp_comm *comm, regression *self);
/* Add another's sums of the same scale. Local. */
void regression_merge(regression *self, const regression *other);

/* What a correction is fitted to and judged by. start (n_out, n_in) are the weights as they stand.
 */
typedef struct correction_problem {
  const esp_comm *comm;
  const regression *fit, *held_out;
  const float *start;
  bool has_bias; // moments about the mean; the best bias follows
} correction_problem;

typedef struct correction_choice {
  double ridge, step; // relative to the mean diagonal; W = start + step * correction
  double error_before,
      error_after; // held out: mean square of what is missing, over that of the targets
} correction_choice;

enum { CORRECTION_RIDGES = 6 }; // that are tried

/* Try ridges and steps on the held-out sums, passing over ridges whose system is not positive
 * definite; ridge 0 in the choice means no correction. Collective. */
esp_status correction_choose(const correction_problem *problem, correction_choice *choice);
/* Fit on problem->fit and write start + step * correction to weights (n_out, n_in); start alone,
 * and that is then the choice, where the system is not positive definite. Collective. */
esp_status correction_apply(const correction_problem *problem, correction_choice *choice,
                            float *weights);
/* b = E[t] - W E[x], (n_out). Local. */
void regression_bias(const regression *self, const float *weights, float *bias);

#endif
