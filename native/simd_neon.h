/* NEON, on 64-bit ARM: 4 lanes. With DOTPROD or I8MM the level has these instructions for bytes, too; the
 * terms' bytes are signed then and without them (bytes_neon.h).
 */
#if !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") /* GCC 12 moves a tile's loads up, and spills sums for them */
#endif
#include <arm_neon.h>

#define REGISTERS 4 /* of a row: 24 sums in 32 registers */
#if defined(I8MM)
#define TARGET __attribute__((target("arch=armv8.2-a+i8mm")))
#elif defined(DOTPROD)
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#else
#define TARGET
#endif
typedef float32x4_t vec;
typedef int32x4_t ivec;
typedef float64x2_t dvec;
#define load vld1q_f32
#define store vst1q_f32
#define spread vdupq_n_f32
#define add vaddq_f32
#define sub vsubq_f32
#define mul vmulq_f32
#define divide vdivq_f32
#define root vsqrtq_f32
#define maximum vmaxq_f32
#define minimum vminq_f32
#define fma(a, b, c) vfmaq_f32(c, a, b)
#define fnma(a, b, c) vfmsq_f32(c, a, b)
#define nearest vrndnq_f32
#define sum_of vaddvq_f32
#define largest_of vmaxvq_f32
#define ispread vdupq_n_s32
#define as_floats vcvtq_f32_s32
#define imaximum vmaxq_s32
#define dload vld1q_f64
#define dspread vdupq_n_f64
#define dfma(a, b, c) vfmaq_f64(c, a, b)
#define low_half(x) vcvtq_f64_s64(vmovl_s32(vget_low_s32(x)))
#define high_half(x) vcvtq_f64_s64(vmovl_high_s32(x))

INLINE vec times_power(vec x, vec n) { /* into the exponent; x is about 1 and n no less than -126 */
    const ivec exponent = vshlq_n_s32(vcvtq_s32_f32(n), 23);
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x), exponent));
}

/* Store 16 numbers as bytes, rounded to the nearest, of two the even one. */
INLINE void store_bytes(int8_t *to, const vec *x) {
    const int16x8_t low = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(x[0])), vmovn_s32(vcvtnq_s32_f32(x[1])));
    const int16x8_t high = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(x[2])), vmovn_s32(vcvtnq_s32_f32(x[3])));
    vst1q_s8(to, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}

INLINE uint32_t positive(dvec x) {
    const uint64x2_t lanes = vcgtzq_f64(x);
    return (uint32_t)((vgetq_lane_u64(lanes, 0) & 1) | (vgetq_lane_u64(lanes, 1) & 2));
}

INLINE vec first_lanes(vec x, int64_t n) {
    static const int32_t lanes[LANES] = {0, 1, 2, 3};
    const ivec end = ispread(n >= LANES ? LANES : (int32_t)n);
    const uint32x4_t kept = vcltq_s32(vld1q_s32(lanes), end);
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), kept));
}

/* columns[k][t] = rows[t][k] of 4 x 4 floats; columns are stride apart. */
INLINE void transpose_square(const float *const *rows, float *columns, int64_t stride) {
    const vec a = load(rows[0]), b = load(rows[1]), c = load(rows[2]), d = load(rows[3]);
    const vec even = vtrn1q_f32(a, b), odd = vtrn2q_f32(a, b);
    const vec even_below = vtrn1q_f32(c, d), odd_below = vtrn2q_f32(c, d);
    store(columns, vcombine_f32(vget_low_f32(even), vget_low_f32(even_below)));
    store(columns + stride, vcombine_f32(vget_low_f32(odd), vget_low_f32(odd_below)));
    store(columns + 2 * stride, vcombine_f32(vget_high_f32(even), vget_high_f32(even_below)));
    store(columns + 3 * stride, vcombine_f32(vget_high_f32(odd), vget_high_f32(odd_below)));
}
