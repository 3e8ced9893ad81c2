package repro;

import io.anserini.index.Constants;
import io.anserini.index.IndexCollection;
import io.anserini.search.query.BagOfWordsQueryGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.search.similarities.Similarity;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.BytesRef;

/**
 * Searches an index with many queries at once, a thread a query, and returns all hits in a few arrays.
 *
 * <p>Documents of equal score are ordered by docid, at the cut, too: ascending as Anserini orders them, or
 * descending as trec_eval does. Docids are compared as the bytes of their UTF-8, as Lucene's sort by a string
 * field compares them.
 */
public final class BatchSearcher implements AutoCloseable {
  private static final int SPARE = 64; // hits beyond k, among which the ties at the cut usually end
  private static final int MANY = 1 << 17; // hits from which on it pays to count the matches first

  private final DirectoryReader reader;
  private final IndexSearcher searcher;
  private final ExecutorService pool;
  private final ThreadLocal<ImpactScorer> scorer; // null for an index of texts
  private final boolean ascending;

  private BatchSearcher(String index, int threads, Similarity bm25, boolean ascending) throws IOException {
    this.ascending = ascending;
    reader = DirectoryReader.open(FSDirectory.open(Path.of(index)));
    searcher = new IndexSearcher(reader);
    searcher.setQueryCache(null);
    if (bm25 != null) {
      searcher.setSimilarity(bm25);
    }
    pool = Executors.newFixedThreadPool(threads);
    scorer = bm25 == null ? ThreadLocal.withInitial(() -> new ImpactScorer(reader)) : null;
    IndexSearcher.setMaxClauseCount(Integer.MAX_VALUE); // a query may be as long as a document
  }

  /** Open an index of texts; a query is a text, analysed as Anserini does. */
  public static BatchSearcher bm25(String index, int threads, float k1, float b, boolean ascending)
      throws IOException {
    return new BatchSearcher(index, threads, new BM25Similarity(k1, b), ascending);
  }

  /** Open an index of impacts; a query is lines of term, tab, impact, and a score the exact dot product. */
  public static BatchSearcher impacts(String index, int threads, boolean ascending) throws IOException {
    return new BatchSearcher(index, threads, null, ascending);
  }

  /** Return the number of documents in the index. */
  public int documents() {
    return reader.maxDoc();
  }

  /** Hits of several queries, one query's after the other's. Numbers are little-endian. */
  public static final class Hits {
    /** Document ids in UTF-8, a newline after each. */
    public byte[] docids;
    /** Scores as 32-bit floats. */
    public byte[] scores;
    /** Number of hits of each query. */
    public int[] counts;
    /** What each query took, from its text to its sorted hits. */
    public double[] milliseconds;
  }

  /** Return the best k documents of each query. */
  public Hits search(String[] queries, int k) throws IOException {
    List<Future<Ranking>> running = new ArrayList<>(queries.length);
    for (String query : queries) {
      running.add(pool.submit(() -> rank(query, k)));
    }
    ByteArrayOutputStream docids = new ByteArrayOutputStream();
    ByteArrayOutputStream scores = new ByteArrayOutputStream();
    Hits hits = new Hits();
    hits.counts = new int[queries.length];
    hits.milliseconds = new double[queries.length];
    for (int i = 0; i < queries.length; i++) {
      Ranking ranking = Workers.result(running.get(i));
      hits.counts[i] = ranking.count;
      hits.milliseconds[i] = ranking.nanoseconds / 1e6;
      docids.write(ranking.docids);
      scores.write(ranking.scores);
    }
    hits.docids = docids.toByteArray();
    hits.scores = scores.toByteArray();
    return hits;
  }

  @Override
  public void close() throws IOException {
    pool.shutdownNow();
    reader.close();
  }

  private record Ranking(int count, byte[] docids, byte[] scores, long nanoseconds) {}

