/* Policies that learn scores or gates, and those that regularise: the same bits at any rank count
 * and from a checkpoint, gates' gradients against differences of the loss, and what each promises.
 */
#include "mpi.h"

#include "policies.h"
#include "small.h"

#include "espalier/io/h5.h"

enum { VOCABULARY = 150, N_UNITS = 14, N_WEIGHTS = 114, STEPS = 8 };

/* A policy's options, resolved; texts are borrowed. */
static esp_policy_options make_policy(const char *name, bool by_units) {
  static char weights[] = "weights", units[] = "units", hard[] = "hard", constant[] = "constant";
  esp_policy_options self = {.policy = (char *)(uintptr_t)name,
                             .granularity = by_units ? units : weights,
                             .threshold = hard,
                             .gates_from = constant,
                             .final_sparsity = 0.5,
                             .prune_from = 0.25,
                             .prune_to = 0.75,
                             .prune_every = 1,
                             .score_rate = 2.0,
                             .score_samples = 9,
                             .penalty = 0.1,
                             .alpha = 0.01,
                             .prune_fraction = 0.2,
                             .bound = 1.5};
  return self;
}

/* One of all policies; NULL ends. */
typedef struct choice {
  const char *name, *detail; // threshold, or what gates begin with
  bool by_units;
} choice;

static const choice choices[] = {
    {"movement", "hard", false},  {"movement", "hard", true},  {"movement", "soft", false},
    {"movement", "soft", true},   {"l0", NULL, false},         {"l0", NULL, true},
    {"gates", "constant", true},  {"gates", "norms", true},    {"gates", "gradients", true},
    {"irrelevance", NULL, false}, {"irrelevance", NULL, true}, {"l1", NULL, false},
    {"l2", NULL, true},
};

static esp_policy_options make_choice(const choice *of) {
  esp_policy_options self = make_policy(of->name, of->by_units);
  char *detail = (char *)(uintptr_t)of->detail;
  if (strcmp(of->name, "movement") == 0) self.threshold = detail;
  if (strcmp(of->name, "gates") == 0) self.gates_from = detail;
  return self;
}

/* Heads in groups, and several blocks of values a stage. */
static esp_model *make_llama(void) {
  esp_model *model = NULL;
  json_t *config =
      json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "model_type", "llama",
                "hidden_size", 48, "num_hidden_layers", 1, "num_attention_heads", 4,
                "num_key_value_heads", 2, "head_dim", 12, "intermediate_size", 100, "vocab_size",
                VOCABULARY, "max_position_embeddings", 16, "tie_word_embeddings", 1);
  assert_int_equal(esp_model_new(config, &model), ESP_OK);
  json_decref(config);
  esp_model_own_all(model);
  model->family->init(model, 11);
  return model;
}

static esp_train_options make_options(void) {
  esp_train_options options = new_options("adamw");
  options.steps = STEPS, options.batch = 9, options.micro_batch = 2;
  options.hold_out = 4, options.evaluate_every = 2;
  options.clip = 1.0;
  return options;
}

/* All numbers of a training on this rank; stop_after 0: undisturbed. */
static uint64_t run(const esp_comm *comm, const choice *of, int64_t stop_after, const char *path) {
  const esp_policy_options policy = make_choice(of);
  esp_train_options options = make_options();
  esp_dataset *data = small_tokens_new(26, 10, VOCABULARY);
  esp_model *model = make_llama();
  esp_train_report report;
  options.stop_after = stop_after;
  const policy_case with = {model, data, &options, &policy, path};
  const esp_status status = policy_train(comm, &with, &report);
  if (status != ESP_OK && stop_after == 0) fail_msg("%s", esp_failure_text());
  uint64_t hash = hash_weights(model) + (uint64_t)status;
  for (int i = 0; i < report.n_points; i++)
    hash = esp_hash(hash, &report.points[i], sizeof report.points[i]);
  hash = esp_hash(hash, report.policy.irrelevance, sizeof report.policy.irrelevance);
  esp_train_report_clear(&report);
  esp_model_free(&model);
  esp_dataset_close(&data);
  return hash;
}

static uint64_t run_alone(const choice *of) {
  esp_comm self;
  esp_comm_init_local(&self);
  const uint64_t hash = run(&self, of, 0, NULL);
  esp_comm_clear(&self);
  return hash;
}

