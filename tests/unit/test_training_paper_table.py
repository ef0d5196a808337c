"""The paper's table: its plan, its claims, its records, its figures and its report."""

import math
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.paper_table.bars import missed_bars
from benchmarks.paper_table.packs import is_tested
from benchmarks.paper_table.repeat import compared, run_named
from training.evaluation.roc import roc_curve
from training.losses.composite import CompositeLoss
from training.paper_table.claim import claimed
from training.paper_table.columns import AT_HAND, COLUMNS
from training.paper_table.measure import area
from training.paper_table.plan import planned
from training.paper_table.record import (
    Epoch,
    Machine,
    Record,
    RecordError,
    config_hash,
    read_record,
    read_records,
    record_path,
    write_record,
)
from training.paper_table.report import report
from training.paper_table.results import results_of
from training.paper_table.rows import BASELINES, COMPOSITE, ROWS
from training.paper_table.statistics import T_975, difference, mean_of
from training.paper_table.studies import STUDIES, variants_of

DOCS = Path(__file__).parents[2] / "docs"
MACHINE = Machine(processor="a processor", device="cpu", threads=1, torch="2")


def record(column: str, variant: str, seed: int, **figures: float) -> Record:
    """As if that run of the present recipe had measured `figures`."""
    (run,) = [r for r in planned(columns=[column], rows=[variant]) if r.seed == seed]
    return Record(
        column=column, variant=variant, seed=seed, recipe=run.config.name,
        settings=run.settings, config=config_hash(run.config), data="a pack", code=1,
        figures=figures,
        epochs=(
            Epoch(epoch=0, validation=0.1, core_s=0, wall_s=0),
            Epoch(epoch=1, validation=0.9, core_s=60, wall_s=90),
        ),
        core_s=120, wall_s=180, machine=MACHINE,
    )  # fmt: skip


# --- rows and studies ---


def test_the_eight_rows_are_those_of_the_table_of_losses() -> None:
    wanted = {
        "std": ("standard", 0, 0), "std-class": ("standard", 1, 0),
        "std-centre": ("standard", 0, 1), "std-centre-class": ("standard", 1, 1),
        "exp": ("exponential", 0, 0), "exp-class": ("exponential", 1, 0),
        "exp-centre": ("exponential", 0, 1), "exp-centre-class": ("exponential", 1, 1),
    }  # fmt: skip
    runs = planned(columns=["mnist"], rows=[row.name for row in ROWS], seeds=[0])
    found = {r.variant.name: r.config.loss for r in runs}
    assert {n: (c.metric, c.c_class, c.c_centre) for n, c in found.items()} == wanted


@pytest.mark.parametrize("column", COLUMNS)
def test_all_runs_of_a_column_share_encoder_and_budget(column: str) -> None:
    names = [variant.name for variant in (*ROWS, *BASELINES)]
    configs = [run.config for run in planned(columns=[column], rows=names)]
    assert len(configs) == 12 * 3
    shared = {config_hash(replace(c, seed=0, loss=configs[0].loss)) for c in configs}
    assert len(shared) == 1


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: f"{study.name}-{study.column}")
def test_a_variant_of_a_study_trains_and_differs_from_its_base_row(study) -> None:  # type: ignore[no-untyped-def]
    (base,) = planned(columns=[study.column], rows=[study.base], seeds=[0])
    for variant in study.variants:
        (run,) = planned(columns=[study.column], rows=[variant.name], seeds=[0])
        assert run.config != base.config
        model = run.config.model
        CompositeLoss(
            run.config.loss, embedding_size=model.embedding_size, space=model.space,
            classes=47 if study.column == "emnist47" else 2500 if study.column == "faces" else 10,
            scale=model.scale, d_max=model.d_max, batch_size=run.config.batch.size,
        )  # fmt: skip


# --- plan ---


def test_the_most_useful_runs_come_first() -> None:
    runs = planned(columns=AT_HAND)
    names = [(run.column.name, run.variant.name, run.seed) for run in runs]
    assert len(set(names)) == len(names)
    rows, both = 5 * len(ROWS), 5 * (len(ROWS) + len(BASELINES))
    assert {seed for _, _, seed in names[:both]} == {0}
    assert {row for _, row, _ in names[:rows]} == {row.name for row in ROWS}
    assert {row for _, row, _ in names[rows:both]} == {row.name for row in BASELINES}
    assert names[0] == ("fashion-mnist", COMPOSITE, 0)
    studied = {v.name for study in STUDIES for v in study.variants}
    assert [row in studied for _, row, _ in names] == sorted(row in studied for _, row, _ in names)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"columns": ["imagenet"]}, "no column 'imagenet'.*mnist"),
        ({"columns": ["mnist"], "rows": ["std2"]}, "no row 'std2'.*exp-centre-class"),
        ({"columns": ["mnist"], "seeds": [1, 1]}, "--seeds"),
        ({"columns": ["mnist"], "seeds": [-1]}, "--seeds"),
    ],
)
def test_a_plan_says_what_there_is(words, told) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=told):
        planned(**words)


