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
 * <p>Postings are added up in a window of documents small enough for the processor's cache. Learned sparse queries have many
 * terms with long lists of postings and flat impacts, of which Lucene's dynamic pruning skips too few to pay for itself.
 *
 * <p>For one thread.
 */
final class ImpactScorer {
  private static final int WINDOW = 1 << 16;

  private final IndexReader reader;
  private final int[] scores = new int[WINDOW];

  ImpactScorer(IndexReader reader) {
    this.reader = reader;
  }

  /** Return the k best documents, best first, and all that tie with the last of them, for terms with their weights. */
  ScoreDoc[] best(BytesRef[] terms, int[] weights, int k) throws IOException {
    Best best = new Best(k);
    for (LeafReaderContext leaf : reader.leaves()) {
      score(leaf, terms, weights, best);
    }
    return best.sorted();
  }

  private void score(LeafReaderContext leaf, BytesRef[] terms, int[] weights, Best best) throws IOException {
    Terms dictionary = leaf.reader().terms(Constants.CONTENTS);
    if (dictionary == null) {
      return;
    }
    List<PostingsEnum> lists = new ArrayList<>();
    int[] weightOf = new int[terms.length];
    TermsEnum term = dictionary.iterator();
    for (int i = 0; i < terms.length; i++) {
      if (term.seekExact(terms[i])) {
        PostingsEnum postings = term.postings(null, PostingsEnum.FREQS);
        postings.nextDoc();
        weightOf[lists.size()] = weights[i];
        lists.add(postings);
      }
    }
    PostingsEnum[] postings = lists.toArray(new PostingsEnum[0]);
    int documents = leaf.reader().maxDoc();
    for (int start = 0; start < documents; start += WINDOW) {
      int end = Math.min(start + WINDOW, documents);
      for (int i = 0; i < postings.length; i++) {
        add(postings[i], weightOf[i], start, end);
      }
      best.offer(scores, end - start, leaf.docBase + start);
      Arrays.fill(scores, 0, end - start, 0);
    }
  }

  private void add(PostingsEnum postings, int weight, int start, int end) throws IOException {
    int document = postings.docID();
    while (document < end) {
      scores[document - start] += weight * postings.freq();
      document = postings.nextDoc();
    }
  }

  /** The best k so far, and those that tie with the last of them, as score << 32 | document. */
  private static final class Best {
    private final int k;
    private long[] found;
    private int size;
    private int least = 1; // a document with a lower score is not among the best

    Best(int k) {
      this.k = k;
      this.found = new long[Math.max(1024, 4 * k)];
    }

    void offer(int[] scores, int length, int firstDocument) {
      for (int i = 0; i < length; i++) {
        if (scores[i] >= least) {
          if (size == found.length) {
            shrink();
            if (scores[i] < least) {
              continue;
            }
          }
          found[size++] = (long) scores[i] << 32 | firstDocument + i;
        }
      }
    }

    /** Drop what cannot be among the best any more; grow if that makes no room. */
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
      if (2 * size > found.length) {
        found = Arrays.copyOf(found, 2 * found.length);
      }
    }

    /** Bring the k greatest to the end (Hoare's selection). */
    private void select() {
      int wanted = size - k;
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
        if (wanted <= j) {
          high = j;
        } else if (wanted >= i) {
          low = i;
        } else {
          return;
        }
      }
    }

    ScoreDoc[] sorted() {
      shrink();
      Arrays.sort(found, 0, size);
      ScoreDoc[] hits = new ScoreDoc[size];
      for (int i = 0; i < size; i++) {
        long hit = found[size - 1 - i];
        hits[i] = new ScoreDoc((int) hit, (int) (hit >>> 32));
      }
      return hits;
    }
  }
}
