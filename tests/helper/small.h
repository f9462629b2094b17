/* Small random networks and data, and a naive forward pass to hold the program's against. */
#ifndef ESPALIER_TESTS_SMALL_H
#define ESPALIER_TESTS_SMALL_H

#include "espalier/io/dataset.h"
#include "espalier/model/model.h"

/* Make an mlp of n layer sizes with random weights and biases, in memory. Local. */
esp_model *small_model_new(const char *activation, const int64_t *sizes, int n, uint64_t seed);
/* Write a model to path in every weight's type. Collective. */
esp_status small_model_save(const esp_comm *comm, esp_model *model, const char *path);
/* Make one, write it, and open the file: such a model has stored weights, so that it can be cut.
 * Panics on failure. Collective. */
esp_model *small_model_open(const esp_comm *comm, const int64_t *sizes, int n, const char *path);

/* Make images of random bytes with random labels, 3 classes. Local. */
esp_dataset *small_dataset_new(int64_t count, int64_t width, uint64_t seed);

/* Make sequences of random tokens, without labels. Local. */
esp_dataset *small_tokens_new(int64_t count, int64_t length, int32_t vocabulary);

/* Whether two files have the same bytes, some. Local. */
bool small_has_same_bytes(const char *first, const char *second);

/* Members that statistics must have: the two fingerprints and the micro-batch. Collective. */
json_t *small_meta_new(const esp_comm *comm, const esp_model *model, const esp_dataset *data,
                       int64_t micro_batch);

/* Write all samples' activations of a stage (count, units), or their logits for stage n_stages, to
 * out: plain loops in double. Units u of stage i with !kept[i][u] give 0; kept or kept[i] NULL: all
 * count. Weights must be loaded. Local. */
void small_forward(const esp_model *model, const esp_dataset *data, int stage,
                   const bool *const *kept, double *out);

#endif
