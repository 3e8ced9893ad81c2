/* One window of documents: impacts are added up, and the documents listed that may be among the best.
 *
 * search.c includes this once for each set of instructions, whose TARGET and NAME these are.
 */

/* Add two rows of bytes, an impact for each document of the window, times their weights. */
TARGET static void NAME(add_rows)(
    uint32_t *sums, const uint8_t *one, uint32_t weight, const uint8_t *other, uint32_t other_weight) {
    for (int i = 0; i < WINDOW; i++) sums[i] += weight * one[i] + other_weight * other[i];
}

/* List the documents with at least such a sum, and return their number; 8 more are written than that. */
TARGET static int64_t NAME(at_least)(const uint32_t *sums, uint32_t least, uint16_t *found) {
    int64_t n = 0;
#ifdef WITH_AVX2
    const __m256i limit = _mm256_set1_epi32((int32_t)least - 1);
    for (int i = 0; i < WINDOW; i += 8) {
        const __m256i greater = _mm256_cmpgt_epi32(_mm256_loadu_si256((const __m256i *)(sums + i)), limit);
        const int which = _mm256_movemask_ps(_mm256_castsi256_ps(greater));
        const __m128i places = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)set_bits[which]));
        _mm_storeu_si128((__m128i *)(found + n), _mm_add_epi16(places, _mm_set1_epi16((int16_t)i)));
        n += __builtin_popcount((unsigned)which);
    }
#else
    for (int i = 0; i < WINDOW; i += 32) {
        uint32_t any = 0;
        for (int j = i; j < i + 32; j++) any |= sums[j] >= least;
        for (int j = i; any && j < i + 32; j++) {
            found[n] = (uint16_t)j;
            n += sums[j] >= least;
        }
    }
#endif
    return n;
}

/* Add a row for the listed documents only; keep those with at least such a sum, and return their number. */
TARGET static int64_t NAME(narrow)(
    uint32_t *sums, const uint8_t *row, uint32_t weight, uint32_t least, uint16_t *found, int64_t n) {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint16_t document = found[i];
        const uint32_t sum = sums[document] + weight * row[document];
        sums[document] = sum;
        found[kept] = document;
        kept += sum >= least;
    }
    return kept;
}

/* Sum up a window; list in found the documents that reach the least sum of the best, and return their number.
 *
 * Sums of those are exact; of others, rows may be missing.
 */
TARGET static int64_t NAME(window)(Query *query, int64_t number, uint32_t *sums, uint16_t *found) {
    const int64_t first = number * WINDOW, least = query->least;
    const Row *row = query->row;
    int64_t whole = 0; /* so many rows are added for all documents */
    while (whole < query->rows && (double)row[whole].bound > SHARE * (double)(least - 1)) whole++;
    memset(sums, 0, WINDOW * sizeof *sums);
    for (int64_t i = 0; i < whole; i += 2) {
        const Row *next = row + (i + 1 < whole ? i + 1 : i); /* the last may have none beside it */
        NAME(add_rows)(sums, row[i].impacts + first, row[i].weight,
                       next->impacts + first, i + 1 < whole ? next->weight : 0);
    }
    for (int64_t i = 0; i < query->lists; i++) {
        const List list = query->list[i];
        const uint32_t start = list.start[number], end = list.start[number + 1], next = end + (end - start);
        /* The next window's part is fetched meanwhile: parts are too short for the processor to do it. */
        for (uint32_t p = end; p < next + 64; p += 32) PREFETCH(list.place + p);
        for (uint32_t p = end; p < next + 64; p += 64) PREFETCH(list.impacts + p);
        for (uint32_t p = start; p < end; p++) sums[list.place[p]] += list.weight * list.impacts[p];
    }
    for (int64_t i = 0; i < query->pairs; i++) {
        Pairs *pairs = query->pair + i;
        for (; pairs->next < pairs->count && pairs->documents[pairs->next] < first + WINDOW; pairs->next++)
            sums[pairs->documents[pairs->next] - first] += pairs->weight * pairs->impacts[pairs->next];
    }
    const int64_t missing = whole < query->rows ? row[whole].bound : 0;
    int64_t n = NAME(at_least)(sums, (uint32_t)(least - missing), found);
    for (int64_t i = whole; i < query->rows && n; i++) {
        const int64_t then_missing = i + 1 < query->rows ? row[i + 1].bound : 0;
        const uint32_t needed = (uint32_t)(least - then_missing);
        n = NAME(narrow)(sums, row[i].impacts + first, row[i].weight, needed, found, n);
    }
    return n;
}
