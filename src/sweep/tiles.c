#include "sweep_internal.h"

#include "espalier/core/memory.h"

enum { DEFAULT_TILE = 64, PANEL_BYTES = 128 << 20 };

/* Fill in what follows from the units and the side. */
static sweep_tiles complete(sweep_tiles self) {
  if (self.side == 0) self.side = DEFAULT_TILE;
  if (self.panel_bytes == 0) self.panel_bytes = PANEL_BYTES;
  self.down = (self.x_units + self.side - 1) / self.side;
  self.across = (self.y_units + self.side - 1) / self.side;
  return self;
}

sweep_tiles sweep_tiles_of(const esp_sweep *sweep) {
  return complete((sweep_tiles){.side = sweep->tile,
                                .panel_bytes = sweep->panel_bytes,
                                .x_units = sweep->x->units,
                                .y_units = sweep->y->units,
                                .visitor = sweep->visitor,
                                .is_symmetric = sweep->is_symmetric});
}

sweep_tiles sweep_tiles_of_shape(const esp_sweep_shape *shape) {
  return complete((sweep_tiles){.side = shape->tile,
                                .panel_bytes = shape->panel_bytes,
                                .x_units = shape->x_units,
                                .y_units = shape->y_units,
                                .visitor = shape->visitor,
                                .is_symmetric = shape->is_symmetric});
}

int64_t sweep_first_column(const sweep_tiles *self, int64_t i) {
  return self->is_symmetric ? i : 0;
}

int64_t sweep_tile_number(const sweep_tiles *self, int64_t i, int64_t j) {
  const int64_t skipped = self->is_symmetric ? i * (i + 1) / 2 : 0; // below the diagonal so far
  return i * self->across + j - skipped;
}

int64_t sweep_count_tiles(const sweep_tiles *self) {
  if (self->down == 0 || self->across == 0) return 0;
  return sweep_tile_number(self, self->down - 1, self->across - 1) + 1;
}

int64_t sweep_count_units(const sweep_tiles *self, int64_t units, int64_t tile) {
  const int64_t left = units - tile * self->side;
  return left < self->side ? left : self->side;
}

esp_tile sweep_make_tile(const sweep_tiles *self, const esp_sweep *sweep, int64_t i, int64_t j) {
  return (esp_tile){.x = sweep->x,
                    .y = sweep->y,
                    .x_begin = i * self->side,
                    .nx = sweep_count_units(self, self->x_units, i),
                    .y_begin = j * self->side,
                    .ny = sweep_count_units(self, self->y_units, j)};
}

void sweep_needs_init(sweep_needs *self, int ranks, int64_t begin, int64_t count) {
  *self = (sweep_needs){.begin = begin, .count = count, .flags = ESP_NEW(uint8_t, ranks * count)};
}

void sweep_needs_clear(sweep_needs *self) {
  esp_free(&self->flags);
}

bool sweep_needs_has(const sweep_needs *self, int rank, int64_t tile) {
  return self->flags[rank * self->count + tile - self->begin] != 0;
}

static void mark(sweep_needs *self, int64_t rank, int64_t tile) {
  if (self) self->flags[rank * self->count + tile - self->begin] = 1;
}

void sweep_mark(const sweep_tiles *self, sweep_part part, int ranks, sweep_needs *rows,
                sweep_needs *columns) {
  for (int64_t i = part.i_begin; i < part.i_end; i++)
    for (int64_t j = part.j_begin; j < part.j_end; j++) {
      if (j < sweep_first_column(self, i)) continue;
      const int64_t rank = sweep_tile_number(self, i, j) % ranks;
      mark(rows, rank, i);
      mark(columns, rank, j);
    }
}

int64_t sweep_panel_tiles(const sweep_tiles *self, int bins, int64_t words) {
  const int64_t tile_bytes = self->side * (bins - 1) * words * (int64_t)sizeof(uint64_t);
  if (tile_bytes == 0) return self->down > self->across ? self->down : self->across;
  return tile_bytes < self->panel_bytes ? self->panel_bytes / tile_bytes : 1;
}
