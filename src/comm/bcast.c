#include "comm_internal.h"

#include "espalier/core/memory.h"

#include <string.h>

void comm_bcast(const esp_comm *comm, esp_collective kind, void *data, int64_t bytes, int root) {
  const MPI_Comm handle = comm_count_local(comm, kind, bytes);
  for (int64_t done = 0; done < bytes; done += COMM_CHUNK) {
    const int64_t left = bytes - done;
    MPI_Bcast((char *)data + done, (int)(left < COMM_CHUNK ? left : COMM_CHUNK), MPI_BYTE, root,
              handle);
  }
}

void esp_bcast(const esp_comm *comm, void *data, int64_t bytes, int root) {
  comm_bcast(comm, ESP_BCAST, data, bytes, root);
}

void esp_bcast_text(const esp_comm *comm, char **text, int root) {
  int64_t bytes = *text && comm->rank == root ? (int64_t)strlen(*text) + 1 : 0;
  esp_bcast(comm, &bytes, sizeof bytes, root);
  if (comm->rank != root) {
    esp_free(text);
    if (bytes > 0) *text = esp_alloc(bytes, 1);
  }
  esp_bcast(comm, *text, bytes, root);
}
