/* Objectives: what is measured of a model's outputs, and descended. One file and one row each. */
#ifndef ESPALIER_FLOW_OBJECTIVE_H
#define ESPALIER_FLOW_OBJECTIVE_H

#include "espalier/core/c_linkage.h"
#include "espalier/model/forward.h"

ESP_C_BEGIN

/* Sums over micro-batches and ranks. Integers: the same however the micro-batches are dealt.
 * Caller's struct, zero-initialised. */
typedef struct esp_tally {
  int64_t targets;   // predictions, or comparisons
  int64_t correct;   // of the targets
  int64_t loss;      // 2^-20 nats
  int64_t cosine;    // 2^-40
  int64_t hits;      // labels that are predicted and present, where they do not exclude each other
  double unit;       // of the loss, a power of two in place of a nat; 0: 1; set before it is added
  bool is_undefined; // a loss was not finite, and is left out
  bool is_capped;    // a loss was above 1e6 nats a target, and counts as that
} esp_tally;
enum { ESP_TALLY_BYTES = 4 * sizeof(int64_t) }; // that ranks add up

/* Mean loss a target, nats (regression: squared error); 0 without targets. Local. */
double esp_tally_compute_loss(const esp_tally *self);
/* Add the sums of all ranks; the two flags stay this rank's. Collective on comm. */
void esp_tally_reduce(const esp_comm *comm, esp_tally *self);

/* What an objective may be told. */
typedef struct esp_objective_options {
  double temperature; // of both softmaxes of a distillation
  double mix;         // part of cross-entropy in it, 0 to 1
  bool is_everywhere; // of masked tokens: the others are distilled too
} esp_objective_options;

/* What a micro-batch has led to: rows of esp_batch_count_outputs. */
typedef struct esp_outputs {
  const esp_model *model;
  const esp_batch *batch;
  const float *logits;                  // (rows, n_outputs)
  const float *teacher;                 // (rows, n_outputs): another model's; NULL: none
  const esp_objective_options *options; // NULL: temperature 1, mix 0
  const int32_t *labels;                // (rows) the right answers; NULL: the data's own
  float *dlogits; // (rows, n_outputs) gets the gradient of the summed loss, 0 where there is
                  // no target; NULL: not wanted; may be logits
  esp_workspace *workspace;
} esp_outputs;

enum { ESP_ANY_TASK = -1 };
/* Which random numbers to draw: row 0 of a micro-batch is row `first` among all. */
typedef struct esp_draw {
  uint64_t seed, stream;
  int64_t first;
} esp_draw;

typedef struct esp_objective {
  const char *name;
  const char *summary;
  int task;           // esp_task of the models whose own objective it is; ESP_ANY_TASK: of none
  bool needs_teacher; // of the same sizes
  /* MISMATCH unless the data has what the objective needs. NULL: it needs nothing. Local. */
  esp_status (*check)(const esp_model *model, const esp_dataset *data);
  /* Add to the tally (NULL: not wanted), and compute dlogits. Local. */
  void (*measure)(const esp_outputs *self, esp_tally *tally);
  /* The unit that a tally's loss should have for a data set. NULL: nats. Local. */
  double (*find_unit)(const esp_dataset *data);
  /* Compute dlogits, up to its sign, of -log p of targets drawn from the outputs' own distribution.
   * NULL: labels are drawn from a softmax. Local. */
  void (*differentiate_drawn)(const esp_outputs *self, const esp_draw *draw);
} esp_objective;

/* Variance of the numbers that samples are labelled with, the mean over their columns. Local. */
double esp_targets_compute_variance(const esp_dataset *data);

/* A tally that an objective adds to for a data set: empty, in the unit of its loss. Local. */
esp_tally esp_tally_start(const esp_objective *objective, const esp_dataset *data);
/* The objective of a task; what a model of a task learns from a teacher. Local. */
const esp_objective *esp_objective_of(esp_task task);
const esp_objective *esp_objective_with_teacher(esp_task task);
/* The table, ended by NULL. */
extern const esp_objective *const esp_objectives[];

ESP_C_END

#endif
