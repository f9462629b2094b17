/* Dynamic sparse training: a random mask that drops its smallest weights, and grows as many
 * elsewhere, every so many steps. SET, RigL and SNFS differ in what grows. */
#ifndef ESPALIER_SRC_TRAIN_POLICIES_DYNAMIC_H
#define ESPALIER_SRC_TRAIN_POLICIES_DYNAMIC_H

#include "policy.h"

/* Scores of growth at a step, from 1: of this rank's values (n_own); of units (units.n), which is
 * collective. The highest grow. */
typedef struct dynamic_growth {
  void (*score_weights)(const training *self, int64_t step, float *scores);
  void (*score_units)(const training *self, int64_t step, double *scores);
} dynamic_growth;

/* Members of their policies. */
extern const char *const dynamic_options[];
esp_status dynamic_check_local(const training *self);
esp_status dynamic_begin(training *self);
bool dynamic_is_final(const training *self);

/* The step that is being made, from 1, and the last at which masks change. Local. */
int64_t dynamic_get_step(const training *self);
int64_t dynamic_find_end(const training *self);
/* f_t = alpha / 2 (1 + cos(pi t / end)) [Evci et al. 2020]. Local. */
double dynamic_get_fraction(double alpha, int64_t step, int64_t end);
/* For after_gradient: where it is due, change the masks in place of the update. NUMERIC.
 * Collective. */
esp_status dynamic_change_if_due(training *self, const dynamic_growth *by);

/* In every matrix, of its live weights, drop floor(fraction live) of the smallest |w|, and grow as
 * many of the highest growth (n_own) among all that do not live then; of equals the first stay, and
 * grow. What was dropped and grows again keeps its value; the others are 0, and marked in is_new
 * (n_own). Collective on comm. */
void dynamic_change_weights(const esp_comm *comm, train_pruning *self, const float *growth,
                            double fraction, uint8_t *is_new);
/* A change of units; all arrays (units.n). */
typedef struct dynamic_units {
  const double *standing, *growth;
  double fraction, sparsity;
} dynamic_units;
/* Of the units that shall live at the sparsity, let the part 1 - fraction be those of the highest
 * standing among the living, and the rest those of the highest growth among all others. is_new
 * (n_own) marks the values that read units which did not live. Collective on comm. */
void dynamic_change_units(const esp_comm *comm, train_pruning *self, const dynamic_units *change,
                          uint8_t *is_new);

/* What the optimiser knows of values that are new: nothing, but second moments begin as the mean of
 * those of their block's values that live (n_own; NULL: that are not 0) and are not new. From 0
 * they would take a thousand steps to fill, since Adam corrects all means by the step's age:
 * updates would be up to six times too long. Local, the same at any rank count. */
void dynamic_begin_slots(const optimizer *method, const train_parts *parts, const uint8_t *is_new,
                         const uint8_t *lives, float *const *slots);

/* |dL / dm| of the units' gates m, of a gradient (n_own). Collective on comm. */
void dynamic_measure_gates(const esp_comm *comm, const train_pruning *self, const float *gradient,
                           double *scores);

#endif
