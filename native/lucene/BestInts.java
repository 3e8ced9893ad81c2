package repro;

import java.util.Arrays;
import org.apache.lucene.search.ScoreDoc;

/** The best k documents so far, and those that tie with the last of them, as sum << 32 | document. */
final class BestInts {
  private static final int FIRST = 1 << 16; // entries at first, at most: k may be as large as the index

  private final int k;
  private long[] found;
  private int size;
  private int least = 1; // a document with a lower sum is not among the best

  BestInts(int k) {
    this.k = k;
    this.found = new long[(int) Math.max(1024, Math.min(4L * k, FIRST))];
  }

  /** Take those of some documents' sums that may be among the best. */
  void offer(int[] sums, int length, int firstDocument) {
    for (int i = 0; i < length; i++) {
      if (sums[i] >= least) {
        if (size == found.length) {
          shrink();
          if (sums[i] < least) {
            continue;
          }
        }
        found[size++] = (long) sums[i] << 32 | firstDocument + i;
      }
    }
  }

  /** Drop what cannot be among the best any more; grow if that leaves too little free. */
  private void shrink() {
    if (size > k) {
      select();
      least = (int) (found[size - k] >>> 32);
      int kept = 0;
      for (int i = 0; i < size; i++) {
        if ((int) (found[i] >>> 32) >= least) {
          found[kept++] = found[i];
        }
      }
      size = kept;
    }
    if (2L * size > found.length) {
      found = Arrays.copyOf(found, 2 * found.length);
    }
  }

  /** Bring the k greatest to the end (Hoare's selection). */
  private void select() {
    int target = size - k;
    int low = 0;
    int high = size - 1;
    while (low < high) {
      long pivot = found[(low + high) >>> 1];
      int i = low;
      int j = high;
      while (i <= j) {
        while (found[i] < pivot) {
          i++;
        }
        while (found[j] > pivot) {
          j--;
        }
        if (i <= j) {
          long swapped = found[i];
          found[i++] = found[j];
          found[j--] = swapped;
        }
      }
      if (target <= j) {
        high = j;
      } else if (target >= i) {
        low = i;
      } else {
        return;
      }
    }
  }

  /** Return the best, best first; the lists are of no further use. */
  ScoreDoc[] sorted() {
    shrink();
    Arrays.sort(found, 0, size);
    ScoreDoc[] hits = new ScoreDoc[size];
    long previous = -1;
    float score = Float.POSITIVE_INFINITY;
    for (int i = 0; i < size; i++) {
      long hit = found[size - 1 - i];
      long sum = hit >>> 32;
      score = sum == previous ? score : below(score, sum);
      previous = sum;
      hits[i] = new ScoreDoc((int) hit, score);
    }
    return hits;
  }

  /** Return the float nearest to a sum, but one smaller than the score before it. */
  static float below(float before, long sum) {
    return Math.min((float) sum, Math.nextDown(before));
  }
}
