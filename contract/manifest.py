"""The manifest of a bundle: strict, self-describing, and the model card in short.

An unknown key, a missing key or an unknown format version is refused, so that a bundle never
means something else to an older or newer OneGlance.
"""

from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
    model_validator,
)

from contract.calibration.records import Calibration
from contract.embedding_contract import EmbeddingContract, contract_id
from contract.errors import ManifestError
from contract.fitting import Fit
from contract.similarity import BOUNDED_SPACES, Space, max_distance
from contract.strict import Share, Strict, Text

FORMAT_VERSION: Final = 3

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


def _plain_file_name(name: str) -> str:
    """A file lies directly in the bundle's folder: no way out of it."""
    if PurePosixPath(name).name != name or set(name) & set("\\\0") or name in {"", ".", ".."}:
        raise ValueError(f"{name!r} is not a plain file name")
    return name


FileName = Annotated[str, AfterValidator(_plain_file_name)]


class ModelFile(Strict):
    """The exported network. `weights_dtype` is how it is stored; it computes in float32."""

    file: FileName
    format: Literal["torchscript"]
    weights_dtype: Literal["float32", "float16"]


class EmbeddingSpec(Strict):
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


class InputSpec(Strict):
    """Pixels that the model takes: uint8, height x width x 3; it normalises inside.

    fit: how a whole image becomes them (contract/fitting.py); None for faces, and for images of
        alignment `none` in format versions 1 and 2, which did not say it.
    """

    width: Annotated[int, Field(ge=8, le=1024)]
    height: Annotated[int, Field(ge=8, le=1024)]
    color_order: Literal["RGB"]
    alignment: Literal["five_point_112", "none"]
    fit: Fit | None = None

    @model_validator(mode="after")
    def _template_fits(self) -> Self:
        if self.alignment == "five_point_112" and (self.width, self.height) != (112, 112):
            raise ValueError("five_point_112 makes crops of 112x112 pixels")
        return self

    @model_validator(mode="after")
    def _fit_makes_squares(self) -> Self:
        if self.fit is not None and self.alignment != "none":
            raise ValueError(f"fit must be null: {self.alignment} makes the crops")
        if self.fit is not None and self.width != self.height:
            raise ValueError(f"fit makes squares, not {self.width}x{self.height} pixels")
        return self


class StartingPoint(Strict):
    """What others trained and this network learned from: its first weights, or its teacher."""

    role: Literal["starting_weights", "teacher"]
    name: Text
    license: Text
    remark: str = ""


class Origin(Strict):
    """Where the weights come from. loss: what they were trained by."""

    loss: Text
    starting_points: list[StartingPoint]


class TrainingData(Strict):
    """One data set that the weights have seen, and on what terms."""

    name: Text
    terms: Text
    identities: Annotated[int, Field(ge=1)]
    images: Annotated[int, Field(ge=1)]
    remark: str = ""


class Metric(Strict):
    """One measured figure: on which data, by which protocol, made by which command."""

    name: Text
    value: float
    data: Text
    protocol: Text
    command: Text


class DefaultThreshold(Strict):
    """The threshold of a service without calibration, and the evidence behind it.

    similarity: accept at or above. fpir: share of `searches` non-mated searches that were
    accepted there, in a gallery of `gallery_subjects` subjects made from `data`.
    """

    similarity: Share
    fpir: Share
    gallery_subjects: Annotated[int, Field(ge=1)]
    searches: Annotated[int, Field(ge=1)]
    data: Text


class Manifest(Strict):
    """See docs/bundle.md. `files` pins the sha256 of every file beside manifest.json.

    Format version 1 states a default threshold only: its `calibration` is null. `origin`, `limits`
    (what the bundle is not fit for) and `input.fit` came with version 3: before, they are None and
    empty here, and no keys of the file.
    """

    format_version: Literal[1, 2, 3]
    name: Name
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    description: Text
    license: Text
    model: ModelFile
    files: dict[FileName, Sha256]
    embedding: EmbeddingSpec
    input: InputSpec
    origin: Origin | None = None
    limits: list[Text] = Field(default_factory=list)
    training_data: list[TrainingData]
    metrics: list[Metric]
    default_threshold: DefaultThreshold | None
    calibration: Calibration | None

    @model_validator(mode="after")
    def _model_is_pinned(self) -> Self:
        if self.model.file not in self.files:
            raise ValueError(f"files must pin the sha256 of {self.model.file}")
        return self

    @model_validator(mode="after")
    def _version_has_calibration(self) -> Self:
        if self.calibration is not None and self.format_version == 1:
            raise ValueError("format_version 1 has no calibration: state it in format_version 2")
        return self

    @model_validator(mode="after")
    def _version_has_its_keys(self) -> Self:
        if self.format_version < 3:
            known = [key for key, stated in self._keys_of_version_3() if stated]
            if known:
                raise ValueError(f"{', '.join(known)} came with format_version 3")
            return self
        missing = [key for key, stated in self._keys_of_version_3() if not stated]
        if missing:
            raise ValueError(f"format_version 3 must state {', '.join(missing)}")
        if self.origin is None or not self.limits:
            raise ValueError("format_version 3 must state an origin, and at least one of limits")
        if self.input.alignment == "none" and self.input.fit is None:
            raise ValueError("input.fit must say how whole images become the model's square")
        return self

    def _keys_of_version_3(self) -> list[tuple[str, bool]]:
        """Each key that came with it, and whether it is stated, be it as null."""
        own, pixels = self.model_fields_set, self.input.model_fields_set
        return [("origin", "origin" in own), ("limits", "limits" in own),
                ("input.fit", "fit" in pixels)]  # fmt: skip

    @model_serializer(mode="wrap")
    def _in_its_version(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the keys that its format version does not have."""
        values: dict[str, Any] = serialized(self)
        if self.format_version < 3:
            for part, key in ((values, "origin"), (values, "limits"), (values["input"], "fit")):
                del part[key]
        return values

    def replaced(self, **values: Any) -> "Manifest":
        """The same with other values, checked as a whole. Raises pydantic's ValidationError."""
        stated = {name: getattr(self, name) for name in self.model_fields_set}
        return Manifest.model_validate(stated | values)

    @property
    def contract(self) -> EmbeddingContract:
        """The identity of this bundle's embeddings: weights, space and pixels, not its name."""
        e, i = self.embedding, self.input
        identity = contract_id(
            self.files[self.model.file],
            e.size, e.space, e.scale, e.d_max,
            i.width, i.height, i.color_order, i.alignment,
            *([] if i.fit is None else [i.fit]),
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
