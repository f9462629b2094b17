/* 6 x 16 of C in 12 of 16 registers, two of B and one of A. */
#if defined __AVX2__ && defined __FMA__
#define VECTOR 8
#define VECTORS 2
#define ROWS 6
#define AHEAD 0
#define vec __m256
#define load(at) _mm256_loadu_ps(at)
#define store(at, x) _mm256_storeu_ps(at, x)
#define set1(x) _mm256_set1_ps(x)
#define fma(x, y, z) _mm256_fmadd_ps(x, y, z)
#define mul(x, y) _mm256_mul_ps(x, y)
#include "gemm_microkernel.h"

DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
DEFINE_ROWS(5)
DEFINE_ROWS(6)

static bool is_supported(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static const gemm_multiply multiplies[ROWS] = {multiply_1, multiply_2, multiply_3,
                                               multiply_4, multiply_5, multiply_6};
static const gemm_pack_rows packs[ROWS] = {pack_1, pack_2, pack_3, pack_4, pack_5, pack_6};

const gemm_kernel esp_gemm_avx2 = {"avx2", is_supported, ROWS,      COLS, (int64_t)96 << 10,
                                   pack_b, packs,        multiplies};
#else
#include "gemm_kernel.h"

const gemm_kernel esp_gemm_avx2 = {.name = "avx2"};
#endif
