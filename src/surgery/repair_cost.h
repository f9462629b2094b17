/* What the costs of the repairs share. */
#ifndef ESPALIER_SRC_SURGERY_REPAIR_COST_H
#define ESPALIER_SRC_SURGERY_REPAIR_COST_H

#include "espalier/surgery/repair.h"

/* Sizes of a fit of n_in regressors to n_out targets. */
typedef struct fit_size {
  double n_in, n_out;
  bool stays; // no ridge is expected to do better than the start
} fit_size;

/* A stage's consumer as it is cut; bytes of its values. */
fit_size consumer_size(const esp_model *pruned, int stage);
double fit_value_bytes(fit_size size);
/* Both models' weights of a stage, and the consumer's dense and cut rows. */
double stage_loaded_bytes(const esp_repair_shape *shape, int stage);
double consumer_row_bytes(const esp_repair_shape *shape, int stage);

/* Whether a consumer reads less than it read. */
bool repair_is_cut(const esp_repair_shape *shape, int stage);
/* Run a fit on every consumer that is cut (repair_each); their values stay. */
typedef void (*consumer_fit_cost)(const esp_repair_shape *shape, int stage, esp_cost *cost);
void repair_each_add_cost(const esp_repair_shape *shape, consumer_fit_cost fit, esp_cost *cost);
void least_squares_add_cost(const esp_repair_shape *shape, int stage, esp_cost *cost);

/* Bytes of two open streams. */
double streams_bytes(const esp_repair_shape *shape);
/* Bytes of all x of a stage whose consumer is fitted. */
double streams_kept_bytes(const esp_repair_shape *shape, fit_size size);
/* Take the samples through the dense model, or through a stage of a model. */
void streams_add_dense_work(const esp_repair_shape *shape, esp_work *work);
void streams_add_work(const esp_repair_shape *shape, const esp_model *model, int stage,
                      esp_work *work);
/* Fit a map whose rows are formed with so many bytes of scratch (streams_fit). */
void streams_add_fit_cost(const esp_repair_shape *shape, fit_size size, double scratch,
                          esp_cost *cost);
/* Refit what reads the stream for a stage, whose weights are loaded; and for all stages. */
void readers_add_cost(const esp_repair_shape *shape, int stage, esp_cost *cost);
void readers_all_add_cost(const esp_repair_shape *shape, esp_cost *cost);
/* Fit every writer that stays, whole layers having gone. */
void layers_add_cost(const esp_repair_shape *shape, esp_cost *cost);

#endif
