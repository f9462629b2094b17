/* Scores at initialisation against PyTorch's (golden/policies_initial). */
#include "mpi.h"

#include "mlp.h"
#include "train/policies/start.h"
#include "train/synaptic_flow.h"

#include "espalier/io/dataset.h"

#include <jansson.h>
#include <math.h>

static char cosine[] = "cosine", exact[] = "exact", all[] = "all", adamw[] = "adamw",
            none[] = "none";

/* A model of reference.json, and its data. */
typedef struct example {
  json_t *root;
  esp_model *model;
  esp_dataset *data;
  esp_train_options how;
  esp_policy_options policy;
  training training;
  esp_train_request request;
} example;

static json_t *load_reference(void) {
  json_t *root = json_load_file(ESPALIER_TESTS "/golden/policies_initial/reference.json", 0, NULL);
  assert_non_null(root);
  return root;
}

static int64_t read_int(const json_t *list, int64_t i) {
  return json_integer_value(json_array_get(list, (size_t)i));
}

static double read_real(const json_t *list, int64_t i) {
  return json_number_value(json_array_get(list, (size_t)i));
}

static void set_values(esp_model *model, const json_t *values) {
  for (int w = 0; w < model->n_weights; w++) {
    const json_t *list = json_object_get(values, model->weights[w].name);
    ASSERT_ALL((int64_t)json_array_size(list) == esp_weight_count(&model->weights[w]));
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++)
      model->weights[w].value[i] = (float)read_real(list, i);
  }
}

static void set_samples(esp_dataset *data, const json_t *net) {
  for (int64_t i = 0; i < data->count * data->width; i++)
    data->pixels[i] = (uint8_t)read_int(json_object_get(net, "pixels"), i);
  for (int64_t i = 0; i < data->count; i++)
    data->labels[i] = (int32_t)read_int(json_object_get(net, "labels"), i);
}

static void open_perceptron(example *self) {
  const json_t *net = json_object_get(self->root, "perceptron"),
               *list = json_object_get(net, "sizes");
  int64_t sizes[4];
  for (int i = 0; i < 4; i++) sizes[i] = read_int(list, i);
  self->model = mlp_new("tanh", sizes, 4, 1);
  self->data = mlp_data((int64_t)json_array_size(json_object_get(net, "labels")), sizes[0],
                        (int32_t)sizes[3]);
  set_values(self->model, json_object_get(net, "values"));
  set_samples(self->data, net);
}

static void open_transformer(example *self) {
  static const char model[] = ESPALIER_TESTS "/golden/transformers/gpt2-f32";
  static const char data[] = ESPALIER_TESTS "/golden/training/tokens.h5";
  assert_int_equal(esp_model_open(&test_comm, model, &self->model), ESP_OK);
  assert_int_equal(esp_dataset_open(&test_comm, data, "train", &self->data), ESP_OK);
}

static void set_options(example *self, const char *which, const char *granularity) {
  self->how = (esp_train_options){.steps = 1,
                                  .batch = 16,
                                  .micro_batch = 3,
                                  .optimizer = adamw,
                                  .schedule = cosine,
                                  .gradients = exact,
                                  .trainable = all,
                                  .rate = 0.01};
  self->policy = (esp_policy_options){.policy = (char *)(uintptr_t)which,
                                      .granularity = (char *)(uintptr_t)granularity,
                                      .final_sparsity = 0.5,
                                      .rounds = -1,
                                      .score_samples = 1000, // all
                                      .control = none,
                                      .prune_fraction = -1.0};
  ASSERT_ALL(esp_policy_options_resolve(&self->policy) == ESP_OK);
}

static example open_example(bool is_perceptron, const char *which, const char *granularity) {
  example self = {.root = load_reference()};
  if (is_perceptron)
    open_perceptron(&self);
  else
    open_transformer(&self);
  set_options(&self, which, granularity);
  return self;
}

static void begin(example *self) {
  self->request = (esp_train_request){.model = self->model,
                                      .data = self->data,
                                      .options = &self->how,
                                      .policy = &self->policy,
                                      .seed = 5};
  ASSERT_ALL(train_open(&self->training, &test_comm, &self->request) == ESP_OK);
}

static void close_example(example *self) {
  train_close(&self->training);
  esp_model_free(&self->model);
  esp_dataset_close(&self->data);
  json_decref(self->root);
}

static const start_scores *find_scores(const char *which) {
  static const struct {
    const char *name;
    const start_scores *how;
  } rows[] = {{"snip", &start_snip},
              {"grasp", &start_grasp},
              {"synflow", &start_synflow},
              {"3sp", &start_three_sp}};
  int i = 0;
  while (strcmp(rows[i].name, which) != 0) i++;
  return rows[i].how;
}

static const json_t *find_row(const json_t *rows, const char *which) {
  size_t i = 0;
  while (strcmp(json_string_value(json_object_get(json_array_get(rows, i), "policy")), which) != 0)
    i++;
  return json_array_get(rows, i);
}

