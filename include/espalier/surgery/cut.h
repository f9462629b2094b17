/* Cutting: kept units -> a smaller dense model whose weights are views of the dense one's. */
#ifndef ESPALIER_SURGERY_CUT_H
#define ESPALIER_SURGERY_CUT_H

#include "espalier/core/c_linkage.h"
#include "espalier/model/model.h"

ESP_C_BEGIN

/* Kept units of every site; index n_stages stands for the width. Caller's struct. */
typedef struct esp_selection {
  int n_stages;
  int64_t *n_kept; // (n_stages + 1): K; of the width 0 where it was not chosen: it stays whole
  int64_t *
      *kept; // (n_stages + 1): (K) ascending indices into the original units; NULL: not chosen yet
} esp_selection;

void esp_selection_init(esp_selection *self, int n_stages);
void esp_selection_clear(esp_selection *self);

/* Write the kept features of a stage, (K * width) ascending, to features (units * width at most);
 * returns how many. Local. */
int64_t esp_selection_features(const esp_selection *self, const esp_stage *stage, int index,
                               int64_t *features);

/* List the indices of a dense weight's axis that stay, ascending, owned by the caller; NULL where
 * no site touches the axis. *n_kept is their number in both cases. Local. */
int64_t *esp_selection_indices(const esp_selection *self, const esp_model *dense, int weight,
                               int axis, int64_t *n_kept);

/* Make the model that so many units (n_stages + 1) of the sites leave, the last the hidden
 * dimensions (0: as they are): sizes and types of weights, no values. FORMAT. Local. */
esp_status esp_model_resize(const esp_model *dense, const int64_t *units, esp_model **resized);
/* Make the smaller model: configuration resized by the family, every weight a view of dense's,
 * which must outlive it. FORMAT if the family cannot describe it. Local, equal on all ranks. */
esp_status esp_model_cut(const esp_model *dense, const esp_selection *selection,
                         esp_model **pruned);

/* Make the model that lacks whole layers: kept (n, ascending) stay and are numbered anew; their
 * weights are views of dense's, which must outlive it. FORMAT. Local, equal on all ranks. */
esp_status esp_model_drop_layers(const esp_model *dense, const int64_t *kept, int64_t n,
                                 esp_model **pruned);

ESP_C_END

#endif
