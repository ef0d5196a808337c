"""oneglance gallery rekey."""

import argparse
import dataclasses
from typing import Any

from service.commands.gallery.common import add_command, opened, progress, say
from service.commands.rekeying import add_new_ones, rekeyed_in_words


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "rekey",
        _run,
        help="turn a collection's templates by another secret rotation, and remove the former "
        "ones; protects a collection that was not. A running service does it by `oneglance "
        "collections rekey`. The same command, without new ones, goes on after an interruption",
    )
    add_new_ones(parser)


def _run(args: argparse.Namespace) -> int:
    from index.rekeying import Rekeying

    with opened(args) as gallery:
        job = Rekeying.begin(gallery, new_secret=args.new_secret, new_row_key=args.new_row_key)
        with progress("re-key", total=gallery.template_count, unit="template") as bar:
            for done in job.rekey():
                bar.update(done - bar.n)
        job.switch(gallery)
        for _ in job.clean():
            pass
        for _ in job.reseal():
            pass
        say(rekeyed_in_words(gallery.collection_id, **dataclasses.asdict(job.result())))
    return 0
