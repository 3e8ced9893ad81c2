/* The kernels for processors with AVX-512 and VNNI.
 *
 * Plain C without Python.h: loaded with ctypes (repro/compiled/native.py), built as an
 * optional extension (setup.py).
 */
#if defined(__x86_64__) && defined(__GNUC__)
#define LEVEL avx512
#define LANES 16
#include "simd.h"
#include "tile.h"
#include "bytes.h"
#include "body.h"
#include "body_int8.h"
#include "head.h"

int abi_avx512(void) { return ABI; }

int supported_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}
#else
int supported_avx512(void) { return 0; }
#endif
