/* Whether numbers are numbers. */
#ifndef ESPALIER_CORE_FINITE_H
#define ESPALIER_CORE_FINITE_H

#include "espalier/core/c_linkage.h"

#include <stdint.h>

ESP_C_BEGIN

/* The first of n values whose magnitude is not below a limit, NaN included; n: there is none. The
 * limit INFINITY asks for what is not finite. Local. */
int64_t esp_find_beyond(const float *values, int64_t n, float limit);

ESP_C_END

#endif
