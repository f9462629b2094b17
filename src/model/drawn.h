/* Weights that are stored as a seed: NAME.drawn has two bits an element, low bits first: as drawn
 * from the seed in drawn.seed, zero, or another value, which are in NAME.trained in their order. */
#ifndef ESPALIER_SRC_MODEL_DRAWN_H
#define ESPALIER_SRC_MODEL_DRAWN_H

#include "espalier/model/model.h"

/* Write the seed. Write a matrix so, if that is smaller and it has values; *is_done: it was. Its
 * values are those of the whole model. Collective on file. */
esp_status drawn_write_seed(const esp_model *model, esp_h5 *file);
esp_status drawn_write(const esp_model *model, int weight, esp_h5 *file, bool *is_done);

/* Bind a weight that is stored so to values of its own; *is_found: it is. FORMAT: what is stored
 * does not fit. Local. */
esp_status drawn_bind_local(esp_model *model, int weight, bool *is_found);
/* Whether a tensor is one of those. Local. */
bool drawn_is_part(const esp_model *model, const esp_tensor *tensor);

#endif
