#include "rules.h"
#include "structure.h"

const esp_prune_structure *const prune_structures[] = {
    &prune_structure_units, &prune_structure_width, &prune_structure_layers, &prune_structure_masks,
    NULL};

bool structures_read_covariance(const esp_prune_request *request) {
  for (int i = 0; request->structures[i]; i++)
    if (request->structures[i]->reads.covariance(request)) return true;
  return false;
}

const char *structures_read_stream(const esp_prune_request *request) {
  const char *option = NULL;
  for (int i = 0; request->structures[i]; i++) {
    const char *own = request->structures[i]->reads.stream(request);
    if (own) option = own;
  }
  return option;
}

bool structures_measure_stability(const esp_prune_request *request) {
  for (int i = 0; request->structures[i]; i++)
    if (request->structures[i]->measure_stability) return reads_calibration(request);
  return false;
}

bool structures_share_sparsity(const esp_prune_request *request) {
  for (int i = 0; request->structures[i]; i++)
    if (!request->structures[i]->shares_sparsity) return false;
  return true;
}
