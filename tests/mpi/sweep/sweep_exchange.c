/* reduce: exchange beside allreduce: the same counts, on the same ranks; and what it costs. */
#include "espalier/comm/phases.h"
#include "espalier/core/hash.h"
#include "espalier/sweep/sweep.h"

#include "mpi.h"

#include <string.h>

enum { MOST_UNITS = 48, WORDS = 5 };

/* What a rank saw: a hash of the counts of each tile, by the units that it begins with. */
typedef struct visits {
  int64_t n;
  uint64_t hashes[MOST_UNITS][MOST_UNITS];
} visits;

static void visit(void *context, const esp_tile *tile, const int32_t *counts) {
  visits *self = context;
  const size_t bytes = (size_t)esp_tile_count_cells(tile) * sizeof *counts;
  self->n++;
  self->hashes[tile->x_begin][tile->y_begin] = esp_hash(1, counts, bytes);
}

/* Random planes; `words` a rank, stored `gap` words apart. */
static esp_planes make_planes(uint64_t stream, int64_t units, int bins, int64_t words, int gap) {
  esp_planes planes;
  esp_planes_init(&planes, units, bins, words + gap);
  planes.n_words = words;
  for (int64_t i = 0; i < units * (bins - 1) * (words + gap); i++)
    planes.words[i] = esp_rng_u64(7 + (uint64_t)test_comm.rank, stream, (uint64_t)i);
  return planes;
}

/* Whether every rank sees the same tiles with the same counts both ways. */
static bool agrees(esp_sweep sweep) {
  visits reduced = {0}, exchanged = {0};
  sweep.visit = visit;
  sweep.context = &reduced;
  sweep.reduce = ESP_REDUCE_ALLREDUCE;
  esp_sweep_pairs(&test_comm, &sweep);
  sweep.context = &exchanged;
  sweep.reduce = ESP_REDUCE_EXCHANGE;
  esp_sweep_pairs(&test_comm, &sweep);
  return test_all(memcmp(&reduced, &exchanged, sizeof reduced) == 0);
}

static bool agrees_on(int64_t x_units, int64_t y_units, int64_t tile, int64_t panel, int64_t words,
                      int gap) {
  esp_planes x = make_planes(1, x_units, 4, words, gap), y = make_planes(2, y_units, 3, words, gap);
  const bool same =
      agrees((esp_sweep){.x = &x, .y = &y, .tile = tile, .visitor = test_comm.size}) &&
      agrees((esp_sweep){.x = &x, .y = &y, .tile = tile, .panel_bytes = panel}) &&
      agrees(
          (esp_sweep){.x = &x, .y = &x, .is_symmetric = true, .tile = tile, .panel_bytes = panel});
  esp_planes_clear(&x);
  esp_planes_clear(&y);
  return same;
}

static void exchange_gives_the_counts_of_allreduce(void **state) {
  (void)state;
  ASSERT_ALL(agrees_on(41, 23, 4, 0, WORDS, 0));
}

static void exchange_by_small_panels_gives_them_too(void **state) {
  (void)state;
  ASSERT_ALL(agrees_on(41, 23, 4, 1, WORDS, 0)); // one row of tiles a panel
  ASSERT_ALL(agrees_on(41, 23, 4, 2 * 4 * 3 * WORDS * 8 * test_comm.size, WORDS, 0));
}

static void exchange_takes_planes_with_gaps(void **state) {
  (void)state;
  ASSERT_ALL(agrees_on(17, 9, 4, 0, WORDS, 2));
}

static void exchange_takes_fewer_tiles_than_ranks(void **state) {
  (void)state;
  ASSERT_ALL(agrees_on(5, 3, 0, 0, WORDS, 0));
}

static void exchange_takes_ranks_of_other_sizes_and_without_samples(void **state) {
  (void)state;
  ASSERT_ALL(agrees_on(17, 9, 4, 0, 3 + test_comm.rank, 0));
  ASSERT_ALL(agrees_on(17, 9, 4, 0, test_comm.rank == test_comm.size - 1 ? 0 : WORDS, 0));
  ASSERT_ALL(agrees_on(17, 9, 4, 0, 0, 0));
}

static void exchange_of_no_units_visits_nothing(void **state) {
  (void)state;
  ASSERT_ALL(agrees_on(0, 3, 4, 0, WORDS, 0));
}

static double count_bytes(const char *collective) {
  json_t *all = esp_phases_gather_traffic(&test_comm);
  const double bytes =
      json_number_value(json_object_get(json_object_get(all, collective), "bytes"));
  json_decref(all);
  return bytes;
}

/* Information, conditional information and correlation, each as asked for. */
static void sweep_all(const esp_planes *x, esp_reduce reduce, float *information,
                      float *conditional, double *correlation) {
  const int64_t samples = (int64_t)WORDS * ESP_WORD_BITS * test_comm.size;
  const bool is_mine = test_comm.rank == 0;
  esp_sweep_information(&test_comm, x, x, samples, reduce, information);
  esp_sweep_conditional(&test_comm, x, x, samples, reduce, conditional);
  esp_sweep_correlation(&test_comm, x, samples, reduce, 0, is_mine ? correlation : NULL);
}

