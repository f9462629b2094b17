#include "espalier/surgery/cut.h"

#include "espalier/core/memory.h"
#include "espalier/model/family.h"

#include <string.h>

/* Which indices of one weight's axis stay: starts with all. */
typedef struct mask {
  int weight, axis;
  int64_t n;
  bool *keep;      // (n)
  bool is_touched; // by some site
} mask;

static void drop_units(mask *self, const esp_slice *slice, int64_t units, const int64_t *kept,
                       int64_t n_kept) {
  if (!kept) return; // not chosen yet: all stay
  for (int64_t u = 0, k = 0; u < units; u++) {
    const bool stays = k < n_kept && kept[k] == u;
    k += stays;
    for (int64_t i = 0; i < slice->width && !stays; i++)
      self->keep[slice->offset + u * slice->width + i] = false;
  }
}

static void drop_width(mask *self, const int64_t *kept, int64_t n_kept) {
  for (int64_t u = 0, k = 0; u < self->n; u++) {
    const bool stays = k < n_kept && kept[k] == u;
    k += stays;
    if (!stays) self->keep[u] = false;
  }
}

static void apply_slices(mask *self, const esp_slice *slices, int n, const esp_stage *stage,
                         const esp_selection *selection, int index) {
  for (int s = 0; s < n; s++)
    if (slices[s].weight == self->weight && slices[s].axis == self->axis) {
      self->is_touched = true;
      drop_units(self, &slices[s], stage->units, selection->kept[index], selection->n_kept[index]);
    }
}

/* What a group's units share goes with the last unit of all. */
static void apply_shared(mask *self, const esp_stage *stage, const esp_selection *selection,
                         int index) {
  if (!selection->kept[index] || selection->n_kept[index] > 0) return;
  for (int s = 0; s < stage->n_shared; s++)
    if (stage->shared[s].weight == self->weight && stage->shared[s].axis == self->axis) {
      self->is_touched = true;
      drop_units(self, &stage->shared[s], stage->units / stage->per_group, selection->kept[index],
                 0);
    }
}

/* The kept indices, owned by the caller; NULL where no site touches the axis. */
static int64_t *list_kept(const mask *self, int64_t *n_kept) {
  int64_t *list = self->is_touched ? ESP_NEW(int64_t, self->n) : NULL;
  *n_kept = 0;
  for (int64_t i = 0; i < self->n; i++) {
    if (!self->keep[i]) continue;
    if (list) list[*n_kept] = i;
    ++*n_kept;
  }
  return list;
}

int64_t *esp_selection_indices(const esp_selection *selection, const esp_model *dense, int weight,
                               int axis, int64_t *n_kept) {
  const int64_t n = dense->weights[weight].shape[axis];
  const int width = dense->n_stages; // the selection's last site
  mask self = {.weight = weight, .axis = axis, .n = n, .keep = ESP_NEW(bool, n)};
  memset(self.keep, true, (size_t)n * sizeof *self.keep);
  for (int i = 0; i < dense->n_stages; i++) {
    const esp_stage *stage = &dense->stages[i];
    apply_slices(&self, stage->producers, stage->n_producers, stage, selection, i);
    apply_slices(&self, stage->consumers, stage->n_consumers, stage, selection, i);
    apply_shared(&self, stage, selection, i);
  }
  if (selection->kept[width] && esp_model_has_width_axis(dense, weight, axis)) {
    self.is_touched = true;
    drop_width(&self, selection->kept[width], selection->n_kept[width]);
  }
  int64_t *list = list_kept(&self, n_kept);
  esp_free(&self.keep);
  return list;
}

static esp_status bind_view(const esp_model *dense, const esp_selection *selection, int index,
                            esp_weight *view) {
  const esp_weight *whole = &dense->weights[index];
  ESP_ASSERT(strstr(view->name, whole->name) && whole->rank == view->rank);
  esp_free(&view->name);
  view->name = esp_strdup(whole->name); // perhaps without the family's prefix
  view->type = whole->type;
  view->stored = whole->stored;
  memcpy(view->stored_shape, whole->stored_shape, sizeof view->stored_shape);
  for (int axis = 0; axis < view->rank; axis++) {
    int64_t n_kept;
    view->keep[axis] = esp_selection_indices(selection, dense, index, axis, &n_kept);
    if (n_kept != view->shape[axis])
      return esp_fail(
          ESP_FORMAT,
          "family '%s': weight '%s' keeps %lld of axis %d, but its resized configuration "
          "asks for %lld",
          dense->family->name, view->name, (long long)n_kept, axis, (long long)view->shape[axis]);
  }
  return ESP_OK;
}

esp_status esp_model_resize(const esp_model *dense, const int64_t *units, esp_model **resized) {
  json_t *config = json_deep_copy(dense->config);
  *resized = NULL;
  esp_status status = dense->family->resize(dense, units, config);
  if (status == ESP_OK) status = esp_model_new(config, resized);
  json_decref(config);
  ESP_ASSERT(status != ESP_OK || (*resized)->n_weights == dense->n_weights);
  for (int i = 0; i < dense->n_weights && status == ESP_OK; i++)
    (*resized)->weights[i].type = dense->weights[i].type;
  return status;
}

esp_status esp_model_cut(const esp_model *dense, const esp_selection *selection,
                         esp_model **pruned) {
  esp_status status = esp_model_resize(dense, selection->n_kept, pruned);
  if (status == ESP_OK) (*pruned)->is_masked = dense->is_masked;
  for (int i = 0; i < dense->n_weights && status == ESP_OK; i++)
    status = bind_view(dense, selection, i, &(*pruned)->weights[i]);
  if (status != ESP_OK) esp_model_free(pruned);
  return status;
}
