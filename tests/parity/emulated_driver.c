/* Calls kernels as tests/parity/emulated.py asks, in an emulated ARM processor.
 *
 * A request on stdin: the function's name (32 bytes), the number of arguments, then of each its kind and
 * value: 'n' a number; 'r' a float32; 'm' memory that is read and 'w' that is written, too: its length and
 * bytes; '0' no memory. Numbers are int64. The answer on stdout: the result and the memory that was written.
 * Memory ends where a page begins that must not be touched.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define MOST 16
#define EACH_FUNCTION(use, level)                                                                   \
    use(body_embed_##level) use(body_linear_##level) use(body_linear_int8_##level)                  \
    use(body_attention_##level)                                                                     \
    use(body_add_normalise_##level) use(head_round_##level) use(head_screen_##level)                \
    use(head_exact_##level) use(supported_##level) use(abi_##level)
#define EACH(use) EACH_FUNCTION(use, neon) EACH_FUNCTION(use, dotprod) EACH_FUNCTION(use, i8mm)

/* All arguments but one float take 8 bytes each, and AAPCS64 puts the float elsewhere: a call for all. */
typedef int64_t function(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
                         int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, float);
#define DECLARE(name) function name;
#define ENTRY(name) {#name, name},
EACH(DECLARE)
static const struct { const char *name; function *call; } functions[] = {EACH(ENTRY)};

static void receive(void *to, size_t size) {
    if (fread(to, 1, size, stdin) != size) exit(feof(stdin) ? 0 : 1);
}

static int64_t receive_number(void) {
    int64_t number;
    receive(&number, sizeof number);
    return number;
}

static size_t pages(int64_t size) { return (size + PAGE - 1) / PAGE * PAGE; }

static char *allocate(int64_t size) {
    char *start = mmap(0, pages(size) + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + pages(size), PAGE, PROT_NONE)) exit(2);
    return start + pages(size) - size;
}

int main(void) {
    for (;;) {
        char name[32];
        int64_t kind[MOST], value[MOST] = {0}, size[MOST] = {0};
        float real = 0;
        receive(name, sizeof name);
        const int64_t count = receive_number();
        if (count > MOST) return 3;
        for (int i = 0; i < count; i++) {
            kind[i] = receive_number();
            if (kind[i] == 'n') value[i] = receive_number();
            if (kind[i] == 'r') receive(&real, sizeof real);
            if (kind[i] == 'm' || kind[i] == 'w') {
                size[i] = receive_number();
                char *memory = allocate(size[i]);
                receive(memory, size[i]);
                value[i] = (int64_t)memory;
            }
        }
        function *call = 0;
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
            if (!strcmp(functions[i].name, name)) call = functions[i].call;
        if (!call) return 4;
        const int64_t *v = value, result = call(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9],
                                                v[10], v[11], v[12], v[13], v[14], v[15], real);
        fwrite(&result, sizeof result, 1, stdout);
        for (int i = 0; i < count; i++) {
            if (kind[i] == 'w') fwrite((void *)value[i], 1, size[i], stdout);
            if (kind[i] == 'm' || kind[i] == 'w')
                munmap((void *)(value[i] + size[i] - pages(size[i])), pages(size[i]) + PAGE);
        }
        fflush(stdout);
    }
}
