/* Element types and shapes of tensors in files. */
#ifndef ESPALIER_IO_DTYPE_H
#define ESPALIER_IO_DTYPE_H

#include "espalier/core/c_linkage.h"

#include <stddef.h>
#include <stdint.h>

ESP_C_BEGIN

typedef enum esp_dtype {
  ESP_F32,
  ESP_F16,
  ESP_BF16,
  ESP_F64,
  ESP_I32,
  ESP_I64,
  ESP_U64,
  ESP_U8,
  ESP_DTYPE_COUNT
} esp_dtype;

/* Bytes of one element; the safetensors name ("F32", "BF16", ...). Local. */
size_t esp_dtype_bytes(esp_dtype type);
const char *esp_dtype_name(esp_dtype type);

/* Convert count elements of a floating type (F32, F16, BF16, F64) at any alignment to float; and
 * back, to nearest even. Panics on integer types. Local. */
void esp_dtype_to_f32(esp_dtype type, const void *from, int64_t count, float *to);
void esp_dtype_from_f32(esp_dtype type, const float *from, int64_t count, void *to);

/* "(2, 3)", for messages; owned by the caller. Local. */
char *esp_dims_format(int rank, const int64_t *dims);

ESP_C_END

#endif
