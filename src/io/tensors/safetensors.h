/* safetensors: 8 bytes, little-endian: the length of a header; the header, a JSON object
 *   {"name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]}, "__metadata__":
 * {...}}; then the tensors' bytes, without holes, offsets counted from the header's end. All local.
 */
#ifndef ESPALIER_SRC_IO_SAFETENSORS_H
#define ESPALIER_SRC_IO_SAFETENSORS_H

#include "espalier/io/tensors.h"

#include <jansson.h>

/* "__metadata__" of a file whose zeros are masked: {"format": "pt", "espalier": "masked"}. */
#define ESP_SAFETENSORS_METADATA "__metadata__"
#define ESP_SAFETENSORS_OURS "espalier"
#define ESP_SAFETENSORS_MASKED "masked"

enum { ESP_SAFETENSORS_HEAD_BYTES = 8, ESP_SAFETENSORS_MOST_HEADER_BYTES = 100000000 };

/* One file, as found on disk. */
typedef struct esp_safetensors_file {
  const char *path;
  int index;                   // among the files of the checkpoint
  int64_t bytes, header_bytes; // of the file; of the JSON text
} esp_safetensors_file;

/* Tensors of a checkpoint in the making. Caller's struct, zero-initialised; names are owned. */
typedef struct esp_tensor_list {
  esp_tensor *tensors;
  int count, capacity;
  bool is_masked; // said by one of the files at least
} esp_tensor_list;
void esp_tensor_list_clear(esp_tensor_list *list);

/* Get the length of the header from the first 8 bytes, checked against the file's size. FORMAT. */
esp_status esp_safetensors_parse_head(esp_safetensors_file *file, const unsigned char *head);

/* Check every field of a header (header_bytes at `header`, not 0-terminated) and add its tensors.
 * FORMAT names file, tensor, expected and found. */
esp_status esp_safetensors_parse(const esp_safetensors_file *file, const char *header,
                                 esp_tensor_list *list);

/* Do both for the file at path. IO, FORMAT. */
esp_status esp_safetensors_read(const char *path, int index, esp_tensor_list *list);

/* Read a whole plain file of at most the size of a header, as text with a 0 byte behind it. IO;
 * FORMAT: larger. *text is the caller's. */
esp_status esp_read_small_text(const char *path, char **text, int64_t *bytes);

/* Check the text of model.safetensors.index.json and give its "weight_map": each tensor's file, a
 * plain name. FORMAT. *map is a new reference. */
esp_status esp_weight_map_parse(const char *path, const char *text, int64_t bytes, json_t **map);

#endif
