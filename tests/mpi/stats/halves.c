#include "espalier/collect/collect.h"
#include "espalier/sweep/sweep.h"

#include "mpi.h"
#include "small.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 90, WIDTH = 6, UNITS = 7, MICRO_BATCH = 16, BINS = 4 };
static const int64_t sizes[] = {WIDTH, 5, UNITS, 3};
static const char site_name[] = "hidden.1";
enum { EVERYTHING = ESP_LOAD_PLANES | ESP_LOAD_COVARIANCE };

typedef struct bench {
  esp_model *model;
  esp_dataset *data;
  esp_shard shard;
  esp_stats *stats, *half;
  esp_site_stats site; // of the half, or of all
} bench;

static bench new_bench(int64_t samples, int64_t micro_batch) {
  bench self = {.model = small_model_new("tanh", sizes, 4, 3),
                .data = small_dataset_new(SAMPLES, WIDTH, 3)};
  const esp_shard_options options = {.samples = samples, .micro_batch = micro_batch, .seed = 3};
  esp_shard_init(&self.shard, &test_comm, self.data, &options);
  return self;
}

static void collect(bench *self, bool halves, const char *path) {
  const esp_collect_options options = {
      .bins = BINS, .pilot = 40, .covariance = true, .halves = halves};
  json_t *meta = json_pack("{s:I}", "micro_batch", (json_int_t)self->shard.micro_batch);
  ESP_ASSERT(esp_collect(&test_comm, self->model, &self->shard, &options, meta, path) == ESP_OK);
  ESP_ASSERT(esp_stats_open(&test_comm, path, &self->stats) == ESP_OK);
}

static void load(esp_stats *stats, esp_site_stats *site) {
  ESP_ASSERT(esp_stats_load_site(stats, site_name, UNITS, EVERYTHING, site) == ESP_OK);
}

/* A half, or for ESP_WHOLE all, of a collection of everything, made once. */
static bench open_part(esp_half half) {
  static bool is_made;
  bench self = new_bench(0, MICRO_BATCH);
  const char *path = test_path("halves.h5");
  if (is_made)
    ESP_ASSERT(esp_stats_open(&test_comm, path, &self.stats) == ESP_OK);
  else
    collect(&self, true, path);
  is_made = true;
  if (half != ESP_WHOLE)
    ESP_ASSERT(esp_stats_open_half_local(self.stats, half, &self.half) == ESP_OK);
  load(half == ESP_WHOLE ? self.stats : self.half, &self.site);
  return self;
}

/* A collection of the micro-batches of one half alone: 48 samples, or 42. */
static bench open_alone(esp_half half) {
  bench self = new_bench(half == ESP_EVEN ? 48 : 42, MICRO_BATCH);
  int64_t order[SAMPLES];
  memcpy(order, self.shard.order, sizeof order);
  for (int64_t s = 0; s < self.shard.samples; s++)
    self.shard.order[s] =
        order[(s / MICRO_BATCH * 2 + (half == ESP_ODD)) * MICRO_BATCH + s % MICRO_BATCH];
  collect(&self, false, test_path("alone.h5"));
  load(self.stats, &self.site);
  return self;
}

static void close_bench(bench *self) {
  esp_site_stats_clear(&self->site);
  esp_stats_close(&self->half);
  esp_stats_close(&self->stats);
  esp_shard_clear(&self->shard);
  esp_dataset_close(&self->data);
  esp_model_free(&self->model);
}

static double find_gap(const double *a, const double *b) {
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < UNITS; i++) {
    worst = fmax(worst, fabs(a[i] - b[i]));
    largest = fmax(largest, fabs(b[i]));
  }
  return worst / largest;
}

static double find_covariance_gap(const bench *a, const bench *b) {
  double worst = 0;
  for (int64_t i = 0; i < UNITS * UNITS; i++)
    worst = fmax(worst, fabs((double)a->site.covariance[i] - (double)b->site.covariance[i]));
  return worst;
}

/* The pilots and so the roundings differ, the samples don't. */
static void check_against_alone(esp_half half) {
  bench part = open_part(half), alone = open_alone(half);
  ASSERT_ALL(part.half->rows == alone.stats->rows);
  ASSERT_ALL(find_gap(part.site.mean, alone.site.mean) < 1e-6);
  ASSERT_ALL(find_gap(part.site.variance, alone.site.variance) < 1e-6);
  ASSERT_ALL(find_gap(part.site.norm, alone.site.norm) < 1e-6);
  ASSERT_ALL(find_gap(part.site.activation, alone.site.activation) < 1e-6);
  ASSERT_ALL(find_covariance_gap(&part, &alone) < 1e-6);
  close_bench(&part);
  close_bench(&alone);
}

