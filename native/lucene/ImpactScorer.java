package repro;

import io.anserini.index.Constants;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.util.BytesRef;

/**
 * Scores all documents that share a term with a query, exactly, and keeps the best.
 *
 * <p>Postings are added up in a window of documents small enough for the processor's cache. Learned sparse
 * queries have many terms with long lists of postings and flat impacts, of which Lucene's dynamic pruning
 * skips too few to pay for itself.
 *
 * <p>Sums are 32-bit integers as long as none of a query's exceeds them, else 64-bit ones, which none can
 * exceed: a document's impacts sum up to less than 2^31 (Lucene's limit of a field's length), and a query's
 * weight is less than 2^31.
 *
 * <p>For one thread.
 */
final class ImpactScorer {
  private static final int WINDOW = 1 << 16;

  private final IndexReader reader;
  private final int[] sums = new int[WINDOW];
  private long[] wideSums; // made for the first query whose sums exceed 32 bits

  ImpactScorer(IndexReader reader) {
    this.reader = reader;
  }

  /**
   * Return the k best documents, best first, and all that tie with the last of them, for terms with their
   * weights.
   *
   * <p>A score is the exact sum as a 32-bit float. Floats of 2^24 and more skip integers; of different sums
   * that would share a float, the smaller one gets the next smaller float, so that scores are equal where
   * sums are, and nowhere else.
   */
  ScoreDoc[] best(BytesRef[] terms, int[] weights, int k) throws IOException {
    k = Math.min(k, Math.max(1, reader.maxDoc()));
    BestInts best = new BestInts(k);
    boolean exceeded = false;
    for (LeafReaderContext leaf : reader.leaves()) {
      exceeded = exceeded || !score(leaf, terms, weights, best);
    }
    if (!exceeded) {
      return best.sorted();
    }
    BestLongs wide = new BestLongs(k);
    for (LeafReaderContext leaf : reader.leaves()) {
      scoreWide(leaf, terms, weights, wide);
    }
    return wide.sorted();
  }

  /** A query's postings in one segment. */
  private record Lists(PostingsEnum[] postings, int[] weights) {}

  private static Lists lists(LeafReaderContext leaf, BytesRef[] terms, int[] weights) throws IOException {
    List<PostingsEnum> lists = new ArrayList<>();
    int[] weightOf = new int[terms.length];
    Terms dictionary = leaf.reader().terms(Constants.CONTENTS);
    if (dictionary != null) {
      TermsEnum term = dictionary.iterator();
      for (int i = 0; i < terms.length; i++) {
        if (term.seekExact(terms[i])) {
          PostingsEnum postings = term.postings(null, PostingsEnum.FREQS);
          postings.nextDoc();
          weightOf[lists.size()] = weights[i];
          lists.add(postings);
        }
      }
    }
    return new Lists(lists.toArray(new PostingsEnum[0]), weightOf);
  }

  /** Offer a segment's documents; return false, with sums of no use, as soon as one exceeds 32 bits. */
  private boolean score(LeafReaderContext leaf, BytesRef[] terms, int[] weights, BestInts best)
      throws IOException {
    Lists lists = lists(leaf, terms, weights);
    int documents = lists.postings.length == 0 ? 0 : leaf.reader().maxDoc();
    for (int start = 0; start < documents; start += WINDOW) {
      int end = Math.min(start + WINDOW, documents);
      long seen = 0;
      for (int i = 0; i < lists.postings.length; i++) {
        seen |= add(lists.postings[i], lists.weights[i], start, end);
      }
      boolean exact = seen >>> 31 == 0;
      if (exact) {
        best.offer(sums, end - start, leaf.docBase + start);
      }
      Arrays.fill(sums, 0, end - start, 0);
      if (!exact) {
        return false;
      }
    }
    return true;
  }

  /** Add one term's products and return all bits of all sums: one beyond 31 bits sets a high bit. */
  private long add(PostingsEnum postings, int weight, int start, int end) throws IOException {
    long seen = 0;
    int document = postings.docID();
    while (document < end) {
      long sum = sums[document - start] + (long) weight * postings.freq();
      seen |= sum;
      sums[document - start] = (int) sum;
      document = postings.nextDoc();
    }
    return seen;
  }

  private void scoreWide(LeafReaderContext leaf, BytesRef[] terms, int[] weights, BestLongs best)
      throws IOException {
    wideSums = wideSums == null ? new long[WINDOW] : wideSums;
    Lists lists = lists(leaf, terms, weights);
    int documents = lists.postings.length == 0 ? 0 : leaf.reader().maxDoc();
    for (int start = 0; start < documents; start += WINDOW) {
      int end = Math.min(start + WINDOW, documents);
      for (int i = 0; i < lists.postings.length; i++) {
        PostingsEnum postings = lists.postings[i];
        int document = postings.docID();
        while (document < end) {
          wideSums[document - start] += (long) lists.weights[i] * postings.freq();
          document = postings.nextDoc();
        }
      }
      best.offer(wideSums, end - start, leaf.docBase + start);
      Arrays.fill(wideSums, 0, end - start, 0);
    }
  }
}
