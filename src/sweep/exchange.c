/* Pairs are split: a rank gets the codes of all samples for the units of its own tiles. Codes come
 * by panels of rows and columns of tiles, so that memory is bounded; a panel of columns is held
 * while the panels of rows pass. */
#include "sweep_internal.h"

#include "espalier/comm/exchange.h"
#include "espalier/core/memory.h"

/* Codes of all samples for the tiles that this rank needs, one behind the other. */
typedef struct panel {
  sweep_needs needs;
  int64_t *places; // (count): first unit of a tile in planes
  esp_planes planes;
} panel;

typedef struct exchange {
  const esp_comm *comm;
  const esp_sweep *sweep;
  sweep_tiles tiles;
  int64_t *offsets; // (ranks + 1): where each rank's words go in a whole plane
  int32_t *counts;
  esp_progress progress;
  int64_t passed; // tiles of all ranks
} exchange;

static int64_t whole_words_local(const exchange *self) {
  return self->offsets[self->comm->size];
}

static void panel_init(panel *self, const exchange *in, int64_t begin, int64_t count) {
  *self = (panel){.places = ESP_NEW(int64_t, count)};
  sweep_needs_init(&self->needs, in->comm->size, begin, count);
}

static void panel_clear(panel *self) {
  sweep_needs_clear(&self->needs);
  esp_planes_clear(&self->planes);
  esp_free(&self->places);
}

static int64_t place_tiles(panel *self, const exchange *in, const esp_planes *from) {
  int64_t units = 0;
  for (int64_t t = 0; t < self->needs.count; t++) {
    const int64_t tile = self->needs.begin + t;
    self->places[t] = units;
    if (sweep_needs_has(&self->needs, in->comm->rank, tile))
      units += sweep_count_units(&in->tiles, from->units, tile);
  }
  return units;
}

/* The tiles of one rank, as ranges of planes; returns how many. */
static int64_t list_ranges(const panel *self, const exchange *in, const esp_planes *from, int rank,
                           esp_row_range *ranges) {
  const int64_t planes = from->bins - 1;
  int64_t n = 0;
  for (int64_t t = self->needs.begin; t < self->needs.begin + self->needs.count; t++)
    if (sweep_needs_has(&self->needs, rank, t))
      ranges[n++] = (esp_row_range){t * in->tiles.side * planes,
                                    sweep_count_units(&in->tiles, from->units, t) * planes};
  return n;
}

/* Collective. */
static void panel_fetch(panel *self, const exchange *in, const esp_planes *from) {
  const int n = in->comm->size;
  const int64_t units = place_tiles(self, in, from);
  esp_row_range *ranges = ESP_NEW(esp_row_range, n * self->needs.count);
  int64_t *first_range = ESP_NEW(int64_t, n + 1);
  esp_planes_init(&self->planes, units, from->bins, whole_words_local(in));
  for (int r = 0; r < n; r++)
    first_range[r + 1] = first_range[r] + list_ranges(self, in, from, r, ranges + first_range[r]);
  esp_exchange_rows(in->comm, &(esp_row_exchange){.from = from->words,
                                                  .from_stride = from->stride,
                                                  .ranges = ranges,
                                                  .first_range = first_range,
                                                  .first_word = in->offsets,
                                                  .to = self->planes.words,
                                                  .to_rows = units * (from->bins - 1),
                                                  .to_stride = self->planes.stride});
  esp_free(&first_range);
  esp_free(&ranges);
}

static void count_tile_local(const exchange *self, const panel *x, const panel *y, int64_t i,
                             int64_t j) {
  esp_tile mine = sweep_make_tile(&self->tiles, self->sweep, i, j);
  mine.x = &x->planes;
  mine.x_begin = x->places[i - x->needs.begin];
  mine.y = &y->planes;
  mine.y_begin = y->places[j - y->needs.begin];
  esp_count_joint(&mine, self->counts);
}

