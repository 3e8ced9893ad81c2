/* A tile of a product of bytes, with sums that are exact, and how rows of floats become bytes: for screening
 * (head.h) and for the layers in int8 (body_int8.h).
 *
 * What is called terms here are rows of weights: those of a vocabulary, or a layer's outputs.
 */
#define PART 128 /* dimensions that byte_scale limits the norms of: those that a level sums in 16 bits */
#define PART_ROUNDING 4. /* sqrt(PART / 2) / 2: what rounding adds at most to the norm of so many numbers */

INLINE float square_root(float x) { return largest_of(root(spread(x))); } /* without the library */

/* The largest norm of those of a row's numbers, times scale, whose products AVX2 sums in one lane: of PART, the
 * first two of every four, or the last two. */
INLINE float part_norm(const float *row, int64_t d, float scale) {
    float most = 0;
    for (int64_t first = 0; first < d; first += PART) {
        float lanes[LANES], squares[2] = {0, 0};
        vec sum = spread(0.f);
        for (int64_t k = first; k < first + PART && k < d; k += LANES) {
            const vec x = mul(load(row + k), spread(scale));
            sum = fma(x, x, sum);
        }
        store(lanes, sum);
        EACH(j, LANES) squares[j / 2 % 2] += lanes[j];
        most = squares[0] > most ? squares[0] : most;
        most = squares[1] > most ? squares[1] : most;
    }
    return square_root(most);
}

/* By what to multiply length rows of d floats, a multiple of 16 and finite, before they are rounded to bytes.
 *
 * Their largest number becomes at most largest in magnitude, and the norm of those numbers of a row whose
 * products AVX2 sums in 16 bits at most longest, unless that is infinite.
 */
INLINE float byte_scale(const float *rows, int64_t length, int64_t d, int64_t largest, float longest) {
    vec most = spread(0.f);
    for (int64_t k = 0; k < length * d; k += LANES) {
        const vec x = load(rows + k);
        most = maximum(most, maximum(x, sub(spread(0.f), x)));
    }
    const double wanted = (double)largest / largest_of(most); /* at most 2^126, also of zeros */
    float c = wanted < 0x1p126 ? (float)wanted : 0x1p126f;
    if (longest < __builtin_inff()) {
        float part = 0;
        for (int64_t k = 0; k < length * d; k += d) {
            const float of_row = part_norm(rows + k, d, c);
            part = of_row > part ? of_row : part;
        }
        const double limit = 0.9999 * longest - PART_ROUNDING;
        if (part > limit) c = (float)(c * (limit / part));
    }
    return c;
}

#define EACH_TOKEN EACH(i, n)
#define EACH_TERM_REGISTER EACH(j, TERM_REGISTERS)
#ifdef CHUNK
#if CHUNK != PART
#error "rows are scaled for sums of PART products"
#endif
#define CHUNKS(d) (((d) + CHUNK - 1) / CHUNK)
#else
#define CHUNKS(d) 1 /* a lane of 32 bits holds the products of a whole row */
#endif

#if LANES == 4
#include "bytes_neon.h"
#else
#define TERMS (TERM_REGISTERS * LANES) /* in a block */

/* Sums of products of n tokens (int8, rows of d) with a block of terms (uint8, with an offset): of depth. */
INLINE void dot_products(const int n, const int8_t *tokens, int64_t d, int64_t depth, const uint8_t *block,
                         ivec sum[TOKENS][TERM_REGISTERS]) {
    for (int64_t k = 0; k < depth; k += 4) {
        ivec w[TERM_REGISTERS];
        EACH_TERM_REGISTER w[j] = iload(block + k * TERMS + 4 * LANES * j);
        EACH_TOKEN {
            const ivec h = ispread(*(const int32_t *)(tokens + i * d + k));
            EACH_TERM_REGISTER DOT(sum[i][j], w[j], h);
        }
    }
}

/* The products of n tokens with a block of terms. start: of each token, CHUNKS(d) numbers (start_sums). */
INLINE void byte_products(const int n, const int8_t *tokens, const int32_t *start, int64_t d,
                          const uint8_t *block, ivec sum[TOKENS][TERM_REGISTERS]) {
    EACH_TOKEN EACH_TERM_REGISTER sum[i][j] = ispread(start[i * CHUNKS(d)]);
#ifdef CHUNK
    dot_products(n, tokens, d, d < CHUNK ? d : CHUNK, block, sum);
    EACH_TOKEN EACH_TERM_REGISTER sum[i][j] = widened(sum[i][j]);
    for (int64_t first = CHUNK; first < d; first += CHUNK) {
        ivec part[TOKENS][TERM_REGISTERS];
        EACH_TOKEN EACH_TERM_REGISTER part[i][j] = ispread(start[i * CHUNKS(d) + first / CHUNK]);
        const int64_t depth = d - first < CHUNK ? d - first : CHUNK;
        dot_products(n, tokens + first, d, depth, block + first * TERMS, part);
        EACH_TOKEN EACH_TERM_REGISTER sum[i][j] = iadd(sum[i][j], widened(part[i][j]));
    }
#else
    dot_products(n, tokens, d, d, block, sum);
#endif
}
#endif

/* What a token's sums of PART dimensions start with, to take the terms' offset away: minus the offset times the
 * sum of its numbers, those of either lane of 16 bits.
 */
INLINE int32_t start_sum(int32_t low, int32_t high) {
#ifdef CHUNK
    return (int32_t)((uint32_t)(-OFFSET * high) << 16 | (uint16_t)(-OFFSET * low));
#else
    return -OFFSET * (low + high);
#endif
}

/* The same of a row: CHUNKS(d) numbers. */
INLINE void start_sums(const int8_t *row, int64_t d, int32_t *start) {
    *start = 0;
    for (int64_t first = 0; OFFSET && first < d; first += PART) {
        int32_t low = 0, high = 0;
        for (int64_t k = first; k < first + PART && k < d; k += 4) {
            low += row[k] + row[k + 1];
            high += row[k + 2] + row[k + 3];
        }
        if (CHUNKS(d) > 1) start[first / PART] = start_sum(low, high);
        else *start += start_sum(low, high);
    }
}
