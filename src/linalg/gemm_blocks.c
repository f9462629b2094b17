#include "gemm_kernel.h"

#include "espalier/core/memory.h"
#include "espalier/core/status.h"
#include "sizes.h"

#include <omp.h>
#include <string.h>
#include <threads.h>

enum {
  BLOCK_STEPS = 8, // kernel calls down a block of rows, which stays in the L2 cache
  UNITS_A_THREAD = 4,
  LEAST_ROWS = 64, // of a unit
};

/* Packed operands of a thread, kept for its next product. */
typedef struct buffers {
  float *a, *b;
} buffers;

/* C cut for threads, and how each does its part. */
typedef struct block_plan {
  const gemm_kernel *kernel;
  const esp_gemm *product;
  int64_t depth;      // products of one pass
  int64_t rows, cols; // of a unit; a multiple of the kernel's columns
  int64_t down, right;
} block_plan;

/* A part of C in one pass over part of the products. */
typedef struct pass {
  esp_gemm_tile tile;
  int64_t begin, depth;
  float beta;
  const float *b; // packed strips
} pass;

static once_flag made_key = ONCE_FLAG_INIT;
static tss_t key;

static void free_buffers(void *kept) {
  buffers *self = kept;
  esp_free(&self->a);
  esp_free(&self->b);
  esp_release(self);
}

static void make_key(void) {
  ESP_ASSERT(tss_create(&key, free_buffers) == thrd_success);
}

/* The buffers of the largest product of any kernel. */
static buffers *take_buffers(void) {
  call_once(&made_key, make_key);
  buffers *self = tss_get(key);
  if (self) return self;
  self = ESP_NEW(buffers, 1);
  self->a = ESP_NEW(float, (int64_t)BLOCK_STEPS *ESP_GEMM_MOST_ROWS *ESP_GEMM_DEPTH);
  self->b = ESP_NEW(float, ESP_GEMM_MOST_PANEL);
  ESP_ASSERT(tss_set(key, self) == thrd_success);
  return self;
}

/* About equal parts of at most so many, in whole steps. */
static int64_t cut(int64_t n, int64_t most, int64_t step) {
  return divide_up(divide_up(n, divide_up(n, most)), step) * step;
}

static block_plan make_plan(const gemm_kernel *kernel, const esp_gemm *product) {
  const int64_t m = product->m, n = product->n, k = product->k > 0 ? product->k : 1;
  const int64_t threads = omp_in_parallel() ? 1 : omp_get_max_threads();
  block_plan plan = {.kernel = kernel, .product = product, .depth = cut(k, ESP_GEMM_DEPTH, 1)};
  plan.cols = cut(n, kernel->panel_floats / plan.depth / kernel->cols * kernel->cols, kernel->cols);
  plan.right = divide_up(n, plan.cols);
  const int64_t parts = threads > 1 ? divide_up(threads * UNITS_A_THREAD, plan.right) : 1;
  plan.rows = min_i64(m, divide_up(m, parts) < LEAST_ROWS ? LEAST_ROWS : divide_up(m, parts));
  plan.down = divide_up(m, plan.rows);
  return plan;
}

/* The first row of a call of the kernel: rows are dealt evenly to the least number of calls. */
static int64_t find_row(const gemm_kernel *kernel, int64_t rows, int64_t step) {
  return step * rows / divide_up(rows, kernel->rows);
}

/* Row r of op(A) from product l of the pass. */
static const float *find_a(const esp_gemm *product, const pass *in, int64_t r, int64_t l) {
  const int64_t row = in->tile.row + r, at = in->begin + l;
  return product->a + (product->transpose_a ? at * product->lda + row : row * product->lda + at);
}

/* A strip that C has no room for is computed beside it, from the same C by the same operations. */
static void multiply_narrow(gemm_multiply multiply, const gemm_step *step, int64_t rows,
                            int64_t cols) {
  float beside[ESP_GEMM_MOST_ROWS * ESP_GEMM_MOST_COLS] = {0};
  gemm_step wide = *step;
  wide.c = beside;
  wide.ldc = ESP_GEMM_MOST_COLS;
  for (int64_t r = 0; step->beta != 0.0f && r < rows; r++)
    memcpy(beside + r * wide.ldc, step->c + r * step->ldc, (size_t)cols * sizeof *beside);
  multiply(&wide);
  for (int64_t r = 0; r < rows; r++)
    memcpy(step->c + r * step->ldc, beside + r * wide.ldc, (size_t)cols * sizeof *beside);
}

/* The first column of a pass that a row, and those below, want. */
static int64_t find_first(const block_plan *plan, const pass *in, int64_t row) {
  const int64_t right = in->tile.row + row - in->tile.col;
  return plan->product->upper && right > 0 ? right / plan->kernel->cols * plan->kernel->cols : 0;
}

/* Rows of A that are prefetched while a strip is multiplied: what is packed is at hand. */
static int64_t count_next_rows(const block_plan *plan, const pass *in) {
  const int64_t strips = divide_up(in->tile.cols, plan->kernel->cols);
  if (plan->product->transpose_a) return 1;
  return min_i64(divide_up(plan->kernel->rows, strips), in->tile.rows);
}

