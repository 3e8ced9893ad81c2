/* The parts of a BERT layer in float32.
 *
 * repro/compiled/body.py packs the weights and calls these one after the other; tests/parity compares with
 * transformers' own forward pass. All sums are float32 fused multiply-adds, in another order than a
 * library's, so results differ in the last bits only. Long sums are made of shorter ones (DEPTH): in one go,
 * errors at BERT-Small's width were twice MKL's.
 */
#define DEPTH 128 /* products summed in a register before their sum goes to memory: the error grows with it */
#define BLOCK_TOKENS 192 /* whose numbers of one panel's depth stay in the second cache while all panels pass */
#define PANEL_DEPTH (COLUMNS > 16 ? DEPTH : 3 * DEPTH) /* of a panel: some 24 to 32 kB, for the first cache */

/* e^x to about one unit in the last place: 2^n e^r, |r| <= ln(2) / 2, e^r by Cephes' polynomial (expf). */
INLINE vec exponential(vec x) {
    x = maximum(x, spread(-87.f)); /* below, what float32 could still hold is nothing beside a softmax's 1 */
    const vec n = nearest(mul(x, spread(1.44269504088896341f)));
    vec r = fnma(n, spread(0.693359375f), x);
    r = fnma(n, spread(-2.12194440e-4f), r);
    vec p = spread(1.9875691500e-4f);
    p = fma(p, r, spread(1.3981999507e-3f));
    p = fma(p, r, spread(8.3334519073e-3f));
    p = fma(p, r, spread(4.1665795894e-2f));
    p = fma(p, r, spread(1.6666665459e-1f));
    p = fma(p, r, spread(5.0000001201e-1f));
    p = fma(p, mul(r, r), add(r, spread(1.f)));
    return times_power(p, n);
}

/* x Phi(x) = x (1 + erf(x / sqrt 2)) / 2, erf as the rational function of Eigen and XLA: within 3 units in
 * the last place. */
INLINE vec gelu(vec x) {
    const vec limit = spread(4.f);
    vec z = mul(x, spread(0.70710678118654752f));
    z = maximum(minimum(z, limit), sub(spread(0.f), limit));
    const vec s = mul(z, z);
    vec p = spread(-2.72614225801306e-10f);
    p = fma(p, s, spread(2.77068142495902e-08f));
    p = fma(p, s, spread(-2.10102402082508e-06f));
    p = fma(p, s, spread(-5.69250639462346e-05f));
    p = fma(p, s, spread(-7.34990630326855e-04f));
    p = fma(p, s, spread(-2.95459980854025e-03f));
    p = fma(p, s, spread(-1.60960333262415e-02f));
    vec q = spread(-1.45660718464996e-05f);
    q = fma(q, s, spread(-2.13374055278905e-04f));
    q = fma(q, s, spread(-1.68282697438203e-03f));
    q = fma(q, s, spread(-7.37332916720468e-03f));
    q = fma(q, s, spread(-1.42647390514189e-02f));
    const vec erf = divide(mul(z, p), q);
    const vec half = mul(x, spread(0.5f));
    return fma(half, erf, half);
}

/* One tile of body_linear: n rows, at most six, times depth rows of one panel, added to y (at first, to bias).
 *
 * x: the rows, depth floats each. Every DEPTH products are summed by themselves.
 */
INLINE void linear_tile(int64_t n, const float *x, const float *panel, int64_t depth, const float *bias,
                        int64_t first, int64_t with_gelu, float *y, int64_t out) {
    const float *rows[ROWS];
    vec sum[ROWS][REGISTERS];
    float sums[ROWS * COLUMNS] = {0};
    EACH_ROW __builtin_prefetch(y + (i < n ? i : 0) * out, 1);
    for (int64_t k = 0; k < depth; k += DEPTH) {
        EACH_ROW {
            rows[i] = x + (i < n ? i : 0) * depth + k; /* of fewer rows, the first one more than once */
            EACH_REGISTER(REGISTERS) sum[i][j] = first || k ? spread(0.f) : load(bias + LANES * j);
        }
        multiply(REGISTERS, rows, panel + k * COLUMNS, COLUMNS, depth - k < DEPTH ? depth - k : DEPTH, sum);
        EACH_ROW EACH_REGISTER(REGISTERS) {
            float *at = sums + i * COLUMNS + LANES * j, *end = y + i * out + LANES * j;
            vec s = sum[i][j];
            if (k) s = add(load(at), s);
            else if (first && i < n) s = add(load(end), s);
            if (k + DEPTH < depth) store(at, s);
            else if (i < n) store(end, with_gelu ? gelu(s) : s);
        }
    }
}

