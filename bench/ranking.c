/* A ranking by set-mi of one site: `mpirun -n N bench_ranking UNITS WIDTH OUTPUTS`. Prints wall
 * seconds of rank 0 alone and of all ranks as a team, by turns, medians of three, and their ratio.
 */
#include "espalier/comm/handle.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/select/criterion.h"

#include <stdio.h>
#include <stdlib.h>

enum { TIMES = 3, FACTORS = 64 };

typedef struct bench {
  const esp_criterion *criterion;
  esp_comm comm;
  esp_evidence evidence; // rank 0 has its arrays
  double *covariance;
  float *map;
  int64_t *order;
  double *score;
} bench;

/* A diagonal and a few common factors. */
static void fill_covariance(double *covariance, int64_t n) {
  float *factor = ESP_NEW(float, n *FACTORS);
  for (int64_t i = 0; i < n * FACTORS; i++) factor[i] = (float)esp_rng_normal(1, 1, (uint64_t)i);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      float sum = i == j ? 8.0f : 0.0f;
      for (int64_t k = 0; k < FACTORS; k++)
        sum += factor[i * FACTORS + k] * factor[j * FACTORS + k];
      covariance[i * n + j] = covariance[j * n + i] = (double)sum;
    }
  esp_free(&factor);
}

static void fill(bench *self, int64_t outputs) {
  const int64_t n = self->evidence.units * self->evidence.width;
  self->covariance = ESP_NEW(double, n *n);
  self->map = ESP_NEW(float, n *outputs);
  fill_covariance(self->covariance, n);
  for (int64_t i = 0; i < n * outputs; i++) self->map[i] = (float)esp_rng_normal(1, 2, (uint64_t)i);
  self->evidence.outputs = outputs;
  self->evidence.covariance = self->covariance;
  self->evidence.map = self->map;
}

static double time_ranking(bench *self, bool by_team) {
  esp_barrier(&self->comm);
  const double begin = MPI_Wtime();
  esp_status status = ESP_OK;
  if (by_team)
    status = self->criterion->rank_by_team(&self->comm, &self->evidence, self->order, self->score);
  else if (self->comm.rank == 0)
    status = self->criterion->rank(&self->evidence, self->order, self->score);
  if (esp_agree(&self->comm, status) != ESP_OK) {
    fprintf(stderr, "%s\n", esp_failure_text());
    exit(EXIT_FAILURE);
  }
  return MPI_Wtime() - begin;
}

static int compare(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static void run(bench *self) {
  double seconds[2][TIMES];
  for (int i = 0; i < TIMES; i++)
    for (int by_team = 0; by_team < 2; by_team++)
      seconds[by_team][i] = time_ranking(self, by_team == 1);
  for (int i = 0; i < 2; i++) qsort(seconds[i], TIMES, sizeof **seconds, compare);
  const double alone = seconds[0][TIMES / 2], team = seconds[1][TIMES / 2];
  if (self->comm.rank == 0)
    printf("%lld features: one rank %.3f s, %d ranks %.3f s, ratio %.2f\n",
           (long long)(self->evidence.units * self->evidence.width), alone, self->comm.size, team,
           alone / team);
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  bench self = {.evidence = {.site = "bench", .ridge = 1e-4}};
  esp_comm_init(&self.comm, MPI_COMM_WORLD);
  if (argc != 4 || atoi(argv[1]) < 1 || atoi(argv[2]) < 1 || atoi(argv[3]) < 1) {
    if (self.comm.rank == 0) fprintf(stderr, "usage: bench_ranking UNITS WIDTH OUTPUTS\n");
    esp_comm_clear(&self.comm);
    MPI_Finalize();
    return EXIT_FAILURE;
  }
  self.evidence.units = atoi(argv[1]);
  self.evidence.width = atoi(argv[2]);
  self.order = ESP_NEW(int64_t, self.evidence.units);
  self.score = ESP_NEW(double, self.evidence.units);
  if (esp_criterion_find("set-mi", &self.criterion) != ESP_OK) return EXIT_FAILURE;
  if (self.comm.rank == 0) fill(&self, atoi(argv[3]));
  run(&self);
  esp_free(&self.covariance);
  esp_free(&self.map);
  esp_free(&self.order);
  esp_free(&self.score);
  esp_comm_clear(&self.comm);
  MPI_Finalize();
  return 0;
}
