/* The linear layers of a BERT layer as products of bytes; all between them is body.h's, in float32.
 *
 * A row of weights has a scale of its own, and so has a token's row of numbers, which is found when it gets
 * here. Sums of products are exact integers. tests/parity/test_body_int8.py compares with the same formula in
 * NumPy.
 */
#define LARGEST 127 /* magnitude that a token's largest number becomes */

/* Round d floats times scale to bytes, to the nearest, of two the even one; start as start_sums has it.
 *
 * Return whether all are finite: no number comes of a sum with one that is none, or with 0 times infinity.
 */
INLINE int round_row(const float *row, int64_t d, float scale, int8_t *rounded, int32_t *start) {
    int finite = 1;
    *start = 0;
    for (int64_t first = 0; first < d; first += PART) {
        float lanes[LANES], sums[2] = {0, 0};
        vec sum = spread(0.f);
        for (int64_t k = first; k < first + PART && k < d; k += 16) {
            vec whole[16 / LANES];
            EACH(j, 16 / LANES) {
                whole[j] = nearest(mul(load(row + k + LANES * j), spread(scale)));
                sum = add(sum, whole[j]);
            }
            store_bytes(rounded + k, whole);
        }
        store(lanes, sum);
        EACH(j, LANES) sums[j / 2 % 2] += lanes[j];
        finite &= sums[0] + sums[1] == sums[0] + sums[1];
        const int32_t part = finite ? start_sum((int32_t)sums[0], (int32_t)sums[1]) : 0;
        if (CHUNKS(d) > 1) start[first / PART] = part;
        else *start += part;
    }
    return finite;
}

/* y = x W^T + bias, then GELU if asked for, both factors rounded: x is tokens x in, y tokens x out, in and out
 * multiples of 16.
 *
 * packed: blocks x (in / 4) x TERMS x 4 bytes as head_screen has them, W's rows times their scales, rounded
 * factor, bias    blocks x TERMS floats: what a sum is multiplied by, one by the row's scale; and bias
 * workspace       (tokens, BLOCK_TOKENS at most, + TOKENS) x (in + 4 CHUNKS(in) + 4) bytes
 * longest         limit of norms, as byte_scale has it; W's rows are so scaled that no sum overflows
 *
 * Of a row whose numbers are not all finite, all outputs are nan.
 */
TARGET void NAME(body_linear_int8)(
    const float *x, int64_t tokens, int64_t in, const uint8_t *packed, const float *factor, const float *bias,
    int64_t out, int64_t with_gelu, int32_t *workspace, float *y, float longest) {
    for (int64_t first = 0; first < tokens; first += BLOCK_TOKENS) {
        const int64_t count = tokens - first < BLOCK_TOKENS ? tokens - first : BLOCK_TOKENS;
        const int64_t tiles = (count + TOKENS - 1) / TOKENS, rows = tiles * TOKENS;
        const int64_t fetched = (in * TERMS + tiles - 1) / tiles; /* of the next block of weights, a tile */
        int32_t *start = workspace;
        float *scale = (float *)(start + rows * CHUNKS(in));
        int8_t *rounded = (int8_t *)(scale + rows);
        for (int64_t t = 0; t < rows; t++) {
            const float *row = x + (first + (t < count ? t : 0)) * in; /* of fewer, the first more than once */
            const float c = byte_scale(row, 1, in, LARGEST, longest);
            const int finite = round_row(row, in, c, rounded + t * in, start + t * CHUNKS(in));
            scale[t] = finite ? 1 / c : __builtin_nanf("");
        }
        const uint8_t *block = packed;
        for (int64_t c = 0; c < out; c += TERMS, block += TERMS * in) {
            const uint8_t *next = block + TERMS * in;
            for (int64_t t = 0; t < count; t += TOKENS, next += fetched) {
                ivec sum[TOKENS][TERM_REGISTERS];
                for (int64_t k = 0; k < fetched; k += 64) __builtin_prefetch(next + k);
                EACH(i, TOKENS) __builtin_prefetch(y + (first + (t + i < count ? t + i : t)) * out + c, 1);
                byte_products(TOKENS, rounded + t * in, start + t * CHUNKS(in), in, block, sum);
                EACH(i, TOKENS) EACH_TERM_REGISTER {
                    const int64_t o = c + LANES * j;
                    if (t + i >= count || o >= out) continue; /* of the last block, some are not asked for */
                    const vec s = mul(as_floats(sum[i][j]), spread(scale[t + i]));
                    const vec value = fma(s, load(factor + o), load(bias + o));
                    store(y + (first + t + i) * out + o, with_gelu ? gelu(value) : value);
                }
            }
        }
    }
}
