"""The JSON of bundles."""

from pydantic import Field

from contract.manifest import Metric, TrainingData
from service.schemas import Model


class BundleOut(Model):
    """A bundle that is served; its manifest says more (docs/bundle.md)."""

    id: str = Field(description="name and version")
    name: str
    version: str
    description: str
    license: str
    sha256: str = Field(description="of the model file")
    contract_id: str = Field(description="what its embeddings are told by")
    embedding_size: int
    input: str = Field(description="five_point_112: faces; none: whole images")
    calibrated_subjects: list[int] = Field(
        description="sizes of gallery that its thresholds were measured in, if they were"
    )
    limits: list[str] = Field(description="what it is not fit for")
    training_data: list[TrainingData] = Field(description="what its weights have seen")
    metrics: list[Metric] = Field(description="figures, each with its data, protocol and command")
    default: bool = Field(description="of new collections that name none")


class BundleList(Model):
    """The bundles that are served, the default first."""

    bundles: list[BundleOut]
