"""What the tests of re-embedding over HTTP share: two bundles, its calls, and what is right."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from contract.bundle import load_bundle
from tests.conftest import Api, Pixels, face_photo

PATH = "/v1/collections/default/reembed"
WAIT_S = 30.0
ANN, BOB, CY = face_photo(1), face_photo(2), face_photo(3)
OLD, NEXT = "tiny@1.2.3", "next@1.2.3"


def embedded(bundle: Path, crop_HW3: Pixels) -> npt.NDArray[np.float64]:
    """The bundle's model on a crop, without our embedder: float64 (D,)."""
    model = torch.jit.load(str(bundle / "model.ts"))  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        return np.asarray(model(torch.from_numpy(crop_HW3[None].copy()))[0].numpy(), np.float64)


def crop_of(api: Api, template_id: str) -> Pixels:
    """The stored picture of a template."""
    png = api.get(f"/v1/templates/{template_id}/crop").content
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def expected(bundle: Path, api: Api, template_ids: list[str], probe: str) -> list[float]:
    """Similarities of the templates to one of them, by definition, as `bundle` embeds them."""
    d_max = load_bundle(bundle).manifest.embedding.d_max
    probe_D = embedded(bundle, crop_of(api, probe))
    rows = [embedded(bundle, crop_of(api, template_id)) for template_id in template_ids]
    return [max(0.0, 1 - float(np.linalg.norm(row - probe_D)) / d_max) for row in rows]


def enrol(api: Api, photo: bytes, subject_id: str, *, crop: bool = True) -> str:
    """The template's id."""
    answer = api.enroll(photo, subject_id=subject_id, store_image="crop" if crop else "none")
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["accepted"][0]["template_id"])


def start(api: Api, bundle: str = "next", path: str = PATH) -> str:
    """Post; the job's id."""
    answer = api.post(path, json={"bundle": bundle})
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]
    assert (job["kind"], answer.headers["location"]) == ("reembedding", f"/v1/jobs/{job['id']}")
    return str(job["id"])


def ended(api: Api, job_id: str) -> dict[str, Any]:
    assert api.runtime.jobs.wait(job_id, timeout_s=WAIT_S).ended
    job: dict[str, Any] = api.get(f"/v1/jobs/{job_id}").json()
    return job


def reembed(api: Api, bundle: str = "next") -> dict[str, Any]:
    """Post, and wait: the result of the job."""
    job = ended(api, start(api, bundle))
    assert (job["status"], job["progress"]) == ("succeeded", 1), job
    result: dict[str, Any] = job["result"]
    return result


def state(api: Api, path: str = PATH) -> dict[str, Any]:
    answer = api.get(path)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def step(api: Api, name: str, **wish: bool) -> dict[str, Any]:
    """Switch, or roll back."""
    answer = api.post(f"{PATH}/{name}", json=wish)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def found(api: Api, photo: bytes) -> tuple[str, str | None, float]:
    """Which bundle answered, who the face was, and how similar the best candidate is."""
    answer = api.identify(photo).json()
    (face,) = answer["faces"]
    who = face["subject"]["id"] if face["subject"] else None
    return answer["bundle"]["id"], who, face["similarity"]
