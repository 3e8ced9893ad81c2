/* The kernels for processors with AVX2 and FMA.
 *
 * Plain C without Python.h: loaded with ctypes (repro/compiled/native.py), built as an
 * optional extension (setup.py).
 */
#if defined(__x86_64__) && defined(__GNUC__)
#define LEVEL avx2
#define LANES 8
#include "simd.h"
#include "tile.h"
#include "bytes.h"
#include "body.h"
#include "body_int8.h"
#include "head.h"

int abi_avx2(void) { return ABI; }

int supported_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma");
}
#else
int supported_avx2(void) { return 0; }
#endif
