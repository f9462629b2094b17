#include "unit.h"

#include "box.h"

#include <string.h>

enum { BYTES = 4 };

/* Walk all pieces of a box in a (7, 5, 6) array: count how often each element is met, and check
 * that pieces follow each other in memory and obey the limit. */
static void walk(const esp_box *box, int64_t most_bytes, int met[7][5][6]) {
  const esp_box_cut cut = esp_box_cut_into(box, BYTES, most_bytes);
  int64_t expected_first = 0;
  for (int64_t i = 0; i < cut.pieces; i++) {
    int64_t first;
    const esp_box p = esp_box_piece(box, &cut, i, &first);
    assert_int_equal(first, expected_first);
    expected_first += esp_box_count(&p);
    assert_true(esp_box_count(&p) * BYTES <= (most_bytes < BYTES ? BYTES : most_bytes));
    for (int64_t a = p.begin[0]; a < p.begin[0] + p.count[0]; a++)
      for (int64_t b = p.begin[1]; b < p.begin[1] + p.count[1]; b++)
        for (int64_t c = p.begin[2]; c < p.begin[2] + p.count[2]; c++) met[a][b][c]++;
  }
  assert_int_equal(expected_first, esp_box_count(box));
}

static void esp_box_piece_meets_every_element_once_in_memory_order(void **state) {
  (void)state;
  const esp_box box = {.rank = 3, .begin = {1, 0, 2}, .count = {5, 5, 3}};
  for (int64_t most = 1; most < 5 * 5 * 3 * BYTES + 9; most += 3) {
    int met[7][5][6] = {{{0}}};
    walk(&box, most, met);
    for (int a = 0; a < 7; a++)
      for (int b = 0; b < 5; b++)
        for (int c = 0; c < 6; c++)
          assert_int_equal(met[a][b][c], a >= 1 && a < 6 && c >= 2 && c < 5);
  }
}

static void esp_box_cut_into_makes_few_pieces(void **state) {
  (void)state;
  const esp_box box = {.rank = 2, .count = {10, 8}};
  assert_int_equal(esp_box_cut_into(&box, BYTES, 10 * 8 * BYTES).pieces, 1);
  assert_int_equal(esp_box_cut_into(&box, BYTES, 3 * 8 * BYTES).pieces, 4); // 3 rows a piece
  assert_int_equal(esp_box_cut_into(&box, BYTES, 5 * BYTES).pieces, 20);    // 5 and 3 of a row
}

static void esp_box_cut_into_handles_more_than_2_gib(void **state) {
  (void)state;
  const esp_box box = {.rank = 2, .count = {3, INT64_C(1) << 33}};
  int64_t first;
  const esp_box_cut cut = esp_box_cut_into(&box, BYTES, 1 << 30);
  assert_int_equal(cut.pieces, 3 * 32);
  const esp_box last = esp_box_piece(&box, &cut, cut.pieces - 1, &first);
  assert_int_equal(first, 3 * (INT64_C(1) << 33) - (1 << 28));
  assert_int_equal(last.begin[0], 2);
}

static void esp_box_cut_into_has_no_pieces_for_an_empty_box(void **state) {
  (void)state;
  for (int axis = 0; axis < 3; axis++) {
    esp_box box = {.rank = 3, .count = {4, 4, 4}};
    box.count[axis] = 0;
    assert_int_equal(esp_box_cut_into(&box, BYTES, 64).pieces, 0);
  }
}

static void esp_box_cut_into_takes_a_scalar_whole(void **state) {
  (void)state;
  const esp_box scalar = {.rank = 0};
  assert_int_equal(esp_box_cut_into(&scalar, 1 << 20, 64).pieces, 1);
  assert_int_equal(esp_box_count(&scalar), 1);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_box_piece_meets_every_element_once_in_memory_order),
              cmocka_unit_test(esp_box_cut_into_makes_few_pieces),
              cmocka_unit_test(esp_box_cut_into_handles_more_than_2_gib),
              cmocka_unit_test(esp_box_cut_into_has_no_pieces_for_an_empty_box),
              cmocka_unit_test(esp_box_cut_into_takes_a_scalar_whole))