/* All strips of some rows, while the rows below them are prefetched. */
static void multiply_rows(const block_plan *plan, const pass *in, gemm_step *step, int64_t row,
                          int64_t rows) {
  const gemm_kernel *kernel = plan->kernel;
  const esp_gemm *product = plan->product;
  const gemm_multiply multiply = kernel->multiply[rows - 1];
  int64_t next = row + rows;
  for (int64_t j = find_first(plan, in, row); j < in->tile.cols; j += kernel->cols) {
    const int64_t cols = min_i64(kernel->cols, in->tile.cols - j);
    if (!product->transpose_a)
      step->next = find_a(product, in, min_i64(next, in->tile.rows - step->next_rows), 0);
    next += step->next_rows;
    step->b = in->b + j * in->depth;
    step->c = product->c + (in->tile.row + row) * product->ldc + in->tile.col + j;
    if (cols == kernel->cols)
      multiply(step);
    else
      multiply_narrow(multiply, step, rows, cols);
  }
}

/* Copy the columns of A, stored by columns, of calls [first, last): a few products of all at a
 * time, so that a row of A is read along. A call's part is packed + its first row * depth. */
static void pack_block(const block_plan *plan, const pass *in, int64_t first, int64_t last,
                       float *packed) {
  const int64_t lda = plan->product->lda, origin = find_row(plan->kernel, in->tile.rows, first);
  for (int64_t l = 0; l < in->depth; l += ESP_GEMM_AT_ONCE)
    for (int64_t s = first; s < last; s++) {
      const int64_t begin = find_row(plan->kernel, in->tile.rows, s);
      const int64_t rows = find_row(plan->kernel, in->tile.rows, s + 1) - begin;
      plan->kernel->pack_a[rows - 1](find_a(plan->product, in, begin, l), lda,
                                     min_i64(ESP_GEMM_AT_ONCE, in->depth - l),
                                     packed + (begin - origin) * in->depth + l * rows);
    }
}

/* Calls [first, last) of the kernel. */
static void multiply_block(const block_plan *plan, const pass *in, int64_t first, int64_t last,
                           float *packed) {
  const esp_gemm *product = plan->product;
  const int64_t origin = find_row(plan->kernel, in->tile.rows, first);
  if (find_first(plan, in, origin) >= in->tile.cols) return;
  if (product->transpose_a) pack_block(plan, in, first, last, packed);
  const int64_t next_rows = count_next_rows(plan, in);
  for (int64_t s = first; s < last; s++) {
    const int64_t begin = find_row(plan->kernel, in->tile.rows, s);
    const int64_t end = find_row(plan->kernel, in->tile.rows, s + 1);
    gemm_step step = {in->depth,           find_a(product, in, begin, 0),
                      product->lda,        1,
                      .ldc = product->ldc, .alpha = product->alpha,
                      .beta = in->beta,    .next_rows = next_rows};
    if (product->transpose_a) {
      step.next = step.a = packed + (begin - origin) * in->depth;
      step.a_row = 1;
      step.a_step = end - begin;
    }
    multiply_rows(plan, in, &step, begin, end - begin);
  }
}

static void run_pass(const block_plan *plan, const pass *in, float *packed) {
  const esp_gemm *product = plan->product;
  const int64_t steps = divide_up(in->tile.rows, plan->kernel->rows);
  const bool is_last = in->begin + in->depth == product->k;
  for (int64_t first = 0; first < steps; first += BLOCK_STEPS) {
    const int64_t last = min_i64(first + BLOCK_STEPS, steps);
    multiply_block(plan, in, first, last, packed);
    const int64_t begin = find_row(plan->kernel, in->tile.rows, first);
    const int64_t end = find_row(plan->kernel, in->tile.rows, last);
    if (is_last && product->finish)
      product->finish(product->context, &(esp_gemm_tile){in->tile.row + begin, in->tile.col,
                                                         end - begin, in->tile.cols});
  }
}

static void run_unit(const block_plan *plan, int64_t unit) {
  const esp_gemm *product = plan->product;
  const int64_t row = unit % plan->down * plan->rows, col = unit / plan->down * plan->cols;
  pass in = {.tile = {row, col, min_i64(plan->rows, product->m - row),
                      min_i64(plan->cols, product->n - col)}};
  buffers *mine = take_buffers();
  in.b = mine->b;
  do {
    in.depth = min_i64(plan->depth, product->k - in.begin);
    in.beta = in.begin > 0 ? 1.0f : product->beta;
    const gemm_operand b = {product->b + (product->transpose_b ? col * product->ldb + in.begin
                                                               : in.begin * product->ldb + col),
                            product->ldb, product->transpose_b};
    plan->kernel->pack_b(&b, in.depth, in.tile.cols, mine->b);
    run_pass(plan, &in, mine->a);
    in.begin += in.depth;
  } while (in.begin < product->k);
}

void esp_gemm_by_kernel(const gemm_kernel *kernel, const esp_gemm *product) {
  const block_plan plan = make_plan(kernel, product);
#pragma omp parallel for schedule(dynamic) if (plan.down * plan.right > 1)
  for (int64_t unit = 0; unit < plan.down * plan.right; unit++) run_unit(&plan, unit);
}
