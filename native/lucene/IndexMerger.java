package repro;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.lucene.index.CodecReader;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.SlowCodecReaderWrapper;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.FSDirectory;

/**
 * Puts the parts of an index together with Lucene's own merging: the documents of the first part come first,
 * in their order.
 */
public final class IndexMerger {
  private final String index;
  private final String[] parts;
  private final boolean merge;
  private final String manifest;
  private long documents;

  /**
   * @param parts the indexes that are merged; they stay as they are
   * @param merge end with a single segment, written in one pass; else with the parts' segments, copied
   * @param manifest what made the index, kept in Lucene's commit data under "manifest"
   */
  public IndexMerger(String index, String[] parts, boolean merge, String manifest) {
    this.index = index;
    this.parts = parts;
    this.merge = merge;
    this.manifest = manifest;
  }

  /** Documents in the merged index. */
  public long documents() {
    return documents;
  }

  /** Merge them. IOException if one is no index, or of another major version of Lucene. */
  public void run() throws IOException {
    IndexWriterConfig config = new IndexWriterConfig()
        .setOpenMode(IndexWriterConfig.OpenMode.CREATE)
        .setUseCompoundFile(false);
    config.getMergePolicy().setNoCFSRatio(0);
    List<Closeable> opened = new ArrayList<>();
    try (IndexWriter writer = new IndexWriter(FSDirectory.open(Path.of(index)), config)) {
      List<Directory> directories = new ArrayList<>();
      List<CodecReader> segments = new ArrayList<>();
      for (String part : parts) {
        Directory directory = FSDirectory.open(Path.of(part));
        directories.add(directory);
        opened.add(directory);
        if (merge) {
          DirectoryReader reader = DirectoryReader.open(directory);
          opened.add(reader);
          for (LeafReaderContext leaf : reader.leaves()) {
            segments.add(SlowCodecReaderWrapper.wrap(leaf.reader()));
          }
        }
      }
      if (merge) {
        writer.addIndexes(segments.toArray(new CodecReader[0]));
        writer.forceMerge(1);
      } else {
        writer.addIndexes(directories.toArray(new Directory[0]));
      }
      writer.setLiveCommitData(Map.of("manifest", manifest).entrySet());
      writer.commit();
      documents = writer.getDocStats().numDocs;
    } finally {
      for (int i = opened.size() - 1; i >= 0; i--) {
        opened.get(i).close();
      }
    }
  }
}
