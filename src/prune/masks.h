/* Which matrices masks may be of. */
#ifndef ESPALIER_SRC_PRUNE_MASKS_H
#define ESPALIER_SRC_PRUNE_MASKS_H

#include "espalier/prune/request.h"

typedef struct masked_matrix {
  int weight;
  double sparsity; // below 0: of no chosen site
  bool input_major;
  esp_site_name input; // the site that it reads; empty: not measured
} masked_matrix;

masked_matrix mask_describe(const esp_prune_request *request, int weight);
/* Whether the criterion reads its inputs' norms. Local. */
bool mask_reads_norms(const esp_prune_request *request, const masked_matrix *self);

#endif
