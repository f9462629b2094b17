/* A reduction that goes on while this rank computes. */
#ifndef ESPALIER_COMM_REQUEST_H
#define ESPALIER_COMM_REQUEST_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

typedef struct esp_request esp_request;

/* Begin to sum integers over ranks in place; values must not be touched until esp_request_wait.
 * Collective on comm: all ranks begin their reductions in the same order; equal on all ranks:
 * count, below 2^31. */
esp_request *esp_iallreduce_sum_i32(const esp_comm *comm, int32_t *values, int64_t count);

/* Let the library work on it; NULL is fine. Local. */
void esp_request_test(esp_request *self);
/* Wait until it is complete, and free it; NULL inside is fine. It ends once all ranks have begun
 * it. Local. */
void esp_request_wait(esp_request **self);

ESP_C_END

#endif
