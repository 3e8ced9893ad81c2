package repro;

import org.apache.lucene.index.MergePolicy;

/** What threads print that die of an exception. */
public final class Threads {
  private Threads() {}

  /**
   * Print nothing of a merge that failed in a thread of its own, as on a full disk: the index writer throws the
   * reason again, with its cause, at whoever merges or commits next.
   */
  public static void keepMergesQuiet() {
    Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
      if (!(error instanceof MergePolicy.MergeException)) {
        System.err.print("Exception in thread \"" + thread.getName() + "\" ");
        error.printStackTrace();
      }
    });
  }
}
