/* What the two ways of a sweep share. */
#ifndef ESPALIER_SRC_SWEEP_SWEEP_INTERNAL_H
#define ESPALIER_SRC_SWEEP_SWEEP_INTERNAL_H

#include "espalier/core/log.h"
#include "espalier/sweep/sweep.h"

/* Tiles of pairs, numbered along the rows. */
typedef struct sweep_tiles {
  int64_t side, x_units, y_units;
  int64_t panel_bytes;
  int64_t down, across; // rows and columns of tiles
  bool is_symmetric;    // only j >= i
  int visitor;          // as in esp_sweep
} sweep_tiles;

/* Tiles of a sweep, and of its size alone. Local. */
sweep_tiles sweep_tiles_of(const esp_sweep *sweep);
sweep_tiles sweep_tiles_of_shape(const esp_sweep_shape *shape);
/* First column of a row, number of tile (i, j), number of all. Local. */
int64_t sweep_first_column(const sweep_tiles *self, int64_t i);
int64_t sweep_tile_number(const sweep_tiles *self, int64_t i, int64_t j);
int64_t sweep_count_tiles(const sweep_tiles *self);
/* Units of a row or column of tiles. Local. */
int64_t sweep_count_units(const sweep_tiles *self, int64_t units, int64_t tile);
/* Tile (i, j). Local. */
esp_tile sweep_make_tile(const sweep_tiles *self, const esp_sweep *sweep, int64_t i, int64_t j);

/* A range of rows or columns of tiles, and which rank needs which. */
typedef struct sweep_needs {
  int64_t begin, count;
  uint8_t *flags; // (ranks, count), owned
} sweep_needs;

/* Local. */
void sweep_needs_init(sweep_needs *self, int ranks, int64_t begin, int64_t count);
void sweep_needs_clear(sweep_needs *self);
bool sweep_needs_has(const sweep_needs *self, int rank, int64_t tile);
/* Mark what the tiles in rows and columns need of each, NULL: nothing. Local. */
typedef struct sweep_part {
  int64_t i_begin, i_end, j_begin, j_end;
} sweep_part;
void sweep_mark(const sweep_tiles *self, sweep_part part, int ranks, sweep_needs *rows,
                sweep_needs *columns);

/* Rows or columns of tiles that a panel of codes holds at most, given the words of a plane over all
 * ranks. Local. */
int64_t sweep_panel_tiles(const sweep_tiles *self, int bins, int64_t words);

/* The two ways; words (ranks) of a plane. Collective on comm; equal on all ranks: what
 * esp_sweep_pairs says, and words. */
void sweep_allreduce(const esp_comm *comm, const esp_sweep *sweep);
void sweep_exchange(const esp_comm *comm, const esp_sweep *sweep, const int64_t *words);

#endif
