/* Scratch memory of calls: arrays are taken one behind the other and released together, so that a
 * call allocates nothing once the workspace has grown to the largest use. One thread's at a time;
 * all functions are local. */
#ifndef ESPALIER_MODEL_WORKSPACE_H
#define ESPALIER_MODEL_WORKSPACE_H

#include "espalier/core/c_linkage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

ESP_C_BEGIN

typedef struct esp_workspace_block esp_workspace_block;

/* Caller's struct, zero-initialised; members are read-only outside workspace.c. */
typedef struct esp_workspace {
  esp_workspace_block *first, *current; // owned list; NULL: nothing is taken
  int64_t used;                         // bytes of the current block
  int64_t taken, most;                  // bytes of all, now and at most so far
  bool is_uneven;                       // a block was too small for what came again
} esp_workspace;

/* Take count x size bytes, 64-byte aligned, of any content; valid until released. */
void *esp_workspace_take(esp_workspace *self, int64_t count, size_t size);
#define ESP_TAKE(workspace, type, count) \
  ((type *)esp_workspace_take((workspace), (count), sizeof(type)))

/* Release all that was taken since a mark; marks are released in reverse order. */
typedef struct esp_workspace_mark {
  esp_workspace_block *block;
  int64_t used, taken;
} esp_workspace_mark;
esp_workspace_mark esp_workspace_set_mark(const esp_workspace *self);
void esp_workspace_release(esp_workspace *self, esp_workspace_mark mark);

/* Free the memory, nothing of which may be taken: at the end, and where a phase begins that has
 * none to spare. The next use grows anew. */
void esp_workspace_clear(esp_workspace *self);

ESP_C_END

#endif
