/* Parts of a softmax over many classes, vectorised, with the same bits by every instruction set:
 * exponentials in single precision (elementary.h: relative error below 2e-7), their sum in double.
 */
#ifndef ESPALIER_CORE_SOFTMAX_H
#define ESPALIER_CORE_SOFTMAX_H

#include "espalier/core/c_linkage.h"

#include <stdint.h>

ESP_C_BEGIN

/* Find the largest of n > 0 values; of those that are no numbers only the first would be it. Local.
 */
float esp_softmax_find_top(const float *values, int64_t n);

/* Write e = exp((values - top) * scale), (n), and return their sum; may work in place. Local. */
double esp_softmax_exponentiate(const float *values, int64_t n, float top, float scale, float *e);

ESP_C_END

#endif
