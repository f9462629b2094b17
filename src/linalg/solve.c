#include "espalier/linalg/solve.h"

#include "espalier/comm/handle.h"
#include "espalier/core/memory.h"
#include "scalapack.h"

#include <limits.h>
#include <math.h>

enum { BLOCK = 64 };

/* A process grid over all ranks of a communicator, row-major. */
typedef struct grid {
  int handle, context;
  int rows, cols;
  int row, col; // of this rank
  int block;
} grid;

/* A matrix dealt to the grid in square blocks; this rank's part is column-major. */
typedef struct matrix {
  int descriptor[ESP_DESCRIPTOR_LENGTH];
  int rows, cols; // of this rank's part
  double *values; // (cols, rows), owned
} matrix;

/* The largest divisor up to the root: as near to a square as size allows. */
static int choose_grid_rows(int size) {
  int rows = 1;
  for (int i = 2; i <= size / i; i++)
    if (size % i == 0) rows = i;
  return rows;
}

/* Blocks so small that every process of the longer side has one, where n allows. */
static int choose_block(int64_t n, int grid_cols) {
  const int64_t share = (n + grid_cols - 1) / grid_cols;
  return share < BLOCK ? (int)share : BLOCK;
}

static void open_grid(grid *self, const esp_comm *comm, int64_t n) {
  const int rows = choose_grid_rows(comm->size);
  self->handle = Csys2blacs_handle(esp_comm_get_handle_local(comm));
  self->context = self->handle;
  Cblacs_gridinit(&self->context, "Row", rows, comm->size / rows);
  Cblacs_gridinfo(self->context, &self->rows, &self->cols, &self->row, &self->col);
  self->block = choose_block(n, self->cols);
}

static void close_grid(const grid *self) {
  Cblacs_gridexit(self->context);
  Cfree_blacs_system_handle(self->handle);
}

static void init_matrix(matrix *self, const grid *on, int rows, int cols) {
  const int first = 0;
  self->rows = numroc_(&rows, &on->block, &on->row, &first, &on->rows);
  self->cols = numroc_(&cols, &on->block, &on->col, &first, &on->cols);
  self->values = ESP_NEW(double, (int64_t)self->rows * self->cols);
  const int stride = self->rows > 1 ? self->rows : 1;
  int info;
  descinit_(self->descriptor, &rows, &cols, &on->block, &on->block, &first, &first, &on->context,
            &stride, &info);
  ESP_ASSERT(info == 0);
}

/* Global index of a local one on the process at this coordinate. */
static int64_t find_global(const grid *on, int local, int coordinate, int n_processes) {
  return ((int64_t)(local / on->block) * n_processes + coordinate) * on->block + local % on->block;
}

static int64_t find_row(const grid *on, int local) {
  return find_global(on, local, on->row, on->rows);
}

static int64_t find_col(const grid *on, int local) {
  return find_global(on, local, on->col, on->cols);
}

static esp_status check_finite(const char *name, double value, int64_t i, int64_t j) {
  if (isfinite(value)) return ESP_OK;
  return esp_fail(
      ESP_NUMERIC,
      "expected finite %s in a least-squares system, found %g at row %lld, column %lld; "
      "check the weights and the calibration data",
      name, value, (long long)i, (long long)j);
}

/* The lower triangle of G + ridge I; the upper one is never read. */
static esp_status fill_gram_local(const esp_spd_problem *problem, const grid *on, matrix *gram) {
  for (int c = 0; c < gram->cols; c++) {
    const int64_t j = find_col(on, c);
    for (int r = 0; r < gram->rows; r++) {
      const int64_t i = find_row(on, r);
      if (i < j) continue;
      const double value = problem->gram(problem->context, i, j) + (i == j ? problem->ridge : 0);
      ESP_TRY(check_finite("second moments", value, i, j));
      gram->values[(int64_t)c * gram->rows + r] = value;
    }
  }
  return ESP_OK;
}

static esp_status fill_rhs_local(const esp_spd_problem *problem, const grid *on, matrix *rhs) {
  for (int c = 0; c < rhs->cols; c++)
    for (int r = 0; r < rhs->rows; r++) {
      const int64_t i = find_row(on, r), j = find_col(on, c);
      const double value = problem->rhs(problem->context, i, j);
      ESP_TRY(check_finite("right-hand sides", value, i, j));
      rhs->values[(int64_t)c * rhs->rows + r] = value;
    }
  return ESP_OK;
}

