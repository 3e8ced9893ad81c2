/* The linear layers of a BERT layer as products of bytes; all between them is body.h's, in float32.
 *
 * Each PART numbers of a row of weights have a scale of their own, and so have a token's, whose scales are
 * found when it gets here. Sums of products are exact integers. tests/parity/test_body_int8.py compares with
 * the same formula in NumPy.
 */
#define LARGEST 127 /* magnitude that a token's largest number becomes */

/* Round a part of a row, d floats times scale, to bytes, to the nearest, of two the even one; start: what its
 * sums start with (start_sum).
 *
 * Return whether all are finite: no number comes of a sum with one that is none, or with 0 times infinity.
 */
INLINE int round_part(const float *row, int64_t d, float scale, int8_t *rounded, int32_t *start) {
    float lanes[LANES], sums[2] = {0, 0};
    vec sum = spread(0.f);
    for (int64_t k = 0; k < d; k += 16) {
        vec whole[16 / LANES];
        EACH(j, 16 / LANES) {
            whole[j] = nearest(mul(load(row + k + LANES * j), spread(scale)));
            sum = add(sum, whole[j]);
        }
        store_bytes(rounded + k, whole);
    }
    store(lanes, sum);
    EACH(j, LANES) sums[j / 2 % 2] += lanes[j];
    const int finite = sums[0] + sums[1] == sums[0] + sums[1];
    *start = finite ? start_sum((int32_t)sums[0], (int32_t)sums[1]) : 0;
    return finite;
}

/* y = x W^T + bias, then GELU if asked for, both factors rounded: x is tokens x in, y tokens x out, in and out
 * multiples of 16. Each PART numbers of a row have a scale of their own.
 *
 * packed: blocks x (in / 4) x TERMS x 4 bytes as head_screen has them, W's rows times their scales, rounded
 * factor          parts x blocks x TERMS floats: what a part's sum is multiplied by, one by W's scale
 * bias            blocks x TERMS floats
 * workspace       (tokens, BLOCK_TOKENS at most, + TOKENS) x (in + 8 parts) bytes
 * longest         limit of norms, as byte_scale has it; W's rows are so scaled that no sum overflows
 *
 * Of a row whose numbers are not all finite, all outputs are nan.
 */
TARGET void NAME(body_linear_int8)(
    const float *x, int64_t tokens, int64_t in, const uint8_t *packed, const float *factor, const float *bias,
    int64_t out, int64_t with_gelu, int32_t *workspace, float *y, float longest) {
    const int64_t parts = (in + PART - 1) / PART, columns = (out + TERMS - 1) / TERMS * TERMS;
    for (int64_t first = 0; first < tokens; first += BLOCK_TOKENS) {
        const int64_t count = tokens - first < BLOCK_TOKENS ? tokens - first : BLOCK_TOKENS;
        const int64_t tiles = (count + TOKENS - 1) / TOKENS, rows = tiles * TOKENS;
        const int64_t fetched = (in * TERMS + tiles - 1) / tiles; /* of the next block of weights, a tile */
        int32_t *start = workspace;                               /* parts x rows, and so are the next two */
        float *scale = (float *)(start + rows * parts);
        int8_t *rounded = (int8_t *)(scale + rows * parts);
        for (int64_t t = 0; t < rows; t++) {
            const float *row = x + (first + (t < count ? t : 0)) * in; /* of fewer, the first more than once */
            for (int64_t p = 0, k = 0; p < parts; p++, k += PART) {
                const int64_t depth = in - k < PART ? in - k : PART;
                const float c = byte_scale(row + k, 1, depth, LARGEST, longest);
                const int finite =
                    round_part(row + k, depth, c, rounded + k * rows + t * depth, start + p * rows + t);
                scale[p * rows + t] = finite ? 1 / c : __builtin_nanf("");
            }
        }
        const uint8_t *block = packed;
        for (int64_t c = 0; c < out; c += TERMS, block += TERMS * in) {
            const uint8_t *next = block + TERMS * in;
            for (int64_t t = 0; t < count; t += TOKENS, next += fetched) {
                vec total[TOKENS][TERM_REGISTERS];
                for (int64_t k = 0; k < fetched; k += 64) __builtin_prefetch(next + k);
                EACH(i, TOKENS) __builtin_prefetch(y + (first + (t + i < count ? t + i : t)) * out + c, 1);
                EACH(i, TOKENS) EACH_TERM_REGISTER total[i][j] = load(bias + c + LANES * j);
                for (int64_t p = 0, k = 0; p < parts; p++, k += PART) {
                    const int64_t depth = in - k < PART ? in - k : PART;
                    ivec sum[TOKENS][TERM_REGISTERS];
                    byte_products(TOKENS, rounded + k * rows + t * depth, start + p * rows + t, depth,
                                  block + k * TERMS, sum);
                    EACH(i, TOKENS) EACH_TERM_REGISTER {
                        const vec s = mul(as_floats(sum[i][j]), spread(scale[p * rows + t + i]));
                        total[i][j] = fma(s, load(factor + p * columns + c + LANES * j), total[i][j]);
                    }
                }
                EACH(i, TOKENS) EACH_TERM_REGISTER {
                    const int64_t o = c + LANES * j;
                    if (t + i >= count || o >= out) continue; /* of the last block, some are not asked for */
                    store(y + (first + t + i) * out + o, with_gelu ? gelu(total[i][j]) : total[i][j]);
                }
            }
        }
    }
}
