"""How an error reaches the user: one sentence and an exit code."""

import errno
import os
import sys
from collections.abc import Callable

from repro.base.errors import InputError


def guarded(main: Callable[[], int]) -> int:
    """Run a command's ``main``; turn a user's mistake, a full disk or Ctrl-C into a sentence and a code."""
    try:
        return main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept; the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        sentence = {
            errno.ENOSPC: "no space left on the disk: free some, or name folders on another (--work, --runs, "
            "--tables, --output), and run it again",
            errno.EDQUOT: "your disk quota is used up: free some, or name folders elsewhere (--work, --runs, "
            "--tables, --output), and run it again",
            errno.EFBIG: "a file would be larger than is allowed here: raise the limit (ulimit -f)",
            errno.EACCES: "permission denied: choose a folder that you may write to",
            errno.EROFS: "the file system is read-only: choose a folder that you may write to",
        }.get(error.errno or 0)
        if sentence is None:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {sentence}{where}", file=sys.stderr)
        return 2
