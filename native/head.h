/* The screened max-pooled product of repro/splade/head.py, which holds the proof of the bound.
 *
 * tests/parity compares with the plain float32 formula.
 */
/* Fold the products of n tokens with a block of terms into best. start: of each token, CHUNKS(d) numbers. */
INLINE void screen_tile(
    const int n, const int8_t *tokens, const int32_t *start, int64_t d, const uint8_t *block, ivec *best) {
    ivec sum[TOKENS][TERM_REGISTERS];
    byte_products(n, tokens, start, d, block, sum);
    EACH_TOKEN EACH_TERM_REGISTER best[j] = imaximum(best[j], sum[i][j]);
}

/* Scale and round groups x length rows of d floats, a multiple of 16, to bytes.
 *
 * By the scale that byte_scale gives each group.
 * scale, norm, error    of each group: its scale, and largest norms of a row rounded, and of what that took
 */
TARGET void NAME(head_round)(
    const float *vectors, int64_t groups, int64_t length, int64_t d, int64_t largest,
    int8_t *rounded, double *scale, double *norm, double *error, float longest) {
    for (int64_t g = 0; g < groups; g++) {
        const int64_t first = g * length * d, end = first + length * d;
        const float c = byte_scale(vectors + first, length, d, largest, longest);
        float norms = 0, errors = 0;
        for (int64_t t = first; t < end; t += d) {
            vec of_norm = spread(0.f), of_error = spread(0.f);
            for (int64_t k = t; k < t + d; k += 16) {
                vec whole[16 / LANES];
                EACH(j, 16 / LANES) {
                    const vec x = mul(load(vectors + k + LANES * j), spread(c)), y = nearest(x);
                    of_norm = fma(y, y, of_norm);
                    of_error = fma(sub(x, y), sub(x, y), of_error);
                    whole[j] = y;
                }
                store_bytes(rounded + k, whole);
            }
            const float n = sum_of(of_norm), e = sum_of(of_error);
            norms = n > norms ? n : norms;
            errors = e > errors ? e : errors;
        }
        scale[g] = c;
        norm[g] = square_root(norms);
        error[g] = square_root(errors);
    }
}

/* For each text, list the terms whose upper bound is positive.
 *
 * hidden     texts x length x d, int8: quantised hidden states of texts of equal length; d a multiple of 16
 * packed     blocks x (d / 4) x TERMS x 4, uint8: terms quantised, plus the offset (signed: bytes_neon.h)
 * bias, norm, error    blocks x TERMS doubles: of each term (padding terms have bias -inf)
 * text_scale, text_error, text_norm    doubles of each text
 * start      workspace, texts x length x CHUNKS(d)
 * found      texts x blocks x TERMS, int32; count: texts.
 *
 * The upper bound is p + text_scale bias + text_error norm + text_norm error, p the pooled integer product,
 * in doubles: text_scale bias may lie beyond the range of floats, and they round little enough to be ignored.
 */
TARGET void NAME(head_screen)(
    const int8_t *hidden, int64_t texts, int64_t length, int64_t d,
    const uint8_t *packed, int64_t blocks, const double *bias, const double *norm, const double *error,
    const double *text_scale, const double *text_error, const double *text_norm,
    int32_t *start, int32_t *found, int64_t *count) {
    const int64_t capacity = blocks * TERMS;
    for (int64_t t = 0; t < texts * length; t++) start_sums(hidden + t * d, d, start + t * CHUNKS(d));
    for (int64_t i = 0; i < texts; i++) count[i] = 0;
    for (int64_t b = 0; b < blocks; b++) {
        const uint8_t *block = packed + b * TERMS * d;
        for (int64_t i = 0; i < texts; i++) {
            ivec best[TERM_REGISTERS];
            EACH_TERM_REGISTER best[j] = ispread(INT32_MIN);
            int64_t t = i * length;
            const int64_t end = t + length;
#define SCREEN(n) screen_tile(n, hidden + t * d, start + t * CHUNKS(d), d, block, best)
            for (; t + TOKENS <= end; t += TOKENS) SCREEN(TOKENS);
            switch (end - t) {
#if TOKENS > 6
                case 7: SCREEN(7); break;
                case 6: SCREEN(6); break;
#endif
#if TOKENS > 5
                case 5: SCREEN(5); break;
#endif
#if TOKENS > 4
                case 4: SCREEN(4); break;
#endif
#if TOKENS > 3
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
