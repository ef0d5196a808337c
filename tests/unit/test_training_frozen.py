"""Frozen blocks: their maps stand for the images, and training leaves the blocks as they came."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

import training.data.maps
from benchmarks.training_pack import wave_pack
from training.checkpoint import MODEL_NAME, load_checkpoint
from training.config import OptimizerConfig, TrainConfig, with_settings
from training.data.augment import draw
from training.data.augment_config import AugmentConfig
from training.data.maps import drawn, open_maps
from training.data.pack import Pack, write_pack
from training.data.sampler import BatchConfig
from training.evaluation.embed import embed_images
from training.evaluation.embed_rows import embed_rows
from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet
from training.models.frozen import OfMaps, both_maps, frozen_blocks
from training.models.weight_files import MOBILENET_V2
from training.recipes import PLAIN
from training.run import load_run
from training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")
FROZEN = 14
CONFIG = TrainConfig(
    name="frozen",
    epochs=1,
    precision="float32",
    model=ModelConfig(
        backbone="mobilenet_v2", pretrained="imagenet", frozen_blocks=FROZEN, side_px=32,
        pool="average", embedding_size=8, views="mirrored",
    ),
    batch=BatchConfig(identities=4, images_each=2),
    augment=replace(PLAIN, flip=True),
    optimizer=OptimizerConfig(learning_rate=1e-2, warmup_epochs=0, ema_decay=0.5),
)  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as torch's hub has it: MobileNetV2 with weights and statistics drawn by a seed."""
    torch.manual_seed(7)
    whole = torchvision.models.mobilenet_v2(weights=None).features
    noise = torch.randn(16, 3, 32, 32)
    for module in whole.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        whole.train()(noise)
    file = tmp_path_factory.mktemp("weights") / Path(MOBILENET_V2.inside).name
    torch.save(whole.state_dict(), file)
    return file


