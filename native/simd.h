/* Vectors of LANES floats, of as many 32-bit integers, and of half as many doubles, as the set of
 * instructions has them; with it come the sizes of tiles that fill its registers.
 */
#include <stdint.h>

/* Counts up when a kernel's arguments, or how what they point to is laid out, change: with it native.py
 * tells a library of another build. */
#define ABI 6

#define INLINE TARGET static inline __attribute__((always_inline))
#define JOIN(name, level) name##_##level
#define EXPAND(name, level) JOIN(name, level)
#define NAME(name) EXPAND(name, LEVEL)

/* A loop over the registers of a tile: they are registers only if it is unrolled. */
#ifdef __clang__
#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)
#else
#define EACH(i, count) _Pragma("GCC unroll 8") for (int i = 0; i < (count); i++)
#endif

#if LANES == 16
#include "simd_avx512.h"
#elif LANES == 8
#include "simd_avx2.h"
#else
#include "simd_neon.h"
#endif
