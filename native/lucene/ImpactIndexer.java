package repro;

import io.anserini.index.Constants;
import io.anserini.search.similarity.ImpactSimilarity;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.lucene.document.BinaryDocValuesField;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.FieldType;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.index.IndexOptions;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.BytesRef;

/**
 * Indexes Anserini's JSON impact vectors into the index that Anserini would build, field for field and
 * posting for posting.
 *
 * <p>Anserini repeats a term as often as its impact says and lets Lucene count the repetitions; here the
 * impact is handed to Lucene as the term's frequency, so the cost is one token a posting.
 */
public final class ImpactIndexer {
  private final String index;
  private final String[] shards;
  private final int threads;
  private final double bufferMegabytes;
  private final boolean storeRaw;
  private final boolean merge;
  private final String manifest;
  private final AtomicLong indexed = new AtomicLong();
  private final AtomicLong empty = new AtomicLong();

  /**
   * @param bufferMegabytes what Lucene may hold in memory before it writes a segment, all threads together
   * @param storeRaw keep each record for display, in the stored field that Anserini's --storeRaw writes
   * @param merge end with a single segment
   * @param manifest what made the index, kept in Lucene's commit data under "manifest"
   */
  public ImpactIndexer(
      String index,
      String[] shards,
      int threads,
      double bufferMegabytes,
      boolean storeRaw,
      boolean merge,
      String manifest) {
    this.index = index;
    this.shards = shards;
    this.threads = threads;
    this.bufferMegabytes = bufferMegabytes;
    this.storeRaw = storeRaw;
    this.merge = merge;
    this.manifest = manifest;
  }

  /** Documents in the index so far. */
  public long indexed() {
    return indexed.get();
  }

  /** Documents left out because they have no term, as Anserini leaves them out. */
  public long empty() {
    return empty.get();
  }

  /** Build the index. IOException names the shard and line of a record that cannot be indexed. */
  public void run() throws IOException {
    IndexWriterConfig config = new IndexWriterConfig()
        .setSimilarity(new ImpactSimilarity())
        .setOpenMode(IndexWriterConfig.OpenMode.CREATE)
        .setRAMBufferSizeMB(bufferMegabytes)
        .setUseCompoundFile(false);
    try (IndexWriter writer = new IndexWriter(FSDirectory.open(Path.of(index)), config);
        ShardReader source = new ShardReader(shards)) {
      ExecutorService pool = Executors.newFixedThreadPool(threads);
      try {
        List<Future<?>> workers = new ArrayList<>();
        for (int i = 0; i < threads; i++) {
          workers.add(pool.submit(() -> {
            new Worker(writer).indexAll(source);
            return null;
          }));
        }
        for (Future<?> worker : workers) {
          Workers.result(worker);
        }
      } catch (IOException | RuntimeException | Error error) {
        source.stop();
        writer.rollback();
        throw error;
      } finally {
        pool.shutdownNow();
      }
      if (merge) {
        writer.forceMerge(1);
      }
      writer.setLiveCommitData(Map.of("manifest", manifest).entrySet());
      writer.commit();
    }
  }

  /** One thread's document, whose fields are filled anew for each record. */
  private final class Worker {
    private final IndexWriter writer;
    private final ImpactTokens tokens = new ImpactTokens();
    private final Document document = new Document();
    private final Field id = new StringField(Constants.ID, "", Field.Store.YES);
    private final Field idValue = new BinaryDocValuesField(Constants.ID, new BytesRef());
    private final Field raw = new StoredField(Constants.RAW, "");

    Worker(IndexWriter writer) {
      this.writer = writer;
      FieldType type = new FieldType();
      type.setIndexOptions(IndexOptions.DOCS_AND_FREQS);
      type.freeze();
      document.add(id);
      document.add(idValue);
      if (storeRaw) {
        document.add(raw);
      }
      document.add(new Field(Constants.CONTENTS, tokens, type));
    }

    void indexAll(ShardReader source) throws IOException {
      for (ShardReader.Block block = source.next(); block != null; block = source.next()) {
        VectorRecord record = new VectorRecord(block.bytes(), block.length());
        try {
          while (record.next(tokens)) {
            add(record);
          }
        } catch (VectorRecord.Malformed error) {
          String expected = "expected {\"id\": ..., \"contents\": ..., \"vector\": {term: impact}}";
          throw new IOException(block.locate(record.start()) + ": " + expected);
        } catch (IllegalArgumentException error) {
          String limits = "expected id and terms of at most 32,766 bytes and a sum of impacts below 2^31";
          throw new IOException(block.locate(record.start()) + ": " + limits);
        }
      }
    }

    private void add(VectorRecord record) throws IOException {
      if (tokens.size() == 0) {
        empty.incrementAndGet();
        return;
      }
      id.setStringValue(record.id().utf8ToString());
      idValue.setBytesValue(record.id());
      if (storeRaw) {
        raw.setStringValue(record.raw());
      }
      writer.addDocument(document);
      indexed.incrementAndGet();
    }
  }
}