/* And those of every policy are others. */
static void policies_give_the_bits_of_one_rank_and_of_a_run_that_never_stopped(void **state) {
  (void)state;
  uint64_t one[ESP_COUNT(choices)];
  bool differ = true;
  for (size_t i = 0; i < ESP_COUNT(choices); i++) {
    const char *path = test_path("bits.checkpoint.h5");
    one[i] = run_alone(&choices[i]);
    run(&test_comm, &choices[i], 3 + (int64_t)i % 4, path);
    const uint64_t resumed = run(&test_comm, &choices[i], 0, path);
    ASSERT_ALL(resumed == one[i]);
    esp_train_remove_checkpoint(&test_comm, path);
    esp_barrier(&test_comm);
    for (size_t j = 0; j < i; j++) differ = differ && one[j] != one[i];
  }
  ASSERT_ALL(differ);
}

/* A training of the small perceptron on all ranks; report: the caller's. */
static esp_status train_small(esp_model *model, const esp_train_options *options,
                              const esp_policy_options *policy, esp_train_report *report) {
  esp_dataset *data = mlp_data(SAMPLES, WIDTH, CLASSES);
  const policy_case of = {model, data, options, policy, NULL};
  const esp_status status = policy_train(&test_comm, &of, report);
  esp_dataset_close(&data);
  return status;
}

static uint64_t hash_small(const esp_policy_options *policy) {
  esp_train_options options = new_options("adamw");
  esp_train_report report;
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  options.hold_out = 4;
  ASSERT_ALL(train_small(model, &options, policy, &report) == ESP_OK);
  const uint64_t hash = hash_weights(model);
  esp_train_report_clear(&report);
  esp_model_free(&model);
  return hash;
}

static void irrelevance_without_end_is_l2(void **state) {
  (void)state;
  for (int by_units = 0; by_units < 2; by_units++) {
    esp_policy_options selective = make_policy("irrelevance", by_units);
    const esp_policy_options plain = make_policy("l2", by_units);
    ASSERT_ALL(hash_small(&selective) != hash_small(&plain));
    selective.alpha = 1e30;
    ASSERT_ALL(hash_small(&selective) == hash_small(&plain));
  }
}

/* The loss of all samples, where a unit's activation is read factor times. */
static double measure(int stage, int64_t unit, double factor) {
  esp_train_options options = new_options("sgd");
  esp_train_report report;
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  const esp_slice *reader = &model->stages[stage].consumers[0];
  esp_weight *weight = &model->weights[reader->weight];
  for (int64_t o = 0; o < weight->shape[0]; o++)
    weight->value[o * weight->shape[1] + unit] *= (float)factor;
  options.steps = 1, options.batch = SAMPLES;
  assert_int_equal(train_small(model, &options, NULL, &report), ESP_OK);
  const double loss = report.points[0].loss;
  esp_train_report_clear(&report);
  esp_model_free(&model);
  return loss;
}

/* Adam's first moment of scores behind a step, without momentum: their gradient. */
static void measure_gates(double *units) {
  const char *path = test_path("gates.checkpoint.h5");
  const esp_policy_options policy = make_policy("movement", true);
  esp_train_options options = new_options("adamw");
  esp_dataset *data = mlp_data(SAMPLES, WIDTH, CLASSES);
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  esp_h5 *file = NULL;
  options.steps = 4, options.batch = SAMPLES, options.momentum = 0.0, options.stop_after = 1;
  const policy_case of = {model, data, &options, &policy, path};
  ASSERT_ALL(policy_train(&test_comm, &of, NULL) == ESP_INTERRUPTED);
  assert_int_equal(esp_h5_open(&test_comm, path, &file), ESP_OK);
  assert_int_equal(esp_h5_read_all(file, "/units", units), ESP_OK);
  esp_h5_close(&file);
  esp_train_remove_checkpoint(&test_comm, path);
  esp_barrier(&test_comm);
  esp_model_free(&model);
  esp_dataset_close(&data);
}

