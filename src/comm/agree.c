/* What ranks agree on: failures, numbers that steer the run, a point in time. */
#include "comm_internal.h"

#include "espalier/core/deadline.h"
#include "espalier/core/log.h"

#include <limits.h>
#include <stdio.h>
#include <time.h>

/* All ranks have come, and get the status and the text of one. */
static esp_status share_failure(const esp_comm *comm, esp_status mine, int failing) {
  esp_deadline_clear();
  if (failing == INT_MAX) return ESP_OK;
  struct {
    int code;
    char text[1024];
  } message = {.code = (int)mine};
  snprintf(message.text, sizeof message.text, "%s", esp_failure_text());
  comm_bcast(comm, ESP_CONTROL, &message, sizeof message, failing);
  return esp_fail((esp_status)message.code, "%s", message.text);
}

esp_status esp_agree(const esp_comm *comm, esp_status mine) {
  int failing = mine == ESP_OK ? INT_MAX : comm->rank;
  MPI_Allreduce(MPI_IN_PLACE, &failing, 1, MPI_INT, MPI_MIN,
                comm_count_local(comm, ESP_AGREEMENT, sizeof failing));
  return share_failure(comm, mine, failing);
}

/* The lowest failing rank speaks first, and ends the others while they wait. */
static const double patience_s = 3.0, stagger_s = 0.3;

static void wait_or_end(const esp_comm *comm, MPI_Request *request, esp_status mine) {
  const struct timespec pause = {0, 1000000};
  const double end = esp_now_s() + patience_s + stagger_s * (comm->rank < 10 ? comm->rank : 10);
  int done = 0;
  while (MPI_Test(request, &done, MPI_STATUS_IGNORE), !done) {
    if (esp_now_s() > end) esp_end_job(mine);
    nanosleep(&pause, NULL);
  }
}

esp_status esp_agree_or_end(const esp_comm *comm, esp_status mine) {
  int failing = mine == ESP_OK ? INT_MAX : comm->rank;
  MPI_Request request;
  MPI_Iallreduce(MPI_IN_PLACE, &failing, 1, MPI_INT, MPI_MIN,
                 comm_count_local(comm, ESP_AGREEMENT, sizeof failing), &request);
  if (mine == ESP_OK)
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  else
    wait_or_end(comm, &request, mine);
  return share_failure(comm, mine, failing);
}

static double agree_f64(const esp_comm *comm, double value, MPI_Op op) {
  MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, op,
                comm_count_local(comm, ESP_CONTROL, sizeof value));
  return value;
}

static int64_t agree_i64(const esp_comm *comm, int64_t value, MPI_Op op) {
  MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT64_T, op,
                comm_count_local(comm, ESP_CONTROL, sizeof value));
  return value;
}

double esp_agree_max_f64(const esp_comm *comm, double value) {
  return agree_f64(comm, value, MPI_MAX);
}

int64_t esp_agree_max_i64(const esp_comm *comm, int64_t value) {
  return agree_i64(comm, value, MPI_MAX);
}

int64_t esp_agree_sum_i64(const esp_comm *comm, int64_t value) {
  return agree_i64(comm, value, MPI_SUM);
}

void esp_barrier(const esp_comm *comm) {
  MPI_Barrier(comm_count_local(comm, ESP_CONTROL, 0));
}

esp_spread esp_compute_spread(const esp_comm *comm, double value) {
  struct {
    double value;
    int rank;
  } mine = {value, comm->rank}, worst;
  MPI_Allreduce(&mine, &worst, 1, MPI_DOUBLE_INT, MPI_MAXLOC,
                comm_count_local(comm, ESP_CONTROL, sizeof mine));
  const double low = agree_f64(comm, value, MPI_MIN), sum = agree_f64(comm, value, MPI_SUM);
  return (esp_spread){low, sum / comm->size, worst.value, worst.rank};
}
