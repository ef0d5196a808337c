"""Re-embedding: from stored crops or originals, compared, switched to, and gone back from."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.pictures import truncated_jpeg
from contract.bundle import load_bundle
from contract.images import ImageLimits, decode_image
from contract.manifest import InputSpec
from index.comparison import compare
from index.gallery import Gallery
from index.reembedding import Reembedding, job_under_way
from service import cli
from service.crops import OtherCropError, decode_crop, encode_crop, kind_of
from service.embedder import TorchScriptEmbedder
from service.recognizer import Recognizer
from service.reembedding import Item, embed_crops, embed_originals, folders_of, template_id_of
from tests.conftest import (
    NO_FACE,
    Api,
    ApiMaker,
    BlockDetector,
    BundleMaker,
    Face,
    Pixels,
    face_photo,
    texture,
)

ANN, BOB = face_photo(1), face_photo(2)
Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture(scope="module")
def next_bundle(make_bundle: BundleMaker) -> Path:
    """Another bundle of the same input, and so another contract."""
    return make_bundle(drift=1.0)


@pytest.fixture
def location(tmp_path: Path) -> Path:
    """Where make_api has its gallery."""
    return tmp_path / "gallery.sqlite3"


@pytest.fixture
def run(location: Path, no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `oneglance gallery reembed`: status, lines of the answer, what it said on stderr."""
    no_settings.setenv("ONEGLANCE_GALLERY", str(location))
    no_settings.setenv("ONEGLANCE_DEVICE", "cpu")

    def reembed(*words: object) -> tuple[int, list[str], str]:
        status = cli.main(["gallery", "reembed", *map(str, words)])
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err

    return reembed


def enrol_three(api: Api) -> None:
    """Ann with two crops, bob with two, cy with a template but no crop; then the service stops."""
    for seed, name in ((1, "ann"), (2, "bob")):
        photos = (face_photo(seed), face_photo(Face(seed, noise=10)))
        assert api.enroll(*photos, subject_id=name, store_image="crop").status_code == 201
    assert api.enroll(face_photo(3), subject_id="cy").status_code == 201
    api.runtime.close()


def report(path: Path) -> Counter[str]:
    return Counter(json.loads(line)["outcome"] for line in path.read_text().splitlines())


def test_from_crops_to_another_bundle_and_back(
    make_api: ApiMaker, tiny_bundle: Path, next_bundle: Path, run: Run, tmp_path: Path
) -> None:
    enrol_three(make_api())
    status, said, _ = run("--bundle-path", next_bundle, "--report", tmp_path / "r")
    assert (status, said[0]) == (0, "4 embedded, 1 no_crop")
    assert report(tmp_path / "r") == {"embedded": 4, "no_crop": 1}
    assert "5 templates are searched, 4 are embedded anew, 1 of those searched are not" in said[1]
    assert "100.0% now (of 4 templates), 100.0% with the new ones (of 4), 2 subjects" in said[2]
    # Once more: nothing is embedded twice.
    assert run("--bundle-path", next_bundle)[1][0] == "1 no_crop"

    status, _, words = run("--switch")
    assert (status, "'cy'" in words) == (1, True)
    assert run("--switch", "--allow-missing")[0] == 0
    after = make_api(bundle_path=next_bundle)
    assert [after.identify(photo).json()["faces"][0]["subject"]["id"] for photo in (ANN, BOB)] == [
        "ann",
        "bob",
    ]
    assert after.identify(face_photo(3)).json()["faces"][0]["decision"] == "unknown"
    after.runtime.close()

    assert run("--rollback")[0] == 0
    before = make_api(bundle_path=tiny_bundle)
    assert before.identify(face_photo(3)).json()["faces"][0]["subject"]["id"] == "cy"
    before.runtime.close()
    assert run("--switch", "--allow-missing")[0] == 0
    assert "agree by --yes" in run("--drop-former")[2]
    assert run("--drop-former", "--yes")[:2] == (0, ["removed the former embeddings"])
    for step in (["--rollback"], ["--drop-former", "--yes"]):
        status, said, words = run(*step)
        assert (status, said) == (1, [])
        assert "no former embeddings" in words


def test_what_was_embedded_anew_can_be_abandoned(
    make_api: ApiMaker, next_bundle: Path, run: Run, location: Path
) -> None:
    enrol_three(make_api())
    run("--bundle-path", next_bundle)
    assert "agree by --yes" in run("--abandon")[2]
    assert run("--abandon", "--yes")[0] == 0
    for step in ("--abandon", "--switch"):
        status, _, words = run(step)
        assert (status, "not being re-embedded" in words) == (1, True)
    with Gallery.open(location) as gallery:
        assert job_under_way(gallery) is None
        gallery.verify()


def test_the_same_bundle_and_no_bundle_are_refused(
    make_api: ApiMaker, tiny_bundle: Path, run: Run
) -> None:
    enrol_three(make_api())
    assert "nothing to re-embed" in run("--bundle-path", tiny_bundle)[2]
    assert "--bundle-path" in run()[2]


