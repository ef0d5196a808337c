"""The teacher seam: a quantised export's stale inputs, targets beside a pack, resuming."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.data.pack import Pack, PackIndex, open_pack, write_pack
from training.distill.targets import TARGETS_NAME, open_targets, write_targets
from training.distill.teacher import OnnxTeacher, TeacherError

SIDE = 8


def write_network(path: Path, *, images: int = 1) -> np.ndarray:
    """A linear layer over all pixels, with a stale weight input as quantised exports have it."""
    weights = np.random.default_rng(0).normal(size=(3 * SIDE * SIDE, 4)).astype(np.float32)
    inputs = [
        helper.make_tensor_value_info(f"data{i}", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
        for i in range(images)
    ]
    stale = helper.make_tensor_value_info("old_weight", TensorProto.FLOAT, [4, 4])
    nodes = [helper.make_node("Flatten", [f"data{i}"], [f"flat{i}"]) for i in range(images)]
    total = "flat0"
    if images == 2:
        nodes.append(helper.make_node("Add", ["flat0", "flat1"], ["sum"]))
        total = "sum"
    nodes.append(helper.make_node("MatMul", [total, "weight"], ["out"]))
    graph = helper.make_graph(
        nodes,
        "teacher",
        [*inputs, stale],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(weights, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return weights


def crops(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def make_pack(root: Path, count: int) -> Pack:
    index = PackIndex(
        source="synthetic",
        alignment="none",
        identities=("one",),
        paths=tuple(f"one/{i}.png" for i in range(count)),
        labels=(0,) * count,
        splits=("train",) * count,
        unused=(),
    )
    write_pack(root, index, crops(count))
    return open_pack(root)


def test_teacher_embeds_rgb_0_to_255_onto_the_unit_sphere(tmp_path: Path) -> None:
    weights = write_network(tmp_path / "net.onnx")
    images = crops(5)

    embeddings = OnnxTeacher(tmp_path / "net.onnx", threads=1).embed(images)

    raw = images.transpose(0, 3, 1, 2).reshape(5, -1).astype(np.float64) @ weights
    np.testing.assert_allclose(
        embeddings, raw / np.linalg.norm(raw, axis=1, keepdims=True), rtol=1e-4, atol=1e-6
    )


def test_file_that_is_no_network_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"not a network")

    with pytest.raises(TeacherError, match=r"net\.onnx is not an ONNX network"):
        OnnxTeacher(tmp_path / "net.onnx", threads=1)


def test_network_of_two_images_cannot_teach(tmp_path: Path) -> None:
    write_network(tmp_path / "net.onnx", images=2)

    with pytest.raises(TeacherError, match="one image input is needed, there are 2"):
        OnnxTeacher(tmp_path / "net.onnx", threads=1)


def test_targets_are_the_teachers_embeddings_in_the_packs_order(tmp_path: Path) -> None:
    write_network(tmp_path / "net.onnx")
    pack = make_pack(tmp_path / "pack", 7)
    teacher = OnnxTeacher(tmp_path / "net.onnx", threads=1)

    write_targets(pack, teacher, batch_size=3)

    np.testing.assert_allclose(open_targets(pack, size=4), teacher.embed(pack.images), atol=1e-6)


def test_targets_go_on_where_they_were_stopped(tmp_path: Path) -> None:
    write_network(tmp_path / "net.onnx")
    pack = make_pack(tmp_path / "pack", 7)
    teacher = OnnxTeacher(tmp_path / "net.onnx", threads=1)
    write_targets(pack, teacher)
    targets = np.load(pack.root / TARGETS_NAME)
    targets[2] = 0.5  # done before: must stay
    targets[4] = np.nan  # not reached
    np.save(pack.root / TARGETS_NAME, targets)

    with pytest.raises(TeacherError, match="not complete"):
        open_targets(pack, size=4)
    write_targets(pack, teacher)

    resumed = open_targets(pack, size=4)
    np.testing.assert_array_equal(resumed[2], 0.5)
    np.testing.assert_allclose(resumed[4], teacher.embed(pack.images[4:5])[0], atol=1e-6)


def test_missing_or_misfitting_targets_say_what_to_run(tmp_path: Path) -> None:
    write_network(tmp_path / "net.onnx")
    pack = make_pack(tmp_path / "pack", 2)

    with pytest.raises(TeacherError, match="oneglance-train teach"):
        open_targets(pack, size=4)
    write_targets(pack, OnnxTeacher(tmp_path / "net.onnx", threads=1))
    with pytest.raises(TeacherError, match="has shape"):
        open_targets(pack, size=128)
