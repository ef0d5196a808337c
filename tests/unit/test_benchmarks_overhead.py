"""bench-overhead can fail: what it makes of rounds whose figures are known."""

import numpy as np
import pytest

from benchmarks.overhead import Round, judged


def a_round(parts_ms: float, server_ms: float, *, share: float, photos: int) -> Round:
    """Each photo took so long in the parts, by the server, and by httpx, which is not judged."""
    return Round(
        one_ms=np.array([[parts_ms] * photos, [server_ms] * photos, [9_999.0] * photos]),
        parts_rate=20.0,
        server_rate=20.0 * share,
    )


def rounds(server_ms: float, share: float) -> list[Round]:
    """Three rounds, one of them disturbed; the parts take 100 ms."""
    good = a_round(100.0, server_ms, share=share, photos=3)
    return [good, a_round(300.0, 900.0, share=0.05, photos=3), good]


@pytest.mark.parametrize(
    ("server_ms", "share", "holds"),
    [
        (100.0, 1.0, True),
        (110.0, 0.85, True),
        (110.2, 0.9, False),
        (100.0, 0.84, False),
    ],
)
def test_both_bars_are_judged_by_medians(
    server_ms: float, share: float, holds: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged(rounds(server_ms, share)) is holds
    assert f"{server_ms - 100:+.1f} ms" in capsys.readouterr().out


def test_five_milliseconds_are_allowed_where_the_work_is_short() -> None:
    assert judged([a_round(10.0, 15.0, share=1.0, photos=1)])
    assert not judged([a_round(10.0, 15.1, share=1.0, photos=1)])