def test_a_bundle_that_takes_other_crops_is_refused_in_words(
    make_api: ApiMaker, make_bundle: BundleMaker, run: Run
) -> None:
    enrol_three(make_api())
    status, said, words = run("--bundle-path", make_bundle(fit="pad"))
    assert (status, said) == (1, [])
    assert "five_point_112 112x112 RGB, the bundle takes none pad 40x40 RGB" in words
    assert "--originals" in words


SPEC = InputSpec(width=112, height=112, color_order="RGB", alignment="five_point_112")
PADDED = InputSpec(width=112, height=112, color_order="RGB", alignment="none", fit="pad")


def test_a_crop_is_stored_without_loss_and_says_its_kind() -> None:
    crop = texture(Face(5, noise=20))
    data = encode_crop(crop, SPEC)
    assert np.array_equal(decode_crop(data, SPEC), crop)
    with pytest.raises(OtherCropError, match="none pad 112x112 RGB"):
        decode_crop(data, PADDED)
    with pytest.raises(OtherCropError, match="of an unknown kind"):
        decode_crop(NO_FACE, SPEC)
    assert kind_of(PADDED) != kind_of(SPEC)


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    """Photos: of ann by her id, of bob by his external id, of Cy by his name, and of nobody."""
    root = tmp_path / "originals"
    for folder, files in {
        "ann": {"a.png": ANN, "b.png": face_photo(Face(1, noise=10)), "copy.png": ANN},
        "staff 7": {"a.png": BOB, "letter.txt": b"hello", "broken.jpg": truncated_jpeg()},
        "Cy": {"none.png": NO_FACE, "two.png": face_photo(1, 2), "cy.png": face_photo(3)},
        "Dee": {"a.png": ANN},
        "nobody": {"a.png": ANN},
        ".hidden": {"a.png": ANN},
    }.items():
        (root / folder).mkdir(parents=True)
        for name, data in files.items():
            (root / folder / name).write_bytes(data)
    (root / "ann" / ".DS_Store").write_bytes(b"x")
    (root / "readme.txt").write_text("not a folder")
    return root


@pytest.fixture
def job(
    make_api: ApiMaker, next_bundle: Path, location: Path
) -> Iterator[tuple[Gallery, Reembedding, Recognizer]]:
    """A gallery of whom the originals show, on its way to next_bundle."""
    api = make_api()
    api.enroll(ANN, subject_id="ann")
    api.enroll(BOB, subject_id="bob", external_id="staff 7")
    api.enroll(face_photo(3), subject_id="c", name="Cy")
    for subject_id in ("d1", "d2"):
        api.enroll(face_photo(4), subject_id=subject_id, name="Dee")
    api.runtime.close()
    bundle = load_bundle(next_bundle)
    embedder = TorchScriptEmbedder(bundle, device="cpu", precision="float32")
    recognizer = Recognizer(BlockDetector(), bundle.manifest.input, embedder, ImageLimits())
    with Gallery.open(location) as gallery:
        yield gallery, Reembedding.begin(gallery, bundle.manifest.contract), recognizer


def from_originals(
    job: tuple[Gallery, Reembedding, Recognizer], root: Path, **options: Any
) -> dict[str, Item]:
    gallery, reembedding, recognizer = job
    given = {"face_policy": "single", "limits": ImageLimits()} | options
    pages = embed_originals(gallery, reembedding, recognizer, folders_of(root), **given)
    return {str(item.file).removeprefix(f"{root}/"): item for page in pages for item in page}


def test_from_originals(job: tuple[Gallery, Reembedding, Recognizer], originals: Path) -> None:
    items = from_originals(job, originals)
    assert {name: item.outcome for name, item in items.items()} == {
        "ann/a.png": "embedded",
        "ann/b.png": "embedded",
        "ann/copy.png": "already_embedded",
        "staff 7/a.png": "embedded",
        "staff 7/broken.jpg": "not_an_image",
        "staff 7/letter.txt": "not_an_image",
        "Cy/cy.png": "embedded",
        "Cy/none.png": "no_face",
        "Cy/two.png": "multiple_faces",
        "Dee": "ambiguous_subject",
        "nobody": "unknown_subject",
    }
    assert items["ann/a.png"].template_id == template_id_of("ann", ANN)
    assert items["Cy/cy.png"].subject_id == "c"
    again = from_originals(job, originals)
    assert "embedded" not in {item.outcome for item in again.values()}
    gallery, reembedding, recognizer = job
    reembedding.switch(allow_missing=True)
    assert [t.id for t in gallery.templates("ann")] == [
        template_id_of("ann", ANN),
        template_id_of("ann", face_photo(Face(1, noise=10))),
    ]
    probe = recognizer_embedding(recognizer, BOB)
    assert gallery.search(probe, top_k=1).candidates[0][0].subject.id == "bob"
    gallery.verify()


def recognizer_embedding(recognizer: Recognizer, photo: bytes) -> Any:
    from service.recognizer import Timing

    pixels, faces = recognizer.detect(photo, Timing())
    return recognizer.embed(pixels, faces, Timing())[0].embedding[None]