static const json_t *find_cases(const example *self, bool is_perceptron) {
  const json_t *net = json_object_get(self->root, is_perceptron ? "perceptron" : "transformer");
  return is_perceptron ? json_object_get(net, "cases") : net;
}

/* Of the values that this rank has: the largest difference, and the largest expected. */
static double compare_run(const parts_run *run, const json_t *expected, const float *scores,
                          double *largest) {
  const json_t *at = json_object_get(expected, "at");
  const json_t *list = at ? json_object_get(expected, "scores") : expected;
  double worst = 0.0;
  for (size_t k = 0; k < json_array_size(list); k++) {
    const int64_t i = at ? read_int(at, (int64_t)k) : (int64_t)k;
    const double wanted = read_real(list, (int64_t)k);
    *largest = fmax(*largest, fabs(wanted));
    if (i < run->at || i >= run->at + run->n) continue;
    worst = fmax(worst, fabs((double)scores[run->own + i - run->at] - wanted));
  }
  return worst;
}

/* Names of weights have the family's prefix. */
static const char *get_name(const training *self, int weight) {
  const char *name = self->parts.model->weights[weight].name;
  const char *layer = strstr(name, "h.");
  return strncmp(name, "layers.", 7) == 0 || !layer ? name : layer;
}

/* The largest difference, in parts of the largest score. */
static double compare_weights(const training *self, const json_t *row, const float *scores) {
  double worst = 0.0, largest = json_number_value(json_object_get(row, "range"));
  int compared = 0;
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const json_t *list =
        json_object_get(json_object_get(row, "weights"), get_name(self, run->weight));
    if (list) worst = fmax(worst, compare_run(run, list, scores, &largest));
    compared += list != NULL;
  }
  esp_allreduce_max_f64(&test_comm, &largest, 1);
  ASSERT_ALL(esp_agree_max_i64(&test_comm, compared) > 0);
  return esp_agree_max_f64(&test_comm, worst) / largest;
}

static double compare_units(const training *self, const json_t *row, const double *scores) {
  double worst = 0.0, largest = 0.0;
  for (int s = 0; s < self->pruning.units.n_sites; s++) {
    const units_site *site = &self->pruning.units.sites[s];
    const json_t *list =
        json_object_get(json_object_get(row, "units"), self->parts.model->stages[site->stage].name);
    ASSERT_ALL((int64_t)json_array_size(list) == site->n);
    for (int64_t u = 0; u < site->n; u++) {
      const double wanted = read_real(list, u);
      largest = fmax(largest, fabs(wanted));
      worst = fmax(worst, fabs(scores[site->first + u] - wanted));
    }
  }
  return worst / largest;
}

/* Of the largest score. */
static const double tolerance = 1e-5;

/* GraSP's product is a difference of float32 gradients, and terms of a unit's sum cancel. */
static double find_tolerance_of_units(const char *which) {
  return strcmp(which, "grasp") == 0 ? 2e-4 : tolerance;
}

static void check_weights(bool is_perceptron, const char *which) {
  example self = open_example(is_perceptron, which, "weights");
  begin(&self);
  const json_t *row = find_row(find_cases(&self, is_perceptron), which);
  float *scores = ESP_NEW(float, self.training.parts.n_own);
  ASSERT_ALL(find_scores(which)->of_weights(&self.training, scores) == ESP_OK);
  const double worst = compare_weights(&self.training, row, scores);
  print_message("%s, weights: %.2g\n", which, worst);
  ASSERT_ALL(worst < tolerance);
  esp_free(&scores);
  close_example(&self);
}

static void check_units(bool is_perceptron, const char *which) {
  example self = open_example(is_perceptron, which, "units");
  begin(&self);
  const json_t *row = find_row(find_cases(&self, is_perceptron), which);
  double *scores = ESP_NEW(double, self.training.pruning.units.n);
  ASSERT_ALL(find_scores(which)->of_units(&self.training, scores) == ESP_OK);
  const double worst = compare_units(&self.training, row, scores);
  print_message("%s, units: %.2g\n", which, worst);
  ASSERT_ALL(worst < find_tolerance_of_units(which));
  esp_free(&scores);
  close_example(&self);
}

static void scores_of_a_perceptron_are_pytorchs(void **state) {
  (void)state;
  check_weights(true, "snip");
  check_weights(true, "grasp");
  check_weights(true, "synflow");
  check_units(true, "snip");
  check_units(true, "grasp");
  check_units(true, "synflow");
  check_units(true, "3sp");
}

static void scores_of_a_transformer_are_pytorchs(void **state) {
  (void)state;
  check_weights(false, "snip");
  check_weights(false, "grasp");
  check_units(false, "snip");
  check_units(false, "grasp");
  check_units(false, "3sp");
}

