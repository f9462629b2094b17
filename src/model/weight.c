/* Loading of weights: gather of kept indices, conversion to float32, check for NaN. */
#include "espalier/model/model.h"

#include "espalier/core/finite.h"
#include "espalier/core/memory.h"
#include "espalier/model/cost.h"

#include <math.h>
#include <string.h>

int64_t esp_weight_count(const esp_weight *weight) {
  int64_t count = 1;
  for (int axis = 0; axis < weight->rank; axis++) count *= weight->shape[axis];
  return count;
}

float *esp_weight_own(esp_weight *weight) {
  if (weight->is_owned) esp_free(&weight->value);
  weight->value = ESP_NEW(float, esp_weight_count(weight));
  weight->is_owned = weight->is_final = true;
  return weight->value;
}

float *esp_weight_keep(esp_weight *weight) {
  ESP_ASSERT(weight->value);
  const float *mapped = weight->value;
  if (!weight->is_owned) {
    weight->value = ESP_NEW(float, esp_weight_count(weight));
    memcpy(weight->value, mapped, (size_t)esp_weight_count(weight) * sizeof *mapped);
  }
  weight->is_owned = weight->is_final = true;
  return weight->value;
}

static bool is_whole(const esp_weight *weight) {
  for (int axis = 0; axis < weight->rank; axis++)
    if (weight->keep[axis]) return false;
  return true;
}

static int64_t stored_index(const esp_weight *weight, int axis, int64_t i) {
  return weight->keep[axis] ? weight->keep[axis][i] : i;
}

/* One row of the last axis: converted whole, then picked from. */
static void gather_row(const esp_weight *weight, int64_t stored_row, float *scratch, float *out) {
  const int last = weight->rank - 1;
  const int64_t stored = weight->stored_shape[last];
  const char *from =
      (const char *)weight->stored + (size_t)(stored_row * stored) * esp_dtype_bytes(weight->type);
  float *to = weight->keep[last] ? scratch : out;
  esp_dtype_to_f32(weight->type, from, stored, to);
  if (!weight->keep[last]) return;
  for (int64_t j = 0; j < weight->shape[last]; j++) out[j] = scratch[weight->keep[last][j]];
}

static void apply_mask(const esp_weight *weight, int64_t first, int64_t n, float *values) {
  for (int64_t i = first; i < first + n && weight->mask; i++)
    if (!(weight->mask[i / 8] >> (i % 8) & 1)) values[i - first] = 0.0f;
}

/* n values from an element on. */
static esp_status check_finite(const esp_weight *weight, int64_t first, int64_t n,
                               const float *values) {
  const int64_t i = esp_find_beyond(values, n, INFINITY);
  if (i == n) return ESP_OK;
  return esp_fail(ESP_NUMERIC,
                  "weight '%s': expected finite numbers, found %g at element %lld; "
                  "the checkpoint is damaged",
                  weight->name, (double)values[i], (long long)(first + i));
}

/* Where a row of the last axis is stored. */
static int64_t find_stored_row(const esp_weight *weight, int64_t row) {
  int64_t stored_row = 0, stride = 1;
  for (int axis = weight->rank - 2; axis >= 0; axis--) {
    stored_row += stride * stored_index(weight, axis, row % weight->shape[axis]);
    stride *= weight->stored_shape[axis];
    row /= weight->shape[axis];
  }
  return stored_row;
}

/* All values, masked and looked through row by row, while a row is in the cache. */
static esp_status gather(const esp_weight *weight, float *out) {
  const int64_t columns = weight->shape[weight->rank - 1];
  const int64_t n_rows = columns > 0 ? esp_weight_count(weight) / columns : 0;
  float *scratch = ESP_NEW(float, weight->stored_shape[weight->rank - 1]);
  esp_status status = ESP_OK;
  for (int64_t row = 0; row < n_rows && status == ESP_OK; row++, out += columns) {
    gather_row(weight, find_stored_row(weight, row), scratch, out);
    apply_mask(weight, row * columns, columns, out);
    status = check_finite(weight, row * columns, columns, out);
  }
  esp_free(&scratch);
  return status;
}

/* Of a matrix; scratch (stored_shape[1]). */
static void read_row(const esp_weight *weight, int64_t row, float *scratch, float *out) {
  const int64_t n = weight->shape[1];
  if (weight->value) {
    memcpy(out, weight->value + row * n, (size_t)n * sizeof *out);
  } else {
    gather_row(weight, stored_index(weight, 0, row), scratch, out);
    apply_mask(weight, row * n, n, out);
  }
}

/* NULL where rows are converted in their place. */
static float *make_scratch(const esp_weight *weight) {
  return weight->value || !weight->keep[1] ? NULL : ESP_NEW(float, weight->stored_shape[1]);
}

void esp_weight_read_rows(const esp_weight *weight, int64_t n, const int32_t *rows, float *out) {
  float *scratch = make_scratch(weight);
  ESP_ASSERT(weight->rank == 2 && (weight->value || weight->stored));
#pragma omp parallel for if (!scratch)
  for (int64_t i = 0; i < n; i++) {
    ESP_ASSERT(rows[i] >= 0 && rows[i] < weight->shape[0]);
    read_row(weight, rows[i], scratch, out + i * weight->shape[1]);
  }
  esp_free(&scratch);
}