# --- claims ---


def _hold(claim: Path) -> None:
    with claimed(claim) as ours:
        claim.with_suffix(".held").write_text(str(ours))
        time.sleep(600)


def test_a_run_is_one_workers_until_it_is_killed(tmp_path: Path) -> None:
    claim = tmp_path / "mnist" / "std-0.claim"
    worker = multiprocessing.get_context("spawn").Process(target=_hold, args=(claim,))
    worker.start()
    while not claim.with_suffix(".held").exists():
        assert worker.is_alive()
        time.sleep(0.02)
    with claimed(claim) as ours:
        assert not ours
    assert claim.read_text() == f"{worker.pid}\n"
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    with claimed(claim) as ours:
        assert ours
        assert claim.read_text() == f"{os.getpid()}\n"


# --- records ---


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    written = replace(record("mnist", "exp", 1, held_out=0.991), points=((0.25, -1.0, 3),))
    write_record(tmp_path, written)
    assert read_record(record_path(tmp_path, "mnist", "exp", 1)) == written
    assert read_records(tmp_path) == [written]
    assert read_record(record_path(tmp_path, "mnist", "exp", 2)) is None


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    path = record_path(tmp_path, "mnist", "exp", 1)
    path.parent.mkdir()
    path.write_text('{"column": "mnist"}')
    with pytest.raises(RecordError, match=r"exp-1\.json"):
        read_records(tmp_path)


def test_a_record_of_another_recipe_or_code_is_stale_and_never_used() -> None:
    good = record("mnist", "exp", 0, held_out=0.9)
    older = replace(record("mnist", "exp", 1, held_out=0.5), code=0)
    (run,) = planned(columns=["mnist"], rows=["exp"], seeds=[2], changed=["epochs=99"])
    changed = replace(record("mnist", "exp", 2, held_out=0.5), config=config_hash(run.config))
    unknown = replace(good, variant="exp-of-old")
    results = results_of(planned(columns=["mnist"]), [good, older, changed, unknown])
    assert results.figures("mnist", "exp", "held_out") == {0: 0.9}
    assert results.stale == ("mnist/exp-1", "mnist/exp-2", "mnist/exp-of-old-0")


# --- statistics ---


def test_the_quantiles_are_students() -> None:
    # scipy comes with scikit-learn, which only extra `training` brings.
    t = pytest.importorskip("scipy.stats").t
    for freedom, quantile in enumerate(T_975, start=1):
        assert quantile == pytest.approx(t.ppf(0.975, freedom), abs=5e-4)


def test_a_difference_has_the_interval_of_a_paired_t_test() -> None:
    better, worse = {0: 0.95, 1: 0.93, 2: 0.96, 5: 1.0}, {0: 0.91, 1: 0.92, 2: 0.93, 7: 0.0}
    found = difference(better, worse)
    assert found is not None
    # By hand: 4, 1 and 3 points; mean 8/3, variance 7/3; 4.303 * sqrt(7/3) / sqrt(3).
    assert found.n == 3
    assert found.mean == pytest.approx(0.08 / 3)
    assert found.half_width == pytest.approx(4.303 * math.sqrt(7 / 9) / 100)
    assert found.verdict == "not decided"


@pytest.mark.parametrize(
    ("deltas", "verdict"),
    [
        ([0.030, 0.031, 0.029], "yes"),
        ([-0.030, -0.031, -0.029], "no, it is worse"),
        ([0.03, -0.03, 0.01], "not decided"),
        ([0.5], "not decided"),
    ],
)
def test_a_verdict_follows_the_interval(deltas: list[float], verdict: str) -> None:
    found = difference(dict(enumerate(deltas)), dict.fromkeys(range(9), 0.0))
    assert found is not None
    assert found.verdict == verdict


def test_nothing_has_no_mean_and_one_run_no_deviation() -> None:
    assert mean_of([]) is None
    assert difference({0: 1.0}, {1: 1.0}) is None
    one = mean_of([0.5])
    assert one is not None
    assert (one.mean, one.sd, one.n) == (0.5, None, 1)


def test_the_area_below_the_curve_counts_couples_of_pairs() -> None:
    rng = np.random.default_rng(0)
    scores, mated = rng.integers(0, 20, 300) / 20, rng.random(300) < 0.3
    couples = scores[mated][:, None] - scores[~mated][None, :]
    wanted = ((couples > 0) + 0.5 * (couples == 0)).mean()
    assert area(roc_curve(scores, mated)) == pytest.approx(wanted, abs=1e-12)


# --- report ---


def line_of(page: str, after: str, start: str) -> str:
    """The first line that begins with `start` behind the heading `after`."""
    section = page.split(after, 1)[1]
    return next(line for line in section.splitlines() if line.startswith(start))