/* y = x W^T + bias, then GELU if asked for: x is tokens x in, y tokens x out, out a multiple of 64.
 *
 * packed: out / COLUMNS panels of in x COLUMNS floats, W's rows as columns. PANEL_DEPTH rows of one stay in
 * the first cache while a block of tokens passes, and the next ones are fetched. The block's numbers are
 * copied to workspace, BLOCK_TOKENS x PANEL_DEPTH floats, where no two rows are in each other's way in a
 * cache.
 */
TARGET void NAME(body_linear)(
    const float *x, int64_t tokens, int64_t in, const float *packed, const float *bias, int64_t out,
    int64_t with_gelu, float *workspace, float *y) {
    for (int64_t block = 0; block < tokens; block += BLOCK_TOKENS) {
        const int64_t end = block + BLOCK_TOKENS < tokens ? block + BLOCK_TOKENS : tokens;
        const int64_t tiles = (end - block + ROWS - 1) / ROWS;
        for (int64_t first = 0; first < in; first += PANEL_DEPTH) {
            const int64_t depth = in - first < PANEL_DEPTH ? in - first : PANEL_DEPTH;
            const int64_t fetched = (depth * COLUMNS + tiles - 1) / tiles; /* of the next panel, a tile */
            const int finish = first + depth == in;
            for (int64_t t = block; t < end; t++)
                __builtin_memcpy(workspace + (t - block) * depth, x + t * in + first, depth * sizeof *x);
            for (int64_t c = 0; c < out; c += COLUMNS) {
                const float *panel = packed + c * in + first * COLUMNS, *next = panel + in * COLUMNS;
                for (int64_t t = block; t < end; t += ROWS, next += fetched) {
                    for (int64_t k = 0; k < fetched; k += 16) __builtin_prefetch(next + k);
                    linear_tile(end - t < ROWS ? end - t : ROWS, workspace + (t - block) * depth, panel,
                                depth, bias + c, first, with_gelu && finish, y + t * out + c, out);
                }
            }
        }
    }
}

/* Weights of n rows of attention: softmax(scale query . keys), not yet divided by their sums (total). */
INLINE void attention_weights(const int head, int64_t n, const float *const *queries, const float *keys,
                              int64_t length, float *weights, float *total) {
    const float scale = head == 64 ? 0.125f : 0.17677669529663687f; /* 1 / sqrt head */
    const int64_t padded = round_up(length);
    for (int64_t c = 0; c < padded; c += COLUMNS) {
        vec sum[ROWS][REGISTERS] = {0};
#define SCORES(width)                                      \
    multiply(width, queries, keys + c, padded, head, sum); \
    EACH_ROW EACH_REGISTER(width) store(weights + i * padded + c + LANES * j, sum[i][j])
        EACH_WIDTH((padded - c) / LANES, SCORES)
    }
    for (int i = 0; i < n; i++) {
        float *row = weights + i * padded;
        vec most = load(row); /* what stands after the last key is the last key's */
        for (int64_t c = LANES; c < padded; c += LANES) most = maximum(most, load(row + c));
        const vec shift = spread(-largest_of(most) * scale);
        vec sum = spread(0.f);
        for (int64_t c = 0; c < padded; c += LANES) {
            vec e = exponential(fma(load(row + c), spread(scale), shift));
            if (c + LANES > length) e = first_lanes(e, length - c);
            sum = add(sum, e);
            store(row + c, e);
        }
        total[i] = sum_of(sum);
    }
}

