/* A ranking that the ranks share has the bits of one that a rank makes alone. */
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/select/joint.h"
#include "mpi.h"

#include <omp.h>
#include <string.h>

enum { FACTORS = 16 };

typedef struct problem {
  esp_evidence evidence;
  double *covariance;
  float *map;
} problem;

/* What features share, a few factors, and what each has alone. */
static double *make_covariance(int64_t n) {
  double *factor = ESP_NEW(double, FACTORS *n), *covariance = ESP_NEW(double, n *n);
  for (int64_t i = 0; i < FACTORS * n; i++) factor[i] = esp_rng_normal(5, 1, (uint64_t)i);
  for (int64_t i = 0; i < n; i++) {
    covariance[i * n + i] = 2.0;
    for (int64_t j = 0; j < n; j++)
      for (int64_t k = 0; k < FACTORS; k++)
        covariance[i * n + j] += factor[i * FACTORS + k] * factor[j * FACTORS + k];
  }
  esp_free(&factor);
  return covariance;
}

static problem problem_new(int64_t units, int64_t width, int64_t outputs) {
  const int64_t n = units * width;
  problem self = {.covariance = make_covariance(n), .map = ESP_NEW(float, outputs *n)};
  for (int64_t i = 0; i < outputs * n; i++) self.map[i] = (float)esp_rng_normal(5, 2, (uint64_t)i);
  self.evidence = (esp_evidence){.site = "test",
                                 .units = units,
                                 .width = width,
                                 .outputs = outputs,
                                 .covariance = self.covariance,
                                 .map = self.map,
                                 .ridge = 1e-3};
  return self;
}

static void problem_clear(problem *self) {
  esp_free(&self->covariance);
  esp_free(&self->map);
}

static const esp_criterion *find(const char *name) {
  const esp_criterion *criterion = NULL;
  ESP_ASSERT(esp_criterion_find(name, &criterion) == ESP_OK);
  return criterion;
}

/* What ranks but the first give: no arrays, no outputs. */
static esp_evidence get_evidence(const problem *self) {
  if (test_comm.rank == 0) return self->evidence;
  return (esp_evidence){.site = "test",
                        .units = self->evidence.units,
                        .width = self->evidence.width,
                        .ridge = self->evidence.ridge};
}

static bool have_same_bits(const char *name, const problem *from) {
  const int64_t units = from->evidence.units;
  const size_t bytes = (size_t)units * sizeof(double);
  const esp_evidence evidence = get_evidence(from);
  int64_t *alone = ESP_NEW(int64_t, units), *together = ESP_NEW(int64_t, units);
  double *mine = ESP_NEW(double, units), *ours = ESP_NEW(double, units);
  esp_status status = find(name)->rank(&from->evidence, alone, mine);
  if (status == ESP_OK) status = find(name)->rank_by_team(&test_comm, &evidence, together, ours);
  const bool same =
      test_comm.rank > 0 || (memcmp(alone, together, bytes) == 0 && memcmp(mine, ours, bytes) == 0);
  esp_free(&alone);
  esp_free(&together);
  esp_free(&mine);
  esp_free(&ours);
  return status == ESP_OK && same;
}

static void assert_same_bits(int64_t units, int64_t width, int64_t outputs) {
  problem p = problem_new(units, width, outputs);
  ASSERT_ALL(have_same_bits("set-mi", &p));
  problem_clear(&p);
}

static void a_team_ranks_neurons_with_the_same_bits(void **state) {
  (void)state;
  assert_same_bits(300, 1, 20); // three blocks of columns, the last one narrower
  assert_same_bits(513, 1, 3);
}

static void a_team_ranks_heads_that_lie_in_two_blocks(void **state) {
  (void)state;
  assert_same_bits(5, 71, 9);
}

static void a_team_ranks_more_outputs_than_panels(void **state) {
  (void)state;
  assert_same_bits(140, 1, 1100); // five panels of 256
}

static void ranks_of_a_team_may_have_unequal_threads(void **state) {
  (void)state;
  const int threads = omp_get_max_threads();
  for (int first = 1; first <= 2; first++) {
    omp_set_num_threads(test_comm.rank == 0 ? first : 3 - first);
    assert_same_bits(140, 1, 600); // three panels
  }
  omp_set_num_threads(threads);
}

