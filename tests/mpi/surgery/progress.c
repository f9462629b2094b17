#include "repair_bench.h"

#include "espalier/io/journal.h"
#include "surgery_internal.h"

/* A journal of its own for every forgery. */
static esp_journal *open_journal(int number) {
  char name[32];
  esp_journal *journal = NULL;
  json_t *description = json_pack("{s:s}", "test", "progress");
  snprintf(name, sizeof name, "progress%d", number);
  ASSERT_ALL(esp_journal_open(&test_comm, test_path(name), description, true, &journal) == ESP_OK);
  json_decref(description);
  return journal;
}

static esp_status repair(bench *self, esp_journal *journal) {
  const esp_repair *found = NULL;
  esp_repair_job job = {.comm = self->comm,
                        .dense = self->dense,
                        .pruned = self->pruned,
                        .selection = &self->selection,
                        .stats = self->stats,
                        .shard = &self->shard,
                        .ridge = GOLDEN_RIDGE,
                        .journal = journal,
                        .report = &self->report};
  ESP_ASSERT(esp_repair_find("least-squares", &found) == ESP_OK);
  return found->apply(&job);
}

/* A whole repair's first record: of the stage that it finishes first. */
typedef struct record {
  char *name;
  int64_t bytes;
  int64_t *head; // the payload: weights, bytes of the report, index and count of each weight, ...
} record;

static record make_record(void) {
  bench self = open_golden();
  esp_journal *journal = open_journal(0);
  ASSERT_ALL(repair(&self, journal) == ESP_OK && esp_journal_count_local(journal) == STAGES);
  record made = {.name = esp_strdup(esp_journal_name_local(journal, 0))};
  made.bytes = esp_journal_find_local(journal, made.name);
  made.head = esp_alloc(made.bytes, 1);
  ASSERT_ALL(esp_journal_read(journal, made.name, made.head) == ESP_OK && made.head[0] >= 1);
  esp_journal_close(&journal, ESP_OK);
  close_bench(&self);
  return made;
}

static void free_record(record *self) {
  esp_free(&self->name);
  esp_free(&self->head);
}

/* What a repair makes of a journal that has this record alone. */
static esp_status restore(const record *forged, int number) {
  bench self = open_golden();
  esp_journal *journal = open_journal(number);
  ASSERT_ALL(esp_journal_append(journal, forged->name, forged->head, forged->bytes) == ESP_OK);
  const esp_status status = repair(&self, journal);
  esp_journal_close(&journal, ESP_OK);
  close_bench(&self);
  return status;
}

static void repair_restores_a_sound_record(void **state) {
  (void)state;
  record sound = make_record();
  ASSERT_ALL(restore(&sound, 1) == ESP_OK);
  free_record(&sound);
}

static void check_refused(const record *forged, int number) {
  ASSERT_ALL(restore(forged, number) == ESP_FORMAT && strstr(esp_failure_text(), "--restart"));
}

/* Sizes of a record are bounded before they are multiplied, and places before they are used. */
static void repair_refuses_a_forged_record(void **state) {
  (void)state;
  enum { WEIGHTS, REPORT, INDEX, COUNT };
  static const struct {
    int word;
    int64_t value;
  } forgeries[] = {{WEIGHTS, -1},
                   {WEIGHTS, INT64_MAX},
                   {WEIGHTS, INT64_MAX / 16},
                   {WEIGHTS, 6},
                   {REPORT, INT64_MAX},
                   {REPORT, -1},
                   {INDEX, -1},
                   {INDEX, 6},
                   {INDEX, INT64_MIN},
                   {COUNT, -1},
                   {COUNT, INT64_MAX / 2},
                   {COUNT, (int64_t)1 << 62}};
  record forged = make_record();
  for (int i = 0; i < (int)ESP_COUNT(forgeries); i++) {
    const int64_t sound = forged.head[forgeries[i].word];
    forged.head[forgeries[i].word] = forgeries[i].value;
    check_refused(&forged, i + 1);
    forged.head[forgeries[i].word] = sound;
  }
  free_record(&forged);
}

static void repair_refuses_a_short_record(void **state) {
  (void)state;
  record forged = make_record();
  const int64_t bytes[] = {0, 8, 16, forged.bytes - 1};
  for (int i = 0; i < (int)ESP_COUNT(bytes); i++) {
    forged.bytes = bytes[i];
    check_refused(&forged, i + 1);
  }
  free_record(&forged);
}

/* A weight that is there, with its own count, but is not the stage's. */
static void repair_refuses_a_record_with_a_weight_of_another_stage(void **state) {
  (void)state;
  record forged = make_record();
  const bool is_first = strstr(forged.name, "hidden.0") != NULL;
  forged.head[2] = is_first ? 5 : 3; // the bias of the other stage's consumer
  forged.head[3] = is_first ? OUTPUTS : golden_counts[1];
  check_refused(&forged, 1);
  free_record(&forged);
}

static int64_t count_small(const esp_repair_job *job, int stage) {
  (void)job;
  return stage == 0 ? 2048 : 2049;
}

/* Whether a record that this number of ranks has made is there for another. */
static bool is_there(int stage, int ranks) {
  static const repair_pass pass = {"test", count_small};
  bench self = open_golden();
  esp_journal *journal = open_journal(9);
  const esp_comm other = {.size = ranks};
  esp_repair_job job = {.comm = self.comm,
                        .dense = self.dense,
                        .pruned = self.pruned,
                        .journal = journal,
                        .report = &self.report};
  ASSERT_ALL(repair_save(&job, &pass, stage) == ESP_OK && repair_is_done_local(&job, &pass, stage));
  job.comm = &other;
  const bool is_done = repair_is_done_local(&job, &pass, stage);
  int n_others;
  const int n = esp_repair_count_records_local(journal, ranks, &n_others);
  ASSERT_ALL(n == (int)is_done && n_others == (int)!is_done);
  esp_journal_close(&journal, ESP_OK);
  close_bench(&self);
  return is_done;
}

/* 2,048 unknowns are what every rank factors alike. */
static void repair_is_done_at_any_rank_count_where_its_bits_are_the_same(void **state) {
  (void)state;
  ASSERT_ALL(is_there(0, test_comm.size + 1) && !is_there(1, test_comm.size + 1));
  ASSERT_ALL(is_there(1, test_comm.size));
}

ESP_TEST_MAIN(cmocka_unit_test(repair_restores_a_sound_record),
              cmocka_unit_test(repair_refuses_a_forged_record),
              cmocka_unit_test(repair_refuses_a_short_record),
              cmocka_unit_test(repair_refuses_a_record_with_a_weight_of_another_stage),
              cmocka_unit_test(repair_is_done_at_any_rank_count_where_its_bits_are_the_same))
