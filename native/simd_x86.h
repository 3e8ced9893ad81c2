/* What the sets of instructions of x86 have in common. */
#include <immintrin.h>

/* columns[k][t] = rows[t][k] of 4 x 4 floats; columns are stride apart. */
INLINE void transpose_square(const float *const *rows, float *columns, int64_t stride) {
    __m128 a = _mm_loadu_ps(rows[0]), b = _mm_loadu_ps(rows[1]);
    __m128 c = _mm_loadu_ps(rows[2]), d = _mm_loadu_ps(rows[3]);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(columns, a);
    _mm_storeu_ps(columns + stride, b);
    _mm_storeu_ps(columns + 2 * stride, c);
    _mm_storeu_ps(columns + 3 * stride, d);
}