  private Ranking rank(String text, int k) throws IOException {
    long started = System.nanoTime();
    ScoreDoc[] hits = scorer == null ? bestTexts(text, k) : bestImpacts(text, k);
    BytesRef[] docids = docids(hits);
    int count = Math.min(k, hits.length);
    int[] order = order(hits, docids);
    ByteArrayOutputStream names = new ByteArrayOutputStream(16 * count);
    ByteBuffer scores = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      BytesRef docid = docids[order[i]];
      names.write(docid.bytes, docid.offset, docid.length);
      names.write('\n');
      scores.putFloat(hits[i].score); // a document that moved, moved among equal scores
    }
    return new Ranking(count, names.toByteArray(), scores.array(), System.nanoTime() - started);
  }

  /** Return the k best, best first, and all that tie with the last of them. */
  private ScoreDoc[] bestTexts(String text, int k) throws IOException {
    Query query =
        new BagOfWordsQueryGenerator().buildQuery(Constants.CONTENTS, IndexCollection.DEFAULT_ANALYZER, text);
    int all = Math.max(1, reader.maxDoc());
    if (Math.min(k, all) >= MANY) { // Lucene's collector allocates all the hits that it is asked for
      all = Math.max(1, searcher.count(query));
    }
    k = Math.min(k, all);
    int size = (int) Math.min((long) k + SPARE, all);
    while (true) {
      ScoreDoc[] found = searcher.search(query, size).scoreDocs;
      if (found.length < size || size == all || found[size - 1].score < found[k - 1].score) {
        int length = Math.min(k, found.length);
        while (length < found.length && found[length].score == found[k - 1].score) {
          length++;
        }
        return Arrays.copyOf(found, length);
      }
      size = (int) Math.min(2L * size, all);
    }
  }

  /** Return each hit's docid, read in the order of documents, in which alone doc values can be read. */
  private BytesRef[] docids(ScoreDoc[] hits) throws IOException {
    long[] byDocument = new long[hits.length];
    for (int i = 0; i < hits.length; i++) {
      byDocument[i] = (long) hits[i].doc << 32 | i;
    }
    Arrays.sort(byDocument);
    BytesRef[] docids = new BytesRef[hits.length];
    List<LeafReaderContext> leaves = reader.leaves();
    LeafReaderContext leaf = null;
    BinaryDocValues values = null;
    for (long pair : byDocument) {
      int document = (int) (pair >>> 32);
      if (leaf == null || document >= leaf.docBase + leaf.reader().maxDoc()) {
        leaf = leaves.get(ReaderUtil.subIndex(document, leaves));
        values = leaf.reader().getBinaryDocValues(Constants.ID);
      }
      values.advanceExact(document - leaf.docBase);
      docids[(int) pair] = BytesRef.deepCopyOf(values.binaryValue());
    }
    return docids;
  }

  /** Return the hits' numbers, those of equal score by docid. */
  private int[] order(ScoreDoc[] hits, BytesRef[] docids) {
    int[] order = new int[hits.length];
    int start = 0;
    while (start < hits.length) {
      int end = start + 1;
      while (end < hits.length && hits[end].score == hits[start].score) {
        end++;
      }
      order[start] = start;
      if (end - start > 1) {
        Integer[] tied = new Integer[end - start];
        for (int i = 0; i < tied.length; i++) {
          tied[i] = start + i;
        }
        int sign = ascending ? 1 : -1;
        Arrays.sort(tied, (a, b) -> sign * docids[a].compareTo(docids[b]));
        for (int i = 0; i < tied.length; i++) {
          order[start + i] = tied[i];
        }
      }
      start = end;
    }
    return order;
  }

  private ScoreDoc[] bestImpacts(String query, int k) throws IOException {
    String[] lines = query.isEmpty() ? new String[0] : query.split("\n");
    BytesRef[] terms = new BytesRef[lines.length];
    int[] impacts = new int[lines.length];
    for (int i = 0; i < lines.length; i++) {
      int tab = lines[i].lastIndexOf('\t');
      terms[i] = new BytesRef(lines[i].substring(0, tab));
      impacts[i] = Integer.parseInt(lines[i].substring(tab + 1));
    }
    return scorer.get().best(terms, impacts, k);
  }
}
