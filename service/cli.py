"""oneglance: run the service, ask it, and look after its gallery."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from contract.errors import OneGlanceError
from service.commands import (
    audit,
    bundles,
    collections,
    doctor,
    enroll,
    export,
    gallery,
    identify,
    import_photos,
    jobs,
    keys,
    subjects,
    verify,
)
from service.settings import Settings

# Each declares a command, or some; all but the last two ask a running service.
COMMANDS = (
    enroll,
    import_photos,
    export,
    identify,
    verify,
    subjects,
    collections,
    bundles,
    jobs,
    keys,
    audit,
    doctor,
    gallery,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 with one line of words when it cannot start, or do its work."""
    args = _parser().parse_args(arguments)
    return int(args.run(args) if args.run is _run_serve else _run_command(args.run, args))


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
    serve.set_defaults(run=_run_serve)
    for command in COMMANDS:
        command.add(commands)
    return parser


def _run_serve(args: argparse.Namespace) -> int:
    values = {name: getattr(args, name) for name in Settings.model_fields}
    return _serve({name: value for name, value in values.items() if value is not None})


def _serve(given: dict[str, Any]) -> int:
    from service import graceful_server, logs
    from service.app import create_app
    from service.runtime import build_runtime

    try:
        settings = Settings(**given)
        logs.configure(settings.log_format)
        runtime = build_runtime(settings)
    except ValidationError as error:
        _print_settings(error)
        return 1
    except OneGlanceError as error:
        print(f"oneglance: will not start: {error}", file=sys.stderr)
        return 1
    return graceful_server.serve(create_app(runtime), settings, told=runtime.ending.begin)


def _run_command(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command besides serve; 1 with one line of words when it cannot."""
    try:
        return run(args)
    except ValidationError as error:
        _print_settings(error)
    except (OneGlanceError, ValueError, OSError) as error:
        print(f"oneglance: {' '.join(str(error).split())}", file=sys.stderr)
    except KeyboardInterrupt:
        print("oneglance: interrupted; the same command goes on where it can", file=sys.stderr)
        return 130
    return 1


def _print_settings(error: ValidationError) -> None:
    for item in error.errors(include_url=False):
        name = ".".join(map(str, item["loc"]))
        print(f"oneglance: setting {name}: {item['msg']}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
