/* The kernels for ARM processors with products of matrices of bytes: servers since 2021, Apple since M2.
 *
 * Plain C without Python.h: loaded with ctypes (repro/compiled/native.py), built as an
 * optional extension (setup.py). Clang before 16 has the intrinsics only if the whole file may use them.
 */
#if defined(__aarch64__) && defined(__GNUC__) && \
    (defined(__clang__) ? __clang_major__ >= 16 || defined(__ARM_FEATURE_MATMUL_INT8) : __GNUC__ >= 10)
#define LEVEL i8mm
#define LANES 4
#define I8MM
#include "simd.h"
#include "tile.h"
#include "bytes.h"
#include "body.h"
#include "body_int8.h"
#include "head.h"
#include "arm_feature.h"

int abi_i8mm(void) { return ABI; }

int supported_i8mm(void) {
    return arm_feature("hw.optional.arm.FEAT_I8MM", 26 /* AT_HWCAP2 */, 13 /* HWCAP2_I8MM */);
}
#else
int supported_i8mm(void) { return 0; }
#endif
