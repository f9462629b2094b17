/* The family objects, one a file. */
#ifndef ESPALIER_SRC_MODEL_FAMILIES_H
#define ESPALIER_SRC_MODEL_FAMILIES_H

#include "espalier/model/family.h"

extern const esp_family esp_family_mlp;

#endif
