/* Trainings by dynamic sparse training and by freezing: against NumPy (golden/policies_dynamic),
 * and against themselves, at other rank counts and resumed. */
#include "mpi.h"

#include "policy_runs.h"

#include "espalier/io/h5.h"

static const char reference[] = ESPALIER_TESTS "/golden/policies_dynamic/reference.json";

static const json_t *get(const json_t *object, const char *key) {
  return json_object_get(object, key);
}

static int64_t get_int(const json_t *object, const char *key) {
  return json_integer_value(get(object, key));
}

static int64_t item(const json_t *list, int64_t i) {
  return json_integer_value(json_array_get(list, (size_t)i));
}

static void set_rule(esp_policy_options *options, const char *rule) {
  esp_free(&options->drop_rule);
  options->drop_rule = esp_strdup(rule);
}

static esp_policy_options options_of(const json_t *row) {
  esp_policy_options options = policies_options(json_string_value(get(row, "policy")),
                                                json_string_value(get(row, "granularity")));
  set_rule(&options, json_string_value(get(row, "rule")));
  options.final_sparsity = 0.6;
  options.prune_every = 4;
  options.drop_fraction = 0.5;
  return options;
}

static bool is_zero_elsewhere(const esp_weight *weight, const json_t *mask) {
  int64_t live = 0, right = 0;
  for (int64_t i = 0; i < esp_weight_count(weight); i++) live += weight->value[i] != 0.0f;
  for (size_t k = 0; k < json_array_size(mask); k++)
    right += weight->value[item(mask, (int64_t)k)] != 0.0f;
  return live == right && right == (int64_t)json_array_size(mask);
}

static bool is_run(const esp_model *model, const json_t *row) {
  double worst = 0.0;
  bool same = true;
  for (int w = 0; w < model->n_weights; w++) {
    const esp_weight *weight = &model->weights[w];
    const json_t *values = json_array_get(get(row, "values"), (size_t)w);
    for (int64_t i = 0; i < esp_weight_count(weight); i++)
      worst = fmax(worst, fabs((double)weight->value[i] -
                               json_number_value(json_array_get(values, (size_t)i))));
    if (w % 2 == 0)
      same = same && is_zero_elsewhere(weight, json_array_get(get(row, "nonzero"), (size_t)w / 2));
  }
  print_message("%s, %s, %s: %.2g\n", json_string_value(get(row, "policy")),
                json_string_value(get(row, "granularity")), json_string_value(get(row, "rule")),
                worst);
  return same && worst < 1e-5;
}

static esp_train_options sgd(void) {
  esp_train_options options = new_options("sgd");
  options.steps = 24;
  return options;
}

static void esp_train_masks_and_weights_as_numpy(void **state) {
  json_t *all = json_load_file(reference, 0, NULL);
  const json_t *runs = get(all, "runs");
  (void)state;
  bool good = json_array_size(runs) == 10;
  for (size_t r = 0; r < json_array_size(runs); r++) {
    const json_t *row = json_array_get(runs, r);
    esp_policy_options options = options_of(row);
    const esp_train_options how = sgd();
    policies_run run = policies_open("relu", sizes);
    ASSERT_ALL(policies_train(&test_comm, &run, &how, &options, (place){0}) == ESP_OK);
    if (!is_run(run.model, row)) good = false;
    policies_close(&run);
    esp_policy_options_clear(&options);
  }
  json_decref(all);
  ASSERT_ALL(good);
}

/* Scores of single weights are an array of the checkpoint, by place. */
static double compare_scores(const char *path, const policies_run *run, const json_t *lists) {
  float scores[256];
  double worst = 0.0;
  int64_t at = 0;
  esp_h5 *file = NULL;
  assert_int_equal(esp_h5_open(&test_comm, path, &file), ESP_OK);
  assert_int_equal(esp_h5_read_all(file, "/policy0", scores), ESP_OK);
  esp_h5_close(&file);
  for (int w = 0; w < run->model->n_weights; w++) {
    const json_t *list = w % 2 == 0 ? json_array_get(lists, (size_t)w / 2) : NULL;
    for (size_t i = 0; i < json_array_size(list); i++)
      worst = fmax(worst, fabs((double)scores[at + (int64_t)i] -
                               json_number_value(json_array_get(list, i))));
    at += esp_weight_count(&run->model->weights[w]);
  }
  return worst;
}