def test_the_report_says_what_the_records_say() -> None:
    records = [
        *(record("fashion-mnist", "exp", s, held_out=v, paper=v)
          for s, v in enumerate((0.92, 0.93, 0.94))),
        *(record("fashion-mnist", "std", s, held_out=v, paper=v)
          for s, v in enumerate((0.90, 0.91, 0.92))),
        record("fashion-mnist", "arcface", 0, held_out=0.9123, paper=0.9),
        record("fashion-mnist", COMPOSITE, 0, held_out=0.931, paper=0.9),
        record("faces", "exp", 0, rank1=0.4, auc=0.95, eer=0.1, paper=0.5, gallery=321),
        replace(record("mnist", "exp", 0, held_out=0.5, paper=0.5), code=0),
    ]  # fmt: skip
    page, files = report(planned(columns=AT_HAND), records, pictures="pictures")
    held_out = "## Protocol `held-out`"
    assert line_of(page, held_out, "| L_exp |").startswith(
        "| L_exp | 93.00 ± 1.00 | 92.7 | not run | 99.6 |"
    )
    assert "| 91.23 (n = 1) |  |" in line_of(page, held_out, "| ArcFace |")
    assert line_of(page, "`zero-shot`: faces", "| L_exp |") == (
        "| L_exp | 40.00 (n = 1) | 95.00 (n = 1) | 10.00 (n = 1) | 50.00 (n = 1) |"
    )
    assert "galleries of 321 subjects" in page
    # Three differences of exactly two points: no spread, so decided.
    claim = "| L_exp beats L_std | Fashion-MNIST | L_exp against L_std |"
    assert line_of(page, "## Does", claim) == f"{claim} +2.00 (± 0.00) | yes |"
    claim = "| L_class helps | MNIST | L_exp + L_class against L_exp |"
    assert line_of(page, "## Does", claim) == f"{claim} not run | not run |"
    assert "1 of another recipe are left out" in page
    assert "| Fashion-MNIST, L_exp + L_center + L_class | 93.1 | 93.10 (n = 1) | yes |" in page
    gap = "- Fashion-MNIST, L_exp + L_center + L_class: 90.00 by protocol `paper`"
    assert gap in page
    assert "- Fashion-MNIST, L_std:" not in page  # half a point below: within a point
    assert set(files) == {"fashion-mnist.svg", "faces.svg"}
    assert all(f"(pictures/{name})" in page for name in files)


def test_missed_bars_are_named() -> None:
    records = [record("mnist", COMPOSITE, seed, held_out=0.995) for seed in range(3)]
    missed = missed_bars(results_of(planned(columns=AT_HAND), records))
    assert "mnist, exp-centre-class: held-out 99.50%, the bar is 99.6%" in missed
    assert "cifar10-jpeg, exp-centre-class: not run, the bar is 87.3%" in missed
    assert any(m.startswith("mnist: fewer than 3 seeds of std,") for m in missed)


def test_a_repeated_run_may_move_by_the_deviation_of_its_seeds() -> None:
    shares = (0.99, 0.98, 0.97)  # a deviation of 0.01
    records = [
        record("mnist", "exp", seed, held_out=share, paper=share, probes=10_000)
        for seed, share in enumerate(shares)
    ]
    results = results_of(planned(columns=AT_HAND), records)
    now = {"held_out": 0.9895, "paper": 0.975, "probes": 10_000}
    near, far = compared(run_named("mnist/exp-0"), now, results)
    assert (near.figure, near.recorded, near.now) == ("held_out", 0.99, 0.9895)
    assert near.sd == pytest.approx(0.01)
    assert near.holds
    assert far.figure == "paper"
    assert not far.holds


def test_what_cannot_be_repeated_is_said() -> None:
    results = results_of(planned(columns=AT_HAND), [record("mnist", "exp", 0, held_out=0.99)])
    with pytest.raises(ValueError, match="mnist/exp-1 has no record"):
        compared(run_named("mnist/exp-1"), {"held_out": 0.99}, results)
    with pytest.raises(ValueError, match="one seed"):
        compared(run_named("mnist/exp-0"), {"held_out": 0.99}, results)
    with pytest.raises(ValueError, match="There is no run 'mnist/exp'"):
        run_named("mnist/exp")


def test_the_page_in_docs_is_what_the_runs_there_say() -> None:
    page = DOCS / "paper_table.md"
    records = read_records(DOCS / "paper_table" / "runs")
    text, files = report(planned(columns=AT_HAND), records, pictures="paper_table")
    assert page.read_text(encoding="utf-8") == text, "make paper-table-report writes it anew"
    found = {path.name: path.read_text("utf-8") for path in (DOCS / "paper_table").glob("*.svg")}
    assert found == files


def test_every_name_of_a_column_is_one_variants() -> None:
    for column in COLUMNS:
        studied = [v.name for study in STUDIES if study.column == column for v in study.variants]
        assert len(variants_of(column)) == len(ROWS) + len(BASELINES) + len(studied)


def test_a_tenth_of_the_identities_is_for_testing() -> None:
    tested = sum(is_tested(f"set/{number}") for number in range(5000))
    assert 400 < tested < 600
