/* Tensors of a checkpoint that no weight of the family uses. */
#ifndef ESPALIER_SRC_MODEL_STRAY_H
#define ESPALIER_SRC_MODEL_STRAY_H

#include "espalier/model/model.h"

/* Check that every tensor of the model's source is a weight, a known buffer, ignored by the family,
 * or named by patterns ("a*,b", as fnmatch; NULL: none), and log those that patterns name. MISMATCH
 * names the first of the others. Local. */
esp_status stray_check_local(const esp_model *model, const char *patterns);

#endif
