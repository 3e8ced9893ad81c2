package repro;

import io.anserini.index.Constants;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.FieldInfo;
import org.apache.lucene.index.FieldInfos;
import org.apache.lucene.index.IndexableField;
import org.apache.lucene.index.MultiDocValues;
import org.apache.lucene.index.MultiTerms;
import org.apache.lucene.index.NumericDocValues;
import org.apache.lucene.index.PostingsEnum;
import org.apache.lucene.index.StoredFields;
import org.apache.lucene.index.TermVectors;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.BytesRef;

/**
 * Compares all that two indexes hold, document by document and posting by posting, whatever the order of
 * documents in them.
 */
public final class IndexComparison {
  private static final int SHOWN = 20;

  private long postings;
  private final List<String> differences = new ArrayList<>();

  /** Compare the two; IOException if one is no index. */
  public IndexComparison(String first, String second) throws IOException {
    try (Side a = new Side(first); Side b = new Side(second)) {
      same("number of documents", a.reader.numDocs(), b.reader.numDocs());
      same("docids", Arrays.asList(a.docids), Arrays.asList(b.docids));
      same("fields", a.fields(), b.fields());
      if (differences.isEmpty()) {
        compareDocuments(a, b);
        for (String field : List.of(Constants.ID, Constants.CONTENTS)) {
          compareTerms(field, a, b);
        }
      }
    }
  }

  /** Postings compared. */
  public long postings() {
    return postings;
  }

  /** The first few differences, a sentence each; none if the indexes are equal. */
  public String[] differences() {
    return differences.toArray(new String[0]);
  }

  private void same(String what, Object first, Object second) {
    if (!first.equals(second) && differences.size() < SHOWN) {
      differences.add(what + ": " + first + " and " + second);
    }
  }

  private void compareDocuments(Side a, Side b) throws IOException {
    StoredFields storedA = a.reader.storedFields();
    StoredFields storedB = b.reader.storedFields();
    TermVectors vectorsA = a.reader.termVectors();
    TermVectors vectorsB = b.reader.termVectors();
    long[] normsA = a.norms();
    long[] normsB = b.norms();
    for (int rank = 0; rank < a.docids.length; rank++) {
      String docid = a.docids[rank].utf8ToString();
      same("norm of " + docid, normsA[rank], normsB[rank]);
      List<String> fields = stored(storedA, a.documents[rank]);
      same("stored fields of " + docid, fields, stored(storedB, b.documents[rank]));
      boolean vectors = vectorsA.get(a.documents[rank]) != null;
      same("has term vectors: " + docid, vectors, vectorsB.get(b.documents[rank]) != null);
    }
  }

  private static List<String> stored(StoredFields fields, int document) throws IOException {
    List<String> found = new ArrayList<>();
    for (IndexableField field : fields.document(document)) {
      found.add(field.name() + "=" + field.stringValue());
    }
    return found;
  }

  private void compareTerms(String field, Side a, Side b) throws IOException {
    Terms termsA = MultiTerms.getTerms(a.reader, field);
    Terms termsB = MultiTerms.getTerms(b.reader, field);
    if (termsA == null || termsB == null) {
      same("has terms in " + field, termsA != null, termsB != null);
      return;
    }
    same("sum of document frequencies of " + field, termsA.getSumDocFreq(), termsB.getSumDocFreq());
    same("total terms of " + field, termsA.getSumTotalTermFreq(), termsB.getSumTotalTermFreq());
    TermsEnum inA = termsA.iterator();
    TermsEnum inB = termsB.iterator();
    BytesRef termA = inA.next();
    BytesRef termB = inB.next();
    while (termA != null && termB != null && termA.equals(termB)) {
      long[] found = a.postings(inA);
      postings += found.length;
      if (!Arrays.equals(found, b.postings(inB))) {
        same("postings of " + field + ":" + termA.utf8ToString(), "one", "another");
      }
      termA = inA.next();
      termB = inB.next();
    }
    same("term of " + field, String.valueOf(termA), String.valueOf(termB));
  }

  /** An index with its documents ranked by docid. */
  private static final class Side implements Closeable {
    private final DirectoryReader reader;
    private final BytesRef[] docids; // in order
    private final int[] documents; // Lucene's number of each
    private final int[] ranks; // the reverse

    Side(String index) throws IOException {
      reader = DirectoryReader.open(FSDirectory.open(Path.of(index)));
      BinaryDocValues values = MultiDocValues.getBinaryValues(reader, Constants.ID);
      Integer[] order = new Integer[reader.maxDoc()];
      BytesRef[] found = new BytesRef[order.length];
      for (int i = 0; i < order.length; i++) {
        order[i] = i;
        found[i] = values.advanceExact(i) ? BytesRef.deepCopyOf(values.binaryValue()) : new BytesRef();
      }
      Arrays.sort(order, Comparator.comparing(i -> found[i]));
      docids = new BytesRef[order.length];
      documents = new int[order.length];
      ranks = new int[order.length];
      for (int rank = 0; rank < order.length; rank++) {
        docids[rank] = found[order[rank]];
        documents[rank] = order[rank];
        ranks[order[rank]] = rank;
      }
    }

    Map<String, String> fields() {
      Map<String, String> fields = new TreeMap<>();
      for (FieldInfo field : FieldInfos.getMergedFieldInfos(reader)) {
        fields.put(field.name, field.getIndexOptions() + ", doc values " + field.getDocValuesType()
            + ", norms " + field.hasNorms());
      }
      return fields;
    }

    long[] norms() throws IOException {
      long[] norms = new long[docids.length];
      NumericDocValues values = MultiDocValues.getNormValues(reader, Constants.CONTENTS);
      if (values != null) {
        while (values.nextDoc() != NumericDocValues.NO_MORE_DOCS) {
          norms[ranks[values.docID()]] = values.longValue();
        }
      }
      return norms;
    }

    /** Return (rank of the document, frequency) pairs of the term, in order. */
    long[] postings(TermsEnum term) throws IOException {
      long[] found = new long[term.docFreq()];
      PostingsEnum postings = term.postings(null, PostingsEnum.FREQS);
      for (int i = 0; i < found.length; i++) {
        found[i] = (long) ranks[postings.nextDoc()] << 32 | postings.freq();
      }
      Arrays.sort(found);
      return found;
    }

    @Override
    public void close() throws IOException {
      reader.close();
    }
  }
}
