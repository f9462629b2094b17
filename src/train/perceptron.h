/* A new perceptron for a data set of images. */
#ifndef ESPALIER_SRC_TRAIN_PERCEPTRON_H
#define ESPALIER_SRC_TRAIN_PERCEPTRON_H

#include "espalier/io/dataset.h"
#include "espalier/train/options.h"

#include <jansson.h>

/* Its configuration, a new reference, also on failure. USAGE: sizes that are none, data that are no
 * images. Local. */
esp_status perceptron_configure(const esp_network_options *options, const esp_dataset *data,
                                json_t **config);

#endif
