package repro;

import io.anserini.index.Constants;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.file.Path;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.MultiDocValues;
import org.apache.lucene.index.MultiTerms;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.BytesRef;

/**
 * Reads an index of impacts term by term, in the order of the terms' UTF-8, each list of postings as one array.
 *
 * <p>For one thread.
 */
public final class PostingsReader implements AutoCloseable {
  private final DirectoryReader reader;
  private final BinaryDocValues docids;
  private final TermsEnum terms; // null for an index without a term

  /** Open an index; IOException if there is none. */
  public PostingsReader(String index) throws IOException {
    reader = DirectoryReader.open(FSDirectory.open(Path.of(index)));
    docids = MultiDocValues.getBinaryValues(reader, Constants.ID);
    Terms found = MultiTerms.getTerms(reader, Constants.CONTENTS);
    terms = found == null ? null : found.iterator();
  }

  /** Return the number of documents; they are numbered from 0 up. */
  public int documents() {
    return reader.maxDoc();
  }

  /** Return the ids of documents number {@code from} to {@code to - 1}, in UTF-8, a newline after each. */
  public byte[] docids(int from, int to) throws IOException {
    ByteArrayOutputStream lines = new ByteArrayOutputStream(16 * (to - from));
    for (int i = from; i < to; i++) {
      docids.advanceExact(i);
      BytesRef docid = docids.binaryValue();
      lines.write(docid.bytes, docid.offset, docid.length);
      lines.write('\n');
    }
    return lines.toByteArray();
  }

  /** Go to the next term and return it; null behind the last. */
  public String next() throws IOException {
    BytesRef term = terms == null ? null : terms.next();
    return term == null ? null : term.utf8ToString();
  }

  /** Return the term's documents in order, then their impacts, as little-endian 32-bit integers. */
  public byte[] postings() throws IOException {
    int count = terms.docFreq();
    ByteBuffer bytes = ByteBuffer.allocate(Math.multiplyExact(8, count)).order(ByteOrder.LITTLE_ENDIAN);
    IntBuffer numbers = bytes.asIntBuffer();
    PostingsEnum postings = terms.postings(null, PostingsEnum.FREQS);
    for (int i = 0; i < count; i++) {
      numbers.put(i, postings.nextDoc());
      numbers.put(count + i, postings.freq());
    }
    return bytes.array();
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
