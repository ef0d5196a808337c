"""bench-overhead can fail: what it makes of rounds whose figures are known."""

import pytest

from benchmarks.overhead import Round, judged


def rounds(server_ms: float, share: float) -> list[Round]:
    """Three rounds, one of them disturbed; the parts take 100 ms."""
    good = Round(
        parts_ms=(90.0, 100.0, 400.0),
        server_ms=(server_ms,) * 3,
        parts_rate=20.0,
        server_rate=20.0 * share,
    )
    disturbed = Round(parts_ms=(300.0,), server_ms=(900.0,), parts_rate=20.0, server_rate=1.0)
    return [good, disturbed, good]


@pytest.mark.parametrize(
    ("server_ms", "share", "holds"),
    [
        (100.0, 1.0, True),
        (110.0, 0.85, True),
        (110.2, 0.9, False),
        (100.0, 0.84, False),
    ],
)
def test_both_bars_are_judged_by_the_median_round(
    server_ms: float, share: float, holds: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged(rounds(server_ms, share)) is holds
    assert f"{server_ms - 100:+.1f} ms" in capsys.readouterr().out


def test_five_milliseconds_are_allowed_where_the_work_is_short() -> None:
    def short(server_ms: float) -> list[Round]:
        return [Round(parts_ms=(10.0,), server_ms=(server_ms,), parts_rate=1.0, server_rate=1.0)]

    assert judged(short(15.0))
    assert not judged(short(15.1))
