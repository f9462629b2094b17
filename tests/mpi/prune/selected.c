/* What the journal keeps of a selection: given back as it was, and refused where it does not fit.
 */
#include "mpi.h"

#include "pruning.h"
#include "selected.h"

#include <string.h>

typedef struct bench {
  esp_prune_settings settings;
  prune_job job;
} bench;

/* Of ffn.0 units 1, 5 and 23 are kept. */
static void open(bench *self, const char *name) {
  const char *path = test_path(name);
  *self = (bench){0};
  self->job.comm = &test_comm;
  self->job.report.request =
      pruning_request(&self->settings, OPTIONS("output", path, "criterion", "random"));
  self->job.request = self->job.report.request;
  self->job.report.sites = ESP_NEW(esp_site_report, 7);
  esp_selection_init(&self->job.selection, 6);
  self->job.journal = (prune_journal){.comm = &test_comm, .round = -1};
  json_t *description = json_pack("{s:s}", "test", name);
  assert_int_equal(esp_journal_open(&test_comm, path, description, false, &self->job.journal.file),
                   ESP_OK);
  json_decref(description);
  ranker_init(&self->job.ranker, &test_comm, self->job.request, &self->job.journal);
}

static void fill(bench *self) {
  const int64_t kept[3] = {1, 5, 23};
  self->job.selection.n_kept[1] = 3;
  self->job.selection.kept[1] = ESP_NEW(int64_t, 3);
  memcpy(self->job.selection.kept[1], kept, sizeof kept);
  self->job.ranker.scores[1] = ESP_NEW(double, 24);
  for (int u = 0; u < 24; u++) self->job.ranker.scores[1][u] = 0.5 * u;
  self->job.report.sites[1].has_information = true;
  self->job.report.sites[1].information = (esp_site_information){0.25, 0.125, 0.5, 0.75};
}

static void shut(bench *self) {
  esp_journal_close(&self->job.journal.file, ESP_OK);
  ranker_clear(&self->job.ranker);
  esp_selection_clear(&self->job.selection);
  esp_prune_report_clear(&self->job.report);
  esp_prune_settings_clear(&self->settings);
}

static void forget(bench *self) {
  esp_free(&self->job.selection.kept[1]);
  self->job.selection.n_kept[1] = 0;
  self->job.report.sites[1] = (esp_site_report){0};
}

static void a_selection_comes_back_as_it_was(void **state) {
  (void)state;
  bench self;
  bool found;
  open(&self, "selected.h5");
  fill(&self);
  assert_int_equal(selected_save(&self.job, 1), ESP_OK);
  forget(&self);
  assert_int_equal(selected_load(&self.job, 1, &found), ESP_OK);
  ASSERT_ALL(found && self.job.selection.n_kept[1] == 3 && self.job.selection.kept[1][2] == 23);
  ASSERT_ALL(self.job.ranker.scores[1][23] == 11.5);
  ASSERT_ALL(self.job.report.sites[1].kept == 3 && self.job.report.sites[1].units == 24);
  ASSERT_ALL(self.job.report.sites[1].information.null_level_max == 0.5);
  shut(&self);
}

static void what_was_not_kept_is_not_found(void **state) {
  (void)state;
  bench self;
  bool found = true;
  open(&self, "none.h5");
  assert_int_equal(selected_load(&self.job, 1, &found), ESP_OK);
  ASSERT_ALL(!found);
  shut(&self);
}

/* A record of three kept units, then 24 scores and the information: 41 words of 8 bytes or so. */
static void check_refused(const char *name, int64_t bytes, int64_t n_kept, const int64_t *kept) {
  enum { WORDS = 40 };
  int64_t words[WORDS] = {n_kept, kept[0], kept[1], kept[2]};
  bench self;
  bool found;
  open(&self, name);
  assert_int_equal(journal_append(&self.job.journal, "selected ffn.0", bytes, words), ESP_OK);
  assert_failure(selected_load(&self.job, 1, &found), ESP_FORMAT, "does not fit the model");
  shut(&self);
}

static void records_that_do_not_fit_are_refused(void **state) {
  (void)state;
  const int64_t whole = 8 * (1 + 3 + 24 + 5);
  const int64_t good[3] = {1, 5, 23}, falling[3] = {5, 1, 23}, beyond[3] = {1, 5, 24};
  const int64_t negative[3] = {-1, 5, 23}, twice[3] = {5, 5, 23};
  check_refused("empty.h5", 0, 3, good);
  check_refused("short.h5", whole - 8, 3, good);
  check_refused("long.h5", whole + 8, 3, good);
  check_refused("many.h5", whole, INT64_MAX / 8, good);
  check_refused("less.h5", whole, -1, good);
  check_refused("falling.h5", whole, 3, falling);
  check_refused("beyond.h5", whole, 3, beyond);
  check_refused("negative.h5", whole, 3, negative);
  check_refused("twice.h5", whole, 3, twice);
}

static void names_of_units_tell_the_round(void **state) {
  (void)state;
  prune_journal journal = {.round = -1};
  assert_string_equal(journal_name_unit_local(&journal, "trial %d", 2).text, "trial 2");
  journal.round = 3;
  assert_string_equal(journal_name_unit_local(&journal, "trial %d", 2).text, "trial 2 in round 3");
}

ESP_TEST_MAIN(cmocka_unit_test(a_selection_comes_back_as_it_was),
              cmocka_unit_test(what_was_not_kept_is_not_found),
              cmocka_unit_test(records_that_do_not_fit_are_refused),
              cmocka_unit_test(names_of_units_tell_the_round))
