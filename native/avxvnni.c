/* The kernels for processors with AVX-VNNI: Intel's since 2021 that have no AVX-512.
 *
 * Plain C without Python.h: loaded with ctypes (repro/compiled/native.py), built as an
 * optional extension (setup.py). With BY_AVX512VL, which the tests define, the same instruction is encoded
 * as AVX-512 has it, so that processors which have that run this level, too.
 */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define LEVEL avxvnni
#define LANES 8
#define AVXVNNI
#include <cpuid.h>
#include "simd.h"
#include "tile.h"
#include "bytes.h"
#include "body.h"
#include "body_int8.h"
#include "head.h"

int abi_avxvnni(void) { return ABI; }

int supported_avxvnni(void) {
    __builtin_cpu_init();
#ifdef BY_AVX512VL
    return __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
#else
    unsigned a, b, c, d; /* compilers that know AVX-VNNI need not know its name here */
    return __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma") &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1;
#endif
}
#else
int supported_avxvnni(void) { return 0; }
#endif
