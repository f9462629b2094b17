/* Policies that prune before the first step: the same bits at any rank count, and after a kill;
 * floors; what lottery tickets keep and go back to. */
#include "mpi.h"

#include "training.h"

#include "espalier/core/json.h"

#include <unistd.h>

enum { PIXELS = 64 };
static const int64_t wide[] = {PIXELS, 90, 70, 3}; // several blocks, which are dealt to ranks
static const int64_t fives[] = {25, 25, 25, 25};   // 3 5^4 weights

/* What is trained, and how. */
typedef struct once {
  const int64_t *sizes;
  esp_train_options how;
  esp_policy_options policy;
  esp_model *model, *rewind;
  const char *early;
  place at;
} once;

static once new_once(const int64_t *shape, const char *policy, const char *granularity) {
  once self = {.sizes = shape, .how = new_options("adamw"), .model = mlp_new("relu", shape, 4, 11)};
  esp_policy_options_init(&self.policy);
  self.policy.policy = esp_strdup(policy);
  esp_free(&self.policy.granularity);
  self.policy.granularity = esp_strdup(granularity);
  self.policy.final_sparsity = 0.8;
  self.how.save_step = -1;
  self.how.steps = 6;
  ASSERT_ALL(esp_policy_options_resolve(&self.policy) == ESP_OK);
  return self;
}

static void set_control(once *self, const char *control) {
  esp_free(&self->policy.control);
  self->policy.control = esp_strdup(control);
}

static void add_rewind(once *self) {
  self->rewind = mlp_new("relu", self->sizes, 4, 12);
}

static void close_once(once *self) {
  esp_policy_options_clear(&self->policy);
  esp_model_free(&self->model);
  esp_model_free(&self->rewind);
}

static esp_status run_on(const esp_comm *comm, once *self, esp_train_report *report) {
  esp_dataset *data = mlp_data(SAMPLES, self->sizes[0], (int32_t)self->sizes[3]);
  const esp_status status = esp_train(comm,
                                      &(esp_train_request){.model = self->model,
                                                           .rewind = self->rewind,
                                                           .data = data,
                                                           .options = &self->how,
                                                           .policy = &self->policy,
                                                           .seed = 5,
                                                           .checkpoint = self->at.checkpoint,
                                                           .early = self->early,
                                                           .save_every_s = 1e9,
                                                           .journal = self->at.journal},
                                      report);
  esp_dataset_close(&data);
  return status;
}

static esp_train_report run(once *self) {
  esp_train_report report;
  const esp_status status = run_on(&test_comm, self, &report);
  if (status != ESP_OK) print_message("%s\n", esp_failure_text());
  ASSERT_ALL(status == ESP_OK);
  return report;
}

/* The rows of all policies that prune once. */
static const struct {
  const char *policy, *granularity, *control;
} rows[] = {
    {"magnitude", "weights", "none"}, {"magnitude", "units", "none"},
    {"random", "weights", "none"},    {"random", "units", "none"},
    {"snip", "weights", "none"},      {"snip", "units", "none"},
    {"grasp", "weights", "none"},     {"grasp", "units", "none"},
    {"synflow", "weights", "none"},   {"synflow", "units", "none"},
    {"3sp", "units", "none"},         {"tickets", "weights", "none"},
    {"tickets", "units", "none"},     {"tickets", "weights", "random"},
    {"tickets", "units", "random"},   {"tickets", "weights", "reinitialised"},
};

static once new_row(size_t i) {
  once self = new_once(wide, rows[i].policy, rows[i].granularity);
  set_control(&self, rows[i].control);
  if (strcmp(rows[i].policy, "synflow") == 0) self.policy.rounds = 8;
  if (strcmp(rows[i].policy, "snip") == 0) self.policy.rounds = 2;
  if (strcmp(rows[i].policy, "tickets") == 0 && strcmp(rows[i].control, "reinitialised") != 0)
    add_rewind(&self);
  return self;
}

static uint64_t run_alone(size_t i) {
  once self = new_row(i);
  esp_train_report report;
  esp_comm alone;
  esp_comm_init_local(&alone);
  const esp_status status = run_on(&alone, &self, &report);
  const uint64_t hash = status == ESP_OK ? hash_weights(self.model) : 0;
  esp_comm_clear(&alone);
  esp_train_report_clear(&report);
  close_once(&self);
  return hash;
}

