"""The one error that a user's mistake or an incomplete set-up raises."""


class InputError(Exception):
    """A mistake in the input or the set-up, in one sentence: the file, line or record, and what to do.

    Every command prints it to stderr without a traceback and ends with exit code 2.
    """
