/* From an order of units to those that stay. All local. */
#ifndef ESPALIER_SRC_PRUNE_KEEP_H
#define ESPALIER_SRC_PRUNE_KEEP_H

#include "espalier/surgery/cut.h"

/* Write the first n units of a stage's order (of its groups equally many), ascending, to the
 * selection's site; order NULL: the first n units. */
void keep_first(const esp_stage *stage, int site, const int64_t *order, int64_t n,
                esp_selection *selection);
/* The same for the width; NULL as above. */
void keep_dimensions(const esp_model *dense, const int64_t *order, int64_t n,
                     esp_selection *selection);
/* Keep all units of a stage. */
void keep_all(const esp_stage *stage, int site, esp_selection *selection);

#endif
