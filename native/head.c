/* The screened max-pooled product of repro/splade/head.py, for processors with AVX-512 VNNI.
 *
 * Plain C without Python.h: loaded with ctypes, built as an optional extension (setup.py). repro/splade/head.py holds
 * the proof of the bound and the packing of the weights; tests/parity compares with the plain float32 formula.
 */
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define COLUMNS 48 /* terms in a block: three registers of 16 */
#define TOKENS 8   /* tokens in a tile: 8 x 3 accumulators */
/* The intrinsic makes GCC 12 copy and spill the accumulators, at half the speed. */
#define DOT(sum, w, h) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(h))

int head_supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

/* Fold the products of n tokens (int8, rows of d bytes) with 48 terms (uint8, offset 128) into best[3]. */
TARGET static inline __attribute__((always_inline)) void tile(
    const int n, const int8_t *tokens, const int32_t *start, int d, const uint8_t *block, __m512i *best) {
    __m512i sum[TOKENS][3];
    _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)
        for (int j = 0; j < 3; j++) sum[i][j] = _mm512_set1_epi32(start[i]);
    for (int k = 0; k < d; k += 4) {
        const __m512i *w = (const __m512i *)(block + (int64_t)k * COLUMNS);
        const __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 1), w2 = _mm512_load_si512(w + 2);
        _Pragma("GCC unroll 8") for (int i = 0; i < n; i++) {
            const __m512i h = _mm512_set1_epi32(*(const int32_t *)(tokens + (int64_t)i * d + k));
            DOT(sum[i][0], w0, h);
            DOT(sum[i][1], w1, h);
            DOT(sum[i][2], w2, h);
        }
    }
    _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)
        for (int j = 0; j < 3; j++) best[j] = _mm512_max_epi32(best[j], sum[i][j]);
}

/* For each text, list the terms whose upper bound is positive.
 *
 * hidden     tokens x d, int8: quantised hidden states of all texts, one after the other
 * start      tokens: -128 x (sum of the token's row), which takes the terms' offset of 128 away
 * bounds     texts + 1: where each text's tokens begin
 * packed     blocks x (d / 4) x 48 x 4, uint8, 64-byte aligned: terms quantised, plus 128
 * scale, bias, norm, error    blocks x 48 floats: of each term (padding terms have bias -inf)
 * text_scale, text_error, text_norm    of each text
 * found      texts x room, int32; count: texts. room must be at least blocks x 48.
 *
 * The upper bound is text_scale scale p + bias + text_error norm + text_norm error, p the pooled integer product.
 */
TARGET void head_screen(
    const int8_t *hidden, const int32_t *start, const int64_t *bounds, int64_t texts, int64_t d,
    const uint8_t *packed, int64_t blocks, const float *scale, const float *bias, const float *norm, const float *error,
    const float *text_scale, const float *text_error, const float *text_norm,
    int32_t *found, int64_t room, int64_t *count) {
    for (int64_t i = 0; i < texts; i++) count[i] = 0;
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    for (int64_t b = 0; b < blocks; b++) {
        const uint8_t *block = packed + b * COLUMNS * d;
        for (int64_t i = 0; i < texts; i++) {
            __m512i best[3];
            for (int j = 0; j < 3; j++) best[j] = _mm512_set1_epi32(INT32_MIN);
            int64_t t = bounds[i];
            for (; t + TOKENS <= bounds[i + 1]; t += TOKENS) tile(TOKENS, hidden + t * d, start + t, d, block, best);
            switch (bounds[i + 1] - t) {
                case 7: tile(7, hidden + t * d, start + t, d, block, best); break;
                case 6: tile(6, hidden + t * d, start + t, d, block, best); break;
                case 5: tile(5, hidden + t * d, start + t, d, block, best); break;
                case 4: tile(4, hidden + t * d, start + t, d, block, best); break;
                case 3: tile(3, hidden + t * d, start + t, d, block, best); break;
                case 2: tile(2, hidden + t * d, start + t, d, block, best); break;
                case 1: tile(1, hidden + t * d, start + t, d, block, best); break;
            }
            const __m512 ts = _mm512_set1_ps(text_scale[i]), te = _mm512_set1_ps(text_error[i]),
                         tn = _mm512_set1_ps(text_norm[i]);
            for (int j = 0; j < 3; j++) {
                const int64_t v = b * COLUMNS + 16 * j;
                __m512 upper = _mm512_mul_ps(_mm512_mul_ps(ts, _mm512_loadu_ps(scale + v)), _mm512_cvtepi32_ps(best[j]));
                upper = _mm512_add_ps(upper, _mm512_loadu_ps(bias + v));
                upper = _mm512_fmadd_ps(te, _mm512_loadu_ps(norm + v), upper);
                upper = _mm512_fmadd_ps(tn, _mm512_loadu_ps(error + v), upper);
                const __mmask16 keep = _mm512_cmp_ps_mask(upper, _mm512_setzero_ps(), _CMP_GT_OQ);
                const __m512i terms = _mm512_add_epi32(lanes, _mm512_set1_epi32((int32_t)v));
                _mm512_mask_compressstoreu_epi32(found + i * room + count[i], keep, terms);
                count[i] += __builtin_popcount(keep);
            }
        }
    }
}

/* For each listed term of one text, the float32 maximum over its tokens of the product, bias added.
 *
 * hidden: tokens x d floats; weight: vocabulary x d floats; d a multiple of 16.
 */
TARGET void head_exact(
    const float *hidden, int64_t tokens, int64_t d, const float *weight, const float *bias,
    const int32_t *terms, int64_t count, float *logits) {
    for (int64_t c = 0; c < count; c++) {
        const float *w = weight + (int64_t)terms[c] * d;
        float best = -__builtin_inff();
        int64_t t = 0;
        for (; t + 4 <= tokens; t += 4) {
            const float *h = hidden + t * d;
            __m512 a = _mm512_setzero_ps(), b = a, e = a, f = a;
            for (int64_t k = 0; k < d; k += 16) {
                const __m512 x = _mm512_loadu_ps(w + k);
                a = _mm512_fmadd_ps(x, _mm512_loadu_ps(h + k), a);
                b = _mm512_fmadd_ps(x, _mm512_loadu_ps(h + d + k), b);
                e = _mm512_fmadd_ps(x, _mm512_loadu_ps(h + 2 * d + k), e);
                f = _mm512_fmadd_ps(x, _mm512_loadu_ps(h + 3 * d + k), f);
            }
            const float r[4] = {_mm512_reduce_add_ps(a), _mm512_reduce_add_ps(b), _mm512_reduce_add_ps(e),
                                _mm512_reduce_add_ps(f)};
            for (int i = 0; i < 4; i++) best = r[i] > best ? r[i] : best;
        }
        for (; t < tokens; t++) {
            __m512 a = _mm512_setzero_ps();
            for (int64_t k = 0; k < d; k += 16)
                a = _mm512_fmadd_ps(_mm512_loadu_ps(w + k), _mm512_loadu_ps(hidden + t * d + k), a);
            const float r = _mm512_reduce_add_ps(a);
            best = r > best ? r : best;
        }
        logits[c] = best + bias[terms[c]];
    }
}

#else

int head_supported(void) { return 0; }

#endif
