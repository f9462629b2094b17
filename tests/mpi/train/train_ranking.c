/* Rankings, sums over units and masks give what one rank with all values would. */
#include "mpi.h"

#include "mlp.h"
#include "train/ranking.h"
#include "train/units.h"

#include "espalier/core/hash.h"

#include <math.h>

static const int64_t wide[] = {64, 90, 70, 3}; // several blocks, which are dealt to several ranks

static train_parts new_parts(const esp_comm *comm, esp_model *model) {
  train_parts parts;
  bool *trains = ESP_NEW(bool, model->n_weights);
  for (int w = 0; w < model->n_weights; w++) trains[w] = true;
  parts_init(&parts, comm, model, trains);
  return parts;
}

/* A score of few levels, so that there are ties, negative ones and zeros among them. */
static float get_score(int64_t place, int levels) {
  return (float)esp_rng_below(3, 7, (uint64_t)place, (uint64_t)levels) - 2.0f;
}

static bool may_be_ranked(int64_t place) {
  return esp_rng_below(3, 8, (uint64_t)place, 4) > 0;
}

static void fill(const train_parts *parts, int levels, float *scores, uint8_t *among) {
  for (int r = 0; r < parts->n_runs; r++) {
    const parts_run *run = &parts->runs[r];
    for (int64_t i = 0; i < run->n; i++) {
      scores[run->own + i] = get_score(run->place + i, levels);
      among[run->own + i] = may_be_ranked(run->place + i);
    }
  }
}

/* Whether a value is kept, from all values of its set at once. */
static bool is_kept(const int *set_of_place, int64_t n, int levels, int64_t place, int64_t keep) {
  int64_t before = 0;
  for (int64_t p = 0; p < n; p++) {
    if (set_of_place[p] != set_of_place[place] || !may_be_ranked(p)) continue;
    const float mine = get_score(place, levels), other = get_score(p, levels);
    before += other > mine || (other == mine && p < place);
  }
  return before < keep;
}

/* The set of every place; of the parts of a single rank, which has all. */
static int *list_sets(esp_model *model, const int *set_of, int64_t *n) {
  const esp_comm alone = esp_comm_pretend(0, 1);
  train_parts parts = new_parts(&alone, model);
  int *sets = ESP_NEW(int, parts.n_values);
  for (int r = 0; r < parts.n_runs; r++)
    for (int64_t i = 0; i < parts.runs[r].n; i++)
      sets[parts.runs[r].place + i] = set_of[parts.runs[r].weight];
  *n = parts.n_values;
  parts_clear(&parts);
  return sets;
}

static void check_ranking(const int64_t *sizes, int n_sizes, int levels, int64_t keep_second) {
  esp_model *model = mlp_new("relu", sizes, n_sizes, 4);
  train_parts parts = new_parts(&test_comm, model);
  const int64_t keep[2] = {7, keep_second};
  int set_of[16];
  int64_t n, wrong = 0;
  for (int w = 0; w < model->n_weights; w++) set_of[w] = w % 3 - 1; // -1: not ranked
  int *sets = list_sets(model, set_of, &n);
  float *scores = ESP_NEW(float, parts.n_own);
  uint8_t *among = ESP_NEW(uint8_t, parts.n_own), *marks = ESP_NEW(uint8_t, parts.n_own);
  fill(&parts, levels, scores, among);
  memset(marks, 9, (size_t)parts.n_own);
  ranking_mark_largest(&test_comm,
                       &(ranking){.parts = &parts,
                                  .scores = scores,
                                  .among = among,
                                  .set_of = set_of,
                                  .n_sets = 2,
                                  .keep = keep},
                       marks);
  for (int r = 0; r < parts.n_runs; r++)
    for (int64_t i = 0; i < parts.runs[r].n; i += 31) {
      const int64_t place = parts.runs[r].place + i, own = parts.runs[r].own + i;
      const int set = sets[place];
      const int expected = set < 0 || !among[own] ? 9 : is_kept(sets, n, levels, place, keep[set]);
      wrong += marks[own] != expected;
    }
  ASSERT_ALL(wrong == 0);
  esp_free(&marks);
  esp_free(&among);
  esp_free(&scores);
  esp_free(&sets);
  parts_clear(&parts);
  esp_model_free(&model);
}

static void ranking_marks_the_largest_of_each_set_and_the_first_of_equals(void **state) {
  static const int64_t tiny[] = {3, 2, 4};
  (void)state;
  check_ranking(wide, 4, 5, 400);
  check_ranking(wide, 4, 1 << 20, 400); // hardly any ties
  check_ranking(wide, 4, 1, 1);         // all are equal
  check_ranking(wide, 4, 5, 0);
  check_ranking(wide, 4, 5, 1 << 20); // more than there are
  check_ranking(tiny, 3, 3, 2);       // ranks without values
}

/* Sums over the columns that read each unit of the first site, and a hash of all. */
static uint64_t sum_units(const esp_comm *comm, esp_model *model, double *first) {
  train_parts parts = new_parts(comm, model);
  train_units units;
  units_lay_out(&units, &parts, NULL);
  units_init(&units);
  float *values = ESP_NEW(float, parts.n_own);
  double *sums = ESP_NEW(double, units.n);
  parts_copy_own_local(&parts, values);
  units_sum_products(comm, &units, units.consumed, values, values, sums);
  memcpy(first, sums, 90 * sizeof *first);
  const uint64_t hash = esp_hash((uint64_t)units.n, sums, (size_t)units.n * sizeof *sums);
  esp_free(&sums);
  esp_free(&values);
  units_clear(&units);
  parts_clear(&parts);
  return hash;
}

static void units_sum_products_is_right_and_the_same_at_any_rank_count(void **state) {
  (void)state;
  double sums[90], alone[90], worst = 0.0;
  esp_comm self;
  esp_comm_init_local(&self);
  esp_model *model = mlp_new("relu", wide, 4, 4);
  ASSERT_ALL(sum_units(&test_comm, model, sums) == sum_units(&self, model, alone));
  const float *w = model->weights[model->stages[0].consumer.weight].value; // (70, 90)
  for (int64_t u = 0; u < 90; u++) {
    double expected = 0.0;
    for (int64_t o = 0; o < 70; o++) expected += (double)w[o * 90 + u] * (double)w[o * 90 + u];
    worst = fmax(worst, fabs(sums[u] / expected - 1.0));
  }
  ASSERT_ALL(worst < 1e-12);
  esp_model_free(&model);
  esp_comm_clear(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(ranking_marks_the_largest_of_each_set_and_the_first_of_equals),
              cmocka_unit_test(units_sum_products_is_right_and_the_same_at_any_rank_count))
