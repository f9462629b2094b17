/* What files and data sets take. */
#ifndef ESPALIER_IO_COST_H
#define ESPALIER_IO_COST_H

#include "espalier/core/c_linkage.h"
#include "espalier/io/dataset.h"

ESP_C_BEGIN

/* Of an HDF5 file: one more dataset's header and padding, and what the library and MPI-IO hold once
 * files have been written (both measured). */
enum { ESP_H5_OBJECT_BYTES = 336, ESP_H5_BUFFER_BYTES = 1 << 20 };

/* Bytes of a data set's arrays, which rank 0 reads and every rank holds. Local. */
double esp_dataset_bytes(const esp_dataset *dataset);

ESP_C_END

#endif
