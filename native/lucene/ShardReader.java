package repro;

import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;

/** Hands out the lines of JSON shards, gzip or plain, in blocks of whole lines, to any number of threads. */
final class ShardReader implements Closeable {
  private static final int BLOCK = 1 << 19;

  /** Whole lines of one shard; {@code lines} of it come before. */
  record Block(String shard, long lines, byte[] bytes, int length) {
    /** Return "shard, line n" for an offset in the block. */
    String locate(int offset) {
      long line = lines + 1;
      for (int i = 0; i < Math.min(offset, length); i++) {
        line += bytes[i] == '\n' ? 1 : 0;
      }
      return shard + ", line " + line;
    }
  }

  private final String[] shards;
  private int shard = -1;
  private InputStream stream;
  private long lines;
  private byte[] rest = new byte[0];

  ShardReader(String[] shards) {
    this.shards = shards;
  }

  /** Return the next block, null at the end. */
  synchronized Block next() throws IOException {
    while (true) {
      if (stream == null) {
        if (shard + 1 >= shards.length) {
          return null;
        }
        shard++;
        stream = open(Path.of(shards[shard]));
        lines = 0;
      }
      Block block = read();
      if (block != null) {
        return block;
      }
      stream.close();
      stream = null;
    }
  }

  /** Let every thread find the end at its next call. */
  synchronized void stop() {
    shard = shards.length;
    stream = null;
    rest = new byte[0];
  }

  @Override
  public synchronized void close() throws IOException {
    if (stream != null) {
      stream.close();
    }
  }

  private static InputStream open(Path path) throws IOException {
    InputStream file = new BufferedInputStream(Files.newInputStream(path), 1 << 16);
    return path.toString().endsWith(".gz") ? new GZIPInputStream(file, 1 << 16) : file;
  }

  private Block read() throws IOException {
    byte[] bytes = Arrays.copyOf(rest, Math.max(BLOCK, 2 * rest.length));
    int length = rest.length;
    int end = -1; // just behind the last line that is whole
    while (end < 0) {
      int read;
      try {
        read = stream.readNBytes(bytes, length, bytes.length - length);
      } catch (IOException error) {
        String reason = ": cannot be decompressed (" + error.getMessage() + "); encode it again";
        throw new IOException(shards[shard] + reason);
      }
      length += read;
      if (length < bytes.length) { // the shard's end, with or without a newline
        end = length;
      } else {
        end = length;
        while (end > 0 && bytes[end - 1] != '\n') {
          end--;
        }
        if (end == 0) { // a single line longer than the block
          bytes = Arrays.copyOf(bytes, 2 * bytes.length);
          end = -1;
        }
      }
    }
    rest = Arrays.copyOfRange(bytes, end, length);
    if (end == 0) {
      return null;
    }
    Block block = new Block(shards[shard], lines, bytes, end);
    for (int i = 0; i < end; i++) {
      lines += bytes[i] == '\n' ? 1 : 0;
    }
    return block;
  }
}
