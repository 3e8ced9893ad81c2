package repro;

import java.util.Arrays;
import org.apache.lucene.search.ScoreDoc;

/** The same as BestInts, for sums of 64 bits, which few queries need: short rather than fast. */
final class BestLongs {
  private final int k;
  private long[] sums = new long[1024];
  private int[] documents = new int[1024];
  private int size;
  private long least = 1; // a document with a lower sum is not among the best

  BestLongs(int k) {
    this.k = k;
  }

  /** Take those of some documents' sums that may be among the best. */
  void offer(long[] offered, int length, int firstDocument) {
    for (int i = 0; i < length; i++) {
      if (offered[i] >= least) {
        if (size == sums.length) {
          shrink();
          if (2L * size > sums.length) {
            sums = Arrays.copyOf(sums, 2 * size);
            documents = Arrays.copyOf(documents, 2 * size);
          }
          if (offered[i] < least) {
            continue;
          }
        }
        sums[size] = offered[i];
        documents[size++] = firstDocument + i;
      }
    }
  }

  /** Drop what cannot be among the best any more. */
  private void shrink() {
    if (size <= k) {
      return;
    }
    long[] ascending = Arrays.copyOf(sums, size);
    Arrays.sort(ascending);
    least = ascending[size - k];
    int kept = 0;
    for (int i = 0; i < size; i++) {
      if (sums[i] >= least) {
        sums[kept] = sums[i];
        documents[kept++] = documents[i];
      }
    }
    size = kept;
  }

  /** Return the best, best first. */
  ScoreDoc[] sorted() {
    shrink();
    Integer[] order = new Integer[size];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (a, b) -> Long.compare(sums[b], sums[a]));
    ScoreDoc[] hits = new ScoreDoc[size];
    float score = Float.POSITIVE_INFINITY;
    for (int i = 0; i < size; i++) {
      long sum = sums[order[i]];
      score = i > 0 && sum == sums[order[i - 1]] ? score : BestInts.below(score, sum);
      hits[i] = new ScoreDoc(documents[order[i]], score);
    }
    return hits;
  }
}