static void take_tile(exchange *self, const panel *x, const panel *y, int64_t i, int64_t j) {
  const esp_tile tile = sweep_make_tile(&self->tiles, self->sweep, i, j);
  const int owner = (int)(sweep_tile_number(&self->tiles, i, j) % self->comm->size);
  const int visitor = self->tiles.visitor > 0 ? self->tiles.visitor - 1 : owner;
  if (owner == self->comm->rank) count_tile_local(self, x, y, i, j);
  esp_transfer_i32(self->comm, self->counts, esp_tile_count_cells(&tile), owner, visitor);
  if (visitor == self->comm->rank) self->sweep->visit(self->sweep->context, &tile, self->counts);
}

static void count_tiles(exchange *self, const panel *x, const panel *y) {
  for (int64_t i = x->needs.begin; i < x->needs.begin + x->needs.count; i++)
    for (int64_t j = y->needs.begin; j < y->needs.begin + y->needs.count; j++) {
      if (j < sweep_first_column(&self->tiles, i)) continue;
      take_tile(self, x, y, i, j);
      esp_progress_update(&self->progress, self->passed++, NULL);
    }
}

static sweep_part part_of(const sweep_tiles *tiles, const panel *x, const panel *y) {
  return (sweep_part){.i_begin = x ? x->needs.begin : 0,
                      .i_end = x ? x->needs.begin + x->needs.count : tiles->down,
                      .j_begin = y->needs.begin,
                      .j_end = y->needs.begin + y->needs.count};
}

/* All rows of tiles against the columns of a panel. Collective. */
static void pass_rows(exchange *self, const panel *y) {
  const esp_planes *from = self->sweep->x;
  const int64_t most = sweep_panel_tiles(&self->tiles, from->bins, whole_words_local(self));
  for (int64_t begin = 0; begin < self->tiles.down; begin += most) {
    const int64_t left = self->tiles.down - begin;
    panel x;
    panel_init(&x, self, begin, left < most ? left : most);
    sweep_mark(&self->tiles, part_of(&self->tiles, &x, y), self->comm->size, &x.needs, NULL);
    panel_fetch(&x, self, from);
    count_tiles(self, &x, y);
    panel_clear(&x);
  }
}

/* A set of units against itself that fits one panel is fetched once. Collective. */
static void pass_columns(exchange *self) {
  const esp_planes *from = self->sweep->y;
  const int64_t most = sweep_panel_tiles(&self->tiles, from->bins, whole_words_local(self));
  const bool is_shared = self->tiles.is_symmetric && most >= self->tiles.across;
  for (int64_t begin = 0; begin < self->tiles.across; begin += most) {
    const int64_t left = self->tiles.across - begin;
    panel y;
    panel_init(&y, self, begin, left < most ? left : most);
    sweep_mark(&self->tiles, part_of(&self->tiles, NULL, &y), self->comm->size,
               is_shared ? &y.needs : NULL, &y.needs);
    panel_fetch(&y, self, from);
    if (is_shared)
      count_tiles(self, &y, &y);
    else
      pass_rows(self, &y);
    panel_clear(&y);
  }
}

void sweep_exchange(const esp_comm *comm, const esp_sweep *sweep, const int64_t *words) {
  exchange self = {.comm = comm, .sweep = sweep, .tiles = sweep_tiles_of(sweep)};
  const int64_t side = self.tiles.side;
  self.offsets = ESP_NEW(int64_t, comm->size + 1);
  for (int r = 0; r < comm->size; r++) self.offsets[r + 1] = self.offsets[r] + words[r];
  self.counts = ESP_NEW(int32_t, side * side * (sweep->x->bins - 1) * (sweep->y->bins - 1));
  esp_progress_init(&self.progress, "joint counts", "tiles", sweep_count_tiles(&self.tiles));
  pass_columns(&self);
  esp_progress_clear(&self.progress);
  esp_free(&self.counts);
  esp_free(&self.offsets);
}
