package repro;

import java.util.Arrays;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.tokenattributes.BytesTermAttribute;
import org.apache.lucene.analysis.tokenattributes.TermFrequencyAttribute;
import org.apache.lucene.util.BytesRef;

/** The postings of one document as tokens, each once, its impact as its frequency. */
final class ImpactTokens extends TokenStream {
  private final BytesTermAttribute term = addAttribute(BytesTermAttribute.class);
  private final TermFrequencyAttribute frequency = addAttribute(TermFrequencyAttribute.class);
  private BytesRef[] terms = new BytesRef[256];
  private int[] impacts = new int[256];
  private int size;
  private int next;

  void clear() {
    size = 0;
  }

  int size() {
    return size;
  }

  void add(BytesRef token, int impact) {
    if (size == terms.length) {
      terms = Arrays.copyOf(terms, 2 * size);
      impacts = Arrays.copyOf(impacts, 2 * size);
    }
    terms[size] = token;
    impacts[size++] = impact;
  }

  @Override
  public void reset() {
    next = 0;
  }

  @Override
  public boolean incrementToken() {
    if (next == size) {
      return false;
    }
    clearAttributes();
    term.setBytesRef(terms[next]);
    frequency.setTermFrequency(impacts[next++]);
    return true;
  }
}
