/* byte_products with NEON: the products of up to TOKENS tokens with a block of terms, all of them signed bytes.
 *
 * A token's row and a term's have a multiple of 16 numbers (the rest are zeros), and GROUP numbers of a term
 * lie together: a block is d / GROUP x TERMS x GROUP bytes. Sums are of 32 bits, exact.
 */
#if defined(I8MM)
/* smmla: two tokens by two terms, 8 numbers of each. Per 8 numbers and sum register 32 products. */
#define GROUP 8
#define TERM_REGISTERS 4
#define TOKENS 6 /* 3 pairs of tokens x 8 pairs of terms: 24 sums in 32 registers */
#elif defined(DOTPROD)
/* sdot: a token by four terms, 4 numbers of each; 16 numbers of a token are loaded at a time. */
#define GROUP 4
#define TERM_REGISTERS 4
#define TOKENS 5 /* 20 sums, 5 tokens and a few registers of terms: with 6 tokens, GCC 12 spills */
#else
/* smull and smlal: a token by a term, 16 numbers of each. Two products, 2 x 127 x 127, fit 16 bits. */
#define GROUP 16
#define TERM_REGISTERS 1
#define TOKENS 4 /* 16 sums, 4 terms, and what is on its way between three instructions */
#endif
#define TERMS (TERM_REGISTERS * LANES) /* in a block */
#define OFFSET 0

INLINE void byte_products(const int n, const int8_t *tokens, const int32_t *start, int64_t d,
                          const uint8_t *block, ivec sum[TOKENS][TERM_REGISTERS]) {
    const int8_t *terms = (const int8_t *)block;
    (void)start; /* all zeros: these terms have no offset */
#if defined(I8MM)
    const int pairs = (n + 1) / 2;
    ivec pair[TOKENS / 2][TERMS / 2];
    EACH(i, pairs) EACH(j, TERMS / 2) pair[i][j] = ispread(0);
    for (int64_t k = 0; k < d; k += GROUP) {
        int8x16_t h[TOKENS / 2];
        EACH(i, pairs) { /* an odd one is its own partner */
            const int8_t *token = tokens + 2 * i * d + k, *next = 2 * i + 1 < n ? token + d : token;
            h[i] = vcombine_s8(vld1_s8(token), vld1_s8(next));
        }
        EACH(j, TERMS / 2) {
            const int8x16_t w = vld1q_s8(terms + k * TERMS + 16 * j);
            EACH(i, pairs) pair[i][j] = vmmlaq_s32(pair[i][j], h[i], w);
        }
    }
    EACH(i, pairs) EACH(j, TERM_REGISTERS) { /* a register has two terms of one token, then of the next */
        const int64x2_t a = vreinterpretq_s64_s32(pair[i][2 * j]);
        const int64x2_t b = vreinterpretq_s64_s32(pair[i][2 * j + 1]);
        sum[2 * i][j] = vreinterpretq_s32_s64(vzip1q_s64(a, b));
        sum[2 * i + 1][j] = vreinterpretq_s32_s64(vzip2q_s64(a, b));
    }
#elif defined(DOTPROD)
    EACH_TOKEN EACH_TERM_REGISTER sum[i][j] = ispread(0);
    for (int64_t k = 0; k < d; k += 16) {
        int8x16_t h[TOKENS];
        EACH(i, n) h[i] = vld1q_s8(tokens + i * d + k);
#define DOT(quarter)                                                                             \
    EACH(j, TERM_REGISTERS) {                                                                    \
        const int8x16_t w = vld1q_s8(terms + (k + 4 * quarter) * TERMS + 16 * j);                \
        EACH(i, n) sum[i][j] = vdotq_laneq_s32(sum[i][j], w, h[i], quarter);                     \
    }
        DOT(0) DOT(1) DOT(2) DOT(3)
#undef DOT
    }
#else
    ivec part[TOKENS][TERMS];
    EACH_TOKEN EACH(j, TERMS) part[i][j] = ispread(0);
    for (int64_t k = 0; k < d; k += GROUP) {
        int8x16_t w[TERMS];
        EACH(j, TERMS) w[j] = vld1q_s8(terms + k * TERMS + GROUP * j);
        EACH(i, n) {
            const int8x16_t h = vld1q_s8(tokens + i * d + k);
            EACH(j, TERMS) {
                const int16x8_t low = vmull_s8(vget_low_s8(w[j]), vget_low_s8(h));
                part[i][j] = vpadalq_s16(part[i][j], vmlal_high_s8(low, w[j], h));
            }
        }
    }
    EACH_TOKEN
        sum[i][0] = vpaddq_s32(vpaddq_s32(part[i][0], part[i][1]), vpaddq_s32(part[i][2], part[i][3]));
#endif
}
