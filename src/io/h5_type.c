#include "h5_internal.h"

#include <stdio.h>

void esp_h5_init_library(void) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static herr_t keep_reason(unsigned depth, const H5E_error2_t *error, void *reason) {
  if (depth == 0) snprintf(reason, 160, "%s", error->desc);
  return 0;
}

const char *esp_h5_reason(void) {
  static char reason[160];
  snprintf(reason, sizeof reason, "no reason given");
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_reason, reason);
  return reason;
}

/* A 16-bit float as h5py and H5T_IEEE_F16LE have it: sign 15, then exponent, then mantissa. */
static hid_t new_float16(size_t mantissa_bits, size_t bias) {
  const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, mantissa_bits, 15 - mantissa_bits, 0, mantissa_bits);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, bias);
  return type;
}

hid_t esp_h5_type_new(esp_dtype type) {
  switch (type) {
  case ESP_F32:
    return H5Tcopy(H5T_IEEE_F32LE);
  case ESP_F16:
    return new_float16(10, 15);
  case ESP_BF16:
    return new_float16(7, 127);
  case ESP_F64:
    return H5Tcopy(H5T_IEEE_F64LE);
  case ESP_I32:
    return H5Tcopy(H5T_STD_I32LE);
  case ESP_I64:
    return H5Tcopy(H5T_STD_I64LE);
  case ESP_U64:
    return H5Tcopy(H5T_STD_U64LE);
  case ESP_U8:
    return H5Tcopy(H5T_STD_U8LE);
  default:
    esp_panic(__FILE__, __LINE__, "element type %d is unknown", (int)type);
  }
}

esp_dtype esp_h5_type_find(hid_t type) {
  esp_dtype found = ESP_DTYPE_COUNT;
  for (int i = 0; i < ESP_DTYPE_COUNT && found == ESP_DTYPE_COUNT; i++) {
    const hid_t candidate = esp_h5_type_new((esp_dtype)i);
    if (H5Tequal(type, candidate) > 0) found = (esp_dtype)i;
    H5Tclose(candidate);
  }
  return found;
}

/* HDF5's own types for truth values are enumerations of integers. */
esp_h5_kind esp_h5_type_describe(hid_t type, char *text, size_t size) {
  const bool is_enum = H5Tget_class(type) == H5T_ENUM;
  const hid_t base = is_enum ? H5Tget_super(type) : H5Tcopy(type);
  const H5T_class_t kind = H5Tget_class(base);
  const char *order =
      kind != H5T_STRING && H5Tget_size(base) > 1 && H5Tget_order(base) == H5T_ORDER_BE
          ? "big-endian "
          : "";
  if (kind == H5T_INTEGER)
    snprintf(text, size, "%s%sint%zu", order, H5Tget_sign(base) == H5T_SGN_NONE ? "u" : "",
             8 * H5Tget_size(base));
  else if (kind == H5T_FLOAT)
    snprintf(text, size, "%sfloat%zu", order, 8 * H5Tget_size(base));
  else
    snprintf(text, size, "%s", kind == H5T_STRING ? "texts" : "no numbers");
  H5Tclose(base);
  return kind == H5T_INTEGER ? ESP_H5_INTEGERS : kind == H5T_FLOAT ? ESP_H5_FLOATS : ESP_H5_OTHERS;
}
