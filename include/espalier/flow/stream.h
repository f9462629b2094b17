/* Hidden states of micro-batches on their way through a model: load a stage, take the micro-batches
 * through it, unload it. One stage's weights are in memory, and of every micro-batch the state that
 * it has reached, or those before every stage, for the backward pass.
 *
 * A stream is one rank's: its functions are local but for esp_stream_load. */
#ifndef ESPALIER_FLOW_STREAM_H
#define ESPALIER_FLOW_STREAM_H

#include "espalier/core/c_linkage.h"
#include "espalier/flow/shard.h"
#include "espalier/model/forward.h"

ESP_C_BEGIN

typedef struct esp_stream_options {
  esp_model *model;         // borrowed
  esp_shard *shard;         // borrowed; micro-batches are read into its buffer
  int64_t first, count;     // micro-batches, numbered as the shard numbers all
  const int64_t *numbers;   // (count) of others than `first` and those behind it; NULL: these
  bool is_checked;          // activations and logits that are not finite are NUMERIC
  bool keeps_states;        // there is a backward pass
  esp_workspace *workspace; // of a stream that runs by turns with this one; NULL: its own
} esp_stream_options;

/* Caller's struct, not to be copied; members are read-only outside stream.c. */
typedef struct esp_stream {
  esp_model *model;
  esp_shard *shard;
  bool is_checked, keeps_states;
  int64_t count;     // micro-batches
  int64_t most;      // that there is room for
  int64_t *numbers;  // (count) among all, owned
  int64_t rows;      // of a full micro-batch
  float *states;     // (1, count, rows, max_state), or (n_stages + 1, ...) where they are kept
  float *dstates;    // (count, rows, max_state) their gradients; NULL: states are not kept
  esp_workspace own; // unless it is another's
  esp_workspace *workspace; // of every call
} esp_stream;

/* Allocate the states. */
void esp_stream_init(esp_stream *self, const esp_stream_options *options);
void esp_stream_clear(esp_stream *self);
/* Turn to other micro-batches, [first, first + count), no more than those it was made for. */
void esp_stream_turn(esp_stream *self, int64_t first, int64_t count);

/* Load a stage's weights (n_stages: the head's), and agree. Collective on comm. */
esp_status esp_stream_load(const esp_comm *comm, const esp_stream *self, int stage);
/* Unload them, and free the scratch memory. */
void esp_stream_unload(esp_stream *self, int stage);
/* Free the scratch memory where something else needs it. */
void esp_stream_free_scratch(esp_stream *self);

/* One micro-batch before one stage (n_stages: the head). */
typedef struct esp_step {
  esp_call call; // its batch is valid until the shard reads the next
  float *state;  // (rows, state_in)
  float *next;   // (rows, state_out): state itself where states are not kept
  float *dstate; // (rows, state_out): its gradient, NULL where states are not kept
  bool is_checked;
} esp_step;
/* Read micro-batch i of the stream. */
esp_step esp_stream_step(esp_stream *self, int stage, int64_t i);

/* x (rows, F) from the state; the state behind the stage from x, in two steps; all of that, x NULL:
 * not wanted. NUMERIC names the site. */
esp_status esp_step_produce(const esp_step *self, float *x);
void esp_step_consume(const esp_step *self, const float *x);
void esp_step_finish(const esp_step *self);
esp_status esp_step_advance(const esp_step *self, float *x);
/* The residual stream (rows, D) as what reads it for the stage gets it. */
void esp_step_read(const esp_step *self, float *normed);
/* logits (rows, n_outputs), or (samples, n_outputs), of a step before the head. NUMERIC. */
esp_status esp_step_run_head(const esp_step *self, float *logits);

/* Embed all micro-batches; take them all through a loaded stage; both, through all stages, each
 * loaded for the time. x (rows, F of the widest stage) is scratch; NULL: the stream's own. NUMERIC.
 */
esp_status esp_stream_embed(esp_stream *self);
esp_status esp_stream_advance(esp_stream *self, int stage, float *x);
esp_status esp_stream_run(esp_stream *self, float *x);
/* The state (rows, max_state) of micro-batch i before a stage, or the one that it has reached. */
float *esp_stream_find_state(const esp_stream *self, int stage, int64_t i);

/* What the backward pass of a stage goes on from (model/forward.h): has x (rows, F) computed again
 * from the state that was kept, now or by the way, and leaves step's gradient to be taken back by
 * esp_backward_finish and esp_backward_consume. gradients (n_weights) or NULL. */
esp_backward esp_step_return(const esp_step *self, float *x, float *const *gradients);
/* Take dlogits back through the head. */
void esp_step_return_head(const esp_step *self, const float *dlogits, float *const *gradients);
/* Take the gradients of all micro-batches back through a loaded stage. x (rows, F) is scratch. */
void esp_stream_return(esp_stream *self, int stage, float *x, float *const *gradients);

/* NUMERIC, naming the site, unless all of x (rows, features) is finite. */
esp_status esp_check_finite(const char *site, const float *x, int64_t rows, int64_t features);

ESP_C_END

#endif