def test_of_originals_with_several_faces_the_largest_can_be_taken(
    job: tuple[Gallery, Reembedding, Recognizer], originals: Path
) -> None:
    items = from_originals(job, originals, face_policy="largest")
    assert items["Cy/two.png"].outcome == "embedded"


def test_originals_that_cannot_be_read_are_reported(
    job: tuple[Gallery, Reembedding, Recognizer],
    originals: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = from_originals(job, originals, limits=ImageLimits(max_bytes=1))
    assert items["ann/a.png"].outcome == "image_too_large"

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    item = from_originals(job, originals)["ann/a.png"]
    assert (item.outcome, item.detail) == ("unreadable", "Permission denied")


def test_a_folder_without_folders_is_refused(
    make_api: ApiMaker, next_bundle: Path, run: Run, tmp_path: Path
) -> None:
    enrol_three(make_api())
    (tmp_path / "flat").mkdir()
    for folder in ("flat", "none"):
        status, _, words = run("--bundle-path", next_bundle, "--originals", tmp_path / folder)
        assert (status, "has no folders" in words) == (1, True)


def test_originals_on_the_command_line(
    make_api: ApiMaker, make_bundle: BundleMaker, run: Run, tmp_path: Path, originals: Path
) -> None:
    api = make_api(bundle_path=make_bundle(fit="pad"))
    for seed, subject_id in ((1, "ann"), (2, "bob")):
        api.enroll(face_photo(seed), subject_id=subject_id)
    api.runtime.close()
    for folder in ("staff 7", "Cy", "Dee", "nobody"):
        shutil.rmtree(originals / folder)
    words = ("--bundle-path", make_bundle(fit="crop"), "--originals", originals)
    status, said, _ = run(*words, "--report", tmp_path / "r")
    assert (status, said[0]) == (0, "1 already_embedded, 2 embedded")
    assert report(tmp_path / "r") == {"embedded": 2, "already_embedded": 1}
    assert "nothing to compare" in said[2]


def test_crops_that_are_damaged_or_of_another_kind_are_left_out(
    location: Path, tiny_bundle: Path, next_bundle: Path
) -> None:
    bundle = load_bundle(next_bundle)
    pixels = bundle.manifest.input
    embedder = TorchScriptEmbedder(bundle, device="cpu", precision="float32")
    good, other = encode_crop(texture(Face(1)), pixels), encode_crop(texture(Face(1)), PADDED)
    unit = np.eye(64, dtype=np.float32)
    with Gallery.open(location, load_bundle(tiny_bundle).manifest.contract) as gallery:
        gallery.enroll(unit[:4], crops=[good, other, good[:200], None])
        job = Reembedding.begin(gallery, bundle.manifest.contract)
        outcomes = Counter(i.outcome for page in embed_crops(job, embedder, pixels) for i in page)
        assert outcomes == {"embedded": 1, "other_crop": 1, "damaged_crop": 1, "no_crop": 1}
        assert job.progress().staged == 1


def leave_one_out(embeddings: Pixels | Any, subjects: list[int]) -> float:
    """Plain loops."""
    hits = []
    for i, row in enumerate(embeddings):
        others = [j for j in range(len(embeddings)) if j != i]
        nearest = min(others, key=lambda j: float(np.linalg.norm(embeddings[j] - row)))
        hits.append(subjects[nearest] == subjects[i])
    return float(np.mean(hits))


def test_the_comparison_agrees_with_plain_loops(
    location: Path, tiny_bundle: Path, next_bundle: Path
) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((20, 64))
    old, new = (
        (np.repeat(centres, 3, axis=0) + rng.normal(0, noise, (60, 64))).astype(np.float32)
        for noise in (1.0, 2.5)
    )
    subjects = [i // 3 for i in range(60)]
    with Gallery.open(location, load_bundle(tiny_bundle).manifest.contract) as gallery:
        job = Reembedding.begin(gallery, load_bundle(next_bundle).manifest.contract)
        nothing = compare(gallery, job)
        assert nothing.searched.rank1 is nothing.staged.rank1 is None
        for i in range(20):
            ids = gallery.enroll(old[3 * i : 3 * i + 3], subject_id=f"s{i}").template_ids
            job.stage(dict(zip(ids, new[3 * i : 3 * i + 3], strict=True)))
        compared = compare(gallery, job)
        assert compared.searched.rank1 == leave_one_out(old, subjects)
        assert compared.staged.rank1 == leave_one_out(new, subjects)
        assert (compared.staged.probes, compared.staged.subjects) == (60, 20)
        some = compare(gallery, job, max_probes=10)
        assert (some.searched.probes, some.searched.subjects) == (9, 3)


def test_decoded_images_stay_what_they_are() -> None:
    """The crop of a photo in a PNG is the photo: what is stored is no second loss."""
    assert np.array_equal(decode_image(encode_crop(texture(Face(9)), SPEC)), texture(Face(9)))
