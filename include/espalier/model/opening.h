/* What opens a model outside of Espalier, once it is exported. */
#ifndef ESPALIER_MODEL_OPENING_H
#define ESPALIER_MODEL_OPENING_H

#include "espalier/core/c_linkage.h"
#include "espalier/model/model.h"

ESP_C_BEGIN

#define ESP_OPENS_IN_TRANSFORMERS "transformers"
#define ESP_OPENS_BY_LOADER "analysis/checkpoints/load_pruned.py"

typedef struct esp_opening {
  const char *with; // one of the two, static; NULL: a family that nothing else has
  char why[160];    // not transformers alone; else empty
} esp_opening;

/* Find it, by the configuration. Local. */
esp_opening esp_model_find_opening(const esp_model *model);
/* Whether a model of fewer heads may not open by from_pretrained: its class has no place for their
 * size. Local. */
bool esp_model_needs_all_heads(const esp_model *model);

ESP_C_END

#endif