static uint64_t run_together(size_t i) {
  once self = new_row(i);
  esp_train_report report = run(&self);
  const uint64_t hash = hash_weights(self.model);
  const bool is_ticket = strcmp(rows[i].policy, "tickets") == 0;
  ASSERT_ALL(report.policy.is_final);
  ASSERT_ALL(fabs(report.policy.sparsity - (is_ticket ? 0.2 : 0.8)) < 0.01);
  esp_train_report_clear(&report);
  close_once(&self);
  return hash;
}

/* Killed after two steps, and gone on with. */
static uint64_t run_in_two(size_t i) {
  once self = new_row(i);
  const char *path = test_path("once.checkpoint.h5");
  esp_train_report report;
  esp_train_remove_checkpoint(&test_comm, path);
  esp_barrier(&test_comm);
  self.at.checkpoint = path;
  self.how.stop_after = 2;
  ASSERT_ALL(run_on(&test_comm, &self, &report) == ESP_INTERRUPTED);
  close_once(&self);
  self = new_row(i);
  self.at.checkpoint = path;
  report = run(&self);
  const uint64_t hash = hash_weights(self.model);
  esp_train_report_clear(&report);
  close_once(&self);
  return hash;
}

static void all_give_the_same_bits_at_any_rank_count_and_after_a_kill(void **state) {
  (void)state;
  uint64_t seen[ESP_COUNT(rows)];
  for (size_t i = 0; i < ESP_COUNT(rows); i++) {
    seen[i] = run_alone(i);
    ASSERT_ALL(run_together(i) == seen[i]);
    ASSERT_ALL(run_in_two(i) == seen[i]);
    for (size_t k = 0; k < i; k++) ASSERT_ALL(seen[k] != seen[i]);
  }
}

static int64_t find_live(const esp_train_report *report, int part) {
  return report->policy.parts[part].live;
}

static void a_layer_keeps_the_least_and_the_report_says_so(void **state) {
  (void)state;
  once self = new_once(wide, "magnitude", "weights");
  self.policy.final_sparsity = 0.99;
  self.policy.min_keep = 4;
  self.how.rate = 0.0;
  for (int64_t i = 0; i < esp_weight_count(&self.model->weights[2]); i++)
    self.model->weights[2].value[i] *= 1e-3f;
  esp_train_report report = run(&self);
  ASSERT_ALL(report.policy.n == 3);
  ASSERT_ALL(find_live(&report, 1) == 4 && report.policy.parts[1].is_least);
  ASSERT_ALL(find_live(&report, 0) > 4 && !report.policy.parts[0].is_least);
  esp_train_report_clear(&report);
  close_once(&self);
}

static void random_masks_have_the_counts_of_erk(void **state) {
  (void)state;
  once self = new_once(wide, "random", "weights");
  self.how.rate = 0.0;
  esp_train_report report = run(&self);
  const double total = 0.2 * (64 * 90 + 90 * 70 + 70 * 3) - 210.0; // the last layer is dense
  const double epsilon = total / (64 + 90 + 90 + 70);
  ASSERT_ALL(find_live(&report, 0) == llround(epsilon * 154));
  ASSERT_ALL(find_live(&report, 1) == llround(epsilon * 160));
  ASSERT_ALL(find_live(&report, 2) == 210);
  esp_train_report_clear(&report);
  close_once(&self);
}

static esp_status refuse(once *self) {
  esp_train_report report;
  const esp_status status = run_on(&test_comm, self, &report);
  esp_train_report_clear(&report);
  close_once(self);
  return status;
}

static void what_cannot_be_done_is_refused(void **state) {
  (void)state;
  once self = new_once(wide, "3sp", "weights");
  ASSERT_ALL(failed(refuse(&self), ESP_USAGE, "--granularity units"));
  self = new_once(wide, "tickets", "weights");
  set_control(&self, "random");
  ASSERT_ALL(failed(refuse(&self), ESP_USAGE, "expected --rewind"));
  self = new_once(wide, "tickets", "weights");
  set_control(&self, "reinitialised");
  add_rewind(&self);
  ASSERT_ALL(failed(refuse(&self), ESP_USAGE, "expected no --rewind"));
  self = new_once(wide, "tickets", "weights");
  self.rewind = mlp_new("relu", fives, 4, 12);
  ASSERT_ALL(failed(refuse(&self), ESP_MISMATCH, "earlier step"));
  self = new_once(wide, "tickets", "weights");
  self.early = test_path("never.early.h5");
  self.how.save_step = 7;
  ASSERT_ALL(failed(refuse(&self), ESP_USAGE, "6 steps at most"));
}