static void esp_train_scores_by_edge_popup_as_numpy(void **state) {
  json_t *all = json_load_file(reference, 0, NULL);
  const json_t *row = json_array_get(get(all, "runs"), 6);
  esp_policy_options options = options_of(row);
  esp_train_options how = sgd();
  policies_run run = policies_open("relu", sizes);
  char *path = esp_strdup(test_path("scores.checkpoint.h5"));
  (void)state;
  how.stop_after = get_int(row, "scored");
  ASSERT_ALL(policies_train(&test_comm, &run, &how, &options, (place){.checkpoint = path}) ==
             ESP_INTERRUPTED);
  const double worst = compare_scores(path, &run, get(row, "scores"));
  print_message("scores: %.2g\n", worst);
  ASSERT_ALL(worst < 1e-5);
  esp_free(&path);
  policies_close(&run);
  esp_policy_options_clear(&options);
  json_decref(all);
}

/* Large enough that the values of a layer are dealt to several ranks. */
static const int64_t wide[4] = {64, 90, 50, CLASSES};

static esp_train_options adamw(void) {
  esp_train_options options = new_options("adamw");
  options.epochs = 2;
  options.hold_out = 4, options.evaluate_every = 2;
  return options;
}

/* All numbers of a training on this rank; stopped once before. */
static uint64_t hash_run(const esp_comm *comm, const esp_policy_options *policy,
                         const char *checkpoint) {
  esp_train_options options = adamw();
  policies_run run = policies_open("gelu", wide);
  const place at = {.checkpoint = checkpoint};
  if (checkpoint) {
    options.stop_after = 3;
    ASSERT_ALL(policies_train(comm, &run, &options, policy, at) == ESP_INTERRUPTED);
    options.stop_after = 0;
    policies_close(&run);
    run = policies_open("gelu", wide);
  }
  if (policies_train(comm, &run, &options, policy, at) != ESP_OK)
    fail_msg("%s", esp_failure_text());
  uint64_t hash = hash_weights(run.model);
  for (int i = 0; i < run.report.n_points; i++)
    hash = esp_hash(hash, &run.report.points[i], sizeof run.report.points[i]);
  policies_close(&run);
  return hash;
}

static uint64_t hash_alone(const esp_policy_options *policy) {
  esp_comm self;
  esp_comm_init_local(&self);
  const uint64_t hash = hash_run(&self, policy, NULL);
  esp_comm_clear(&self);
  return hash;
}

static const char *const kinds[][3] = {
    {"set", "weights"},        {"rigl", "weights"},      {"snfs", "weights"},
    {"set", "units"},          {"rigl", "units"},        {"snfs", "units"},
    {"edge-popup", "weights"}, {"freezenet", "weights"}, {"snfs", "units", "set-mi"}};

static void esp_train_gives_the_bits_of_one_rank_and_of_one_that_never_stopped(void **state) {
  uint64_t one[ESP_COUNT(kinds)];
  bool differ = true;
  (void)state;
  for (size_t i = 0; i < ESP_COUNT(kinds); i++) {
    esp_policy_options policy = policies_options(kinds[i][0], kinds[i][1]);
    if (kinds[i][2]) set_rule(&policy, kinds[i][2]);
    char *path = esp_format("%s.checkpoint.h5", test_path(kinds[i][0]));
    esp_train_remove_checkpoint(&test_comm, path);
    esp_barrier(&test_comm);
    one[i] = hash_alone(&policy);
    ASSERT_ALL(hash_run(&test_comm, &policy, NULL) == one[i]);
    ASSERT_ALL(hash_run(&test_comm, &policy, path) == one[i]);
    for (size_t j = 0; j < i; j++) differ = differ && one[j] != one[i];
    esp_train_remove_checkpoint(&test_comm, path);
    esp_free(&path);
    esp_policy_options_clear(&policy);
  }
  ASSERT_ALL(differ);
}

static void esp_train_keeps_counts_from_the_first_step_on(void **state) {
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    esp_policy_options policy = policies_options(kinds[i][0], "weights");
    esp_train_options options = adamw();
    policies_run run = policies_open("gelu", wide);
    options.evaluate_every = 1;
    policy.prune_every = 2;
    policy.final_sparsity = 0.8;
    ASSERT_ALL(policies_train(&test_comm, &run, &options, &policy, (place){0}) == ESP_OK);
    bool same = run.report.n_points > 5;
    for (int p = 1; p < run.report.n_points; p++)
      same = same && run.report.points[p].sparsity == run.report.points[0].sparsity;
    ASSERT_ALL(same && fabs(run.report.points[0].sparsity - 0.8) < 1e-3);
    policies_close(&run);
    esp_policy_options_clear(&policy);
  }
}

