/* What a change of masks drops and grows, against NumPy (golden/policies_dynamic). */
#include "mpi.h"

#include "train/density.h"
#include "train/policies/drop_rules.h"
#include "train/policies/dynamic.h"

#include "mlp.h"

#include <jansson.h>

static const char reference[] = ESPALIER_TESTS "/golden/policies_dynamic/reference.json";
enum { STREAM_WEIGHTS = 1, STREAM_GRADIENTS = 2, STREAM_MOVES = 10, STREAM_GROWTH = 20 };

static const json_t *get(const json_t *object, const char *key) {
  return json_object_get(object, key);
}

static int64_t get_int(const json_t *object, const char *key) {
  return json_integer_value(get(object, key));
}

static double get_real(const json_t *object, const char *key) {
  return json_number_value(get(object, key));
}

static int64_t item(const json_t *list, int64_t i) {
  return json_integer_value(json_array_get(list, (size_t)i));
}

static void density_share_erk_as_numpy(void **state) {
  json_t *all = json_load_file(reference, 0, NULL);
  const json_t *rows = get(all, "erk");
  bool same = json_array_size(rows) > 0;
  (void)state;
  for (size_t r = 0; r < json_array_size(rows); r++) {
    const json_t *row = json_array_get(rows, r), *shapes = get(row, "shapes");
    const int n = (int)json_array_size(shapes);
    density_matrix *matrices = ESP_NEW(density_matrix, n);
    int64_t *keep = ESP_NEW(int64_t, n);
    for (int m = 0; m < n; m++) {
      const json_t *shape = json_array_get(shapes, (size_t)m);
      const int64_t a = item(shape, 0), b = item(shape, 1);
      matrices[m] = (density_matrix){a * b, b, a, 1};
    }
    density_share_erk(matrices, n, get_real(row, "sparsity"), keep);
    for (int m = 0; m < n; m++) same = same && keep[m] == item(get(row, "counts"), m);
    esp_free(&keep);
    esp_free(&matrices);
  }
  json_decref(all);
  ASSERT_ALL(same);
}

/* What a policy works on, without a training. */
typedef struct bench {
  json_t *all;
  const json_t *row;
  esp_model *model;
  esp_policy_options options;
  train_parts parts;
  train_pruning pruning;
  float *growth;
  uint8_t *is_new;
} bench;

static double draw(const bench *self, int stream, int64_t at) {
  return esp_rng_uniform((uint64_t)get_int(get(self->all, "changes"), "seed"), (uint64_t)stream,
                         (uint64_t)at);
}

static bench open_bench(const char *key, const char *granularity) {
  bench self = {.all = json_load_file(reference, 0, NULL)};
  self.row = get(self.all, key);
  int64_t layers[4];
  for (int i = 0; i < 4; i++) layers[i] = item(get(get(self.all, "changes"), "sizes"), i);
  self.model = mlp_new("relu", layers, 4, 11);
  bool *trains = ESP_NEW(bool, self.model->n_weights);
  for (int w = 0; w < self.model->n_weights; w++) trains[w] = true;
  parts_init(&self.parts, &test_comm, self.model, trains);
  esp_policy_options_init(&self.options);
  self.options.policy = esp_strdup("rigl");
  esp_free(&self.options.granularity);
  self.options.granularity = esp_strdup(granularity);
  self.growth = ESP_NEW(float, self.parts.n_own);
  self.is_new = ESP_NEW(uint8_t, self.parts.n_own);
  return self;
}

static void prepare(bench *self) {
  assert_int_equal(pruning_lay_out_local(&self->pruning, &self->parts, &self->options), ESP_OK);
  pruning_init(&test_comm, &self->pruning);
}

static void close_bench(bench *self) {
  esp_free(&self->growth);
  esp_free(&self->is_new);
  pruning_clear(&self->pruning);
  parts_clear(&self->parts);
  esp_policy_options_clear(&self->options);
  esp_model_free(&self->model);
  json_decref(self->all);
}

