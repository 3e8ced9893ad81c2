/* A tile of a float32 matrix product, kept in registers: all float32 products here are made of it. */
#define ROWS 6
#define COLUMNS (REGISTERS * LANES)
#define EACH_ROW EACH(i, ROWS)
#define EACH_REGISTER(count) EACH(j, count)

/* sum[i][j] += rows[i] . b[:, LANES j], over k: six rows, m registers of columns, b's rows ldb apart. */
INLINE void multiply(const int m, const float *const *rows, const float *b, int64_t ldb, int64_t k,
                     vec sum[ROWS][REGISTERS]) {
    for (int64_t p = 0; p < k; p++, b += ldb) {
        vec w[REGISTERS];
        EACH_REGISTER(m) w[j] = load(b + LANES * j);
        EACH_ROW {
            const vec x = spread(rows[i][p]);
            EACH_REGISTER(m) sum[i][j] = fma(x, w[j], sum[i][j]);
        }
    }
}

/* columns[k][t] = rows[t][k]: length rows of d floats, stride apart; the last again up to padded. */
INLINE void transpose(const float *rows, int64_t length, int64_t stride, int64_t d, int64_t padded,
                      float *columns) {
    for (int64_t t = 0; t < padded; t += 4) {
        const float *row[4];
        for (int i = 0; i < 4; i++) row[i] = rows + (t + i < length ? t + i : length - 1) * stride;
        int64_t k = 0;
        for (; k + 4 <= d; k += 4) {
            transpose_square(row, columns + k * padded + t, padded);
            for (int i = 0; i < 4; i++) row[i] += 4;
        }
        for (int64_t rest = 0; k + rest < d; rest++)
            for (int i = 0; i < 4; i++) columns[(k + rest) * padded + t + i] = row[i][rest];
    }
}

INLINE int64_t round_up(int64_t length) { return (length + 15) / 16 * 16; }

/* Call what the compiler has a copy of for each width of a tile, from one register to all. */
#if COLUMNS == 64
#define EACH_WIDTH(registers, call) \
    switch (registers) {            \
        case 1: call(1); break;     \
        case 2: call(2); break;     \
        case 3: call(3); break;     \
        default: call(4);           \
    }
#else
#define EACH_WIDTH(registers, call) call(REGISTERS); /* lengths are rounded up to 16 */
#endif
