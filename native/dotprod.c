/* The kernels for ARM processors with dot products of bytes: most since 2018, Apple's all.
 *
 * Plain C without Python.h: loaded with ctypes (repro/compiled/native.py), built as an
 * optional extension (setup.py). Clang before 16 has the intrinsics only if the whole file may use them.
 */
#if defined(__aarch64__) && defined(__GNUC__) && \
    (!defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_DOTPROD))
#define LEVEL dotprod
#define LANES 4
#define DOTPROD
#include "simd.h"
#include "tile.h"
#include "bytes.h"
#include "body.h"
#include "body_int8.h"
#include "head.h"
#include "arm_feature.h"

int abi_dotprod(void) { return ABI; }

int supported_dotprod(void) {
    return arm_feature("hw.optional.arm.FEAT_DotProd", 16 /* AT_HWCAP */, 20 /* HWCAP_ASIMDDP */);
}
#else
int supported_dotprod(void) { return 0; }
#endif