static void a_team_ranks_what_its_first_rank_alone_holds(void **state) {
  (void)state;
  assert_same_bits(1, 1, 2);
  assert_same_bits(40, 1, 2);
}

static void a_team_ranks_by_max_entropy(void **state) {
  (void)state;
  problem p = problem_new(260, 1, 8);
  ASSERT_ALL(have_same_bits("max-entropy", &p));
  problem_clear(&p);
}

/* Nobody waits where the first rank, or another one that has the block, finds no inverse. */
static void a_singular_covariance_fails_all(void **state) {
  (void)state;
  enum { N = 300 };
  for (int64_t feature = 10; feature < N; feature += 130) {
    problem p = problem_new(N, 1, 3);
    p.evidence.ridge = 0.0;
    for (int64_t i = 0; i < N; i++)
      p.covariance[feature * N + i] = p.covariance[(feature - 1) * N + i];
    for (int64_t i = 0; i < N; i++)
      p.covariance[i * N + feature] = p.covariance[i * N + feature - 1];
    int64_t order[N];
    double score[N];
    const esp_evidence evidence = get_evidence(&p);
    ASSERT_ALL(find("set-mi")->rank_by_team(&test_comm, &evidence, order, score) == ESP_NUMERIC);
    ASSERT_ALL(strstr(esp_failure_text(), "singular") != NULL);
    problem_clear(&p);
  }
}

static void a_covariance_that_is_no_number_fails_all(void **state) {
  (void)state;
  problem p = problem_new(4, 1, 3);
  int64_t order[4];
  double score[4];
  p.covariance[0] = -1.0;
  const esp_evidence evidence = get_evidence(&p);
  ASSERT_ALL(find("set-mi")->rank_by_team(&test_comm, &evidence, order, score) == ESP_NUMERIC);
  problem_clear(&p);
}

enum { READERS = 5, WIDTH = 40 };

/* Readers with maps of their own; the last one's is not refitted. */
static esp_status rank_readers(const esp_comm *team, const problem *readers, int64_t *order,
                               double *score) {
  esp_joint *joint = NULL;
  esp_status status = esp_joint_new_local(team, find("set-mi"), WIDTH, READERS, &joint);
  for (int i = 0; i < READERS && status == ESP_OK; i++) {
    const bool is_mine = !team || esp_joint_get_owner(joint) == team->rank;
    status = esp_joint_add(joint, is_mine ? &readers[i].evidence : NULL);
    if (team) status = esp_agree(team, status);
  }
  if (status == ESP_OK) status = esp_joint_rank(joint, order, score);
  esp_joint_free(&joint);
  return status;
}

static void a_team_ranks_for_several_readers_with_the_same_bits(void **state) {
  (void)state;
  problem readers[READERS];
  int64_t alone[WIDTH], together[WIDTH];
  double mine[WIDTH], ours[WIDTH];
  for (int i = 0; i < READERS; i++) {
    readers[i] = problem_new(WIDTH, 1, 3 + i);
    readers[i].evidence.is_fixed = i == READERS - 1;
    for (int64_t f = 0; f < WIDTH; f++) readers[i].map[f] *= (float)(1 + (f + i) % 3);
  }
  ASSERT_ALL(rank_readers(NULL, readers, alone, mine) == ESP_OK);
  ASSERT_ALL(rank_readers(&test_comm, readers, together, ours) == ESP_OK);
  ASSERT_ALL(test_comm.rank > 0 ||
             (memcmp(alone, together, sizeof alone) == 0 && memcmp(mine, ours, sizeof mine) == 0));
  for (int i = 0; i < READERS; i++) problem_clear(&readers[i]);
}

ESP_TEST_MAIN(cmocka_unit_test(a_team_ranks_neurons_with_the_same_bits),
              cmocka_unit_test(a_team_ranks_for_several_readers_with_the_same_bits),
              cmocka_unit_test(a_team_ranks_heads_that_lie_in_two_blocks),
              cmocka_unit_test(a_team_ranks_more_outputs_than_panels),
              cmocka_unit_test(ranks_of_a_team_may_have_unequal_threads),
              cmocka_unit_test(a_team_ranks_what_its_first_rank_alone_holds),
              cmocka_unit_test(a_team_ranks_by_max_entropy),
              cmocka_unit_test(a_singular_covariance_fails_all),
              cmocka_unit_test(a_covariance_that_is_no_number_fails_all))