/* Every rank has its own part right. */
static void set_values(bench *self, bool is_stepped) {
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    float *value = parts_find_values(&self->parts, run);
    for (int64_t i = 0; i < run->n; i++) {
      const double u = draw(self, STREAM_WEIGHTS, run->place + i);
      value[i] = (float)((is_stepped ? floor(64.0 * u) / 64.0 : u) - 0.5);
    }
  }
}

static void move(bench *self, int number) {
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    float *value = parts_find_values(&self->parts, run);
    for (int64_t i = 0; i < run->n; i++) {
      const int64_t own = run->own + i, at = run->place + i;
      if (self->pruning.mask[own]) value[i] += (float)(draw(self, STREAM_MOVES + number, at) / 8);
      self->growth[own] = (float)(floor(32.0 * draw(self, STREAM_GROWTH + number, at)) / 32.0);
    }
  }
}

/* Whether the values of one matrix with mask `from` but not `to` are those listed. */
static bool is_listed(const bench *self, int m, const uint8_t *from, const uint8_t *to,
                      const json_t *lists) {
  const json_t *list = json_array_get(lists, (size_t)m);
  int64_t found = 0, right = 0;
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    if (self->pruning.matrix_of[run->weight] != m) continue;
    for (int64_t i = 0; i < run->n; i++) found += from[run->own + i] && !to[run->own + i];
    for (size_t k = 0; k < json_array_size(list); k++) {
      const int64_t i = item(list, (int64_t)k) - run->at;
      right += i >= 0 && i < run->n && from[run->own + i] && !to[run->own + i];
    }
  }
  const int64_t n = (int64_t)json_array_size(list);
  return esp_agree_sum_i64(&test_comm, found) == n && esp_agree_sum_i64(&test_comm, right) == n;
}

static bool are_new_zero(const bench *self, const uint8_t *before) {
  bool zero = true;
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const float *value = parts_find_values(&self->parts, run);
    for (int64_t i = 0; i < run->n; i++) {
      const bool is_new = self->pruning.mask[run->own + i] && !before[run->own + i];
      zero = zero && is_new == (bool)self->is_new[run->own + i] && (!is_new || value[i] == 0.0f);
    }
  }
  return zero;
}

/* One change against the script's; counts stay. */
static bool check_change(bench *self, int number) {
  const json_t *row = json_array_get(get(self->row, "rows"), (size_t)number);
  const double fraction = dynamic_get_fraction(get_real(self->row, "alpha"), get_int(row, "step"),
                                               get_int(self->row, "end"));
  uint8_t *before = ESP_NEW(uint8_t, self->parts.n_own);
  bool same = fabs(fraction - get_real(row, "fraction")) < 1e-15;
  move(self, number);
  memcpy(before, self->pruning.mask, (size_t)self->parts.n_own);
  const int64_t live = self->pruning.live;
  dynamic_change_weights(&test_comm, &self->pruning, self->growth, fraction, self->is_new);
  for (int m = 0; m < self->pruning.n_matrices; m++) {
    same = is_listed(self, m, before, self->pruning.mask, get(row, "dropped")) && same;
    same = is_listed(self, m, self->pruning.mask, before, get(row, "grown")) && same;
  }
  same = same && live == self->pruning.live && are_new_zero(self, before);
  esp_free(&before);
  return same;
}

static void dynamic_change_weights_drops_and_grows_as_numpy(void **state) {
  bench self = open_bench("changes", "weights");
  (void)state;
  self.options.final_sparsity = get_real(self.row, "sparsity");
  prepare(&self);
  set_values(&self, true);
  esp_train_request request = {.seed = (uint64_t)get_int(self.row, "seed")};
  training of = {.comm = &test_comm, .request = &request, .parts = self.parts};
  of.pruning = self.pruning;
  ASSERT_ALL(dynamic_begin(&of) == ESP_OK); // the arrays are shared
  self.pruning.live = of.pruning.live;
  int64_t counts = 0;
  for (int m = 0; m < self.pruning.n_matrices; m++) counts += item(get(self.row, "counts"), m);
  ASSERT_ALL(self.pruning.live == counts);
  for (int number = 0; number < 3; number++) ASSERT_ALL(check_change(&self, number));
  close_bench(&self);
}