/* n rows of attention for a head of a text: query and context begin at the head's part of a token's row. */
INLINE void attention_tile(const int head, int64_t n, const float *query, int64_t stride, const float *keys,
                           const float *values, int64_t length, float *weights, float *context, int64_t d) {
    const int width = head < COLUMNS ? head / LANES : REGISTERS;
    const float *queries[ROWS], *rows[ROWS];
    float total[ROWS];
    EACH_ROW {
        queries[i] = query + (i < n ? i : 0) * stride;
        rows[i] = weights + (i < n ? i : 0) * round_up(length);
    }
    attention_weights(head, n, queries, keys, length, weights, total);
    for (int64_t c = 0; c < head; c += width * LANES) {
        vec sum[ROWS][REGISTERS] = {0};
        multiply(width, rows, values + c, head, length, sum);
        EACH_ROW if (i < n)
            EACH_REGISTER(width) {
                store(context + i * d + c + LANES * j, divide(sum[i][j], spread(total[i])));
            }
    }
}

/* Attention of one text with heads of so many dimensions; the rest as body_attention has it. */
INLINE void attention(const int head, const float *qkv, int64_t length, int64_t queries, int64_t d,
                      float *workspace, float *context) {
    const int64_t stride = 3 * d, padded = round_up(length);
    float *keys = workspace, *values = keys + head * padded, *weights = values + head * padded;
    for (int64_t h = 0; h < d; h += head) {
        transpose(qkv + d + h, length, stride, head, padded, keys);
        for (int64_t t = 0; t < length; t++)
            __builtin_memcpy(values + t * head, qkv + t * stride + 2 * d + h, head * sizeof *qkv);
        for (int64_t t = 0; t < queries; t += ROWS)
            attention_tile(head, queries - t < ROWS ? queries - t : ROWS, qkv + t * stride + h, stride, keys,
                           values, length, weights, context + t * d + h, d);
    }
}

/* Multi-head self-attention of texts of equal length, heads of 32 or 64: of each text, the first so many
 * queries to every token.
 *
 * qkv: tokens x 3 d, of each token its query, key and value; context: texts queries x d.
 * workspace: (2 head + 6) x (length rounded up to 16) floats.
 */
TARGET void NAME(body_attention)(
    const float *qkv, int64_t texts, int64_t length, int64_t queries, int64_t d, int64_t head,
    float *workspace, float *context) {
    for (int64_t text = 0; text < texts; text++, qkv += length * 3 * d, context += queries * d) {
        if (head == 64) attention(64, qkv, length, queries, d, workspace, context);
        else attention(32, qkv, length, queries, d, workspace, context);
    }
}

/* Layer normalisation of d floats, mean and variance in two passes. */
INLINE void normalise(float *row, int64_t d, const float *gain, const float *bias, float epsilon) {
    vec sum = spread(0.f);
    for (int64_t k = 0; k < d; k += LANES) sum = add(sum, load(row + k));
    const vec mean = spread(sum_of(sum) / (float)d);
    sum = spread(0.f);
    for (int64_t k = 0; k < d; k += LANES) {
        const vec x = sub(load(row + k), mean);
        sum = fma(x, x, sum);
    }
    const vec scale = divide(spread(1.f), root(spread(sum_of(sum) / (float)d + epsilon)));
    for (int64_t k = 0; k < d; k += LANES) {
        const vec x = mul(sub(load(row + k), mean), scale);
        store(row + k, fma(x, load(gain + k), load(bias + k)));
    }
}

/* x = normalise(x + added), row by row; added may be null. */
TARGET void NAME(body_add_normalise)(
    float *x, const float *added, int64_t tokens, int64_t d, const float *gain, const float *bias,
    float epsilon) {
    for (int64_t t = 0; t < tokens; t++) {
        float *row = x + t * d;
        if (added)
            for (int64_t k = 0; k < d; k += LANES)
                store(row + k, add(load(row + k), load(added + t * d + k)));
        normalise(row, d, gain, bias, epsilon);
    }
}

/* x = words[id] + positions[place in the text], row by row: ids of texts of equal length. */
TARGET void NAME(body_embed)(
    const int64_t *ids, int64_t texts, int64_t length, int64_t d, const float *words, const float *positions,
    float *x) {
    for (int64_t t = 0; t < texts * length; t++) {
        const float *word = words + ids[t] * d, *position = positions + t % length * d;
        for (int64_t k = 0; k < d; k += LANES)
            store(x + t * d + k, add(load(word + k), load(position + k)));
    }
}
