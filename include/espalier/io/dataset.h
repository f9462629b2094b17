/* Samples to calibrate, train and evaluate on. Formats are a table in src/io/data/dataset.c. */
#ifndef ESPALIER_IO_DATASET_H
#define ESPALIER_IO_DATASET_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

typedef enum esp_data_kind { ESP_DATA_IMAGES, ESP_DATA_TOKENS } esp_data_kind;

/* Some samples; the arrays are those of the buffer that they were read into. */
typedef struct esp_batch {
  esp_data_kind kind;
  int64_t count;          // samples
  int64_t width;          // images: pixels a sample; tokens: T
  const float *pixels;    // images: (count, width) in [0, 1]; else NULL
  const int32_t *tokens;  // tokens: (count, width); else NULL
  const int32_t *lengths; // tokens: (count) valid tokens, NULL: all
  const int32_t *types;   // tokens: (count, width) token types, NULL: all 0
  const int32_t *labels;  // (count), NULL without labels
  const float *targets;   // (count, n_targets), NULL: labels are classes, or there are none
  int64_t n_targets;
  const int32_t *hidden; // tokens: (count, width) what a masked model has to find, -1: nothing
                         // here; NULL: no token is masked
} esp_batch;

/* What the tokens of a text were made of. */
typedef struct esp_text_counts {
  int64_t files, documents; // 0: there was no text
  int64_t words, bytes;     // of all documents (text/tokenizer.h)
  int64_t tokens;           // of all, with end tokens and special ones
  int64_t left_out;         // of these, behind the last full row, or behind the end of a row
  int64_t cut;              // documents that are longer than their row
  int64_t empty;            // documents without tokens, which have no row
} esp_text_counts;

typedef struct esp_dataset {
  const char *format; // "idx", "tokens", "text" or "maximum-entropy"
  char *path, *split;
  esp_data_kind kind;
  int64_t count, width;
  int32_t classes;         // largest label + 1; 0 without labels
  uint64_t fingerprint;    // of content, the same at any rank count
  uint8_t *pixels;         // images: (count, width), owned
  int32_t *labels;         // (count), owned
  int32_t n_targets;       // numbers a sample, where labels are not classes; 0 without
  float *targets;          // tokens: (count, n_targets), owned; then there are no labels
  int32_t max_token;       // tokens: the largest id, padding too
  int32_t max_type;        // tokens: the largest token type, 0 without types
  int32_t *tokens, *types; // tokens: (count, width), owned; types NULL: all 0
  int32_t *lengths;        // tokens: (count), owned; NULL: all width
  bool is_made;            // maximum-entropy: samples are made as they are read; no arrays
  uint64_t seed;           // of them
  esp_text_counts text;
} esp_dataset;

/* Open a data set:
 * - idx: a folder with IDX files (train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] for
 *   split "train", t10k-... for "test");
 * - tokens: an HDF5 file, whatever the split, with /tokens (N, T) and optional /lengths (N), 1
 *   to T, and /token_types (N, T), integers of any width and byte order, none negative; /labels (N)
 *   or (N, C), integers or floats; or a folder with such files, calibration.h5 for "train" and
 *   heldout.h5 for "test". Rank 0 reads and broadcasts.
 * - text: needs a tokenizer, so it is opened by esp_text_open (io/text_data.h); USAGE here.
 * Integers (N) or (N, 1) from 0 up are labels; all other numbers are targets. Hugging Face's
 * /input_ids, /token_type_ids and /attention_mask (ones, then zeros) are read as /tokens,
 * /token_types and /lengths; what else the file holds is named in a warning. IO: missing; FORMAT:
 * neither of the two, wrong magic, truncated, trailing bytes, shapes that do not fit, values out of
 * range, one token alone, padding that nothing tells; USAGE: unknown split. Collective on comm;
 * equal on all ranks: path, split. */
esp_status esp_dataset_open(const esp_comm *comm, const char *path, const char *split,
                            esp_dataset **dataset);
/* Free; NULL inside is fine. Local. */
void esp_dataset_close(esp_dataset **dataset);

/* How many samples of a data set another one has too: the same pixels, or the same tokens and
 * types; labels and padding do not count. Local. */
int64_t esp_dataset_count_shared_local(const esp_dataset *self, const esp_dataset *other);

#define ESP_MAXIMUM_ENTROPY "maximum-entropy"
/* Whether a data set of this name is made so; NULL: no. Local. */
bool esp_dataset_is_made(const char *name);

/* What a model can read, for input of maximum entropy. */
typedef struct esp_entropy_input {
  esp_data_kind kind;
  int64_t count, width; // samples; pixels, or tokens a sample
  int64_t vocabulary;   // tokens: ids are below it
  uint64_t seed;
} esp_entropy_input;

/* Make a data set without data: every token uniform over the vocabulary; every pixel uniform in [0,
 * 1) with probability p, else 0, the density p of its image uniform in [0, 1): all independent and
 * functions of (seed, sample, position) alone. No labels, no padding. path and format are
 * "maximum-entropy". Local. */
esp_dataset *esp_dataset_new_maximum_entropy(const esp_entropy_input *input);

/* Give samples [begin, begin + count) (order NULL) or order[begin...] as a batch. buffer is the
 * caller's, zero-initialised, reused for one data set; it holds the arrays that the data set has.
 * Local. */
typedef struct esp_batch_buffer {
  float *pixels;             // (capacity, width), owned
  float *targets;            // (capacity, n_targets), owned
  int32_t *labels, *lengths; // (capacity), owned
  int32_t *tokens, *types;   // (capacity, width), owned
  int32_t *hidden;           // (capacity, width), owned; NULL: no token is masked
  int64_t capacity;          // samples
} esp_batch_buffer;
void esp_dataset_read(const esp_dataset *dataset, const int64_t *order, int64_t begin,
                      int64_t count, esp_batch_buffer *buffer, esp_batch *batch);
void esp_batch_buffer_clear(esp_batch_buffer *buffer);

ESP_C_END

#endif
