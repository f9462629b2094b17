#include "keep.h"

#include "espalier/core/memory.h"
#include "espalier/select/allocation.h"

static int64_t *set_count(esp_selection *selection, int site, int64_t n) {
  selection->n_kept[site] = n;
  selection->kept[site] = ESP_NEW(int64_t, n);
  return selection->kept[site];
}

static void keep_lowest(int64_t n, int64_t *kept) {
  for (int64_t u = 0; u < n; u++) kept[u] = u;
}

void keep_first(const esp_stage *stage, int site, const int64_t *order, int64_t n,
                esp_selection *selection) {
  int64_t *kept = set_count(selection, site, n);
  if (!order) {
    keep_lowest(n, kept);
    return;
  }
  int64_t *grouped = ESP_NEW(int64_t, stage->units);
  esp_order_by_groups(order, stage->units, stage->per_group, grouped);
  esp_keep_first(grouped, n, kept);
  esp_free(&grouped);
}

void keep_dimensions(const esp_model *dense, const int64_t *order, int64_t n,
                     esp_selection *selection) {
  int64_t *kept = set_count(selection, dense->n_stages, n);
  if (order)
    esp_keep_first(order, n, kept);
  else
    keep_lowest(n, kept);
}

void keep_all(const esp_stage *stage, int site, esp_selection *selection) {
  keep_lowest(stage->units, set_count(selection, site, stage->units));
}