static void synflow_refuses_what_is_no_chain_of_trained_matrices(void **state) {
  static char first[] = "layers.0.*";
  (void)state;
  once self = new_once(wide, "synflow", "weights");
  self.how.trainable = first;
  ASSERT_ALL(failed(refuse(&self), ESP_USAGE, "all matrices to train"));
}

static int64_t count_live(const esp_train_report *report) {
  int64_t live = 0;
  for (int i = 0; i < report->policy.n; i++) live += find_live(report, i);
  return live;
}

static void tickets_keep_four_fifths_of_what_is_left(void **state) {
  static const int64_t left[] = {1875, 1500, 1200, 960, 768}; // 1875 .8^n
  (void)state;
  once self = new_once(fives, "tickets", "weights");
  add_rewind(&self);
  for (int level = 0; level <= 4; level++) {
    self.policy.prune_fraction = level > 0 ? 0.2 : 0.0;
    esp_train_report report = run(&self);
    ASSERT_ALL(count_live(&report) == left[level]);
    ASSERT_ALL(report.policy.sparsity == 1.0 - (double)left[level] / 1875.0);
    esp_train_report_clear(&report);
    self.model->is_masked = true; // as the level's file would say
  }
  close_once(&self);
}

static void level_zero_is_a_training_without_a_policy(void **state) {
  (void)state;
  once self = new_once(fives, "tickets", "weights"), plain = new_once(fives, "tickets", "weights");
  self.policy.prune_fraction = 0.0;
  esp_free(&plain.policy.policy);
  esp_train_report report = run(&self);
  esp_train_report_clear(&report);
  report = run(&plain);
  esp_train_report_clear(&report);
  ASSERT_ALL(hash_weights(self.model) == hash_weights(plain.model));
  close_once(&self);
  close_once(&plain);
}

/* Weights that are not zero, of those that could be; their values are checked against another
 * model's, NULL: they are no other's. */
static int64_t compare_survivors(const esp_model *model, const esp_model *other, int64_t *wrong) {
  int64_t live = 0;
  for (int w = 0; w < model->n_weights; w++) {
    if (model->weights[w].rank != 2) continue;
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++) {
      const float value = model->weights[w].value[i];
      live += value != 0.0f;
      *wrong += value != 0.0f && value != other->weights[w].value[i];
    }
  }
  return live;
}

/* A level whose training changes nothing. */
static once prune_ticket(const char *control, bool rewinds) {
  once self = new_once(wide, "tickets", "weights");
  set_control(&self, control);
  if (rewinds) add_rewind(&self);
  self.how.rate = 0.0;
  esp_train_report report = run(&self);
  esp_train_report_clear(&report);
  return self;
}

static void survivors_have_the_early_weights_or_stay(void **state) {
  (void)state;
  const int64_t all = 64 * 90 + 90 * 70 + 70 * 3, keep = llround(0.8 * (double)all);
  int64_t wrong = 0;
  once rewound = prune_ticket("none", true), stays = prune_ticket("none", false);
  esp_model *before = mlp_new("relu", wide, 4, 11);
  ASSERT_ALL(compare_survivors(rewound.model, rewound.rewind, &wrong) == keep);
  ASSERT_ALL(compare_survivors(stays.model, before, &wrong) == keep);
  for (int64_t i = 0; i < 90; i++)
    wrong += rewound.model->weights[1].value[i] != rewound.rewind->weights[1].value[i];
  ASSERT_ALL(wrong == 0);
  esp_model_free(&before);
  close_once(&rewound);
  close_once(&stays);
}

/* In which matrices masks differ, one bit each; counts must not. */
static int compare_masks(const esp_model *a, const esp_model *b) {
  int differ = 0;
  for (int w = 0; w < a->n_weights; w += 2) {
    int64_t balance = 0, other = 0;
    for (int64_t i = 0; i < esp_weight_count(&a->weights[w]); i++) {
      const bool mine = a->weights[w].value[i] != 0.0f, theirs = b->weights[w].value[i] != 0.0f;
      balance += mine - theirs;
      other += mine != theirs;
    }
    ASSERT_ALL(balance == 0);
    differ |= (other > 0) << w / 2;
  }
  return differ;
}

