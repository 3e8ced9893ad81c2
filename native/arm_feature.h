/* Whether this ARM processor has an extension, as the operating system tells: macOS by name, Linux as a bit
 * of the auxiliary vector (numbers of its interface, which older headers have no names for). Elsewhere
 * nothing is known, and NEON alone serves.
 */
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sys/auxv.h>
#endif

static inline int arm_feature(const char *name, unsigned long vector, int bit) {
#if defined(__APPLE__)
    int there = 0;
    size_t size = sizeof there;
    (void)vector, (void)bit;
    return sysctlbyname(name, &there, &size, 0, 0) == 0 && there;
#elif defined(__linux__)
    (void)name;
    return getauxval(vector) >> bit & 1;
#else
    (void)name, (void)vector, (void)bit;
    return 0;
#endif
}
