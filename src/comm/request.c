#include "espalier/comm/request.h"

#include "comm_internal.h"
#include "espalier/core/memory.h"

struct esp_request {
  MPI_Request mpi;
};

esp_request *esp_iallreduce_sum_i32(const esp_comm *comm, int32_t *values, int64_t count) {
  esp_request *self = ESP_NEW(esp_request, 1);
  MPI_Iallreduce(MPI_IN_PLACE, values, esp_int(count), MPI_INT32_T, MPI_SUM,
                 comm_count_local(comm, ESP_IALLREDUCE, count * (int64_t)sizeof *values),
                 &self->mpi);
  return self;
}

void esp_request_test(esp_request *self) {
  int is_complete;
  if (self) MPI_Test(&self->mpi, &is_complete, MPI_STATUS_IGNORE);
}

void esp_request_wait(esp_request **self) {
  if (*self) MPI_Wait(&(*self)->mpi, MPI_STATUS_IGNORE);
  esp_free(self);
}