static void controls_have_the_ticket_s_counts_or_its_mask(void **state) {
  (void)state;
  int64_t wrong = 0, other = 0;
  once ticket = prune_ticket("none", true), random = prune_ticket("random", true),
       again = prune_ticket("reinitialised", false);
  ASSERT_ALL(compare_masks(ticket.model, random.model) == 7);
  ASSERT_ALL(compare_masks(ticket.model, again.model) == 0);
  const int64_t live = compare_survivors(random.model, random.rewind, &wrong);
  compare_survivors(again.model, ticket.model, &other);
  ASSERT_ALL(wrong == 0 && other == live);
  close_once(&ticket);
  close_once(&random);
  close_once(&again);
}

static uint64_t hash_file(const char *path, int64_t *values) {
  esp_model *model = NULL;
  ASSERT_ALL(esp_model_open(&test_comm, path, &model) == ESP_OK);
  ASSERT_ALL(esp_model_load_all(&test_comm, model) == ESP_OK);
  const uint64_t hash = hash_weights(model);
  *values = esp_model_count_parameters(model);
  esp_model_free(&model);
  return hash;
}

static void early_weights_are_those_of_their_step(void **state) {
  (void)state;
  int64_t values;
  once self = new_once(wide, "tickets", "weights"), two = new_once(wide, "tickets", "weights");
  self.early = test_path("step.early.h5");
  self.how.save_step = 2;
  self.how.stop_after = 2;
  esp_train_report report;
  ASSERT_ALL(run_on(&test_comm, &self, &report) == ESP_INTERRUPTED);
  ASSERT_ALL(hash_file(self.early, &values) == hash_weights(self.model));
  two.early = self.early;
  two.how.save_step = 0;
  two.how.rate = 0.0;
  report = run(&two);
  esp_train_report_clear(&report);
  ASSERT_ALL(hash_file(two.early, &values) == hash_weights(two.model));
  close_once(&self);
  close_once(&two);
}

static void early_weights_by_units_have_the_units_that_are_kept(void **state) {
  (void)state;
  int64_t values;
  once self = new_once(wide, "tickets", "units");
  self.early = test_path("units.early.h5");
  self.how.save_step = 0;
  esp_train_report report = run(&self);
  hash_file(self.early, &values);
  ASSERT_ALL(values == 65 * 72 + 73 * 56 + 57 * 3);
  esp_train_report_clear(&report);
  close_once(&self);
}

static void early_weights_that_have_gone_are_missed(void **state) {
  (void)state;
  once self = new_once(wide, "tickets", "weights");
  char *path = esp_strdup(test_path("gone.checkpoint.h5"));
  esp_train_report report;
  self.early = test_path("gone.early.h5");
  self.at.checkpoint = path;
  self.how.save_step = 1;
  self.how.stop_after = 2;
  ASSERT_ALL(run_on(&test_comm, &self, &report) == ESP_INTERRUPTED);
  ASSERT_ALL(test_comm.rank > 0 || unlink(self.early) == 0);
  esp_barrier(&test_comm);
  self.how.stop_after = 0;
  ASSERT_ALL(failed(run_on(&test_comm, &self, &report), ESP_IO, "give --restart"));
  esp_free(&path);
  close_once(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(all_give_the_same_bits_at_any_rank_count_and_after_a_kill),
              cmocka_unit_test(a_layer_keeps_the_least_and_the_report_says_so),
              cmocka_unit_test(random_masks_have_the_counts_of_erk),
              cmocka_unit_test(what_cannot_be_done_is_refused),
              cmocka_unit_test(synflow_refuses_what_is_no_chain_of_trained_matrices),
              cmocka_unit_test(tickets_keep_four_fifths_of_what_is_left),
              cmocka_unit_test(level_zero_is_a_training_without_a_policy),
              cmocka_unit_test(survivors_have_the_early_weights_or_stay),
              cmocka_unit_test(controls_have_the_ticket_s_counts_or_its_mask),
              cmocka_unit_test(early_weights_are_those_of_their_step),
              cmocka_unit_test(early_weights_by_units_have_the_units_that_are_kept),
              cmocka_unit_test(early_weights_that_have_gone_are_missed))
