/* Samples are split: two tiles in flight, one being counted, one being reduced. */
#include "sweep_internal.h"

#include "espalier/comm/request.h"
#include "espalier/core/memory.h"

enum { PART_UNITS = 32 };

typedef struct slot {
  esp_tile tile;
  int32_t *counts;
  esp_request *request; // of the reduction under way, else NULL
  int64_t number;       // of the tile; -1: empty
} slot;

/* Count some units at a time, and let MPI work on the other slot's reduction in between. Every part
 * packs the tile's codes of y anew, so parts are large; alone, the tile is one. */
static void count_tile(const esp_comm *comm, slot *mine, slot *other) {
  const int64_t cells_a_row = esp_tile_count_cells(&mine->tile) / mine->tile.nx;
  const int64_t step = comm->size > 1 ? PART_UNITS : mine->tile.nx;
  for (int64_t unit = 0; unit < mine->tile.nx; unit += step) {
    const int64_t left = mine->tile.nx - unit;
    esp_tile part = mine->tile;
    part.x_begin += unit;
    part.nx = left < step ? left : step;
    esp_count_joint(&part, mine->counts + unit * cells_a_row);
    esp_request_test(other->request);
  }
}

static void finish(const esp_comm *comm, const esp_sweep *sweep, slot *self) {
  if (self->number < 0) return;
  esp_request_wait(&self->request);
  if ((sweep->visitor > 0 ? sweep->visitor - 1 : self->number % comm->size) == comm->rank)
    sweep->visit(sweep->context, &self->tile, self->counts);
  self->number = -1;
}

static void count_and_reduce(const esp_comm *comm, const esp_sweep *sweep, slot *mine,
                             slot *other) {
  const int64_t cells = esp_tile_count_cells(&mine->tile);
  count_tile(comm, mine, other);
  mine->request = esp_iallreduce_sum_i32(comm, mine->counts, cells);
  finish(comm, sweep, other);
}

void sweep_allreduce(const esp_comm *comm, const esp_sweep *sweep) {
  const sweep_tiles tiles = sweep_tiles_of(sweep);
  const int64_t cells = tiles.side * tiles.side * (sweep->x->bins - 1) * (sweep->y->bins - 1);
  slot slots[2] = {{.counts = ESP_NEW(int32_t, cells), .number = -1},
                   {.counts = ESP_NEW(int32_t, cells), .number = -1}};
  int64_t number = 0;
  esp_progress progress;
  esp_progress_init(&progress, "joint counts", "tiles", sweep_count_tiles(&tiles));
  for (int64_t i = 0; i < tiles.down; i++)
    for (int64_t j = sweep_first_column(&tiles, i); j < tiles.across; j++, number++) {
      slot *mine = &slots[number % 2], *other = &slots[(number + 1) % 2];
      mine->tile = sweep_make_tile(&tiles, sweep, i, j);
      mine->number = number;
      count_and_reduce(comm, sweep, mine, other);
      esp_progress_update(&progress, number, NULL);
    }
  for (int64_t s = number; s < number + 2; s++) finish(comm, sweep, &slots[s % 2]);
  for (int s = 0; s < 2; s++) esp_free(&slots[s].counts);
  esp_progress_clear(&progress);
}