@pytest.fixture(autouse=True)
def hub(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "hub" / "checkpoints"
    place.mkdir(parents=True)
    (place / weights.name).symlink_to(weights)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return wave_pack(tmp_path / "pack", identities=8, images_each=5, side_px=32)


def made(config: ModelConfig = CONFIG.model) -> EmbeddingNet:
    torch.manual_seed(0)
    return EmbeddingNet(config).eval()


def images(pack: Pack, count: int = 6) -> Tensor:
    return torch.from_numpy(np.array(pack.images[:count]))


def apart(left: dict[str, Tensor], right: dict[str, Tensor]) -> set[int]:
    """The blocks in which two states differ."""
    head = "backbone.features."
    names = [
        name for name in left if name.startswith(head) and not torch.equal(left[name], right[name])
    ]
    return {int(name.removeprefix(head).partition(".")[0]) for name in names}


# --- maps stand for images ---


@pytest.mark.parametrize("blocks", [1, 14, 18])
@pytest.mark.parametrize("changed", [{"views": "one"}, {}, {"projection": True}], ids=str)
@torch.no_grad()
def test_the_maps_give_what_the_images_give(
    blocks: int, changed: dict[str, object], pack: Pack
) -> None:
    net = made(replace(CONFIG.model, frozen_blocks=blocks, **changed)).double()  # type: ignore[arg-type]
    seen = images(pack)
    expected = net(seen)
    assert (expected[0] - expected[1]).norm() > 1e-3
    assert torch.allclose(OfMaps(net)(both_maps(net, seen)), expected, atol=1e-9)


@torch.no_grad()
def test_training_sees_the_image_or_its_mirror_image_as_the_plan_has_it(pack: Pack) -> None:
    net, seen = made(), images(pack)
    plan = draw(len(seen), CONFIG.augment, torch.Generator().manual_seed(3))
    mirrored = plan.mirrored.tolist()
    assert 0 < sum(mirrored) < len(mirrored)
    pixels = net.pixels(seen)
    turned = [p.flip(2) if m else p for p, m in zip(pixels, mirrored, strict=True)]
    expected = net.embed(torch.stack(turned))
    found = OfMaps(net).embed(drawn(both_maps(net, seen), plan))
    assert torch.allclose(found, expected, atol=1e-5)


def test_without_flips_no_image_is_mirrored(pack: Pack) -> None:
    plan = draw(50, PLAIN, torch.Generator().manual_seed(3))
    maps = both_maps(made(), images(pack))
    assert not plan.mirrored.any()
    assert torch.equal(drawn(maps, plan.rows(slice(0, 6))), maps[:, 0])


# --- the file of the maps ---


def test_the_maps_of_a_pack_are_kept_and_read_again(
    pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = made()
    maps = open_maps(pack, net, device="cpu")
    expected = both_maps(net, torch.from_numpy(np.array(pack.images))).half()
    assert maps.dtype == np.float16
    assert np.allclose(maps, expected.detach().numpy(), atol=1e-2)
    assert np.abs(np.asarray(maps, dtype=np.float32)).max() > 0.1

    def refused(*_: object) -> Tensor:
        raise AssertionError("computed again")

    monkeypatch.setattr(training.data.maps, "both_maps", refused)
    assert np.array_equal(open_maps(pack, net, device="cpu"), maps)
    fewer = made(replace(CONFIG.model, frozen_blocks=FROZEN - 1))
    with pytest.raises(AssertionError, match="computed again"):
        open_maps(pack, fewer, device="cpu")
    with torch.no_grad():
        next(frozen_blocks(net).parameters()).mul_(2)
    with pytest.raises(AssertionError, match="computed again"):
        open_maps(pack, net, device="cpu")


def test_maps_that_were_not_finished_are_computed_anew(
    pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, calls = made(), list[int]()

    def stopping(net: EmbeddingNet, batch: Tensor) -> Tensor:
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return both_maps(net, batch)

    monkeypatch.setattr(training.data.maps, "both_maps", stopping)
    with pytest.raises(KeyboardInterrupt):
        open_maps(pack, net, device="cpu")
    monkeypatch.setattr(training.data.maps, "both_maps", both_maps)
    maps = open_maps(pack, net, device="cpu")
    assert all(np.abs(np.asarray(m, dtype=np.float32)).max() > 0 for m in maps)
    assert [path.name for path in pack.root.glob(".maps*")] == []


def test_two_who_ask_at_once_compute_once(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[int]()

    def counting(net: EmbeddingNet, batch: Tensor) -> Tensor:
        seen.append(len(batch))
        return both_maps(net, batch)

    monkeypatch.setattr(training.data.maps, "both_maps", counting)
    nets = [made(), made()]
    with ThreadPoolExecutor(2) as pool:
        left, right = pool.map(lambda net: open_maps(pack, net, device="cpu"), nets)
    assert sum(seen) == len(pack.images)
    assert np.array_equal(left, right)


def test_a_pack_that_is_prepared_anew_loses_its_maps(pack: Pack) -> None:
    before = np.array(open_maps(pack, made(), device="cpu"))
    other = 255 - np.array(pack.images)
    write_pack(pack.root, pack.index, other)
    after = open_maps(replace(pack, images=other), made(), device="cpu")
    assert not np.allclose(before, after, atol=0.1)


# --- a run ---


def test_a_run_trains_what_is_not_frozen_and_exports_a_network_of_images(
    pack: Pack, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in made().state_dict().items()}
    Trainer(CONFIG, pack, tmp_path / "run", resume=False).fit()
    state = load_checkpoint(tmp_path / "run", MODEL_NAME)["net"]
    assert apart(before, state) == set(range(FROZEN, 19))
    run = load_run(tmp_path / "run")
    rows = np.arange(len(pack.images))[::-1].copy()
    by_maps = embed_rows(run.net, pack, rows, device="cpu")
    by_images = embed_images(run.net, pack.images, rows=rows, progress=False)
    assert np.abs(by_maps - by_images).max() < 0.02
    assert np.abs(by_images[0] - by_images[-1]).max() > 0.1


def test_a_resumed_run_goes_on_from_the_same_maps(pack: Pack, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=2)
    Trainer(config, pack, tmp_path / "whole", resume=False).fit()
    first = Trainer(config, pack, tmp_path / "cut", resume=False)
    first._log.start(0)
    first.fit_epoch()
    Trainer(config, pack, tmp_path / "cut", resume=True).fit()
    whole, cut = (load_checkpoint(tmp_path / name)["net"] for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert len(list(pack.root.glob("maps-*.npy"))) == 1


def test_gradients_by_maps_are_those_by_images_and_frozen_blocks_get_none(pack: Pack) -> None:
    seen = images(pack)
    found = []
    for by_maps in (True, False):
        net = made(replace(CONFIG.model, dropout=0.0)).double().train()
        maps = both_maps(net, seen)[:, 0]
        embeddings = OfMaps(net).embed(maps) if by_maps else net.embed(net.pixels(seen))
        embeddings[:3].sub(embeddings[3:]).square().sum().backward()
        found.append({n: p.grad for n, p in net.named_parameters() if p.grad is not None})
    by_map, by_image = found
    assert by_map.keys() == by_image.keys()
    trained = {name.split(".")[2] for name in by_map if name.startswith("backbone.")}
    assert trained == {str(block) for block in range(FROZEN, 19)}
    assert all(torch.allclose(by_map[n], by_image[n], atol=1e-9) for n in by_map)
    assert max(float(gradient.abs().max()) for gradient in by_map.values()) > 1e-3


@pytest.mark.parametrize(
    "setting",
    ["shift=0.1", "scale=0.1", "turn_degrees=3", "light=0.1", "color=0.1", "grey=0.1",
     "low_resolution=0.1", "erase=0.1", "channel_orders=true"],
)  # fmt: skip
def test_what_would_change_the_images_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="set all of augment but flip to 0"):
        with_settings(CONFIG, [f"augment.{setting}"])
    assert (
        with_settings(CONFIG, ["augment.flip=false", "augment.edges=mirrored"]).augment.flip
        is False
    )


def test_without_frozen_blocks_images_may_change() -> None:
    changed = with_settings(CONFIG, ["model.frozen_blocks=0"])
    assert replace(changed, augment=AugmentConfig()).augment.shift > 0
