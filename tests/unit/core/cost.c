#include "unit.h"

#include "espalier/core/cost.h"

static void esp_cost_add_stands_on_what_is_kept(void **state) {
  (void)state;
  esp_cost self = {.peak_bytes = 10.0, .kept_bytes = 4.0};
  const esp_cost step = {.peak_bytes = 8.0, .kept_bytes = 1.0};
  esp_cost_add(&self, &step);
  assert_true(self.peak_bytes == 12.0 && self.kept_bytes == 5.0);
  esp_cost_add(&self, &(esp_cost){.peak_bytes = 3.0});
  assert_true(self.peak_bytes == 12.0 && self.kept_bytes == 5.0);
}

static void esp_cost_add_sums_traffic_and_work(void **state) {
  (void)state;
  esp_cost self = {.traffic = {[ESP_BCAST] = 2.0}, .work = {.flops = 3.0, .datasets = 1.0}};
  const esp_cost step = {.traffic = {[ESP_BCAST] = 5.0}, .work = {.flops = 4.0, .words = 6.0}};
  esp_cost_add(&self, &step);
  assert_true(self.traffic[ESP_BCAST] == 7.0 && self.traffic[ESP_GATHER] == 0.0);
  assert_true(self.work.flops == 7.0 && self.work.words == 6.0 && self.work.datasets == 1.0);
}

static void esp_cost_hold_keeps_and_frees(void **state) {
  (void)state;
  esp_cost self = {0};
  esp_cost_hold(&self, 6.0);
  esp_cost_hold(&self, -2.0);
  esp_cost_hold(&self, 1.0);
  assert_true(self.peak_bytes == 6.0 && self.kept_bytes == 5.0);
}

static void esp_cost_touch_keeps_nothing(void **state) {
  (void)state;
  esp_cost self = {0};
  esp_cost_hold(&self, 6.0);
  esp_cost_touch(&self, 3.0);
  esp_cost_touch(&self, 2.0);
  assert_true(self.peak_bytes == 9.0 && self.kept_bytes == 6.0);
}

static void esp_cost_send_needs_somebody_else(void **state) {
  (void)state;
  esp_cost self = {0};
  esp_cost_send(&self, 1, ESP_ALLREDUCE, 8.0);
  assert_true(self.traffic[ESP_ALLREDUCE] == 0.0);
  esp_cost_send(&self, 2, ESP_ALLREDUCE, 8.0);
  assert_true(self.traffic[ESP_ALLREDUCE] == 8.0);
}

static void esp_cost_repeat_needs_no_more_memory(void **state) {
  (void)state;
  esp_cost self = {.peak_bytes = 7.0,
                   .kept_bytes = 1.0,
                   .traffic = {[ESP_EXCHANGE] = 2.0},
                   .work = {.solver = 5.0, .solves = 1.0}};
  esp_cost_repeat(&self, 3.0);
  assert_true(self.peak_bytes == 7.0 && self.kept_bytes == 1.0);
  assert_true(self.traffic[ESP_EXCHANGE] == 6.0);
  assert_true(self.work.solver == 15.0 && self.work.solves == 3.0);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_cost_add_stands_on_what_is_kept),
              cmocka_unit_test(esp_cost_add_sums_traffic_and_work),
              cmocka_unit_test(esp_cost_hold_keeps_and_frees),
              cmocka_unit_test(esp_cost_touch_keeps_nothing),
              cmocka_unit_test(esp_cost_send_needs_somebody_else),
              cmocka_unit_test(esp_cost_repeat_needs_no_more_memory))
