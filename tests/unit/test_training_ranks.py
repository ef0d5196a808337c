"""Several processes: one curve, one set of statistics, one set of files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from benchmarks.ranks import BAR, curve_of
from benchmarks.training_pack import wave_pack
from training.data.sampler import rank_rows
from training.ranks import Ranks, joined_ranks, with_shared_statistics
from training.run import load_run


@pytest.fixture
def group_of_one(tmp_path: Path) -> object:
    dist.init_process_group("gloo", f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_alone_there_is_nothing_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with joined_ranks("cpu") as ranks:
        assert ranks == Ranks(0, 1, "cpu")
        assert not dist.is_initialized()
    assert Ranks(0, 1, "cpu").leads
    assert not Ranks(1, 2, "cpu").leads


def test_a_network_alone_keeps_its_own_statistics() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3))
    assert with_shared_statistics(net, Ranks(0, 1, "cpu")) is net
    assert type(net[0]) is nn.BatchNorm1d


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 2)])
def test_shared_statistics_are_those_of_torch(group_of_one: object, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    plain = nn.Sequential(kind(3, eps=1e-3, momentum=0.3).double())
    with torch.no_grad():
        plain[0].weight.uniform_(0.5, 2)
        plain[0].bias.uniform_(-1, 1)
    shared = nn.Sequential(kind(3, eps=1e-3, momentum=0.3).double())
    shared.load_state_dict(plain.state_dict())
    shared = with_shared_statistics(shared, Ranks(0, 2, "cpu"))
    assert type(shared[0]) is not kind
    for training in (True, True, False):
        x = torch.randn(shape, dtype=torch.float64) * 3 + 7
        inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
        outputs = [net.train(training)(i) for net, i in zip((plain, shared), inputs, strict=True)]
        assert torch.allclose(*outputs, rtol=1e-10)
        slope = torch.randn(shape, dtype=torch.float64)
        grads = [
            torch.autograd.grad((o * slope).sum(), (i, *net.parameters()))
            for o, i, net in zip(outputs, inputs, (plain, shared), strict=True)
        ]
        for one, other in zip(*grads, strict=True):
            assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)
    one, other = plain.state_dict(), shared.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.allclose(one[name], other[name], rtol=1e-10) for name in one)


def test_two_processes_have_the_curve_of_one() -> None:
    """The real trainer under torchrun; `make proof-ranks` takes more steps."""
    one, two = curve_of(1, 8), curve_of(2, 8)
    assert len(one) == len(two) == 8
    assert two == pytest.approx(one, rel=BAR, abs=BAR)
    assert one[0] != one[1]


def torchrun(processes: int, *words: str) -> subprocess.CompletedProcess[str]:
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, *run, "-m", "training.cli", *words], capture_output=True, text=True
    )


def test_the_command_runs_under_torchrun_and_only_the_first_writes(tmp_path: Path) -> None:
    wave_pack(tmp_path / "pack", identities=12, images_each=4, side_px=32)
    settings = ["model.side_px=32", "model.width=8", "batch.identities=4", "batch.images_each=2"]
    words = [word for value in settings for word in ("--set", value)]
    train = [
        "train",
        str(tmp_path / "pack"),
        "--run-dir",
        str(tmp_path / "run"),
        "--no-tensorboard",
    ]
    done = torchrun(2, *train, "--epochs", "1", "--threads", "1", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained faces-r18, 1 epochs") == 1
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
    assert load_run(tmp_path / "run").config.model.width == 8
    alone = [sys.executable, "-m", "training.cli", *train, "--resume", *words, "--epochs", "2"]
    refused = subprocess.run(alone, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "by 2 processes, not 1" in refused.stderr


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="3"):
        rank_rows(np.arange(8), 0, 3)
