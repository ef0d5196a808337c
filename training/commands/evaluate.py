"""oneglance-train evaluate."""

import argparse
import shlex
from pathlib import Path

from training.data.pack import open_pack


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "evaluate", help="measure a bundle and write the figures into its manifest"
    )
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument(
        "--run",
        dest="run_dir",
        type=Path,
        help="the run that trained it (default: it was imported and never trained here, so that "
        "every identity of the pack counts as unseen)",
    )
    parser.add_argument(
        "--pack", type=Path, required=True, help="the pack that the run was trained on, or any"
    )
    parser.add_argument(
        "--calibrate-on",
        type=Path,
        metavar="PACK",
        help="pack of the same source, whose crops are as the service cuts them (prepare "
        "--realigned; default: the pack itself)",
    )
    parser.add_argument("--lfw", type=Path, help="pack of lfw-view2 (default: without LFW)")
    parser.add_argument(
        "--enrol", type=int, default=1, metavar="M", help="images a subject, zero-shot (default: 1)"
    )
    parser.add_argument(
        "--without-doubles",
        action="store_true",
        help="calibrate without identities that look like another one: people under two labels",
    )
    parser.add_argument("--report", type=Path, help="file for one HTML page with all figures")
    parser.add_argument("--seed", type=int, default=0, help="of galleries and bootstrap")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from contract.bundle import load_bundle
    from training.evaluation.metrics import metrics_of, shown
    from training.evaluation.report import evaluate_bundle, write_report

    if args.enrol < 1 or args.seed < 0:
        raise ValueError("--enrol must be at least 1 and --seed not negative.")
    if args.run_dir is None:
        print(
            "no run was named: the network counts as imported and every identity of the pack as "
            "unseen; whether its authors trained on them is not known"
        )
    report = evaluate_bundle(
        load_bundle(args.bundle),
        args.run_dir,
        open_pack(args.pack),
        open_pack(args.lfw) if args.lfw else None,
        calibration_pack=open_pack(args.calibrate_on) if args.calibrate_on else None,
        enrolled=args.enrol,
        without_doubles=args.without_doubles,
        seed=args.seed,
    )
    command = _command(args)
    bundle = write_report(load_bundle(args.bundle), report, command)
    if args.report:
        from training.evaluation.report_html import report_page

        args.report.write_text(report_page(report, bundle.manifest, command), encoding="utf-8")
        print(f"{args.report}: all figures, with pictures")
    for line in report.unanswered:
        print(f"not measured: {line}")
    for metric in metrics_of(report, command):
        print(f"{metric.name}: {shown(metric)} ({metric.protocol}; {metric.data})")
    threshold = report.threshold
    if threshold is not None:
        print(
            f"default threshold {threshold.similarity:.4f}: {threshold.fpir:.2%} of searches by "
            f"{threshold.searches} strangers accepted among {threshold.gallery_subjects} subjects"
        )
    if report.lfw is not None:
        accuracy = report.lfw.accuracy
        print(
            f"LFW accuracy {accuracy.mean:.2%} +- {accuracy.standard_error:.2%} on "
            f"{accuracy.pairs} pairs"
        )
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command line that gives these figures again; the page is no part of them."""
    words = ["oneglance-train", "evaluate", args.bundle]
    if args.run_dir:
        words += ["--run", args.run_dir]
    words += ["--pack", args.pack]
    if args.calibrate_on:
        words += ["--calibrate-on", args.calibrate_on]
    if args.lfw:
        words += ["--lfw", args.lfw]
    if args.enrol != 1:
        words += ["--enrol", args.enrol]
    if args.without_doubles:
        words += ["--without-doubles"]
    if args.seed:
        words += ["--seed", args.seed]
    return shlex.join(str(word) for word in words)
