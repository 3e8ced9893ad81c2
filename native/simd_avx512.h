/* AVX-512 with VNNI: 16 lanes. */
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define REGISTERS 4      /* of a row of a float32 product: with 6 rows, 24 sums in 32 registers */
#define TERM_REGISTERS 3 /* of screening (head.h) */
#define TOKENS 8         /* in a tile of it: 8 x 3 sums */
#define OFFSET 128       /* of its terms, which makes them positive */
/* Four products of bytes a lane, added to sum. With its intrinsic GCC 12 spills the sums: half the speed. */
#define DOT(sum, w, h) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(h))
#include "simd_x86.h"
typedef __m512 vec;
typedef __m512i ivec;
typedef __m512d dvec;
#define load _mm512_loadu_ps
#define store _mm512_storeu_ps
#define spread _mm512_set1_ps
#define add _mm512_add_ps
#define sub _mm512_sub_ps
#define mul _mm512_mul_ps
#define divide _mm512_div_ps
#define root _mm512_sqrt_ps
#define maximum _mm512_max_ps
#define minimum _mm512_min_ps
#define fma _mm512_fmadd_ps       /*  a b + c */
#define fnma _mm512_fnmadd_ps     /* -a b + c */
#define nearest(x) _mm512_roundscale_ps(x, 0)
#define times_power(x, n) _mm512_scalef_ps(x, n) /* x 2^n, n whole */
#define sum_of _mm512_reduce_add_ps
#define largest_of _mm512_reduce_max_ps
#define iload(p) _mm512_loadu_si512(p)
#define ispread _mm512_set1_epi32
#define as_floats _mm512_cvtepi32_ps
#define imaximum _mm512_max_epi32
#define dload _mm512_loadu_pd
#define dspread _mm512_set1_pd
#define dfma _mm512_fmadd_pd
#define low_half(x) _mm512_cvtepi32_pd(_mm512_castsi512_si256(x)) /* of integers, as doubles */
#define high_half(x) _mm512_cvtepi32_pd(_mm512_extracti32x8_epi32(x, 1))
#define positive(x) (uint32_t)_mm512_cmp_pd_mask(x, _mm512_setzero_pd(), _CMP_GT_OQ) /* a bit a lane */

/* Store 16 numbers as bytes, rounded to the nearest, of two the even one. */
INLINE void store_bytes(int8_t *to, const vec *x) {
    _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(*x)));
}

/* Lanes from n on become zero. */
INLINE vec first_lanes(vec x, int64_t n) {
    return _mm512_maskz_mov_ps((__mmask16)(n >= LANES ? 0xffff : n <= 0 ? 0 : (1 << n) - 1), x);
}
