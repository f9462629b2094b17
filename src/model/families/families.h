/* The family objects, one a file. */
#ifndef ESPALIER_SRC_MODEL_FAMILIES_H
#define ESPALIER_SRC_MODEL_FAMILIES_H

#include "espalier/model/family.h"

extern const esp_family esp_family_mlp;
extern const esp_family esp_family_gpt2;
extern const esp_family esp_family_bert;
extern const esp_family esp_family_llama;
extern const esp_family esp_family_mistral;
extern const esp_family esp_family_qwen2;
extern const esp_family esp_family_qwen3;

#endif
