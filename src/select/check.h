/* Evidence must be finite: a NaN would end in an arbitrary selection. */
#ifndef ESPALIER_SELECT_CHECK_H
#define ESPALIER_SELECT_CHECK_H

#include "espalier/select/criterion.h"

/* NUMERIC unless all values are finite; what names the array in the message. Local. */
esp_status esp_check_floats(const char *site, const char *what, const float *values, int64_t count);
esp_status esp_check_doubles(const char *site, const char *what, const double *values,
                             int64_t count);

#endif