static void load_site_of_the_even_half_is_a_collection_of_its_micro_batches(void **state) {
  (void)state;
  check_against_alone(ESP_EVEN);
}

static void load_site_of_the_odd_half_is_a_collection_of_its_micro_batches(void **state) {
  (void)state;
  check_against_alone(ESP_ODD);
}

static void load_site_of_two_halves_differs(void **state) {
  (void)state;
  bench even = open_part(ESP_EVEN), odd = open_part(ESP_ODD);
  ASSERT_ALL(find_gap(even.site.mean, odd.site.mean) > 1e-3);
  ASSERT_ALL(find_covariance_gap(&even, &odd) > 1e-3);
  close_bench(&even);
  close_bench(&odd);
}

/* S C = S_A C_A + S_B C_B + (S_A S_B / S) (m_A - m_B) (m_A - m_B)^T */
static void load_site_of_two_halves_adds_up_to_the_whole(void **state) {
  (void)state;
  bench all = open_part(ESP_WHOLE), even = open_part(ESP_EVEN), odd = open_part(ESP_ODD);
  const double a = (double)even.half->rows, b = (double)odd.half->rows, s = a + b;
  double worst = 0;
  for (int64_t i = 0; i < UNITS; i++)
    for (int64_t j = 0; j < UNITS; j++) {
      const double gap = (even.site.mean[i] - odd.site.mean[i]) *
                         (even.site.mean[j] - odd.site.mean[j]) * a * b / s;
      const int64_t at = i * UNITS + j;
      const double sum = a * even.site.covariance[at] + b * odd.site.covariance[at] + gap;
      worst = fmax(worst, fabs(sum / s - all.site.covariance[at]));
    }
  ASSERT_ALL(s == SAMPLES && worst < 1e-6);
  close_bench(&all);
  close_bench(&even);
  close_bench(&odd);
}

static void collect_of_halves_leaves_the_whole_as_it_is(void **state) {
  (void)state;
  bench with = open_part(ESP_WHOLE), without = new_bench(0, MICRO_BATCH);
  collect(&without, false, test_path("without.h5"));
  load(without.stats, &without.site);
  const size_t bytes = UNITS * sizeof(double);
  ASSERT_ALL(memcmp(with.site.mean, without.site.mean, bytes) == 0);
  ASSERT_ALL(memcmp(with.site.variance, without.site.variance, bytes) == 0);
  ASSERT_ALL(memcmp(with.site.norm, without.site.norm, bytes) == 0);
  ASSERT_ALL(memcmp(with.site.activation, without.site.activation, bytes) == 0);
  ASSERT_ALL(find_covariance_gap(&with, &without) == 0);
  close_bench(&with);
  close_bench(&without);
}

/* True iff the half's planes are those of its micro-batches, and each once. */
static bool has_planes_of(const bench *half, const bench *all, int parity) {
  const int64_t words = all->stats->words, n = UNITS * (BINS - 1);
  int64_t found = 0;
  bool same = half->site.planes.n_words == half->half->count * words;
  for (int64_t i = 0; i < all->stats->count; i++) {
    const int64_t number = all->stats->first + i, at = number / 2 - half->half->first;
    for (int64_t p = 0; number % 2 == parity && p < n; p++)
      same = same && memcmp(half->site.planes.words + p * half->site.planes.stride + at * words,
                            all->site.planes.words + p * all->site.planes.stride + i * words,
                            (size_t)words * sizeof(uint64_t)) == 0;
    found += number % 2 == parity;
  }
  return same && found == half->half->count;
}

/* True iff the owner, the last rank, gets the covariance that load_site gives. */
static bool has_same_matrix(const bench *self) {
  const int owner = test_comm.size - 1;
  const bool is_mine = test_comm.rank == owner;
  float *matrix = is_mine ? ESP_NEW(float, (UNITS * UNITS)) : NULL;
  bool same = esp_stats_load_matrix(self->half, site_name, ESP_STATS_COVARIANCE, UNITS, owner,
                                    matrix) == ESP_OK;
  if (is_mine)
    same = same && memcmp(matrix, self->site.covariance, UNITS * UNITS * sizeof *matrix) == 0;
  esp_free(&matrix);
  return same;
}

