/* 14 x 32 of C in 28 of 32 registers, two of B and one of A. */
#if defined __AVX512F__
#define VECTOR 16
#define VECTORS 2
#define ROWS 14
#define AHEAD 8
#define vec __m512
#define load(at) _mm512_loadu_ps(at)
#define store(at, x) _mm512_storeu_ps(at, x)
#define set1(x) _mm512_set1_ps(x)
#define fma(x, y, z) _mm512_fmadd_ps(x, y, z)
#define mul(x, y) _mm512_mul_ps(x, y)
#include "gemm_microkernel.h"

DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
DEFINE_ROWS(5)
DEFINE_ROWS(6)
DEFINE_ROWS(7)
DEFINE_ROWS(8)
DEFINE_ROWS(9)
DEFINE_ROWS(10)
DEFINE_ROWS(11)
DEFINE_ROWS(12)
DEFINE_ROWS(13)
DEFINE_ROWS(14)

static bool is_supported(void) {
  return __builtin_cpu_supports("avx512f");
}

static const gemm_multiply multiplies[ROWS] = {
    multiply_1, multiply_2, multiply_3,  multiply_4,  multiply_5,  multiply_6,  multiply_7,
    multiply_8, multiply_9, multiply_10, multiply_11, multiply_12, multiply_13, multiply_14};
static const gemm_pack_rows packs[ROWS] = {pack_1,  pack_2,  pack_3,  pack_4, pack_5,
                                           pack_6,  pack_7,  pack_8,  pack_9, pack_10,
                                           pack_11, pack_12, pack_13, pack_14};

const gemm_kernel esp_gemm_avx512 = {"avx512", is_supported, ROWS,      COLS, ESP_GEMM_MOST_PANEL,
                                     pack_b,   packs,        multiplies};
#else
#include "gemm_kernel.h"

const gemm_kernel esp_gemm_avx512 = {.name = "avx512"};
#endif
