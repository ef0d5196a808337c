"""The gallery against dictionaries, by random steps: a few of benchmarks/gallery_machine.py."""

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.gallery_machine import machine_in_a_file, machine_in_postgres
from benchmarks.gallery_rules import GalleryMachine
from benchmarks.postgres_server import PostgresServer
from index.gallery import Gallery
from index.ranking import Truth

IN_A_FILE = {
    "best": machine_in_a_file(),
    "mean": machine_in_a_file(scoring="mean"),
    "rabitq": machine_in_a_file(tier="rabitq"),
    "hnsw": machine_in_a_file(tier="hnsw"),
}
ALL = (Phase.generate, Phase.shrink)


def run(machine: type[GalleryMachine], examples: int, phases: tuple[Phase, ...] = ALL) -> None:
    options = settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=examples,
        stateful_step_count=30,
        phases=phases,
    )
    run_state_machine_as_test(machine, settings=options)


@pytest.mark.parametrize("kind", IN_A_FILE)
def test_a_gallery_in_a_file_does_as_the_dictionaries_do(kind: str) -> None:
    run(IN_A_FILE[kind], 25 if kind == "best" else 6)


@pytest.mark.parametrize("hnsw", [False, True], ids=["exact", "hnsw"])
def test_a_gallery_in_postgresql_does_as_the_dictionaries_do(
    postgres_server: PostgresServer, *, hnsw: bool
) -> None:
    run(machine_in_postgres(postgres_server.create_database(), hnsw=hnsw), 3 if hnsw else 5)


def test_the_machine_notices_who_is_found_after_expiring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that cannot fail proves nothing."""
    usual = Gallery._truth

    def forgetful(gallery: Gallery, of: object, numbers: object) -> Truth:
        with monkeypatch.context() as patch:
            patch.setattr("index.gallery.now", lambda: "1970-01-01T00:00:00.000Z")
            return usual(gallery, of, numbers)  # type: ignore[arg-type]

    monkeypatch.setattr(Gallery, "_truth", forgetful)
    with pytest.raises(AssertionError, match="the dictionaries say"):
        run(machine_in_a_file(), 30, phases=(Phase.generate,))