static esp_status check_rows(const esp_weight *weight) {
  const int64_t n = weight->shape[1];
  float *scratch = make_scratch(weight), *row = ESP_NEW(float, n);
  esp_status status = ESP_OK;
  ESP_ASSERT(weight->stored);
  for (int64_t r = 0; r < weight->shape[0] && status == ESP_OK; r++) {
    read_row(weight, r, scratch, row);
    status = check_finite(weight, r * n, n, row);
  }
  esp_free(&row);
  esp_free(&scratch);
  return status;
}

static bool is_usable_in_place(const esp_weight *weight) {
  return weight->type == ESP_F32 && is_whole(weight) && !weight->mask &&
         (uintptr_t)weight->stored % sizeof(float) == 0;
}

double esp_weight_loaded_bytes(const esp_weight *weight) {
  if (weight->is_final || is_usable_in_place(weight)) return 0.0;
  return sizeof(float) * (double)esp_weight_count(weight);
}

double esp_model_embedding_bytes(const esp_model *model) {
  double sum = 0.0;
  for (int i = 0; i < model->n_weights; i++)
    if (model->weights[i].stage == ESP_STAGE_EMBED && !model->weights[i].is_table)
      sum += esp_weight_loaded_bytes(&model->weights[i]);
  return sum;
}

double esp_model_loaded_bytes(const esp_model *model, int stage) {
  double sum = 0.0;
  for (int i = 0; i < model->n_weights; i++)
    if (model->weights[i].stage == stage) sum += esp_weight_loaded_bytes(&model->weights[i]);
  if (stage == model->n_stages && model->is_head_tied)
    sum += esp_model_loaded_bytes(model, ESP_STAGE_EMBED);
  return sum;
}

static void unload(esp_weight *weight) {
  if (weight->is_owned) esp_free(&weight->value);
  weight->value = NULL;
  weight->is_owned = false;
}

static esp_status load(esp_weight *weight) {
  const int64_t n = esp_weight_count(weight);
  esp_status status = ESP_OK;
  if (weight->value) return ESP_OK;
  ESP_ASSERT(weight->stored);
  if (is_usable_in_place(weight)) {
    weight->value = (float *)(uintptr_t)weight->stored; // read-only mapping, never written
    status = check_finite(weight, 0, n, weight->value);
  } else {
    weight->value = ESP_NEW_UNSET(float, n);
    weight->is_owned = true;
    status = gather(weight, weight->value);
  }
  if (status != ESP_OK) unload(weight); // so that a second load does not pass
  return status;
}

static esp_status load_for_rows(esp_weight *weight) {
  if (!weight->is_table || weight->value || is_usable_in_place(weight)) return load(weight);
  return check_rows(weight);
}

enum { USER_STAGE = 1, USER_HEAD = 2 };

static esp_status load_for(esp_model *model, int stage, unsigned user,
                           esp_status (*load_one)(esp_weight *weight)) {
  for (int i = 0; i < model->n_weights; i++) {
    if (model->weights[i].stage != stage) continue;
    ESP_TRY(load_one(&model->weights[i]));
    model->weights[i].users |= user;
  }
  return ESP_OK;
}

static void unload_for(esp_model *model, int stage, unsigned user) {
  for (int i = 0; i < model->n_weights; i++) {
    esp_weight *weight = &model->weights[i];
    if (weight->stage != stage) continue;
    weight->users &= ~user;
    if (weight->users == 0 && !weight->is_final) unload(weight);
  }
}

static bool reads_embedding(const esp_model *model, int stage) {
  return stage == model->n_stages && model->is_head_tied;
}

esp_status esp_model_load_local(esp_model *model, int stage) {
  ESP_TRY(load_for(model, stage, USER_STAGE, load));
  if (!reads_embedding(model, stage)) return ESP_OK;
  return load_for(model, ESP_STAGE_EMBED, USER_HEAD, load);
}

esp_status esp_model_load_embedding_local(esp_model *model) {
  return load_for(model, ESP_STAGE_EMBED, USER_STAGE, load_for_rows);
}

void esp_model_unload(esp_model *model, int stage) {
  if (reads_embedding(model, stage)) unload_for(model, ESP_STAGE_EMBED, USER_HEAD);
  unload_for(model, stage, USER_STAGE);
}

esp_status esp_model_load_all_local(esp_model *model) {
  for (int stage = ESP_STAGE_EMBED; stage <= model->n_stages; stage++)
    ESP_TRY(esp_model_load_local(model, stage));
  return ESP_OK;
}

void esp_model_unload_all(esp_model *model) {
  for (int stage = ESP_STAGE_EMBED; stage <= model->n_stages; stage++)
    esp_model_unload(model, stage);
}

esp_status esp_model_load_all(const esp_comm *comm, esp_model *model) {
  return esp_agree(comm, esp_model_load_all_local(model));
}