static void load_matrix_of_a_half_is_that_of_load_site(void **state) {
  (void)state;
  bench even = open_part(ESP_EVEN), odd = open_part(ESP_ODD);
  ASSERT_ALL(has_same_matrix(&even));
  ASSERT_ALL(has_same_matrix(&odd));
  close_bench(&even);
  close_bench(&odd);
}

static void load_site_of_a_half_gives_its_planes(void **state) {
  (void)state;
  bench all = open_part(ESP_WHOLE), even = open_part(ESP_EVEN), odd = open_part(ESP_ODD);
  ASSERT_ALL(has_planes_of(&even, &all, 0));
  ASSERT_ALL(has_planes_of(&odd, &all, 1));
  close_bench(&all);
  close_bench(&even);
  close_bench(&odd);
}

static void open_half_counts_rows_and_micro_batches(void **state) {
  (void)state;
  bench even = open_part(ESP_EVEN), odd = open_part(ESP_ODD);
  int64_t count[] = {even.half->count, odd.half->count};
  esp_allreduce_sum_i64(&test_comm, count, 2);
  ASSERT_ALL(even.half->n_batches == 3 && odd.half->n_batches == 3);
  ASSERT_ALL(count[0] == 3 && count[1] == 3);
  ASSERT_ALL(even.half->rows == 48 && odd.half->rows == 42 && odd.half->valid[2] == 10);
  close_bench(&even);
  close_bench(&odd);
}

static void sweep_of_a_half_counts_its_rows_alone(void **state) {
  (void)state;
  bench odd = open_part(ESP_ODD);
  int64_t marginals[UNITS * (BINS - 1)], rows = 0;
  float information[UNITS * UNITS];
  esp_sweep_marginals(&test_comm, &odd.site.planes, marginals);
  esp_sweep_information(&test_comm, &odd.site.planes, &odd.site.planes, odd.half->rows,
                        ESP_REDUCE_AUTO, information);
  for (int64_t i = 0; i < odd.half->n_batches; i++) rows += odd.half->valid[i];
  ASSERT_ALL(rows == odd.half->rows && marginals[0] > 0 && marginals[0] < rows);
  ASSERT_ALL(information[0] > 1 && information[1] < information[0]);
  close_bench(&odd);
}

static bool open_half_fails(esp_stats *stats, esp_half half, const char *part) {
  esp_stats *opened = stats;
  return esp_stats_open_half_local(stats, half, &opened) == ESP_FORMAT && !opened &&
         strstr(esp_failure_text(), part);
}

static void open_half_without_halves_is_format(void **state) {
  (void)state;
  bench self = new_bench(0, MICRO_BATCH);
  collect(&self, false, test_path("without.h5"));
  ASSERT_ALL(open_half_fails(self.stats, ESP_EVEN, "--halves"));
  close_bench(&self);
}

static void open_half_of_one_micro_batch_is_format(void **state) {
  (void)state;
  bench self = new_bench(0, SAMPLES);
  collect(&self, true, test_path("one.h5"));
  ASSERT_ALL(open_half_fails(self.stats, ESP_ODD, "--micro-batch"));
  ASSERT_ALL(esp_stats_open_half_local(self.stats, ESP_EVEN, &self.half) == ESP_OK);
  ASSERT_ALL(self.half->rows == SAMPLES);
  close_bench(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(load_site_of_the_even_half_is_a_collection_of_its_micro_batches),
              cmocka_unit_test(load_site_of_the_odd_half_is_a_collection_of_its_micro_batches),
              cmocka_unit_test(load_site_of_two_halves_differs),
              cmocka_unit_test(load_site_of_two_halves_adds_up_to_the_whole),
              cmocka_unit_test(collect_of_halves_leaves_the_whole_as_it_is),
              cmocka_unit_test(load_site_of_a_half_gives_its_planes),
              cmocka_unit_test(load_matrix_of_a_half_is_that_of_load_site),
              cmocka_unit_test(open_half_counts_rows_and_micro_batches),
              cmocka_unit_test(sweep_of_a_half_counts_its_rows_alone),
              cmocka_unit_test(open_half_without_halves_is_format),
              cmocka_unit_test(open_half_of_one_micro_batch_is_format))
