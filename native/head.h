/* The screened max-pooled product of repro/splade/head.py, which holds the proof of the bound.
 *
 * tests/parity compares with the plain float32 formula.
 */
#if LANES == 16
#define TERM_REGISTERS 3
#define TOKENS 8 /* in a tile: 8 x 3 sums */
/* Four products of bytes a lane, added to sum. With its intrinsic GCC 12 spills the sums: half the speed. */
#define DOT(sum, w, h) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(h))
#else
#define TERM_REGISTERS 2
#define TOKENS 3 /* 3 x 2 sums and what adding them up needs are what GCC keeps in 16 registers */
/* Two of the products are added in 16 bits, which hold 2 x 127 x 127: hence terms of 7 bits. */
#define DOT(sum, w, h) \
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, h), _mm256_set1_epi16(1)))
#endif
#define TERMS (TERM_REGISTERS * LANES) /* in a block */
#define EACH_TOKEN _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)
#define EACH_TERM_REGISTER _Pragma("GCC unroll 3") for (int j = 0; j < TERM_REGISTERS; j++)

/* Fold the products of n tokens (int8, rows of d) with a block of terms (uint8, with an offset) into best. */
INLINE void screen_tile(
    const int n, const int8_t *tokens, const int32_t *start, int64_t d, const uint8_t *block, ivec *best) {
    ivec sum[TOKENS][TERM_REGISTERS];
    EACH_TOKEN EACH_TERM_REGISTER sum[i][j] = ispread(start[i]);
    for (int64_t k = 0; k < d; k += 4) {
        ivec w[TERM_REGISTERS];
        EACH_TERM_REGISTER w[j] = iload(block + k * TERMS + 4 * LANES * j);
        EACH_TOKEN {
            const ivec h = ispread(*(const int32_t *)(tokens + i * d + k));
            EACH_TERM_REGISTER DOT(sum[i][j], w[j], h);
        }
    }
    EACH_TOKEN EACH_TERM_REGISTER best[j] = imaximum(best[j], sum[i][j]);
}

/* For each text, list the terms whose upper bound is positive.
 *
 * hidden     texts x length x d, int8: quantised hidden states of texts of equal length
 * start      texts x length: minus offset x (sum of the token's row), which takes the terms' offset away
 * packed     blocks x (d / 4) x TERMS x 4, uint8: terms quantised, plus the offset
 * bias, norm, error    blocks x TERMS doubles: of each term (padding terms have bias -inf)
 * text_scale, text_error, text_norm    doubles of each text
 * found      texts x blocks x TERMS, int32; count: texts.
 *
 * The upper bound is p + text_scale bias + text_error norm + text_norm error, p the pooled integer product,
 * in doubles: text_scale bias may lie beyond the range of floats, and they round little enough to be ignored.
 */
TARGET void NAME(head_screen)(
    const int8_t *hidden, const int32_t *start, int64_t texts, int64_t length, int64_t d,
    const uint8_t *packed, int64_t blocks, const double *bias, const double *norm, const double *error,
    const double *text_scale, const double *text_error, const double *text_norm,
    int32_t *found, int64_t *count) {
    const int64_t capacity = blocks * TERMS;
    for (int64_t i = 0; i < texts; i++) count[i] = 0;
    for (int64_t b = 0; b < blocks; b++) {
        const uint8_t *block = packed + b * TERMS * d;
        for (int64_t i = 0; i < texts; i++) {
            ivec best[TERM_REGISTERS];
            EACH_TERM_REGISTER best[j] = ispread(INT32_MIN);
            int64_t t = i * length;
            const int64_t end = t + length;
#define SCREEN(n) screen_tile(n, hidden + t * d, start + t, d, block, best)
            for (; t + TOKENS <= end; t += TOKENS) SCREEN(TOKENS);
            switch (end - t) {
#if TOKENS == 8
                case 7: SCREEN(7); break;
                case 6: SCREEN(6); break;
                case 5: SCREEN(5); break;
                case 4: SCREEN(4); break;
                case 3: SCREEN(3); break;
#endif
                case 2: SCREEN(2); break;
                case 1: SCREEN(1); break;
            }
            EACH_TERM_REGISTER {
                const int64_t v = b * TERMS + LANES * j;
#define UPPER(p, v)                                  \
    dfma(dspread(text_norm[i]), dload(error + (v)),  \
         dfma(dspread(text_error[i]), dload(norm + (v)), dfma(dspread(text_scale[i]), dload(bias + (v)), p)))
                const uint32_t low = positive(UPPER(low_half(best[j]), v));
                const uint32_t high = positive(UPPER(high_half(best[j]), v + LANES / 2));
                for (uint32_t lanes = low | high << LANES / 2; lanes; lanes &= lanes - 1)
                    found[i * capacity + count[i]++] = (int32_t)(v + __builtin_ctz(lanes));
            }
        }
    }
}

/* For each listed term of one text, the float32 maximum over its tokens of the product, bias added.
 *
 * hidden: tokens x d floats; weight: vocabulary x d floats; workspace: d x (tokens rounded up to 16) floats.
 */
TARGET void NAME(head_exact)(
    const float *hidden, int64_t tokens, int64_t d, const float *weight, const float *bias,
    const int32_t *terms, int64_t count, float *workspace, float *logits) {
    const int64_t padded = round_up(tokens);
    transpose(hidden, tokens, d, d, padded, workspace); /* the last token again changes no maximum */
    for (int64_t c = 0; c < count; c += ROWS) {
        const float *rows[ROWS];
        vec best[ROWS];
        for (int i = 0; i < ROWS; i++) {
            rows[i] = weight + terms[c + i < count ? c + i : c] * d; /* the last tile has some rows twice */
            best[i] = spread(-__builtin_inff());
        }
        for (int64_t t = 0; t < padded; t += COLUMNS) {
            vec sum[ROWS][REGISTERS] = {0};
#define POOL(width)                                       \
    multiply(width, rows, workspace + t, padded, d, sum); \
    EACH_ROW EACH_REGISTER(width) best[i] = maximum(best[i], sum[i][j])
            EACH_WIDTH((padded - t) / LANES, POOL)
        }
        for (int i = 0; i < ROWS && c + i < count; i++)
            logits[c + i] = largest_of(best[i]) + bias[terms[c + i]];
    }
}
