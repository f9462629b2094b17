/* Rows of a matrix in blocks of a fixed size, dealt to ranks in turn: what a block gives has the
 * same bits at any rank count, since no rank count changes the blocks. */
#include "deal.h"

#include "espalier/core/memory.h"

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

int64_t deal_count_blocks(int64_t rows) {
  return (rows + DEAL_ROWS - 1) / DEAL_ROWS;
}

static int64_t find_row(const esp_comm *comm, int64_t rows, int rank) {
  return smaller(rows, DEAL_ROWS * esp_block_begin(deal_count_blocks(rows), comm->size, rank));
}

void deal_run_local(const esp_comm *comm, int64_t rows, deal_work work, void *context) {
  const int64_t end = find_row(comm, rows, comm->rank + 1);
  for (int64_t begin = find_row(comm, rows, comm->rank); begin < end; begin += DEAL_ROWS)
    work(context, begin, smaller(DEAL_ROWS, end - begin));
}

void deal_gather_rows(const esp_comm *comm, int64_t rows, int64_t width, float *values) {
  int64_t *begins = ESP_NEW(int64_t, comm->size + 1);
  for (int r = 0; r <= comm->size; r++) begins[r] = find_row(comm, rows, r) * width;
  esp_allgather_f32(comm, begins, values);
  esp_free(&begins);
}

double deal_sum(const esp_comm *comm, int64_t rows, double *parts) {
  const int64_t n = deal_count_blocks(rows);
  double sum = 0.0;
  esp_allreduce_gather_f64(comm, parts, n);
  for (int64_t i = 0; i < n; i++) sum += parts[i];
  return sum;
}

void deal_add_cost(int ranks, double rows, double width, esp_cost *cost) {
  esp_cost_send(cost, ranks, ESP_ALLGATHER, sizeof(float) * rows * width / ranks);
}
