"""Train a SPLADE model from a recipe; or, as a base for one, a masked language model on a collection's texts.

    python -m repro.train --recipe sample
    python -m repro.train --mlm msmarco-passage --shape tiny --minutes 10

Recipes are in repro/training/recipes (splade-tiny, splade-mini, splade-small, sample) or a file of one's own;
--set changes an entry. The same command goes on where an interrupted training left its last checkpoint.
Several processes: torchrun -m repro.train ...
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
    if options.recipe is not None and options.mlm is None:
        from repro.training.session import train

        model = train(options.recipe, options, work)
    elif options.mlm is not None and options.recipe is None:
        from repro.training.pretraining import pretrain

        model = pretrain(options.mlm, options, work)
    else:
        raise InputError("expected either --recipe (a SPLADE model) or --mlm (a base for one)")
    from repro.training.processes import first_process

    if first_process():
        print(model.path)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
