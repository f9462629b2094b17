/* Policies that learn scores or gates, and those that regularise what is irrelevant, against what
 * PyTorch makes of the same formulas (golden/policies_movement). */
#include "mpi.h"

#include "policies.h"

#include "espalier/io/h5.h"

static const char folder[] = ESPALIER_TESTS "/golden/policies_movement/";
static const int64_t shape[4] = {6, 9, 5, 3};
enum { STEPS = 40, N_VALUES = 131, N_UNITS = 14, COUNT = 50 };

static const char *get_text(const json_t *options, const char *key) {
  return json_string_value(json_object_get(options, key));
}

static double get_real(const json_t *options, const char *key) {
  return json_number_value(json_object_get(options, key));
}

static char *find_text(const json_t *options, const char *key) {
  return (char *)(uintptr_t)get_text(options, key);
}

static esp_policy_options read_policy(const json_t *from) {
  return (esp_policy_options){
      .policy = find_text(from, "policy"),
      .granularity = find_text(from, "granularity"),
      .distribution = find_text(from, "distribution"),
      .threshold = find_text(from, "threshold"),
      .gates_from = find_text(from, "gates_from"),
      .final_sparsity = get_real(from, "final_sparsity"),
      .prune_from = get_real(from, "prune_from"),
      .prune_to = get_real(from, "prune_to"),
      .prune_every = json_integer_value(json_object_get(from, "prune_every")),
      .score_rate = get_real(from, "score_rate"),
      .score_samples = 10,
      .penalty = get_real(from, "penalty"),
      .penalty_decay = json_integer_value(json_object_get(from, "penalty_decay")),
      .alpha = get_real(from, "alpha"),
      .prune_fraction = get_real(from, "prune_fraction"),
      .bound = get_real(from, "bound"),
  };
}

static esp_train_options make_options(const json_t *from) {
  static char constant[] = "constant";
  esp_train_options options = new_options(get_text(from, "optimizer"));
  options.steps = STEPS, options.batch = 10, options.micro_batch = 5;
  options.schedule = constant, options.warmup = 0.0;
  options.rate = get_real(from, "rate"), options.evaluate_every = 10;
  options.hold_out = json_integer_value(json_object_get(from, "hold_out"));
  return options;
}

/* Uniform numbers by their place among all values. */
static esp_model *make_model(void) {
  esp_model *model = mlp_new("gelu", shape, 4, 1);
  uint64_t next = 0;
  for (int w = 0; w < model->n_weights; w++)
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++)
      model->weights[w].value[i] = (float)(esp_rng_uniform(11, 7, next++) - 0.5);
  return model;
}

/* The largest difference where there is a number, in parts of what is allowed: 1e-5 of the range.
 */
static double compare_floats(const json_t *expected, const float *found) {
  double worst = 0.0, range = 1.0;
  for (size_t i = 0; i < json_array_size(expected); i++) {
    const json_t *number = json_array_get(expected, i);
    if (json_is_null(number)) continue;
    const double wanted = json_number_value(number);
    range = fmax(range, fabs(wanted));
    worst = fmax(worst, fabs((double)found[i] - wanted));
  }
  return worst / (1e-5 * range);
}

/* Only the matrices' values of an array by value. */
static void take_matrices(const float *all, float *matrices) {
  for (int l = 0; l < 3; l++) {
    const int64_t n = shape[l] * shape[l + 1];
    memcpy(matrices, all, (size_t)n * sizeof *all);
    matrices += n;
    all += n + shape[l + 1];
  }
}

/* What a checkpoint holds, on every rank. */
typedef struct state {
  float latent[N_VALUES], scores[N_VALUES], mask[N_VALUES];
  double units[4 * N_UNITS]; // alive, scores...
} state;

static void read_floats(esp_h5 *file, const char *name, float *values) {
  if (esp_h5_has(file, name)) assert_int_equal(esp_h5_read_all(file, name, values), ESP_OK);
}

