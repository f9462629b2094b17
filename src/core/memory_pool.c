#define _GNU_SOURCE // mremap, MAP_POPULATE
#include "memory_pool.h"

#if defined __linux__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_WAITING = 64, LEAST_REST = 1 << 20 };

typedef struct piece {
  char *memory;
  size_t bytes;
} piece;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static piece list[MOST_WAITING];
static int n_waiting;
static size_t live, waiting, most; // bytes; most: that were live at once

static size_t round_up(size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

static piece pick(int i) {
  const piece picked = list[i];
  list[i] = list[--n_waiting];
  waiting -= picked.bytes;
  return picked;
}

static void drop(piece gone) {
  if (gone.bytes > 0) munmap(gone.memory, gone.bytes);
}

static void keep(piece freed) {
  if (n_waiting == MOST_WAITING || freed.bytes < LEAST_REST) {
    drop(freed);
    return;
  }
  list[n_waiting++] = freed;
  waiting += freed.bytes;
}

/* The smallest that is large enough, else the largest. */
static int find_best(size_t bytes) {
  int best = -1;
  for (int i = 0; i < n_waiting; i++) {
    const size_t now = list[i].bytes, then = best < 0 ? 0 : list[best].bytes;
    if (now >= bytes ? then < bytes || now < then : now > then) best = i;
  }
  return best;
}

/* Cut to size, or made longer; of no bytes where that fails. */
static piece fit(piece from, size_t bytes) {
  if (from.bytes > bytes) {
    keep((piece){from.memory + bytes, from.bytes - bytes});
    return (piece){from.memory, bytes};
  }
  if (from.bytes == bytes) return from;
  void *const longer = mremap(from.memory, from.bytes, bytes, MREMAP_MAYMOVE);
  if (longer != MAP_FAILED) return (piece){longer, bytes};
  drop(from);
  return (piece){NULL, 0};
}

static piece take_waiting(size_t bytes) {
  const int best = find_best(bytes);
  return best < 0 ? (piece){NULL, 0} : fit(pick(best), bytes);
}

static void shrink_to(size_t limit) {
  while (n_waiting > 0 && live + waiting > limit) drop(pick(0));
}

bool esp_pool_exists(void) {
  return true;
}

void *esp_pool_take(size_t bytes, bool is_zeroed) {
  const size_t whole = round_up(bytes);
  pthread_mutex_lock(&lock);
  piece found = take_waiting(whole);
  live += whole;
  if (live > most) most = live;
  shrink_to(most);
  pthread_mutex_unlock(&lock);
  if (found.memory) return is_zeroed ? memset(found.memory, 0, whole) : found.memory;
  void *const memory =
      mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void esp_pool_give(void *memory, size_t bytes) {
  const size_t whole = round_up(bytes);
  pthread_mutex_lock(&lock);
  live -= whole;
  keep((piece){memory, whole});
  pthread_mutex_unlock(&lock);
}

void esp_pool_flush(void) {
  pthread_mutex_lock(&lock);
  shrink_to(0);
  most = live;
  pthread_mutex_unlock(&lock);
}

size_t esp_pool_count_waiting(void) {
  return waiting;
}

#else

bool esp_pool_exists(void) {
  return false;
}

void *esp_pool_take(size_t bytes, bool is_zeroed) {
  (void)bytes, (void)is_zeroed;
  return NULL;
}

void esp_pool_give(void *memory, size_t bytes) {
  (void)memory, (void)bytes;
}

void esp_pool_flush(void) {}

size_t esp_pool_count_waiting(void) {
  return 0;
}

#endif