static bool sweeps_as_asked(esp_reduce reduce, const char *kind, const char *other) {
  enum { UNITS = 7, CELLS = UNITS * UNITS };
  float information[2][CELLS], conditional[2][CELLS];
  double correlation[2][CELLS] = {{0}};
  esp_planes x = make_planes(3, UNITS, 2, WORDS, 0); // any bits are codes of two bins
  sweep_all(&x, ESP_REDUCE_AUTO, information[0], conditional[0], correlation[0]);
  const double before = count_bytes(kind), before_other = count_bytes(other);
  sweep_all(&x, reduce, information[1], conditional[1], correlation[1]);
  esp_planes_clear(&x);
  const bool is_sent = count_bytes(kind) > before || test_comm.size == 1;
  return is_sent && count_bytes(other) == before_other &&
         memcmp(information[0], information[1], sizeof *information) == 0 &&
         memcmp(conditional[0], conditional[1], sizeof *conditional) == 0 &&
         memcmp(correlation[0], correlation[1], sizeof *correlation) == 0;
}

static void sweeps_reduce_as_asked_to_the_same_bits(void **state) {
  (void)state;
  ASSERT_ALL(sweeps_as_asked(ESP_REDUCE_ALLREDUCE, "iallreduce", "exchange"));
  ASSERT_ALL(sweeps_as_asked(ESP_REDUCE_EXCHANGE, "exchange", "iallreduce"));
}

static void find_reduce_knows_the_names_of_the_option(void **state) {
  (void)state;
  ASSERT_ALL(esp_sweep_find_reduce("auto") == ESP_REDUCE_AUTO);
  ASSERT_ALL(esp_sweep_find_reduce("allreduce") == ESP_REDUCE_ALLREDUCE);
  ASSERT_ALL(esp_sweep_find_reduce("exchange") == ESP_REDUCE_EXCHANGE);
}

static esp_sweep_shape make_shape(int64_t units, int64_t *words, int64_t words_a_rank) {
  for (int r = 0; r < test_comm.size; r++) words[r] = words_a_rank;
  return (esp_sweep_shape){.x_units = units,
                           .y_units = units,
                           .x_bins = 4,
                           .y_bins = 4,
                           .ranks = test_comm.size,
                           .words = words};
}

static void sweep_cost_is_what_is_counted(void **state) {
  (void)state;
  int64_t words[8];
  esp_sweep_shape shape = make_shape(41, words, WORDS);
  shape.is_symmetric = true;
  shape.tile = 4;
  shape.visitor = 1;
  const esp_sweep_cost cost = esp_sweep_compute_cost(&shape);
  const double reduced = count_bytes("iallreduce"), exchanged = count_bytes("exchange");
  esp_planes x = make_planes(1, 41, 4, WORDS, 0);
  ASSERT_ALL(agrees((esp_sweep){.x = &x, .y = &x, .is_symmetric = true, .tile = 4, .visitor = 1}));
  esp_planes_clear(&x);
  const double scale = test_comm.size > 1 ? 1 : 0; // one rank sends nothing
  ASSERT_ALL(count_bytes("iallreduce") - reduced == scale * cost.reduced_bytes);
  ASSERT_ALL(count_bytes("exchange") - exchanged - cost.exchanged_bytes <= 0.5);
  ASSERT_ALL(cost.exchanged_bytes - (count_bytes("exchange") - exchanged) <= 0.5);
}

static void sweep_choose_weighs_codes_against_counts(void **state) {
  (void)state;
  int64_t words[8];
  const esp_sweep_shape few = make_shape(4096, words, 4); // codes of 4 words, 9 counts a pair
  const esp_reduce by_few = esp_sweep_choose(&few);
  const esp_sweep_shape many = make_shape(256, words, 1 << 20);
  const esp_reduce by_many = esp_sweep_choose(&many), alone = ESP_REDUCE_ALLREDUCE;
  ASSERT_ALL(by_few == (test_comm.size > 1 ? ESP_REDUCE_EXCHANGE : alone));
  ASSERT_ALL(by_many == ESP_REDUCE_ALLREDUCE);
}

ESP_TEST_MAIN(cmocka_unit_test(exchange_gives_the_counts_of_allreduce),
              cmocka_unit_test(exchange_by_small_panels_gives_them_too),
              cmocka_unit_test(exchange_takes_planes_with_gaps),
              cmocka_unit_test(exchange_takes_fewer_tiles_than_ranks),
              cmocka_unit_test(exchange_takes_ranks_of_other_sizes_and_without_samples),
              cmocka_unit_test(exchange_of_no_units_visits_nothing),
              cmocka_unit_test(sweeps_reduce_as_asked_to_the_same_bits),
              cmocka_unit_test(find_reduce_knows_the_names_of_the_option),
              cmocka_unit_test(sweep_cost_is_what_is_counted),
              cmocka_unit_test(sweep_choose_weighs_codes_against_counts))
