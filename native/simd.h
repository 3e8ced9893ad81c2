/* Vectors of LANES floats, of as many 32-bit integers, and of half as many doubles: AVX-512 with VNNI
 * (16 lanes) or AVX2 with FMA (8 lanes).
 */
#include <stdint.h>
#include <immintrin.h>

/* Counts up when a kernel's arguments, or how what they point to is laid out, change: with it native.py
 * tells a library of another build. */
#define ABI 2

#define INLINE TARGET static inline __attribute__((always_inline))
#define JOIN(name, level) name##_##level
#define EXPAND(name, level) JOIN(name, level)
#define NAME(name) EXPAND(name, LEVEL)

#if LANES == 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
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
#define imaximum _mm512_max_epi32
#define dload _mm512_loadu_pd
#define dspread _mm512_set1_pd
#define dfma _mm512_fmadd_pd
#define low_half(x) _mm512_cvtepi32_pd(_mm512_castsi512_si256(x)) /* of integers, as doubles */
#define high_half(x) _mm512_cvtepi32_pd(_mm512_extracti32x8_epi32(x, 1))
#define positive(x) (uint32_t)_mm512_cmp_pd_mask(x, _mm512_setzero_pd(), _CMP_GT_OQ) /* a bit a lane */

/* Lanes from n on become zero. */
INLINE vec first_lanes(vec x, int64_t n) {
    return _mm512_maskz_mov_ps((__mmask16)(n >= LANES ? 0xffff : n <= 0 ? 0 : (1 << n) - 1), x);
}

#else
#define TARGET __attribute__((target("avx2,fma")))
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
#define maximum _mm256_max_ps
#define minimum _mm256_min_ps
#define fma _mm256_fmadd_ps
#define fnma _mm256_fnmadd_ps
#define nearest(x) _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define iload(p) _mm256_loadu_si256((const __m256i *)(p))
#define ispread _mm256_set1_epi32
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
#endif
