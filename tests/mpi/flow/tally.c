#include "espalier/flow/objective.h"

#include "mpi.h"

/* Rank r has r + 1 targets, one of them right, of half a nat each. */
static esp_tally make(void) {
  const int64_t n = test_comm.rank + 1;
  return (esp_tally){.targets = n, .correct = 1, .loss = n << 19, .cosine = -n};
}

static void esp_tally_reduce_adds_the_sums_of_all_ranks(void **state) {
  (void)state;
  esp_tally self = make();
  const int64_t n = (int64_t)test_comm.size * (test_comm.size + 1) / 2;
  esp_tally_reduce(&test_comm, &self);
  ASSERT_ALL(self.targets == n && self.correct == test_comm.size);
  ASSERT_ALL(self.loss == n << 19 && self.cosine == -n);
  ASSERT_ALL(esp_tally_compute_loss(&self) == 0.5);
}

static void esp_tally_reduce_takes_ranks_without_targets(void **state) {
  (void)state;
  esp_tally self = test_comm.rank == 0 ? make() : (esp_tally){0};
  esp_tally_reduce(&test_comm, &self);
  ASSERT_ALL(self.targets == 1 && self.correct == 1 && esp_tally_compute_loss(&self) == 0.5);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_tally_reduce_adds_the_sums_of_all_ranks),
              cmocka_unit_test(esp_tally_reduce_takes_ranks_without_targets))
