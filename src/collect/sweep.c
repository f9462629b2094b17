#include "espalier/collect/sweep.h"

#include "espalier/core/memory.h"

enum { DEFAULT_TILE = 64, TEST_ROWS = 8 };

/* Two tiles in flight: one being counted, one being reduced. */
typedef struct slot {
  esp_tile tile;
  int32_t *counts;
  MPI_Request request;
  int64_t number; // of the tile; -1: empty
} slot;

static esp_tile make_tile(const esp_sweep *sweep, int64_t side, int64_t i, int64_t j) {
  const int64_t left_x = sweep->x->units - i * side, left_y = sweep->y->units - j * side;
  return (esp_tile){.x = sweep->x,
                    .y = sweep->y,
                    .x_begin = i * side,
                    .nx = left_x < side ? left_x : side,
                    .y_begin = j * side,
                    .ny = left_y < side ? left_y : side};
}

/* Count some rows at a time, and let MPI work on the other slot's reduction in between. */
static void count_tile(slot *mine, slot *other) {
  const int64_t cells_a_row = esp_tile_count_cells(&mine->tile) / mine->tile.nx;
  for (int64_t row = 0; row < mine->tile.nx; row += TEST_ROWS) {
    const int64_t left = mine->tile.nx - row;
    esp_tile part = mine->tile;
    part.x_begin += row;
    part.nx = left < TEST_ROWS ? left : TEST_ROWS;
    esp_count_joint(&part, mine->counts + row * cells_a_row);
    int done;
    if (other->number >= 0) MPI_Test(&other->request, &done, MPI_STATUS_IGNORE);
  }
}

static void finish(const esp_comm *comm, const esp_sweep *sweep, slot *self) {
  if (self->number < 0) return;
  MPI_Wait(&self->request, MPI_STATUS_IGNORE);
  if ((sweep->visitor > 0 ? sweep->visitor - 1 : self->number % comm->size) == comm->rank)
    sweep->visit(sweep->context, &self->tile, self->counts);
  self->number = -1;
}

static void count_and_reduce(const esp_comm *comm, const esp_sweep *sweep, slot *mine,
                             slot *other) {
  count_tile(mine, other);
  MPI_Iallreduce(MPI_IN_PLACE, mine->counts, esp_int(esp_tile_count_cells(&mine->tile)),
                 MPI_INT32_T, MPI_SUM, comm->mpi, &mine->request);
  finish(comm, sweep, other);
}

void esp_sweep_pairs(const esp_comm *comm, const esp_sweep *sweep) {
  const int64_t side = sweep->tile > 0 ? sweep->tile : DEFAULT_TILE;
  const int64_t tiles_x = (sweep->x->units + side - 1) / side;
  const int64_t tiles_y = (sweep->y->units + side - 1) / side;
  const int64_t cells = side * side * (sweep->x->bins - 1) * (sweep->y->bins - 1);
  slot slots[2] = {{.counts = ESP_NEW(int32_t, cells), .number = -1},
                   {.counts = ESP_NEW(int32_t, cells), .number = -1}};
  int64_t number = 0;
  for (int64_t i = 0; i < tiles_x; i++)
    for (int64_t j = sweep->is_symmetric ? i : 0; j < tiles_y; j++, number++) {
      slot *mine = &slots[number % 2], *other = &slots[(number + 1) % 2];
      mine->tile = make_tile(sweep, side, i, j);
      mine->number = number;
      count_and_reduce(comm, sweep, mine, other);
    }
  for (int s = 0; s < 2; s++) {
    finish(comm, sweep, &slots[s]);
    esp_free(&slots[s].counts);
  }
}

void esp_sweep_marginals(const esp_comm *comm, const esp_planes *planes, int64_t *marginals) {
  esp_count_marginals(planes, marginals);
  esp_allreduce_sum_i64(comm, marginals, planes->units * (planes->bins - 1));
}
