#include "unit.h"

#include "espalier/model/workspace.h"

#include <string.h>

static void esp_workspace_take_aligns_and_keeps_arrays_apart(void **state) {
  (void)state;
  esp_workspace self = {0};
  const esp_workspace_mark mark = esp_workspace_set_mark(&self);
  char *arrays[5];
  for (int i = 0; i < 5; i++) {
    arrays[i] = ESP_TAKE(&self, char, 100 * i);
    assert_int_equal((uintptr_t)arrays[i] % 64, 0);
    memset(arrays[i], i, (size_t)(100 * i));
  }
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 100 * i; j++) assert_int_equal(arrays[i][j], i);
  esp_workspace_release(&self, mark);
  esp_workspace_clear(&self);
}

/* A call: two arrays, and one that it gives back itself. */
static void call(esp_workspace *self, char *found[3]) {
  const esp_workspace_mark mark = esp_workspace_set_mark(self);
  found[0] = ESP_TAKE(self, char, 1000);
  const esp_workspace_mark inner = esp_workspace_set_mark(self);
  found[1] = ESP_TAKE(self, char, 5000);
  esp_workspace_release(self, inner);
  found[2] = ESP_TAKE(self, char, 300);
  memset(found[0], 1, 1000);
  esp_workspace_release(self, mark);
}

static void esp_workspace_take_uses_the_same_memory_again(void **state) {
  (void)state;
  char *first[3], *second[3];
  esp_workspace self = {0};
  call(&self, first); // grows
  call(&self, second);
  assert_memory_equal(first, second, sizeof first);
  assert_ptr_equal(second[1], second[2]);
  assert_int_equal(self.most, 1024 + 5056);
  esp_workspace_clear(&self);
}

/* Also while an array is held that was taken before the workspace had grown. */
static void esp_workspace_take_uses_it_again_behind_what_is_held(void **state) {
  (void)state;
  char *first[3], *second[3];
  esp_workspace self = {0};
  const esp_workspace_mark mark = esp_workspace_set_mark(&self);
  char *held = ESP_TAKE(&self, char, 64);
  memset(held, 7, 64);
  call(&self, first);
  call(&self, second);
  assert_memory_equal(first, second, sizeof first);
  for (int i = 0; i < 64; i++) assert_int_equal(held[i], 7);
  esp_workspace_release(&self, mark);
  esp_workspace_clear(&self);
}

/* Calls that want other sizes, by turns, soon share one block. */
static void esp_workspace_take_serves_calls_that_differ(void **state) {
  (void)state;
  char *own[3], *first = NULL, *second = NULL;
  esp_workspace self = {0};
  const esp_workspace_mark mark = esp_workspace_set_mark(&self);
  for (int i = 0; i < 4; i++) {
    call(&self, own);
    second = first;
    first = ESP_TAKE(&self, char, 3000);
    memset(ESP_TAKE(&self, char, 4000), 1, 4000);
    esp_workspace_release(&self, mark);
  }
  assert_ptr_equal(own[0], first);
  assert_ptr_equal(first, second);
  assert_int_equal(self.most, 3008 + 4032);
  esp_workspace_clear(&self);
}

static void esp_workspace_take_grows_for_a_larger_call(void **state) {
  (void)state;
  esp_workspace self = {0};
  const esp_workspace_mark mark = esp_workspace_set_mark(&self);
  for (int n = 100; n <= 100000; n *= 10) {
    memset(ESP_TAKE(&self, char, n), 1, (size_t)n);
    memset(ESP_TAKE(&self, char, 3 * n), 2, (size_t)(3 * n));
    esp_workspace_release(&self, mark);
  }
  assert_int_equal(self.taken, 0);
  esp_workspace_clear(&self);
}

static void esp_workspace_take_of_nothing_is_no_null_pointer(void **state) {
  (void)state;
  esp_workspace self = {0};
  const esp_workspace_mark mark = esp_workspace_set_mark(&self);
  assert_non_null(ESP_TAKE(&self, double, 0));
  esp_workspace_release(&self, mark);
  esp_workspace_clear(&self);
}

static void esp_workspace_clear_frees_all_and_may_be_called_twice(void **state) {
  (void)state;
  char *found[3];
  esp_workspace self = {0};
  call(&self, found);
  esp_workspace_clear(&self);
  esp_workspace_clear(&self);
  assert_null(self.first);
  assert_int_equal(self.most, 0);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_workspace_take_aligns_and_keeps_arrays_apart),
              cmocka_unit_test(esp_workspace_take_uses_the_same_memory_again),
              cmocka_unit_test(esp_workspace_take_uses_it_again_behind_what_is_held),
              cmocka_unit_test(esp_workspace_take_serves_calls_that_differ),
              cmocka_unit_test(esp_workspace_take_grows_for_a_larger_call),
              cmocka_unit_test(esp_workspace_take_of_nothing_is_no_null_pointer),
              cmocka_unit_test(esp_workspace_clear_frees_all_and_may_be_called_twice))
