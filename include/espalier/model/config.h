/* A model's configuration, the JSON of config.json. */
#ifndef ESPALIER_MODEL_CONFIG_H
#define ESPALIER_MODEL_CONFIG_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

#include <jansson.h>
#include <stdint.h>

ESP_C_BEGIN

/* Read members of a configuration. FORMAT names key, expected and found. Local. */
esp_status esp_config_get_int(const json_t *config, const char *key, int64_t low, int64_t *value);
esp_status esp_config_get_real(const json_t *config, const char *key, double *value);
esp_status esp_config_get_text(const json_t *config, const char *key, const char **value);

ESP_C_END

#endif
