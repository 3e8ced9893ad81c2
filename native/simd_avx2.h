/* AVX2 with FMA, or with AVX-VNNI beside it: 8 lanes. */
#include <immintrin.h>

#define REGISTERS 2 /* of a row of a float32 product: 12 sums in 16 registers */
#define TERM_REGISTERS 2
#define TOKENS 6 /* in a tile: 12 sums, two registers of terms, one of a token, and a product on its way */
#if defined(AVXVNNI)
#define OFFSET 128
/* Four products of bytes a lane, added to sum. */
#if defined(BY_AVX512VL)
#define TARGET __attribute__((target("avx2,fma")))
#define DOT(sum, w, h) __asm__("%{evex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(w), "x"(h))
#else
#define TARGET __attribute__((target("avx2,fma,avxvnni")))
#define DOT(sum, w, h) __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(w), "x"(h))
#endif
#else
#define TARGET __attribute__((target("avx2,fma")))
#define OFFSET 64
/* Products are summed in 16 bits, each lane half of those of CHUNK dimensions: modulo 2^16, and right since
 * numbers are so scaled that the sum itself fits (repro/splade/screening.py). What one instruction adds up
 * fits as terms have 7 bits. In one piece, since GCC 12 takes the sums apart, at 60 % of the speed. */
#define CHUNK 128
#define DOT(sum, w, h)                                       \
    do {                                                     \
        ivec product;                                        \
        __asm__("vpmaddubsw %3, %2, %0\n\tvpaddw %0, %1, %1" \
                : "=&x"(product), "+x"(sum)                  \
                : "x"(w), "x"(h));                           \
    } while (0)
#define widened(x) _mm256_madd_epi16(x, _mm256_set1_epi16(1)) /* both lanes of each 32 bits, added */
#define iadd _mm256_add_epi32
#endif
#include "simd_x86.h"
typedef __m256 vec;
typedef __m256i ivec;
typedef __m256d dvec;
#define load _mm256_loadu_ps
#define store _mm256_storeu_ps
#define spread _mm256_set1_ps
#define add _mm256_add_ps
#define sub _mm256_sub_ps
#define mul _mm256_mul_ps
#define divide _mm256_div_ps
#define root _mm256_sqrt_ps
#define maximum _mm256_max_ps
#define minimum _mm256_min_ps
#define fma _mm256_fmadd_ps
#define fnma _mm256_fnmadd_ps
#define nearest(x) _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define iload(p) _mm256_loadu_si256((const __m256i *)(p))
#define ispread _mm256_set1_epi32
#define as_floats _mm256_cvtepi32_ps
#define imaximum _mm256_max_epi32
#define dload _mm256_loadu_pd
#define dspread _mm256_set1_pd
#define dfma _mm256_fmadd_pd
#define low_half(x) _mm256_cvtepi32_pd(_mm256_castsi256_si128(x))
#define high_half(x) _mm256_cvtepi32_pd(_mm256_extracti128_si256(x, 1))
#define positive(x) (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_GT_OQ))

INLINE vec times_power(vec x, vec n) { /* into the exponent; x is about 1 and n no less than -126 */
    const ivec exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), exponent));
}

/* Store 16 numbers as bytes, rounded to the nearest, of two the even one. */
INLINE void store_bytes(int8_t *to, const vec *x) {
    const ivec all = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
    const ivec in_order = _mm256_permute4x64_epi64(all, 0xd8); /* it packs within halves */
    _mm_storeu_si128((__m128i *)to, _mm_packs_epi16(_mm256_castsi256_si128(in_order),
                                                    _mm256_extracti128_si256(in_order, 1)));
}

INLINE float sum_of(vec x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE float largest_of(vec x) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

INLINE vec first_lanes(vec x, int64_t n) {
    const ivec lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const ivec end = ispread(n >= LANES ? LANES : (int32_t)n);
    return _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_cmpgt_epi32(end, lanes)));
}
