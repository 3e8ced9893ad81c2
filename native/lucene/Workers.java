package repro;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

/** What the threads of a pool return and throw. */
final class Workers {
  private Workers() {}

  /** Return a thread's result, or throw what it threw: an OutOfMemoryError stays one. */
  static <T> T result(Future<T> worker) throws IOException {
    try {
      return worker.get();
    } catch (InterruptedException error) {
      throw new InterruptedIOException("interrupted");
    } catch (ExecutionException error) {
      switch (error.getCause()) {
        case IOException cause -> throw cause;
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw new IOException(error.getCause());
      }
    }
  }
}
