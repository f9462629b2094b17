/* What loading, running and writing a model takes. */
#ifndef ESPALIER_MODEL_COST_H
#define ESPALIER_MODEL_COST_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"
#include "espalier/model/model.h"

ESP_C_BEGIN

/* An element of a softmax over the logits, in double precision, takes as long as so many
 * elementwise values (measured). */
enum { ESP_SOFTMAX_VALUES = 4 };

/* Bytes of float32 that loading a weight, or a stage, allocates: of weights that cannot be read in
 * place, and have no values of their own. Local. */
double esp_weight_loaded_bytes(const esp_weight *weight);
double esp_model_loaded_bytes(const esp_model *model, int stage);
/* The same of esp_model_load_embedding_local. Local. */
double esp_model_embedding_bytes(const esp_model *model);
/* Of all stages, embedding and head. Local. */
double esp_model_all_bytes(const esp_model *model);
/* Elements of a stage's matrices: multiplications of a row. Local. */
double esp_stage_count_products(const esp_model *model, int stage);
/* Bytes that a stage's forward pass needs beside state and x; that its backward pass needs beside
 * states, x included. Local. */
double esp_stage_scratch_bytes(const esp_model *model, int stage, double rows);
double esp_stage_backward_scratch_bytes(const esp_model *model, int stage, double rows);

/* Take rows through a stage, sequences of so many tokens (images: 1); only make x; make it again
 * for the way back (esp_step_return); go back from the gradient of what the stage leaves to that of
 * what it read, without the weights' gradients; and rows to logits, or back. Local. */
void esp_stage_add_forward_work(const esp_model *model, int stage, double rows, double tokens,
                                esp_work *work);
void esp_stage_add_produce_work(const esp_model *model, int stage, double rows, double tokens,
                                esp_work *work);
void esp_stage_add_remake_work(const esp_model *model, int stage, double rows, double tokens,
                               esp_work *work);
void esp_stage_add_backward_work(const esp_model *model, int stage, double rows, double tokens,
                                 esp_work *work);
void esp_head_add_work(const esp_model *model, double rows, esp_work *work);

/* Open a checkpoint. Local. */
void esp_model_add_open_cost(const esp_model *model, int ranks, esp_cost *cost);
/* Write /config and /model, where trained of values that all weights have of their own; bytes of
 * these in the file. Local. */
void esp_model_add_write_cost(const esp_model *model, int ranks, bool is_trained, esp_cost *cost);
double esp_model_file_bytes(const esp_model *model);
/* Of a weight in the file of a model that is stored as a seed, with so many values that are neither
 * drawn nor zero. Local. */
double esp_weight_drawn_bytes(const esp_weight *weight, double others);

ESP_C_END

#endif
