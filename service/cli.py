"""oneglance: run the service."""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Any

from contract.errors import OneGlanceError
from service.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 with one line of words when it cannot start."""
    args = vars(_parser().parse_args(arguments))
    run = args.pop("run")
    return int(run({name: value for name, value in args.items() if value is not None}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="oneglance", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="answer HTTP requests",
        description="Every setting is also an environment variable: --port is ONEGLANCE_PORT.",
    )
    for name, field in Settings.model_fields.items():
        option = "--" + name.replace("_", "-")
        # pydantic reads the values, so that the environment and the command line agree.
        serve.add_argument(option, help=field.description)
    serve.set_defaults(run=_serve)
    return parser


def _serve(given: dict[str, Any]) -> int:
    import uvicorn
    from pydantic import ValidationError

    from service.app import create_app
    from service.runtime import build_runtime

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = Settings(**given)
        runtime = build_runtime(settings)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            name = ".".join(map(str, item["loc"]))
            print(f"oneglance: setting {name}: {item['msg']}", file=sys.stderr)
        return 1
    except OneGlanceError as error:
        print(f"oneglance: will not start: {error}", file=sys.stderr)
        return 1
    uvicorn.run(create_app(runtime), host=settings.host, port=settings.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
