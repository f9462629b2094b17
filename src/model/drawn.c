#include "drawn.h"

#include "espalier/core/memory.h"
#include "espalier/model/cost.h"
#include "espalier/model/family.h"

#include <stdio.h>
#include <string.h>

static const char seed_name[] = "drawn.seed";
enum { AS_DRAWN, IS_ZERO, IS_OTHER, PER_BYTE = 4, BLOCK = 4096 };

void esp_family_init(esp_model *model, uint64_t seed) {
  for (int w = 0; w < model->n_weights; w++)
    model->family->draw(model, seed, (esp_weight_range){w, 0, esp_weight_count(&model->weights[w])},
                        model->weights[w].value);
}

static int64_t count_bytes(int64_t n) {
  return (n + PER_BYTE - 1) / PER_BYTE;
}

/* What HDF5 takes for the data set of other values (measured). */
enum { OTHERS_BYTES = 1600 };

double esp_weight_drawn_bytes(const esp_weight *weight, double others) {
  const int64_t n = esp_weight_count(weight);
  const double whole = (double)n * (double)esp_dtype_bytes(weight->type);
  const double beside = others > 0.0 ? OTHERS_BYTES + sizeof(float) * others : 0.0;
  const double parts = (double)count_bytes(n) + beside;
  return weight->rank == 2 && weight->type == ESP_F32 && parts < whole ? parts : whole;
}

static int get_code(const uint8_t *codes, int64_t i) {
  return codes[i / PER_BYTE] >> (2 * (i % PER_BYTE)) & 3;
}

static int choose_code(float value, float drawn) {
  if (memcmp(&value, &drawn, sizeof value) == 0) return AS_DRAWN;
  const float zero = 0.0f;
  return memcmp(&value, &zero, sizeof value) == 0 ? IS_ZERO : IS_OTHER;
}

/* Codes, and the other values in their order; returns how many. */
static int64_t encode(const esp_model *model, int weight, uint8_t *codes, float *others) {
  const esp_weight *of = &model->weights[weight];
  const int64_t n = esp_weight_count(of);
  float drawn[BLOCK];
  int64_t count = 0;
  for (int64_t begin = 0; begin < n; begin += BLOCK) {
    const esp_weight_range range = {weight, begin, n - begin < BLOCK ? n - begin : BLOCK};
    model->family->draw(model, model->seed, range, drawn);
    for (int64_t i = begin; i < begin + range.n; i++) {
      const int code = choose_code(of->value[i], drawn[i - begin]);
      codes[i / PER_BYTE] |= (uint8_t)(code << (2 * (i % PER_BYTE)));
      if (code == IS_OTHER) others[count++] = of->value[i];
    }
  }
  return count;
}

static esp_status write_part(const esp_model *model, int weight, const char *part,
                             const esp_h5_shape *shape, const void *data, esp_h5 *file) {
  char *name = esp_format("/model/%s.%s", model->weights[weight].name, part);
  const esp_status status = esp_h5_write_root(file, name, shape, data);
  esp_free(&name);
  return status;
}

esp_status drawn_write_seed(const esp_model *model, esp_h5 *file) {
  static const esp_h5_shape one = {ESP_U64, 1, {1}};
  if (!model->is_drawn) return ESP_OK;
  return esp_h5_write_root(file, "/model/drawn.seed", &one, &model->seed);
}

esp_status drawn_write(const esp_model *model, int weight, esp_h5 *file, bool *is_done) {
  const esp_weight *of = &model->weights[weight];
  const int64_t n = esp_weight_count(of), bytes = count_bytes(n);
  *is_done = false;
  if (!model->is_drawn || !of->value || of->rank != 2 || of->type != ESP_F32) return ESP_OK;
  uint8_t *codes = ESP_NEW(uint8_t, bytes);
  float *others = ESP_NEW(float, n);
  const int64_t count = encode(model, weight, codes, others);
  *is_done = bytes + (int64_t)sizeof(float) * count < (int64_t)sizeof(float) * n;
  const esp_h5_shape of_codes = {ESP_U8, 1, {bytes}}, of_others = {ESP_F32, 1, {count}};
  esp_status status = ESP_OK;
  if (*is_done) status = write_part(model, weight, "drawn", &of_codes, codes, file);
  if (*is_done && count > 0 && status == ESP_OK)
    status = write_part(model, weight, "trained", &of_others, others, file);
  esp_free(&others);
  esp_free(&codes);
  return status;
}

static const esp_tensor *find_part(const esp_model *model, int weight, const char *part) {
  char *name = esp_format("%s.%s", model->weights[weight].name, part);
  const esp_tensor *found = esp_tensor_set_find(model->source, name);
  esp_free(&name);
  return found;
}

/* -1: there is a code that means nothing. */
static int64_t count_others(const uint8_t *codes, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    if (get_code(codes, i) > IS_OTHER) return -1;
    count += get_code(codes, i) == IS_OTHER;
  }
  return count;
}

static bool has_type(const esp_tensor *tensor, esp_dtype type, int64_t n) {
  return tensor->type == type && esp_tensor_count_elements(tensor) == n;
}

static esp_status check_parts(const esp_model *model, int weight, const esp_tensor *codes,
                              const esp_tensor *others) {
  const esp_tensor *seed = esp_tensor_set_find(model->source, seed_name);
  const int64_t n = esp_weight_count(&model->weights[weight]);
  const bool fits = seed && has_type(seed, ESP_U64, 1) && has_type(codes, ESP_U8, count_bytes(n));
  const int64_t count = fits ? count_others(codes->data, n) : 0;
  if (fits && (others ? has_type(others, ESP_F32, count) : count == 0)) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: weight '%s': expected a seed, two bits an element and the values that are "
                  "not drawn, found others; the file is damaged",
                  model->path, model->weights[weight].name);
}

/* Elements of any alignment. */
static void decode(const uint8_t *codes, const char *others, int64_t n, float *values) {
  for (int64_t i = 0; i < n; i++) {
    const int code = get_code(codes, i);
    if (code == IS_ZERO) values[i] = 0.0f;
    if (code != IS_OTHER) continue;
    memcpy(&values[i], others, sizeof *values);
    others += sizeof *values;
  }
}

esp_status drawn_bind_local(esp_model *model, int weight, bool *is_found) {
  const esp_tensor *codes = find_part(model, weight, "drawn");
  const esp_tensor *others = find_part(model, weight, "trained");
  esp_weight *of = &model->weights[weight];
  const int64_t n = esp_weight_count(of);
  uint64_t seed;
  *is_found = codes != NULL;
  if (!codes) return ESP_OK;
  ESP_TRY(check_parts(model, weight, codes, others));
  memcpy(&seed, esp_tensor_set_find(model->source, seed_name)->data, sizeof seed);
  of->drawn = ESP_NEW(float, n);
  model->family->draw(model, seed, (esp_weight_range){weight, 0, n}, of->drawn);
  decode(codes->data, others ? others->data : NULL, n, of->drawn);
  of->type = ESP_F32;
  of->stored = of->drawn;
  return ESP_OK;
}

bool drawn_is_part(const esp_model *model, const esp_tensor *tensor) {
  if (strcmp(tensor->name, seed_name) == 0) return true;
  for (int w = 0; w < model->n_weights; w++)
    if (model->weights[w].drawn &&
        (find_part(model, w, "drawn") == tensor || find_part(model, w, "trained") == tensor))
      return true;
  return false;
}