static double compare_units(const json_t *expected, const double *found, int64_t n) {
  double worst = 0.0;
  for (int64_t u = 0; u < n; u++) {
    const double wanted = json_number_value(json_array_get(expected, (size_t)u));
    worst = fmax(worst, fabs(found[u] - wanted) / wanted);
  }
  return worst;
}

static bool lives_as(const train_pruning *self, const json_t *alive) {
  int64_t right = 0;
  for (size_t i = 0; i < json_array_size(alive); i++) right += self->alive[item(alive, (int64_t)i)];
  return right == (int64_t)json_array_size(alive) && self->live == right;
}

static void dynamic_change_units_scores_drops_and_grows_as_numpy(void **state) {
  bench self = open_bench("units", "units");
  (void)state;
  set_values(&self, false);
  prepare(&self);
  const int64_t n = self.pruning.units.n;
  for (int r = 0; r < self.parts.n_runs; r++)
    for (int64_t i = 0; i < self.parts.runs[r].n; i++)
      self.growth[self.parts.runs[r].own + i] =
          (float)(draw(&self, STREAM_GRADIENTS, self.parts.runs[r].place + i) - 0.5);
  double *standing = ESP_NEW(double, n), *gates = ESP_NEW(double, n);
  drop_rules_measure_magnitudes(&test_comm, &self.pruning, standing);
  dynamic_measure_gates(&test_comm, &self.pruning, self.growth, gates);
  ASSERT_ALL(compare_units(get(self.row, "standing"), standing, n) < 1e-9);
  ASSERT_ALL(compare_units(get(self.row, "gates"), gates, n) < 1e-9);
  const json_t *rows = get(self.row, "rows");
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    const dynamic_units change = {standing, gates, get_real(row, "fraction"),
                                  get_real(row, "sparsity")};
    dynamic_change_units(&test_comm, &self.pruning, &change, self.is_new);
    ASSERT_ALL(lives_as(&self.pruning, get(row, "alive")));
  }
  esp_free(&gates);
  esp_free(&standing);
  close_bench(&self);
}

/* New values: first moment 0, second moment that of the living of their block. */
static void dynamic_begin_slots_of_new_values(void **state) {
  bench self = open_bench("changes", "weights");
  const int64_t n = self.parts.n_own;
  float *slots[] = {ESP_NEW(float, n), ESP_NEW(float, n)};
  uint8_t *lives = ESP_NEW(uint8_t, n);
  const optimizer *method;
  bool same = true;
  (void)state;
  for (int64_t i = 0; i < n; i++) {
    self.is_new[i] = i % 5 == 0;
    lives[i] = i % 5 == 0 || i % 2 == 0;
    slots[0][i] = 3.0f;
    slots[1][i] = !lives[i] ? 100.0f : i % 5 == 0 ? 50.0f : 2.0f;
  }
  assert_int_equal(optimizer_find("adamw", &method), ESP_OK);
  dynamic_begin_slots(method, &self.parts, self.is_new, lives, slots);
  for (int64_t i = 0; i < n; i++)
    same = same && slots[0][i] == (self.is_new[i] ? 0.0f : 3.0f) &&
           slots[1][i] == (lives[i] ? 2.0f : 100.0f);
  for (int s = 0; s < 2; s++) esp_free(&slots[s]);
  esp_free(&lives);
  close_bench(&self);
  ASSERT_ALL(same);
}

ESP_TEST_MAIN(cmocka_unit_test(density_share_erk_as_numpy),
              cmocka_unit_test(dynamic_begin_slots_of_new_values),
              cmocka_unit_test(dynamic_change_weights_drops_and_grows_as_numpy),
              cmocka_unit_test(dynamic_change_units_scores_drops_and_grows_as_numpy))
