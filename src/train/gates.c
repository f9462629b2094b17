#include "gates.h"

#include "espalier/core/memory.h"
#include "espalier/surgery/cut.h"

#include <string.h>

static void open_by(const esp_weight *weight, const esp_slice *slice, int64_t units, bool *open) {
  int64_t stride = 1;
  for (int a = slice->axis + 1; a < weight->rank; a++) stride *= weight->shape[a];
  const int64_t n = esp_weight_count(weight);
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = i / stride % weight->shape[slice->axis] - slice->offset;
    if (at >= 0 && at < units * slice->width && weight->value[i] != 0.0f)
      open[at / slice->width] = true;
  }
}

int64_t gates_list_open(const esp_model *model, int stage, int64_t *kept) {
  const esp_stage *site = &model->stages[stage];
  bool *open = ESP_NEW(bool, site->units);
  int64_t n = 0;
  for (int s = 0; s < site->n_consumers; s++)
    open_by(&model->weights[site->consumers[s].weight], &site->consumers[s], site->units, open);
  for (int64_t u = 0; u < site->units; u++)
    if (open[u]) kept[n++] = u;
  esp_free(&open);
  return n;
}

static int64_t find_index(const esp_weight *of, int axis, int64_t i) {
  return of->keep[axis] ? of->keep[axis][i] : i;
}

/* Element i of a view, in the whole. */
static int64_t find_element(const esp_weight *view, const esp_weight *whole, int64_t i) {
  int64_t at = 0, stride = 1;
  for (int a = view->rank - 1; a >= 0; a--) {
    at += stride * find_index(view, a, i % view->shape[a]);
    stride *= whole->shape[a];
    i /= view->shape[a];
  }
  return at;
}

static void copy_values(const esp_weight *whole, esp_weight *view) {
  const int64_t n = esp_weight_count(view);
  float *values = esp_weight_own(view);
  for (int64_t i = 0; i < n; i++) values[i] = whole->value[find_element(view, whole, i)];
}

esp_status gates_cut(const esp_model *whole, int64_t *n_kept, int64_t **kept, esp_model **cut) {
  esp_selection selection;
  esp_selection_init(&selection, whole->n_stages);
  for (int i = 0; i < whole->n_stages; i++) {
    const int64_t units = whole->stages[i].units;
    selection.kept[i] = ESP_NEW(int64_t, units);
    kept[i] = ESP_NEW(int64_t, units);
    n_kept[i] = selection.n_kept[i] = gates_list_open(whole, i, selection.kept[i]);
    memcpy(kept[i], selection.kept[i], (size_t)units * sizeof *kept[i]);
  }
  const esp_status status = esp_model_cut(whole, &selection, cut);
  for (int w = 0; status == ESP_OK && w < whole->n_weights; w++)
    copy_values(&whole->weights[w], &(*cut)->weights[w]);
  esp_selection_clear(&selection);
  return status;
}
