/* The rows of the table in criteria.c. */
#ifndef ESPALIER_SELECT_CRITERIA_H
#define ESPALIER_SELECT_CRITERIA_H

#include "espalier/select/criterion.h"

extern const esp_criterion esp_criterion_wanda, esp_criterion_flap;
extern const esp_criterion esp_criterion_leverage, esp_criterion_activation;
extern const esp_criterion esp_criterion_random;
extern const esp_criterion esp_criterion_magnitude;
extern const esp_criterion esp_criterion_mi;
extern const esp_criterion esp_criterion_set_mi;
extern const esp_criterion esp_criterion_set_mi_forward;

#endif