static void movement_of_a_unit_is_the_slope_of_the_loss_over_its_gate(void **state) {
  (void)state;
  const double h = 0.02;
  double units[4 * N_UNITS], worst = 0.0, largest = 0.0;
  measure_gates(units);
  for (int u = 0; u < N_UNITS; u++) {
    const int stage = u < sizes[1] ? 0 : 1;
    const int64_t unit = stage ? u - sizes[1] : u;
    const double slope = (measure(stage, unit, 1.0 + h) - measure(stage, unit, 1.0 - h)) / (2 * h);
    worst = fmax(worst, fabs(slope - units[2 * N_UNITS + u]));
    largest = fmax(largest, fabs(slope));
  }
  print_message("gates: %.2g of %.2g\n", worst, largest);
  ASSERT_ALL(worst < 1e-4 && largest > 1e-2);
}

static double find_cubic(int64_t step, int64_t n) {
  const double part = ((double)step - 0.25 * (double)n) / (0.5 * (double)n);
  const double rest = 1.0 - fmin(fmax(part, 0.0), 1.0);
  return 0.5 * (1.0 - rest * rest * rest);
}

/* Of matrices of 54, 45 and 15 weights. */
static void movement_follows_the_cubic_schedule(void **state) {
  (void)state;
  const esp_policy_options policy = make_policy("movement", false);
  esp_train_options options = new_options("adamw");
  esp_train_report report;
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  options.steps = 16, options.evaluate_every = 1;
  ASSERT_ALL(train_small(model, &options, &policy, &report) == ESP_OK);
  bool fits = report.n_points == 16;
  for (int i = 0; i < report.n_points; i++) {
    const double keep = 1.0 - find_cubic(report.points[i].step, 16);
    const double live = round(54 * keep) + round(45 * keep) + round(15 * keep);
    fits = fits && fabs(report.points[i].sparsity - (1.0 - live / N_WEIGHTS)) < 1e-12;
  }
  ASSERT_ALL(fits && report.policy.asked == 0.5 && report.policy.is_final);
  esp_train_report_clear(&report);
  esp_model_free(&model);
}

static int64_t count_zeros(const esp_model *model) {
  int64_t n = 0;
  for (int w = 0; w < model->n_weights; w += 2)
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++)
      n += model->weights[w].value[i] == 0.0f;
  return n;
}

/* What was found, not asked for: soft movement and L0. */
static void check_found(const char *name) {
  esp_policy_options policy = make_policy(name, false);
  static char soft[] = "soft";
  esp_train_options options = new_options("adamw");
  esp_train_report report;
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  policy.threshold = soft, policy.penalty = 5.0;
  options.steps = 16;
  ASSERT_ALL(train_small(model, &options, &policy, &report) == ESP_OK);
  const int64_t zeros = count_zeros(model);
  ASSERT_ALL(zeros > 0 && zeros < N_WEIGHTS && isnan(report.policy.asked));
  ASSERT_ALL(fabs(report.policy.sparsity - (double)zeros / N_WEIGHTS) < 1e-12);
  ASSERT_ALL(report.points[report.n_points - 1].sparsity == report.policy.sparsity);
  esp_train_report_clear(&report);
  esp_model_free(&model);
}

static void policies_report_the_sparsity_that_they_find(void **state) {
  (void)state;
  check_found("movement");
  check_found("l0");
}

/* What a penalty drives to nothing keeps as many as always stay, the least of each matrix or site.
 */
static void check_least(const char *name, bool by_units) {
  esp_policy_options policy = make_policy(name, by_units);
  static char soft[] = "soft";
  esp_train_options options = new_options("adamw");
  esp_train_report report;
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  policy.threshold = soft, policy.penalty = 1e4, policy.min_keep = 3;
  policy.prune_from = 0.0, policy.score_rate = 0.5, options.steps = 48;
  ASSERT_ALL(train_small(model, &options, &policy, &report) == ESP_OK);
  bool fits = report.policy.n == (by_units ? 2 : 3);
  for (int i = 0; i < report.policy.n; i++) fits = fits && report.policy.parts[i].live == 3;
  ASSERT_ALL(fits);
  esp_train_report_clear(&report);
  esp_model_free(&model);
}

static void policies_keep_the_least(void **state) {
  (void)state;
  for (int by_units = 0; by_units < 2; by_units++) {
    check_least("movement", by_units);
    check_least("l0", by_units);
  }
}

/* Nothing but the choice of units changes: consumers' columns are as they were, or zero. Half of 9
 * and of 5 units are 5 and 3. */
