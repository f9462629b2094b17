/* Building blocks of transformer families. Row-major float arrays; local; the same bits at any
 * thread count (each row, or each (sequence, head), is computed whole by one thread). */
#ifndef ESPALIER_SRC_MODEL_OPS_H
#define ESPALIER_SRC_MODEL_OPS_H

#include "activation.h"

#include "espalier/linalg/gemm.h"
#include "espalier/model/family.h"

/* y = x / sqrt(mean(x^2) + epsilon) * weight, by row of n. In place is fine. Sums in double. */
void op_rms_norm(int64_t rows, int64_t n, const float *x, const float *weight, double epsilon,
                 float *y);
/* y = (x - mean) / sqrt(var + epsilon) * weight + bias, by row of n. In place is fine. */
void op_layer_norm(int64_t rows, int64_t n, const float *x, const float *const weight_bias[2],
                   double epsilon, float *y);

/* What follows a product: y = f(y + bias) * factor, y (rows, n). */
typedef struct op_finishing {
  float *y;
  int64_t n;
  const float *bias;                // (n); NULL: 0
  const esp_activation *activation; // NULL: y itself
  const float *factor;              // (rows, n); NULL: 1
} op_finishing;
/* Of a tile of y: esp_gemm's finish, whose context is an op_finishing. */
void op_finish(const void *finishing, const esp_gemm_tile *tile);

/* Scaled dot-product attention. q, out (rows, heads * head_size); k, v (rows, kv_heads *
 * head_size); rows = count * length. Query head h reads KV head h / (heads / kv_heads). A
 * sequence's keys at and beyond its length are masked; rows of queries beyond it are computed like
 * any other, from valid keys only (0 where there is none). With a window a causal query sees its
 * own key and the window - 1 before it, another query `window` keys on either side of its own, as
 * in transformers' masks; work is proportional to the band. out may be q when q_stride is heads *
 * head_size. */
typedef struct op_attention_job {
  int64_t count, length; // sequences, T
  int64_t heads, kv_heads, head_size;
  const int32_t *lengths; // (count) or NULL
  bool is_causal;
  int64_t window; // 0: none
  float scale;    // of the scores, 1 / sqrt(head_size) as a rule
  const float *q, *k, *v;
  int64_t q_stride, kv_stride; // floats from row to row (fused projections)
  float *out;                  // row stride heads * head_size
  esp_workspace *workspace;
} op_attention_job;
void op_attention(const op_attention_job *job);

/* Rotary embedding, in place, of heads of head_size in rows of a (count * length): the halves are
 * rotated (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin), as in Hugging Face's Llama. cos_sin: both
 * (length, head_size / 2). */
void op_rotate(int64_t rows, int64_t length, int64_t heads, int64_t head_size,
               const float *cos_sin[2], float *x);

/* Gradients. Those of weights are added to and may be NULL; the others are overwritten. */

/* Of op_layer_norm, or of op_rms_norm where the mean is not taken out. dx may be dy. */
typedef struct op_norm_backward {
  int64_t rows, n;
  const float *x, *weight, *dy;
  double epsilon;
  bool is_centred;
  float *dx, *dweight, *dbias;
  esp_workspace *workspace;
} op_norm_backward;
void op_norm_compute_backward(const op_norm_backward *job);

/* Of esp_weight_read_rows: rows of dy are added to those of the table. */
void op_scatter(const float *dy, int64_t rows, int64_t n, const int32_t *indices, float *table);

/* Of x = f(gate) * up, computed again unless NULL: gate and up become their gradients. */
void op_gate_backward(const esp_activation *activation, int64_t count, const float *dx, float *gate,
                      float *up, float *x);
/* dz = dy f'(z). dz may be z or dy. */
void op_activate_backward(const esp_activation *activation, int64_t count, const float *z,
                          const float *dy, float *dz);
/* Of op_rotate, in place. */
void op_rotate_back(int64_t rows, int64_t length, int64_t heads, int64_t head_size,
                    const float *cos_sin[2], float *dx);

/* Of op_attention, which is computed again, job->out too unless it is NULL. dq has the strides of
 * q; dk, dv those of k, v; dout those of out. None may overlap another, or what the job reads. */
typedef struct op_attention_gradients {
  const float *dout;
  float *dq, *dk, *dv;
} op_attention_gradients;
void op_attention_backward(const op_attention_job *job, const op_attention_gradients *gradients);

#endif