/* Values of this rank whose mask is another than expected. */
static int64_t count_wrong(const training *self, const json_t *masks) {
  int64_t wrong = 0;
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const char *name = get_name(self, run->weight);
    const char *bits = json_string_value(json_object_get(masks, name));
    for (int64_t i = 0; i < run->n; i++)
      wrong += self->pruning.mask[run->own + i] != (!bits || bits[run->at + i] == '1');
  }
  return esp_agree_sum_i64(&test_comm, wrong);
}

static void check_cut(const char *which, const json_t *cut) {
  example self = open_example(true, which, "weights");
  self.policy.final_sparsity = json_number_value(json_object_get(cut, "sparsity"));
  self.policy.rounds = json_integer_value(json_object_get(cut, "rounds"));
  begin(&self);
  ASSERT_ALL(self.training.pruning.of->begin(&self.training) == ESP_OK);
  ASSERT_ALL(count_wrong(&self.training, json_object_get(cut, "masks")) == 0);
  close_example(&self);
}

static void masks_of_a_perceptron_are_pytorchs(void **state) {
  (void)state;
  json_t *root = load_reference();
  const json_t *cases = json_object_get(json_object_get(root, "perceptron"), "cases");
  int64_t n = 0;
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *row = json_array_get(cases, i), *cuts = json_object_get(row, "cuts");
    for (size_t k = 0; k < json_array_size(cuts); k++, n++)
      check_cut(json_string_value(json_object_get(row, "policy")), json_array_get(cuts, k));
  }
  ASSERT_ALL(n == 5);
  json_decref(root);
}

static bool has_bit(const char *hex, int64_t i) {
  const char digit = hex[i / 4];
  const int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
  return value >> (3 - i % 4) & 1;
}

/* Values of this rank whose mask is another than expected, and whose score is not that of the
 * threshold within the tolerance of scores. */
static int64_t count_wrong_beyond(const training *self, const json_t *row, const float *scores,
                                  double near) {
  const double threshold = json_number_value(json_object_get(row, "threshold"));
  int64_t wrong = 0;
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const char *name = get_name(self, run->weight);
    const char *hex = json_string_value(json_object_get(json_object_get(row, "masks"), name));
    for (int64_t i = 0; hex && i < run->n; i++)
      wrong += self->pruning.mask[run->own + i] != has_bit(hex, run->at + i) &&
               fabs((double)scores[run->own + i] - threshold) > near;
  }
  return esp_agree_sum_i64(&test_comm, wrong);
}

static void check_mask_of_transformer(const char *which) {
  example self = open_example(false, which, "weights");
  const json_t *row = find_row(json_object_get(self.root, "transformer"), which);
  self.policy.final_sparsity = json_number_value(json_object_get(row, "sparsity"));
  begin(&self);
  float *scores = ESP_NEW(float, self.training.parts.n_own);
  const double range = json_number_value(json_object_get(row, "range"));
  ASSERT_ALL(find_scores(which)->of_weights(&self.training, scores) == ESP_OK);
  ASSERT_ALL(self.training.pruning.of->begin(&self.training) == ESP_OK);
  ASSERT_ALL(count_wrong_beyond(&self.training, row, scores, tolerance * range) == 0);
  ASSERT_ALL(llround(0.2 * (double)self.training.pruning.n_prunable) == self.training.pruning.live);
  esp_free(&scores);
  close_example(&self);
}

static void masks_of_a_transformer_are_pytorchs_up_to_near_ties(void **state) {
  (void)state;
  check_mask_of_transformer("snip");
  check_mask_of_transformer("grasp");
}

/* Tanaka et al. 2020: all of a layer's together are R, and all that reaches and leaves a neuron is
 * the same. */
static void synaptic_flow_is_conserved(void **state) {
  (void)state;
  const int64_t sizes[] = {30, 50, 40, 40, 20, 5};
  esp_model *model = mlp_new("relu", sizes, 6, 3);
  synaptic_flow flow;
  for (int64_t i = 0; i < esp_weight_count(&model->weights[4]); i++)
    model->weights[4].value[i] *= i % 3 == 0 ? 1e-20f : 1e15f; // far out of one float's range
  synaptic_flow_init(&flow, model);
  for (int l = 0; l < flow.n_layers; l++) {
    double sum = 0.0, inputs = 0.0;
    for (int64_t i = 0; i < sizes[l] * sizes[l + 1]; i++)
      sum += synaptic_flow_of_weight(&flow, l, i);
    for (int64_t j = 0; j < sizes[l]; j++) inputs += synaptic_flow_of_input(&flow, l, j);
    ASSERT_ALL(fabs(sum - 1.0) < 1e-12 && fabs(inputs - 1.0) < 1e-12);
  }
  synaptic_flow_clear(&flow);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(scores_of_a_perceptron_are_pytorchs),
              cmocka_unit_test(scores_of_a_transformer_are_pytorchs),
              cmocka_unit_test(masks_of_a_perceptron_are_pytorchs),
              cmocka_unit_test(masks_of_a_transformer_are_pytorchs_up_to_near_ties),
              cmocka_unit_test(synaptic_flow_is_conserved))
