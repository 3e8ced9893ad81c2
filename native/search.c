/* Exact search: the k documents of the largest dot products with a query, from postings laid out for it.
 *
 * Plain C without Python.h, loaded with ctypes. repro/postings/layout.py says how postings lie, and
 * docs/design.md why what is left out cannot be among the best.
 */
#ifdef __GNUC__
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) && !defined(PLAIN) /* as the tests have it, too */
#define X86
#include <immintrin.h>
#endif

#define SEARCH_ABI 1 /* counts up when an argument changes, or what it points to */
#define WINDOW 4096  /* documents whose sums lie in the first level of the cache beside what is read */
#define SHARE 0.75   /* of the least sum, that rows may reach together which are not added for all documents */

#define PREFETCH(address) __builtin_prefetch(address) /* of no effect beyond the end */

enum { ROW, LIST, PAIRS };

/* What searching.py knows of an index. */
typedef struct {
    int64_t windows;
    const uint8_t *data;     /* all lists */
    const int64_t *start;    /* where each begins */
    const int64_t *count;    /* of its postings */
    const uint32_t *largest; /* of its impacts */
    const uint8_t *kind;
    const uint32_t *rank;  /* of each document's id among all ids in order */
    const int64_t *docid;  /* where the id of each rank begins, and the last one ends */
    const uint8_t *docids; /* the ids in order */
    int64_t descending;    /* whether documents of equal sums go by descending ids */
} Index;

typedef struct {
    const uint8_t *impacts; /* of all documents */
    uint32_t weight;
    int64_t bound; /* what this row and those after it can add to a sum at most */
} Row;

typedef struct {
    const uint32_t *start; /* of each window */
    const uint16_t *place; /* in the window */
    const uint8_t *impacts;
    uint32_t weight;
} List;

typedef struct {
    const uint32_t *documents, *impacts;
    int64_t count, next;
    uint32_t weight;
} Pairs;

typedef struct {
    Row *row; /* the one that can add the most comes first */
    List *list;
    Pairs *pair;
    int64_t rows, lists, pairs;
    int64_t most;  /* no sum is larger */
    int64_t least; /* no document with a smaller sum is among the best */
} Query;

typedef struct {
    uint64_t sum;
    uint32_t rank;
} Hit;

#ifdef X86
static uint8_t set_bits[256][8]; /* the numbers of a byte's bits that are set, ascending */

__attribute__((constructor)) static void number_bits(void) {
    for (int byte = 0; byte < 256; byte++)
        for (int bit = 0, n = 0; bit < 8; bit++)
            if (byte >> bit & 1) set_bits[byte][n++] = (uint8_t)bit;
}

#define WITH_AVX2
#define TARGET __attribute__((target("avx2,popcnt")))
#define NAME(name) name##_avx2
#include "search.h"
#undef WITH_AVX2
#undef TARGET
#undef NAME

static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}
#else
#define window_avx2 window_plain
static int has_avx2(void) { return 0; }
#endif
#define TARGET
#define NAME(name) name##_plain
#include "search.h"

int search_abi(void) { return SEARCH_ABI; }
int search_window(void) { return WINDOW; }
int search_with_avx2(void) { return has_avx2(); }

/* Sort a query's lists by their kinds, its rows by what they can add; 0 without memory. */
static int open_query(
    Query *query, const Index *index, int64_t terms, const int32_t *lists, const uint32_t *weights) {
    query->row = malloc((terms + 1) * sizeof *query->row);
    query->list = malloc((terms + 1) * sizeof *query->list);
    query->pair = malloc((terms + 1) * sizeof *query->pair);
    if (!query->row || !query->list || !query->pair) return 0;
    for (int64_t i = 0; i < terms; i++) {
        const int64_t number = lists[i], count = index->count[number];
        const uint8_t *data = index->data + index->start[number];
        const int64_t bound = (int64_t)weights[i] * index->largest[number];
        query->most = query->most > INT64_MAX - bound ? INT64_MAX : query->most + bound;
        if (index->kind[number] == ROW) {
            int64_t place = query->rows++;
            for (; place > 0 && query->row[place - 1].bound < bound; place--)
                query->row[place] = query->row[place - 1];
            query->row[place] = (Row){data, weights[i], bound};
        } else if (index->kind[number] == LIST) {
            const uint16_t *place = (const uint16_t *)(data + 4 * (index->windows + 1));
            const uint8_t *impacts = (const uint8_t *)(place + count);
            query->list[query->lists++] = (List){(const uint32_t *)data, place, impacts, weights[i]};
        } else {
            const uint32_t *documents = (const uint32_t *)data;
            query->pair[query->pairs++] = (Pairs){documents, documents + count, count, 0, weights[i]};
        }
    }
    for (int64_t i = query->rows - 2; i >= 0; i--) query->row[i].bound += query->row[i + 1].bound;
    query->least = 1;
    return 1;
}

