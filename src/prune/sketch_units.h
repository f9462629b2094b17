/* Members of the units' structure that fill a sketch (structure.h). Local. */
#ifndef ESPALIER_SRC_PRUNE_SKETCH_UNITS_H
#define ESPALIER_SRC_PRUNE_SKETCH_UNITS_H

#include "espalier/prune/sketch.h"

void units_sketch_selection(esp_prune_sketch *sketch);
esp_status units_sketch_cut(esp_prune_sketch *sketch);

#endif