static void gates_leave_weights_as_they_are(void **state) {
  (void)state;
  const esp_policy_options policy = make_policy("gates", true);
  esp_train_options options = new_options("adamw");
  esp_train_report report;
  esp_model *model = mlp_new("gelu", sizes, 4, 11), *before = mlp_new("gelu", sizes, 4, 11);
  ASSERT_ALL(train_small(model, &options, &policy, &report) == ESP_OK);
  bool same = true;
  for (int w = 0; w < model->n_weights; w++)
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++) {
      const float value = model->weights[w].value[i];
      same = same && (value == before->weights[w].value[i] || (value == 0.0f && w % 2 == 0));
    }
  ASSERT_ALL(same && report.policy.sparsity == 1.0 - 8.0 / N_UNITS);
  esp_train_report_clear(&report);
  esp_model_free(&model);
  esp_model_free(&before);
}

/* The result is the last model within the bound, and only behind such a one something goes. */
static void check_bound(const esp_train_report *report, double bound) {
  const double most = bound * report->points[0].held_out;
  int64_t last = 0, refused = 0;
  bool follows = true;
  for (int i = 1; i < report->n_points; i++) {
    const bool was_within = i > 1 && report->points[i - 1].held_out <= most;
    const bool pruned = report->points[i].sparsity > report->points[i - 1].sparsity;
    follows = follows && pruned == was_within;
    if (report->points[i].held_out <= most) last = report->points[i].step;
    refused += report->points[i].held_out > most;
  }
  ASSERT_ALL(follows && last > 0 && refused > 0 && report->best_step == last);
  ASSERT_ALL(report->policy.sparsity == esp_train_report_find(report, last)->sparsity);
}

static void irrelevance_prunes_while_the_loss_is_within_its_bound(void **state) {
  (void)state;
  esp_policy_options policy = make_policy("irrelevance", false);
  esp_train_options options = new_options("adamw");
  esp_train_report report;
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  policy.prune_fraction = 0.5, policy.bound = 0.8;
  options.hold_out = 4, options.evaluate_every = 2, options.epochs = 12;
  ASSERT_ALL(train_small(model, &options, &policy, &report) == ESP_OK);
  check_bound(&report, policy.bound);
  int64_t counted = 0;
  for (int b = 0; b < ESP_TRAIN_BINS; b++) counted += report.policy.irrelevance[b];
  ASSERT_ALL(report.policy.irrelevance_step == report.steps && counted > 0);
  esp_train_report_clear(&report);
  esp_model_free(&model);
}

static void check_refused(const esp_policy_options *policy, int64_t hold_out, esp_status code,
                          const char *part) {
  esp_train_options options = new_options("adamw");
  esp_train_report report;
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  options.hold_out = hold_out;
  ASSERT_ALL(failed(train_small(model, &options, policy, &report), code, part));
  esp_model_free(&model);
}

static void policies_refuse_what_they_cannot_do(void **state) {
  (void)state;
  static char nowhere[] = "/no/such/file.h5";
  esp_policy_options policy = make_policy("gates", false);
  check_refused(&policy, 0, ESP_USAGE, "expected --granularity units");
  policy = make_policy("gates", true);
  policy.gates_from = nowhere;
  check_refused(&policy, 0, ESP_IO, "--gates-from: expected constant, norms");
  policy = make_policy("irrelevance", false);
  check_refused(&policy, 0, ESP_USAGE, "give --validation DATA or --hold-out N");
  policy.alpha = 0.0;
  check_refused(&policy, 4, ESP_USAGE, "give --alpha 1");
  policy = make_policy("l2", true);
  check_refused(&policy, 0, ESP_USAGE, "expected held-out data");
}

ESP_TEST_MAIN(cmocka_unit_test(policies_give_the_bits_of_one_rank_and_of_a_run_that_never_stopped),
              cmocka_unit_test(irrelevance_without_end_is_l2),
              cmocka_unit_test(movement_of_a_unit_is_the_slope_of_the_loss_over_its_gate),
              cmocka_unit_test(movement_follows_the_cubic_schedule),
              cmocka_unit_test(policies_report_the_sparsity_that_they_find),
              cmocka_unit_test(policies_keep_the_least),
              cmocka_unit_test(gates_leave_weights_as_they_are),
              cmocka_unit_test(irrelevance_prunes_while_the_loss_is_within_its_bound),
              cmocka_unit_test(policies_refuse_what_they_cannot_do))