/* Bring the k greatest of some numbers to the end (Hoare's selection). */
static void select_greatest(uint64_t *numbers, int64_t size, int64_t k) {
    const int64_t target = size - k;
    int64_t low = 0, high = size - 1;
    while (low < high) {
        const uint64_t pivot = numbers[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (numbers[i] < pivot) i++;
            while (numbers[j] > pivot) j--;
            if (i <= j) {
                const uint64_t swapped = numbers[i];
                numbers[i++] = numbers[j];
                numbers[j--] = swapped;
            }
        }
        if (target <= j) high = j;
        else if (target >= i) low = i;
        else return;
    }
}

/* Drop what is not among the k best any more of sum << 32 | document; those that tie with the last stay. */
static int64_t keep_best(uint64_t *found, int64_t size, int64_t k, int64_t *least) {
    if (size <= k) return size;
    select_greatest(found, size, k);
    *least = (int64_t)(found[size - k] >> 32);
    int64_t kept = 0;
    for (int64_t i = 0; i < size; i++)
        if ((int64_t)(found[i] >> 32) >= *least) found[kept++] = found[i];
    return kept;
}

/* Return the best and those that tie with the last of them as sum << 32 | document; NULL without memory. */
static uint64_t *find(Query *query, int64_t windows, int64_t k, int64_t *size) {
    uint32_t sums[WINDOW];
    uint16_t listed[WINDOW + 8];
    const int avx2 = has_avx2();
    int64_t limit = k + k / 2 + 64, capacity = limit + WINDOW;
    uint64_t *found = malloc(capacity * sizeof *found);
    *size = 0;
    for (int64_t number = 0; found && number < windows; number++) {
        const int64_t n =
            avx2 ? window_avx2(query, number, sums, listed) : window_plain(query, number, sums, listed);
        for (int64_t i = 0; i < n; i++)
            found[(*size)++] = (uint64_t)sums[listed[i]] << 32 | (uint64_t)(number * WINDOW + listed[i]);
        if (*size < limit) continue;
        *size = keep_best(found, *size, k, &query->least);
        if (4 * *size > 3 * limit) { /* many tie */
            limit = 2 * *size;
            capacity = limit + WINDOW;
            uint64_t *larger = realloc(found, capacity * sizeof *found);
            if (!larger) free(found);
            found = larger;
        }
    }
    if (found) *size = keep_best(found, *size, k, &query->least);
    return found;
}

