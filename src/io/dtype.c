#include "espalier/io/dtype.h"

#include "espalier/core/clones.h"
#include "espalier/core/memory.h"
#include "espalier/core/status.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "files hold little-endian words as they are in memory");

static const struct {
  const char *name;
  size_t bytes;
} types[ESP_DTYPE_COUNT] = {
    [ESP_F32] = {"F32", 4}, [ESP_F16] = {"F16", 2}, [ESP_BF16] = {"BF16", 2},
    [ESP_F64] = {"F64", 8}, [ESP_I32] = {"I32", 4}, [ESP_I64] = {"I64", 8},
    [ESP_U64] = {"U64", 8}, [ESP_U8] = {"U8", 1},
};

size_t esp_dtype_bytes(esp_dtype type) {
  ESP_ASSERT((unsigned)type < ESP_DTYPE_COUNT);
  return types[type].bytes;
}

const char *esp_dtype_name(esp_dtype type) {
  ESP_ASSERT((unsigned)type < ESP_DTYPE_COUNT);
  return types[type].name;
}

static inline float as_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t as_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* Exponents differ by a bias of 112. A subnormal half is read as 2^-14 (1 + m), less 2^-14, which
 * is exact and touches no subnormal float, so that flush-to-zero modes don't matter. */
static inline float f16_to_f32(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = (uint32_t)(half & 0x7FFFu) << 13;
  const uint32_t normal = rest + (112u << 23), special = rest | 0x7F800000u;
  const uint32_t subnormal = as_bits(as_float(rest + (113u << 23)) - as_float(113u << 23));
  const uint32_t finite = rest < (1u << 23) ? subnormal : normal;
  return as_float(sign | (rest >= (31u << 23) ? special : finite));
}

/* Rounds to nearest even. Below 2^-14, adding 2^-1 leaves the rounded half in the low bits of the
 * sum (F. Giesen, float->half variants); above, the carry of the rounding runs into the exponent.
 */
static inline uint16_t f32_to_f16(float value) {
  const uint32_t bits = as_bits(value), sign = bits >> 16 & 0x8000u, size = bits & 0x7FFFFFFFu;
  const uint32_t subnormal = as_bits(as_float(size) + as_float(126u << 23)) - (126u << 23);
  const uint32_t normal = (size - (112u << 23) + 0xFFFu + (size >> 13 & 1u)) >> 13;
  const uint32_t finite = size < (113u << 23) ? subnormal : normal;
  const uint32_t nan = 0x7E00u | (size >> 13 & 0x3FFu);
  const uint32_t special = size > 0x7F800000u ? nan : 0x7C00u;
  return (uint16_t)(sign | (size >= (143u << 23) ? special : finite));
}

static inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = as_bits(value), rounded = bits + 0x7FFFu + (bits >> 16 & 1u);
  const int is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  return (uint16_t)(is_nan ? bits >> 16 | 0x40u : rounded >> 16);
}

ESP_CLONES static void read_f16(const unsigned char *from, int64_t count, float *to) {
  for (int64_t i = 0; i < count; i++) {
    uint16_t word;
    memcpy(&word, from + 2 * i, sizeof word);
    to[i] = f16_to_f32(word);
  }
}

ESP_CLONES static void read_bf16(const unsigned char *from, int64_t count, float *to) {
  for (int64_t i = 0; i < count; i++) {
    uint16_t word;
    memcpy(&word, from + 2 * i, sizeof word);
    to[i] = as_float((uint32_t)word << 16);
  }
}

static void read_f64(const unsigned char *from, int64_t count, float *to) {
  for (int64_t i = 0; i < count; i++) {
    double word;
    memcpy(&word, from + 8 * i, sizeof word);
    to[i] = (float)word;
  }
}

void esp_dtype_to_f32(esp_dtype type, const void *from, int64_t count, float *to) {
  switch (type) {
  case ESP_F32:
    if (count > 0) memcpy(to, from, (size_t)count * sizeof *to);
    return;
  case ESP_F16:
    read_f16(from, count, to);
    return;
  case ESP_BF16:
    read_bf16(from, count, to);
    return;
  case ESP_F64:
    read_f64(from, count, to);
    return;
  default:
    esp_panic(__FILE__, __LINE__, "%s is not a floating type", esp_dtype_name(type));
  }
}

static void write_f16(const float *from, int64_t count, unsigned char *to) {
  for (int64_t i = 0; i < count; i++) {
    const uint16_t word = f32_to_f16(from[i]);
    memcpy(to + 2 * i, &word, sizeof word);
  }
}

static void write_bf16(const float *from, int64_t count, unsigned char *to) {
  for (int64_t i = 0; i < count; i++) {
    const uint16_t word = f32_to_bf16(from[i]);
    memcpy(to + 2 * i, &word, sizeof word);
  }
}

static void write_f64(const float *from, int64_t count, unsigned char *to) {
  for (int64_t i = 0; i < count; i++) {
    const double word = (double)from[i];
    memcpy(to + 8 * i, &word, sizeof word);
  }
}

void esp_dtype_from_f32(esp_dtype type, const float *from, int64_t count, void *to) {
  switch (type) {
  case ESP_F32:
    if (count > 0) memcpy(to, from, (size_t)count * sizeof *from);
    return;
  case ESP_F16:
    write_f16(from, count, to);
    return;
  case ESP_BF16:
    write_bf16(from, count, to);
    return;
  case ESP_F64:
    write_f64(from, count, to);
    return;
  default:
    esp_panic(__FILE__, __LINE__, "%s is not a floating type", esp_dtype_name(type));
  }
}

char *esp_dims_format(int rank, const int64_t *dims) {
  char *text = esp_strdup("(");
  for (int d = 0; d < rank; d++) {
    char *longer = esp_format("%s%s%lld", text, d ? ", " : "", (long long)dims[d]);
    esp_free(&text);
    text = longer;
  }
  char *closed = esp_format("%s)", text);
  esp_free(&text);
  return closed;
}
