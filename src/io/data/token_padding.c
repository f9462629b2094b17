/* Padding that no /lengths and no /attention_mask tells would count as text. It is known by runs of
 * one token at the same side of many sequences. */
#include "token_column.h"

#include "espalier/core/log.h"

#include <inttypes.h>

enum {
  SHORT_RUN = 2,
  PADDED_RUN = 4, // the longest run at least, before anything is refused
  LONG_RUN = 8,   // and before a few sequences are named
  PADDED_SHARE = 4
};

/* Sequences with a run of the token at one side. */
typedef struct padding {
  int32_t token;
  int64_t rows, longest;
} padding;

typedef struct side {
  const token_reader *reader;
  const int32_t *tokens, *lengths;
  bool is_left;
} side;

/* Tokens equal to the outermost one, at this side of a sequence. */
static int64_t count_run(const side *self, int64_t row) {
  const int64_t width = self->reader->dims[1], step = self->is_left ? 1 : -1;
  const int32_t *outer = self->tokens + row * width + (self->is_left ? 0 : width - 1);
  int64_t run = 1;
  while (run < width && outer[run * step] == *outer) run++;
  return run;
}

/* Lengths tell of padding on the right: of that on the left only a run as long as what is missing.
 */
static int64_t count_padding(const side *self, int64_t row) {
  const int64_t run = count_run(self, row);
  if (!self->lengths) return run;
  const int64_t missing = self->reader->dims[1] - self->lengths[row];
  return missing > 0 && run >= missing ? missing : 0;
}

static int32_t outer_token(const side *self, int64_t row) {
  const int64_t width = self->reader->dims[1];
  return self->tokens[row * width + (self->is_left ? 0 : width - 1)];
}

/* Of the token with the longest run. */
static padding find_padding(const side *self) {
  padding found = {0};
  for (int64_t row = 0; row < self->reader->dims[0]; row++) {
    const int64_t run = count_padding(self, row);
    if (run <= found.longest) continue;
    found.longest = run;
    found.token = outer_token(self, row);
  }
  for (int64_t row = 0; row < self->reader->dims[0]; row++)
    found.rows += outer_token(self, row) == found.token && count_padding(self, row) >= SHORT_RUN;
  return found;
}

static esp_status fail_padded(const side *self, const padding *found) {
  const int64_t n = self->reader->dims[0], width = self->reader->dims[1];
  if (self->is_left)
    return esp_fail(ESP_FORMAT,
                    "%s: /tokens: %" PRId64 " of %" PRId64 " sequences begin with up to %" PRId64
                    " times token %d, which is padding; write them with padding on the right, and "
                    "/lengths (%" PRId64 " everywhere, if it is text)",
                    self->reader->path, found->rows, n, found->longest, (int)found->token, width);
  return esp_fail(
      ESP_FORMAT,
      "%s: /tokens: %" PRId64 " of %" PRId64 " sequences end in up to %" PRId64
      " times token %d, which is padding; add /lengths (N) or /attention_mask (/lengths "
      "of %" PRId64 " everywhere, if it is text)",
      self->reader->path, found->rows, n, found->longest, (int)found->token, width);
}

static esp_status check_side(const side *self) {
  const padding found = find_padding(self);
  const int64_t n = self->reader->dims[0];
  if (found.rows >= 2 && found.rows * PADDED_SHARE >= n && found.longest >= PADDED_RUN)
    return fail_padded(self, &found);
  if (found.longest >= LONG_RUN)
    esp_log_warn("%s: %" PRId64 " of %" PRId64 " sequences %s up to %" PRId64
                 " times token %d, which is taken for text; if it is padding, add /lengths",
                 self->reader->path, found.rows, n, self->is_left ? "begin with" : "end in",
                 found.longest, (int)found.token);
  return ESP_OK;
}

/* Beyond padding. */
static bool is_one_token(const token_reader *self, const esp_dataset *dataset) {
  int64_t count = 0;
  for (int64_t row = 0; row < self->dims[0]; row++) {
    const int64_t width = self->dims[1], valid = dataset->lengths ? dataset->lengths[row] : width;
    for (int64_t t = 0; t < valid; t++, count++)
      if (dataset->tokens[row * width + t] != dataset->tokens[0]) return false;
  }
  return count > 1;
}

esp_status token_padding_check(const token_reader *self, const esp_dataset *dataset) {
  if (is_one_token(self, dataset))
    return esp_fail(ESP_FORMAT,
                    "%s: /tokens: text is expected, found token %d alone, repeated; write the ids "
                    "that the tokenizer gives",
                    self->path, (int)dataset->tokens[0]);
  side checked = {.reader = self, .tokens = dataset->tokens, .lengths = dataset->lengths};
  if (!dataset->lengths) ESP_TRY(check_side(&checked));
  checked.is_left = true;
  return check_side(&checked);
}