/* Return all documents with their sums, which may exceed 32 bits; NULL without memory. Few queries do. */
static Hit *find_all(Query *query, int64_t windows, const uint32_t *rank, int64_t *size) {
    Hit *hits = NULL;
    int64_t capacity = 0;
    *size = 0;
    for (int64_t number = 0; number < windows; number++) {
        const int64_t first = number * WINDOW;
        uint64_t sums[WINDOW] = {0};
        for (int64_t i = 0; i < query->rows; i++)
            for (int64_t j = 0; j < WINDOW; j++)
                sums[j] += (uint64_t)query->row[i].weight * query->row[i].impacts[first + j];
        for (int64_t i = 0; i < query->lists; i++) {
            const List *list = query->list + i;
            for (uint32_t p = list->start[number]; p < list->start[number + 1]; p++)
                sums[list->place[p]] += (uint64_t)list->weight * list->impacts[p];
        }
        for (int64_t i = 0; i < query->pairs; i++) {
            Pairs *pairs = query->pair + i;
            for (; pairs->next < pairs->count && pairs->documents[pairs->next] < first + WINDOW; pairs->next++)
                sums[pairs->documents[pairs->next] - first] +=
                    (uint64_t)pairs->weight * pairs->impacts[pairs->next];
        }
        if (*size + WINDOW > capacity) {
            capacity = 2 * capacity + WINDOW;
            Hit *larger = realloc(hits, capacity * sizeof *hits);
            if (!larger) free(hits);
            if (!(hits = larger)) return NULL;
        }
        for (int64_t j = 0; j < WINDOW; j++)
            if (sums[j]) hits[(*size)++] = (Hit){sums[j], rank[first + j]};
    }
    return hits;
}

static int by_sum_and_id(const void *one, const void *other) {
    const Hit *a = one, *b = other;
    if (a->sum != b->sum) return a->sum < b->sum ? 1 : -1;
    return a->rank > b->rank ? 1 : a->rank < b->rank ? -1 : 0;
}

static int by_sum_and_id_descending(const void *one, const void *other) {
    const Hit *a = one, *b = other;
    return a->sum != b->sum ? by_sum_and_id(one, other) : -by_sum_and_id(one, other);
}

/* The float nearest to a sum, but one smaller than the score before it. */
static float below(float before, uint64_t sum) {
    uint32_t bits;
    float next, score = (float)sum;
    memcpy(&bits, &before, 4);
    bits--;
    memcpy(&next, &bits, 4);
    return score < next ? score : next;
}

/* Find the k best of all documents that share a term with a query; return their number, -1 without memory.
 *
 * lists, weights    of each of the query's terms: the number of its list, and its weight, below 2^31
 * ranks, scores     of k documents: their ranks, the best first, and sums as floats. Of sums that differ and
 *                   would share a float, the smaller one gets the next smaller float.
 */
int64_t search_impacts(
    const Index *index, int64_t terms, const int32_t *lists, const uint32_t *weights, int64_t k,
    uint32_t *ranks, float *scores) {
    Query query = {0};
    Hit *hits = NULL;
    int64_t size = 0;
    if (open_query(&query, index, terms, lists, weights)) {
        if (query.most > INT32_MAX) {
            hits = find_all(&query, index->windows, index->rank, &size);
        } else {
            uint64_t *found = find(&query, index->windows, k, &size);
            if (found && (hits = malloc((size + 1) * sizeof *hits)))
                for (int64_t i = 0; i < size; i++)
                    hits[i] = (Hit){found[i] >> 32, index->rank[(uint32_t)found[i]]};
            free(found);
        }
    }
    free(query.row);
    free(query.list);
    free(query.pair);
    if (!hits) return -1;
    qsort(hits, size, sizeof *hits, index->descending ? by_sum_and_id_descending : by_sum_and_id);
    size = size < k ? size : k;
    const uint32_t infinite = 0x7f800000;
    float score;
    memcpy(&score, &infinite, 4);
    for (int64_t i = 0; i < size; i++) {
        if (i == 0 || hits[i].sum != hits[i - 1].sum) score = below(score, hits[i].sum);
        ranks[i] = hits[i].rank;
        scores[i] = score;
    }
    free(hits);
    return size;
}

/* Write the ids of some ranks, a newline after each, to text, if that is not NULL; return their length. */
int64_t search_docids(const Index *index, int64_t count, const uint32_t *ranks, uint8_t *text) {
    int64_t written = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t start = index->docid[ranks[i]], length = index->docid[ranks[i] + 1] - start;
        if (text) {
            memcpy(text + written, index->docids + start, length);
            text[written + length] = '\n';
        }
        written += length + 1;
    }
    return written;
}
#else /* other compilers get none, as they get no kernels */
int search_abi(void) { return 0; }

int search_window(void) { return 0; }
#endif
