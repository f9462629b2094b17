#include "espalier/linalg/solve.h"

#include "espalier/comm/handle.h"
#include "espalier/core/memory.h"
#include "espalier/linalg/cost.h"
#include "scalapack.h"

#include <lapacke.h>
#include <limits.h>
#include <math.h>
#include <string.h>

enum {
  BLOCK = 64,
  WHOLE = 2048,   // unknowns of a system that every rank factors, at most
  RHS_BLOCK = 32, // right-hand sides that are solved at a time then
  RHS_COLUMNS = 16,
  GIVE = 2 // an element that is asked for takes as long as so many elementwise values (measured)
};

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
}

static void describe(matrix *self, const grid *on, int rows, int cols) {
  const int first = 0, stride = self->rows > 1 ? self->rows : 1;
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

static esp_status fail_on_value(const char *name, double value, int64_t i, int64_t j) {
  return esp_fail(
      ESP_NUMERIC,
      "expected finite %s in a least-squares system, found %g at row %lld, column %lld; "
      "check the weights and the calibration data",
      name, value, (long long)i, (long long)j);
}

/* The lower triangle of G + ridge I; the upper one is never read. Asked for by rows of G, which the
 * columns of the triangle are. */
static esp_status fill_gram_local(const esp_spd_problem *problem, const grid *on, matrix *gram) {
  for (int c = 0; c < gram->cols; c++) {
    const int64_t j = find_col(on, c);
    double *column = gram->values + (int64_t)c * gram->rows;
    for (int r = 0; r < gram->rows; r++) {
      const int64_t i = find_row(on, r);
      if (i < j) continue;
      const double value = problem->gram(problem->context, j, i) + (i == j ? problem->ridge : 0);
      if (!isfinite(value)) return fail_on_value("second moments", value, i, j);
      column[r] = value;
    }
  }
  return ESP_OK;
}

/* By rows as they are stored, some columns at a time, which stay in the cache. */
static esp_status fill_rhs_local(const esp_spd_problem *problem, const grid *on, matrix *rhs) {
  for (int first = 0; first < rhs->cols; first += RHS_COLUMNS)
    for (int r = 0; r < rhs->rows; r++) {
      const int64_t i = find_row(on, r);
      for (int c = first; c < rhs->cols && c < first + RHS_COLUMNS; c++) {
        const int64_t j = find_col(on, c);
        const double value = problem->rhs(problem->context, i, j);
        if (!isfinite(value)) return fail_on_value("right-hand sides", value, i, j);
        rhs->values[(int64_t)c * rhs->rows + r] = value;
      }
    }
  return ESP_OK;
}

static esp_status check_minor_local(const esp_spd_problem *problem, int info) {
  if (info == 0) return ESP_OK;
  return esp_fail(
      ESP_NUMERIC,
      "expected a positive definite least-squares system, found that the leading minor "
      "of order %d of %lld is not; its ridge is %g: use one 10 times as large, or more samples",
      info, (long long)problem->n, problem->ridge);
}

static esp_status check_solution_local(const grid *on, const matrix *rhs) {
  for (int c = 0; c < rhs->cols; c++)
    for (int r = 0; r < rhs->rows; r++) {
      const double value = rhs->values[(int64_t)c * rhs->rows + r];
      if (!isfinite(value))
        return fail_on_value("solutions", value, find_row(on, r), find_col(on, c));
    }
  return ESP_OK;
}

/* A system under way: Cholesky, then both triangles, in place of the right-hand sides. */
typedef struct spd_system {
  grid gram_grid, rhs_grid;
  matrix gram, rhs;
} spd_system;

static esp_status fill_local(const esp_spd_problem *problem, spd_system *self) {
  ESP_TRY(fill_gram_local(problem, &self->gram_grid, &self->gram));
  return fill_rhs_local(problem, &self->rhs_grid, &self->rhs);
}

static esp_status solve_on_grid(const esp_comm *comm, const esp_spd_problem *problem,
                                spd_system *self) {
  const int one = 1, n = (int)problem->n, n_rhs = (int)problem->n_rhs;
  matrix *gram = &self->gram, *rhs = &self->rhs;
  int info;
  describe(gram, &self->gram_grid, n, n);
  describe(rhs, &self->rhs_grid, n, n_rhs);
  pdpotrf_("L", &n, gram->values, &one, &one, gram->descriptor, &info, 1);
  ESP_ASSERT(info >= 0);
  ESP_TRY(esp_agree(comm, check_minor_local(problem, info)));
  pdpotrs_("L", &n, &n_rhs, gram->values, &one, &one, gram->descriptor, rhs->values, &one, &one,
           rhs->descriptor, &info, 1);
  ESP_ASSERT(info == 0);
  return ESP_OK;
}

/* Every rank factors the matrix, and solves for blocks of right-hand sides that are dealt in turn:
 * the same calls at any rank count, so the same bits. */
static esp_status solve_whole(const esp_comm *comm, const esp_spd_problem *problem,
                              spd_system *self) {
  const int n = (int)problem->n;
  int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', n, self->gram.values, n);
  ESP_ASSERT(info >= 0);
  ESP_TRY(esp_agree(comm, check_minor_local(problem, info)));
  for (int c = 0; c < self->rhs.cols; c += RHS_BLOCK) {
    const int left = self->rhs.cols - c, columns = left < RHS_BLOCK ? left : RHS_BLOCK;
    info = LAPACKE_dpotrs_work(LAPACK_COL_MAJOR, 'L', n, columns, self->gram.values, n,
                               self->rhs.values + (int64_t)c * n, n);
    ESP_ASSERT(info == 0);
  }
  return ESP_OK;
}

/* A block column of every process column: what is gathered at a time. */
typedef struct panel {
  const grid *on;
  int64_t n, n_rhs, number;
  int64_t *begins; // (size + 1), of every rank's values
  double *values;  // rank by rank, column-major
} panel;

static int64_t find_panel_column(const panel *self, int rank) {
  const grid *on = self->on;
  return (self->number * on->cols + rank % on->cols) * on->block;
}

static int64_t count_panel_columns(const panel *self, int rank) {
  const int64_t left = self->n_rhs - find_panel_column(self, rank), block = self->on->block;
  return left < 0 ? 0 : left < block ? left : block;
}

static int64_t count_panel_rows(const panel *self, int rank) {
  const int n = (int)self->n, row = rank / self->on->cols, first = 0;
  return numroc_(&n, &self->on->block, &row, &first, &self->on->rows);
}

static void set_panel(panel *self, int64_t number) {
  self->number = number;
  for (int r = 0; r < self->on->rows * self->on->cols; r++)
    self->begins[r + 1] =
        self->begins[r] + count_panel_columns(self, r) * count_panel_rows(self, r);
}

static void unpack(const panel *self, int rank, double *x) {
  const int row = rank / self->on->cols;
  const int64_t rows = count_panel_rows(self, rank), columns = count_panel_columns(self, rank);
  const double *values = self->values + self->begins[rank];
  for (int r = 0; r < rows; r++) {
    double *to = x + find_global(self->on, r, row, self->on->rows) * self->n_rhs +
                 find_panel_column(self, rank);
    for (int64_t c = 0; c < columns; c++) to[c] = values[c * rows + r];
  }
}

static void gather_panel(const esp_comm *comm, panel *self, const matrix *rhs, double *x) {
  const int64_t mine = self->begins[comm->rank + 1] - self->begins[comm->rank];
  if (mine > 0)
    memcpy(self->values + self->begins[comm->rank],
           rhs->values + self->number * self->on->block * rhs->rows,
           (size_t)mine * sizeof *rhs->values);
  esp_allgather_f64(comm, self->begins, self->values);
  for (int r = 0; r < comm->size; r++) unpack(self, r, x);
}

static void gather_solution(const esp_comm *comm, const esp_spd_problem *problem, const grid *on,
                            const matrix *rhs, double *x) {
  const int64_t width = (int64_t)on->block * on->cols;
  panel part = {.on = on,
                .n = problem->n,
                .n_rhs = problem->n_rhs,
                .begins = ESP_NEW(int64_t, comm->size + 1),
                .values =
                    ESP_NEW(double, problem->n *(width < problem->n_rhs ? width : problem->n_rhs))};
  for (int64_t number = 0; number * width < problem->n_rhs; number++) {
    set_panel(&part, number);
    gather_panel(comm, &part, rhs, x);
  }
  esp_release(part.begins);
  esp_release(part.values);
}

bool esp_solve_is_whole_local(int64_t n) {
  return n <= WHOLE;
}

static bool is_whole(const esp_spd_problem *problem) {
  return problem->whole == 0 ? esp_solve_is_whole_local(problem->n) : problem->n <= problem->whole;
}

static esp_status solve(const esp_comm *comm, const esp_spd_problem *problem, spd_system *self,
                        double *x) {
  const int n = (int)problem->n;
  init_matrix(&self->gram, &self->gram_grid, n, n);
  init_matrix(&self->rhs, &self->rhs_grid, n, (int)problem->n_rhs);
  esp_status status = esp_agree(comm, fill_local(problem, self));
  if (status == ESP_OK)
    status =
        is_whole(problem) ? solve_whole(comm, problem, self) : solve_on_grid(comm, problem, self);
  esp_free(&self->gram.values);
  if (status == ESP_OK) status = esp_agree(comm, check_solution_local(&self->rhs_grid, &self->rhs));
  if (status == ESP_OK) gather_solution(comm, problem, &self->rhs_grid, &self->rhs, x);
  esp_free(&self->rhs.values);
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
  spd_system self = {
      .gram_grid = {.rows = 1, .cols = 1, .block = (int)problem->n},
      .rhs_grid = {.rows = 1, .cols = comm->size, .col = comm->rank, .block = RHS_BLOCK}};
  if (is_whole(problem)) return solve(comm, problem, &self, x);
  open_grid(&self.gram_grid, comm, problem->n);
  self.rhs_grid = self.gram_grid;
  const esp_status status = solve(comm, problem, &self, x);
  close_grid(&self.gram_grid);
  return status;
}

/* Cholesky's n^3 / 3 and two triangles; this rank's parts of the matrix, or all of it, and of the
 * right-hand sides in place of which the solution comes, which is then gathered by panels: half of
 * what an allreduce moves. */
void esp_solve_add_cost(int ranks, double n, double n_rhs, esp_cost *cost) {
  const bool whole = esp_solve_is_whole_local((int64_t)n);
  const double solution = n * n_rhs, factor = n * n * n / 3.0;
  const double mine = n * n / (whole ? 1 : ranks) + solution / ranks;
  const double width =
      whole ? (double)RHS_BLOCK * ranks : (double)BLOCK * (ranks / choose_grid_rows(ranks));
  esp_cost_touch(cost, sizeof(double) * (mine + n * fmin(n_rhs, width)));
  esp_cost_send(cost, ranks, ESP_ALLGATHER, sizeof(double) * solution / ranks);
  cost->work.solver += 2.0 * n * solution + (whole ? 0.0 : factor);
  cost->work.serial += whole ? factor : 0.0;
  cost->work.solves += 1.0;
  cost->work.every += GIVE * (n * n + solution);
  cost->work.reduced += sizeof(double) * solution / 2.0;
}
