/* Pairs are split: a rank gets the codes of all samples for the units of its own tiles. Codes come
 * by panels of rows and columns of tiles, so that memory is bounded; a panel of columns is held
 * while the panels of rows pass. */
#include "sweep_internal.h"

#include "espalier/comm/traffic.h"
#include "espalier/core/memory.h"

/* Words of a plane on each rank, and where they go in a whole plane. */
typedef struct layout {
  const int64_t *words; // (ranks)
  int64_t *offsets;     // (ranks + 1)
} layout;

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
  layout layout;
  int32_t *counts;
  esp_progress progress;
  int64_t passed; // tiles of all ranks
} exchange;

static int64_t whole_words(const exchange *self) {
  return self->layout.offsets[self->comm->size];
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

/* One plane of some words in rows of `stride` words. */
static MPI_Datatype make_row_type(int64_t words, int64_t stride) {
  MPI_Datatype plain, row;
  MPI_Type_contiguous(esp_int(words), MPI_UINT64_T, &plain);
  MPI_Type_create_resized(plain, 0, (MPI_Aint)(stride * (int64_t)sizeof(uint64_t)), &row);
  MPI_Type_free(&plain);
  MPI_Type_commit(&row);
  return row;
}

/* What another rank needs of this rank's codes. */
static MPI_Datatype make_send_type(const panel *self, const exchange *in, const esp_planes *from,
                                   int rank) {
  const int planes = from->bins - 1;
  int n = 0, *lengths = ESP_NEW(int, self->needs.count), *begins = ESP_NEW(int, self->needs.count);
  MPI_Datatype row = make_row_type(from->n_words, from->stride), type;
  for (int64_t t = self->needs.begin; t < self->needs.begin + self->needs.count; t++) {
    if (!sweep_needs_has(&self->needs, rank, t)) continue;
    begins[n] = esp_int(t * in->tiles.side * planes);
    lengths[n++] = esp_int(sweep_count_units(&in->tiles, from->units, t) * planes);
  }
  MPI_Type_indexed(n, lengths, begins, row, &type);
  MPI_Type_commit(&type);
  MPI_Type_free(&row);
  esp_free(&lengths);
  esp_free(&begins);
  return type;
}

/* Arguments of MPI_Alltoallw, (ranks) each. */
typedef struct transfer {
  int *send_counts, *receive_counts, *send_at, *receive_at;
  MPI_Datatype *send_types, *receive_types;
} transfer;

static void transfer_init(transfer *self, const panel *to, const exchange *in,
                          const esp_planes *from) {
  const int n = in->comm->size;
  *self = (transfer){ESP_NEW(int, n), ESP_NEW(int, n),          ESP_NEW(int, n),
                     ESP_NEW(int, n), ESP_NEW(MPI_Datatype, n), ESP_NEW(MPI_Datatype, n)};
  for (int r = 0; r < n; r++) {
    self->send_counts[r] = 1;
    self->send_types[r] = make_send_type(to, in, from, r);
    self->receive_counts[r] = esp_int(to->planes.units * (from->bins - 1));
    self->receive_at[r] = esp_int(in->layout.offsets[r] * (int64_t)sizeof(uint64_t));
    self->receive_types[r] = make_row_type(in->layout.words[r], to->planes.stride);
  }
}

static void transfer_clear(transfer *self, int ranks) {
  for (int r = 0; r < ranks; r++) {
    MPI_Type_free(&self->send_types[r]);
    MPI_Type_free(&self->receive_types[r]);
  }
  esp_free(&self->send_counts);
  esp_free(&self->receive_counts);
  esp_free(&self->send_at);
  esp_free(&self->receive_at);
  esp_free(&self->send_types);
  esp_free(&self->receive_types);
}

/* Collective. */
static void panel_fetch(panel *self, const exchange *in, const esp_planes *from) {
  const int64_t rows = place_tiles(self, in, from) * (from->bins - 1);
  const int64_t others = whole_words(in) - from->n_words;
  transfer moves;
  esp_planes_init(&self->planes, rows / (from->bins - 1), from->bins, whole_words(in));
  transfer_init(&moves, self, in, from);
  esp_traffic_add(in->comm, ESP_EXCHANGE, rows * others * (int64_t)sizeof(uint64_t));
  MPI_Alltoallw(from->words, moves.send_counts, moves.send_at, moves.send_types, self->planes.words,
                moves.receive_counts, moves.receive_at, moves.receive_types, in->comm->mpi);
  transfer_clear(&moves, in->comm->size);
}

static void count_tile(const exchange *self, const panel *x, const panel *y, int64_t i, int64_t j) {
  esp_tile mine = sweep_make_tile(&self->tiles, self->sweep, i, j);
  mine.x = &x->planes;
  mine.x_begin = x->places[i - x->needs.begin];
  mine.y = &y->planes;
  mine.y_begin = y->places[j - y->needs.begin];
  esp_count_joint(&mine, self->counts);
}

/* The counts of a tile go from the rank that counted them to the one that visits. */
static void pass_on(const exchange *self, const esp_tile *tile, int from, int to) {
  const int cells = esp_int(esp_tile_count_cells(tile)), rank = self->comm->rank;
  if (from == to) return;
  if (rank == from) MPI_Send(self->counts, cells, MPI_INT32_T, to, 0, self->comm->mpi);
  if (rank != to) return;
  esp_traffic_add(self->comm, ESP_EXCHANGE, cells * (int64_t)sizeof *self->counts);
  MPI_Recv(self->counts, cells, MPI_INT32_T, from, 0, self->comm->mpi, MPI_STATUS_IGNORE);
}

static void take_tile(exchange *self, const panel *x, const panel *y, int64_t i, int64_t j) {
  const esp_tile tile = sweep_make_tile(&self->tiles, self->sweep, i, j);
  const int owner = (int)(sweep_tile_number(&self->tiles, i, j) % self->comm->size);
  const int visitor = self->tiles.visitor > 0 ? self->tiles.visitor - 1 : owner;
  if (owner == self->comm->rank) count_tile(self, x, y, i, j);
  pass_on(self, &tile, owner, visitor);
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
  const int64_t most = sweep_panel_tiles(&self->tiles, from->bins, whole_words(self));
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
  const int64_t most = sweep_panel_tiles(&self->tiles, from->bins, whole_words(self));
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
  self.layout = (layout){words, ESP_NEW(int64_t, comm->size + 1)};
  for (int r = 0; r < comm->size; r++)
    self.layout.offsets[r + 1] = self.layout.offsets[r] + words[r];
  self.counts = ESP_NEW(int32_t, side * side * (sweep->x->bins - 1) * (sweep->y->bins - 1));
  esp_progress_init(&self.progress, "joint counts", "tiles", sweep_count_tiles(&self.tiles));
  pass_columns(&self);
  esp_progress_clear(&self.progress);
  esp_free(&self.counts);
  esp_free(&self.layout.offsets);
}
