"""Train a SPLADE model from a recipe, or adapt one to a collection; or pretrain a masked language model.

    python -m repro.train --adapt path/to/folder
    python -m repro.train --recipe splade-tiny
    python -m repro.train --mlm msmarco-passage --shape tiny --minutes 10

--adapt distils a teacher on the collection's own texts and queries, and keeps what is better on held-out
queries, if anything is. Recipes are in repro/training/recipes (splade-tiny, splade-mini, splade-small, adapt,
sample) or a file of one's own; --set changes an entry. What --mlm leaves is a base for recipes. The same
command goes on where an interrupted training left its last checkpoint. Several processes: torchrun -m
repro.train ...
"""

import argparse
import sys

from repro.base.errors import InputError
from repro.cli.guard import guarded
from repro.cli.options import WorkOptions
from repro.cli.parsing import add_options, read_options
from repro.cli.training_options import TrainingOptions


def main(argv: list[str] | None = None) -> int:
    """Parse, train unless the model is there, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.train", description=__doc__.split("\n")[0])
    add_options(parser, TrainingOptions, WorkOptions)
    parsed = parser.parse_args(argv)
    options, work = read_options(TrainingOptions, parsed), read_options(WorkOptions, parsed)
    adapting = (options.adapt, options.split, options.queries_from, options.teacher)
    if options.mlm is not None and options.recipe is None and adapting == (None,) * 4:
        from repro.training.pretraining import pretrain

        model = pretrain(options.mlm, options, work)
    elif options.mlm is None and (options.recipe or options.adapt):
        from repro.training.session import ADAPT, train

        model = train(options.recipe or ADAPT, options, work)
    else:
        raise InputError(
            "expected either --recipe or --adapt (a SPLADE model) with its options, or --mlm (a base for one)"
        )
    from repro.training.processes import first_process

    if first_process():
        print(model.path)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