static esp_status fill_local(const esp_spd_problem *problem, const grid *on, matrix *gram,
                             matrix *rhs) {
  ESP_TRY(fill_gram_local(problem, on, gram));
  return fill_rhs_local(problem, on, rhs);
}

static esp_status check_minor_local(const esp_spd_problem *problem, int info) {
  if (info == 0) return ESP_OK;
  return esp_fail(ESP_NUMERIC,
                  "expected a positive definite least-squares system, found that the leading minor "
                  "of order %d of %lld is not (ridge %g); use a larger ridge or more samples",
                  info, (long long)problem->n, problem->ridge);
}

static esp_status check_solution_local(const grid *on, const matrix *rhs) {
  for (int c = 0; c < rhs->cols; c++)
    for (int r = 0; r < rhs->rows; r++)
      ESP_TRY(check_finite("solutions", rhs->values[(int64_t)c * rhs->rows + r], find_row(on, r),
                           find_col(on, c)));
  return ESP_OK;
}

/* Cholesky, then both triangles, in place of the right-hand sides. */
static esp_status factor_and_solve(const esp_comm *comm, const esp_spd_problem *problem,
                                   const grid *on, matrix *gram, matrix *rhs) {
  const int one = 1, n = (int)problem->n, n_rhs = (int)problem->n_rhs;
  int info;
  pdpotrf_("L", &n, gram->values, &one, &one, gram->descriptor, &info, 1);
  ESP_ASSERT(info >= 0);
  ESP_TRY(esp_agree(comm, check_minor_local(problem, info)));
  pdpotrs_("L", &n, &n_rhs, gram->values, &one, &one, gram->descriptor, rhs->values, &one, &one,
           rhs->descriptor, &info, 1);
  ESP_ASSERT(info == 0);
  return esp_agree(comm, check_solution_local(on, rhs));
}

static void gather_solution(const esp_comm *comm, const esp_spd_problem *problem, const grid *on,
                            const matrix *rhs, double *x) {
  const int64_t count = problem->n * problem->n_rhs;
  for (int64_t i = 0; i < count; i++) x[i] = 0;
  for (int c = 0; c < rhs->cols; c++)
    for (int r = 0; r < rhs->rows; r++)
      x[find_row(on, r) * problem->n_rhs + find_col(on, c)] =
          rhs->values[(int64_t)c * rhs->rows + r];
  esp_allreduce_gather_f64(comm, x, count);
}

static esp_status solve_on_grid(const esp_comm *comm, const esp_spd_problem *problem,
                                const grid *on, double *x) {
  matrix gram, rhs;
  init_matrix(&gram, on, (int)problem->n, (int)problem->n);
  init_matrix(&rhs, on, (int)problem->n, (int)problem->n_rhs);
  esp_status status = esp_agree(comm, fill_local(problem, on, &gram, &rhs));
  if (status == ESP_OK) status = factor_and_solve(comm, problem, on, &gram, &rhs);
  if (status == ESP_OK) gather_solution(comm, problem, on, &rhs, x);
  esp_free(&rhs.values);
  esp_free(&gram.values);
  return status;
}

/* ScaLAPACK counts a rank's elements in int. */
static esp_status check_size_local(const esp_comm *comm, const esp_spd_problem *problem) {
  const int grid_rows = choose_grid_rows(comm->size), grid_cols = comm->size / grid_rows;
  const double wider = fmax((double)problem->n, (double)problem->n_rhs);
  const double rows = (double)problem->n / grid_rows + BLOCK, cols = wider / grid_cols + BLOCK;
  if (wider < INT_MAX && rows * cols < INT_MAX) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "expected a least-squares system of less than 2^31 elements a rank, found %lld x "
                  "%.0f on %d ranks; use more ranks",
                  (long long)problem->n, wider, comm->size);
}

esp_status esp_solve_spd(const esp_comm *comm, const esp_spd_problem *problem, double *x) {
  if (problem->n == 0 || problem->n_rhs == 0) return ESP_OK;
  ESP_TRY(check_size_local(comm, problem));
  grid on;
  open_grid(&on, comm, problem->n);
  const esp_status status = solve_on_grid(comm, problem, &on, x);
  close_grid(&on);
  return status;
}