static state read_state(const char *path) {
  esp_h5 *file = NULL;
  state self = {0};
  assert_int_equal(esp_h5_open(&test_comm, path, &file), ESP_OK);
  read_floats(file, esp_h5_has(file, "/latent") ? "/latent" : "/values", self.latent);
  read_floats(file, "/mask", self.mask);
  read_floats(file, "/policy0", self.scores);
  if (esp_h5_has(file, "/units"))
    assert_int_equal(esp_h5_read_all(file, "/units", self.units), ESP_OK);
  esp_h5_close(&file);
  return self;
}

static double compare_scores(const json_t *row, const state *found, bool by_units) {
  const json_t *expected = json_object_get(row, "scores");
  float scores[N_VALUES];
  for (int u = 0; u < N_UNITS; u++) scores[u] = (float)found->units[N_UNITS + u];
  if (!by_units) take_matrices(found->scores, scores);
  return compare_floats(expected, scores);
}

static bool has_mask(const json_t *row, const state *found, bool by_units) {
  const json_t *expected = json_object_get(row, "mask");
  float mask[N_VALUES];
  for (int u = 0; u < N_UNITS; u++) mask[u] = (float)found->units[u];
  if (!by_units) take_matrices(found->mask, mask);
  return json_array_size(expected) > 0 && compare_floats(expected, mask) == 0.0;
}

static double compare_result(const json_t *row, const esp_model *model) {
  float values[N_VALUES], *to = values;
  for (int w = 0; w < model->n_weights; w++) {
    const int64_t n = esp_weight_count(&model->weights[w]);
    memcpy(to, model->weights[w].value, (size_t)n * sizeof *to);
    to += n;
  }
  assert_int_equal(to - values, N_VALUES);
  return compare_floats(json_object_get(row, "result"), values);
}

/* Weights behind masks, scores and masks behind some steps. What one step of descent leaves shows
 * the gradient: to 1e-6. */
static void check_state(const json_t *row, policy_case *of) {
  const bool by_units = strcmp(of->policy->granularity, "units") == 0;
  ASSERT_ALL(policy_train(&test_comm, of, NULL) == ESP_INTERRUPTED);
  const state found = read_state(of->checkpoint);
  const double scores = compare_scores(row, &found, by_units);
  const double weights = compare_floats(json_object_get(row, "weights"), found.latent);
  print_message("\n%s, %s: scores %.2g, weights %.2g", of->policy->policy, of->policy->granularity,
                scores, weights);
  ASSERT_ALL(scores < 1.0 && weights < (of->options->stop_after == 1 ? 0.1 : 1.0));
  ASSERT_ALL(has_mask(row, &found, by_units));
}

/* The rest, from there. */
static void check_result(const json_t *row, policy_case *of) {
  ASSERT_ALL(policy_train(&test_comm, of, NULL) == ESP_OK);
  const double result_of = compare_result(row, of->model);
  print_message(", result %.2g of what is allowed", result_of);
  ASSERT_ALL(result_of < 1.0);
}

static void check_case(const json_t *row) {
  const json_t *from = json_object_get(row, "options");
  const esp_policy_options policy = read_policy(from);
  esp_train_options options = make_options(from);
  esp_dataset *data = mlp_data(COUNT, shape[0], 3);
  esp_model *model = make_model();
  options.stop_after = json_integer_value(json_object_get(from, "stop"));
  policy_case of = {model, data, &options, &policy, test_path("golden.checkpoint.h5")};
  check_state(row, &of);
  esp_model_free(&model);
  of.model = model = make_model();
  options.stop_after = 0;
  if (json_object_get(row, "result")) check_result(row, &of);
  esp_train_remove_checkpoint(&test_comm, of.checkpoint);
  esp_barrier(&test_comm);
  esp_model_free(&model);
  esp_dataset_close(&data);
}

static void policies_learn_as_pytorch(void **unused) {
  (void)unused;
  char *path = esp_format("%sreference.json", folder);
  json_t *all = json_load_file(path, 0, NULL);
  ASSERT_ALL(json_array_size(all) >= 17);
  for (size_t i = 0; i < json_array_size(all); i++) check_case(json_array_get(all, i));
  json_decref(all);
  esp_free(&path);
}

ESP_TEST_MAIN(cmocka_unit_test(policies_learn_as_pytorch))