/* How many values of matrices are those of a new model with the same seed. */
static int64_t count_kept(const esp_model *model, const esp_model *first) {
  int64_t n = 0;
  for (int w = 0; w < model->n_weights; w += 2)
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++)
      n += memcmp(&model->weights[w].value[i], &first->weights[w].value[i], sizeof(float)) == 0;
  return n;
}

static int64_t count_zeros(const esp_model *model) {
  int64_t n = 0;
  for (int w = 0; w < model->n_weights; w += 2)
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++)
      n += model->weights[w].value[i] == 0.0f;
  return n;
}

/* Those that train are others after decay and momentum; those that are frozen have their bits. */
static void check_frozen(const char *name, double sparsity) {
  esp_policy_options policy = policies_options(name, "weights");
  const esp_train_options options = adamw();
  policies_run run = policies_open("gelu", wide);
  esp_model *first = mlp_new("gelu", wide, 4, 11);
  const bool is_masked = strcmp(name, "edge-popup") == 0;
  const int64_t n = 64 * 90 + 90 * 50 + 50 * CLASSES;
  policy.final_sparsity = sparsity;
  ASSERT_ALL(policies_train(&test_comm, &run, &options, &policy, (place){0}) == ESP_OK);
  const int64_t kept = count_kept(run.model, first), zeros = count_zeros(run.model);
  ASSERT_ALL(is_masked ? kept + zeros == n : kept == llround(sparsity * (double)n));
  ASSERT_ALL(is_masked ? llabs(zeros - llround(sparsity * (double)n)) < 3 : zeros == 0);
  esp_model_free(&first);
  policies_close(&run);
  esp_policy_options_clear(&policy);
}

static void esp_train_leaves_frozen_weights_as_the_seed_has_them(void **state) {
  (void)state;
  check_frozen("freezenet", 0.9);
  check_frozen("edge-popup", 0.5);
}

static esp_status refuse(const char *name, int64_t every, const char *kinds_of_sites) {
  esp_policy_options policy = policies_options(name, "weights");
  const esp_train_options options = adamw();
  policies_run run = policies_open("gelu", wide);
  policy.prune_every = every;
  policy.kinds = kinds_of_sites ? esp_strdup(kinds_of_sites) : NULL;
  const esp_status status = policies_train(&test_comm, &run, &options, &policy, (place){0});
  policies_close(&run);
  esp_policy_options_clear(&policy);
  return status;
}

static void esp_train_refuses_what_would_not_train_or_not_change(void **state) {
  (void)state;
  ASSERT_ALL(failed(refuse("rigl", 1, NULL), ESP_USAGE, "expected --prune-every 2 or more"));
  ASSERT_ALL(failed(refuse("set", 1000, NULL), ESP_USAGE, "give a smaller --prune-every"));
  ASSERT_ALL(failed(refuse("freezenet", -1, "ffn"), ESP_USAGE, "(hidden)"));
}

static void esp_train_refuses_set_mi_of_weights_and_of_all_sites_together(void **state) {
  const esp_train_options options = adamw();
  (void)state;
  for (int is_global = 0; is_global < 2; is_global++) {
    esp_policy_options policy = policies_options("rigl", is_global ? "units" : "weights");
    policies_run run = policies_open("gelu", wide);
    set_rule(&policy, "set-mi");
    if (is_global) policy.distribution = esp_strdup("global");
    ASSERT_ALL(
        failed(policies_train(&test_comm, &run, &options, &policy, (place){0}), ESP_USAGE,
               is_global ? "expected --distribution uniform" : "expected --granularity units"));
    policies_close(&run);
    esp_policy_options_clear(&policy);
  }
}

static void esp_train_by_freezing_has_no_units(void **state) {
  esp_policy_options policy = policies_options("edge-popup", "units");
  const esp_train_options options = adamw();
  policies_run run = policies_open("gelu", wide);
  (void)state;
  ASSERT_ALL(failed(policies_train(&test_comm, &run, &options, &policy, (place){0}), ESP_USAGE,
                    "expected --granularity weights"));
  policies_close(&run);
  esp_policy_options_clear(&policy);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_train_masks_and_weights_as_numpy),
              cmocka_unit_test(esp_train_scores_by_edge_popup_as_numpy),
              cmocka_unit_test(esp_train_gives_the_bits_of_one_rank_and_of_one_that_never_stopped),
              cmocka_unit_test(esp_train_keeps_counts_from_the_first_step_on),
              cmocka_unit_test(esp_train_leaves_frozen_weights_as_the_seed_has_them),
              cmocka_unit_test(esp_train_refuses_what_would_not_train_or_not_change),
              cmocka_unit_test(esp_train_refuses_set_mi_of_weights_and_of_all_sites_together),
              cmocka_unit_test(esp_train_by_freezing_has_no_units))
