/* The kernels for 64-bit ARM processors: NEON alone, which all of them have.
 *
 * Plain C without Python.h: loaded with ctypes (repro/compiled/native.py), built as an
 * optional extension (setup.py).
 */
#if defined(__aarch64__) && defined(__GNUC__)
#define LEVEL neon
#define LANES 4
#include "simd.h"
#include "tile.h"
#include "bytes.h"
#include "body.h"
#include "body_int8.h"
#include "head.h"

int abi_neon(void) { return ABI; }

int supported_neon(void) { return 1; }
#else
int supported_neon(void) { return 0; }
#endif
