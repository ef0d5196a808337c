"""The manifest of a bundle: strict, self-describing, and the model card in short.

An unknown key, a missing key or an unknown format version is refused, so that a bundle never
means something else to an older or newer OneGlance.
"""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from contract.embedding_contract import EmbeddingContract, contract_id
from contract.errors import ManifestError
from contract.similarity import BOUNDED_SPACES, Space, max_distance

FORMAT_VERSION = 1

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]


def _plain_file_name(name: str) -> str:
    """A file lies directly in the bundle's folder: no way out of it."""
    if PurePosixPath(name).name != name or set(name) & set("\\\0") or name in {"", ".", ".."}:
        raise ValueError(f"{name!r} is not a plain file name")
    return name


FileName = Annotated[str, AfterValidator(_plain_file_name)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelFile(_Strict):
    """The exported network. `weights_dtype` is how it is stored; it computes in float32."""

    file: FileName
    format: Literal["torchscript"]
    weights_dtype: Literal["float32", "float16"]


class EmbeddingSpec(_Strict):
    """`size` numbers in `space` of radius `scale`; `d_max` is its largest Euclidean distance."""

    size: Annotated[int, Field(ge=1, le=4096)]
    space: Space
    scale: Annotated[float, Field(gt=0)]
    d_max: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _d_max_fits_space(self) -> Self:
        if self.space in BOUNDED_SPACES:
            expected = max_distance(self.space, self.scale)
            if abs(self.d_max - expected) > 1e-9 * expected:
                raise ValueError(f"d_max of {self.space} with scale {self.scale} is {expected}")
        return self


class InputSpec(_Strict):
    """Pixels that the model takes: uint8, height x width x 3; it normalises inside."""

    width: Annotated[int, Field(ge=8, le=1024)]
    height: Annotated[int, Field(ge=8, le=1024)]
    color_order: Literal["RGB"]
    alignment: Literal["five_point_112", "none"]

    @model_validator(mode="after")
    def _template_fits(self) -> Self:
        if self.alignment == "five_point_112" and (self.width, self.height) != (112, 112):
            raise ValueError("five_point_112 makes crops of 112x112 pixels")
        return self


class TrainingData(_Strict):
    """One data set that the weights have seen, and on what terms."""

    name: Text
    terms: Text
    identities: Annotated[int, Field(ge=1)]
    images: Annotated[int, Field(ge=1)]
    remark: str = ""


class Metric(_Strict):
    """One measured figure: on which data, by which protocol, made by which command."""

    name: Text
    value: float
    data: Text
    protocol: Text
    command: Text


class DefaultThreshold(_Strict):
    """The threshold of a service without calibration, and the evidence behind it.

    similarity: accept at or above. fpir: share of `searches` non-mated searches that were
    accepted there, in a gallery of `gallery_subjects` subjects made from `data`.
    """

    similarity: Share
    fpir: Share
    gallery_subjects: Annotated[int, Field(ge=1)]
    searches: Annotated[int, Field(ge=1)]
    data: Text


class Manifest(_Strict):
    """See docs/bundle.md. `files` pins the sha256 of every file beside manifest.json.

    `calibration` is null: a default threshold with fixed evidence is all that this format
    version can state.
    """

    format_version: Literal[1]
    name: Name
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    description: Text
    license: Text
    model: ModelFile
    files: dict[FileName, Sha256]
    embedding: EmbeddingSpec
    input: InputSpec
    training_data: list[TrainingData]
    metrics: list[Metric]
    default_threshold: DefaultThreshold | None
    calibration: None

    @model_validator(mode="after")
    def _model_is_pinned(self) -> Self:
        if self.model.file not in self.files:
            raise ValueError(f"files must pin the sha256 of {self.model.file}")
        return self

    @property
    def contract(self) -> EmbeddingContract:
        """The identity of this bundle's embeddings: weights, space and pixels, not its name."""
        e, i = self.embedding, self.input
        identity = contract_id(
            self.files[self.model.file],
            e.size, e.space, e.scale, e.d_max,
            i.width, i.height, i.color_order, i.alignment,
        )  # fmt: skip
        return EmbeddingContract(id=identity, size=e.size, d_max=e.d_max)


def parse_manifest(text: str | bytes, *, source: str) -> Manifest:
    """Read a manifest. Raises ManifestError that names `source` and each wrong field."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ManifestError(
            f"{source} is not a manifest that we can use: {wrong_fields(error)}."
        ) from error


def wrong_fields(error: ValidationError) -> str:
    """One line that names each wrong field of a manifest and what is wrong with it."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'the whole text'}: {e['msg']}"
        for e in error.errors(include_url=False)
    )
