"""Taking an export file into a collection of the same contract, a block a transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contract.errors import ContractMismatchError, GalleryError
from index.gallery import Gallery
from index.portable.blocks import BlockReader, ReadSubject
from index.portable.frames import Header
from index.records import Subject
from index.writes.effect import Effect
from index.writes.restoring import Restored, ToRestore, restore
from index.writes.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedBlock:
    """What became of the subjects of a block, now durable. done_bytes: of the file's size_bytes."""

    results: tuple[Restored, ...]
    done_bytes: int
    size_bytes: int


def header_of_file(path: Path) -> Header:
    """The header of an export file. Raises GalleryError, or OSError."""
    with path.open("rb") as file:
        return BlockReader(file, name=str(path)).header


def import_file(gallery: Gallery, path: Path) -> Iterator[ImportedBlock]:
    """Add the subjects of an export file to a collection; what is there already is not added twice.

    Gives what became of each block's subjects once it is durable. Begun again after an
    interruption, it finds the first blocks unchanged. Who is in the file is brought back, even if
    somebody has removed them since it was written; who has expired is not.
    Raises ContractMismatchError, or GalleryError (no export, of another version, damaged or broken
    off: what came before stays, nothing of the broken block is taken), GalleryUnavailableError,
    OSError.
    """
    with path.open("rb") as file:
        reader = BlockReader(file, name=str(path))
        contract = reader.header.embedding_contract
        if contract.id != gallery.contract.id:
            raise ContractMismatchError(
                gallery_contract_id=gallery.contract.id, bundle_contract_id=contract.id
            )
        if contract != gallery.contract:
            raise GalleryError(
                f"{path} says another embedding size or d_max of the same contract than the "
                "collection: one of them is wrong."
            )
        for block in reader:
            wishes = [_wish(subject) for subject in reader.read_subjects(block)]
            results = gallery.write(partial(_restored, wishes))
            yield ImportedBlock(
                results=tuple(results), done_bytes=block.end, size_bytes=reader.size_bytes
            )


def _restored(wishes: Sequence[ToRestore], scope: Scope) -> tuple[list[Restored], Effect]:
    return restore(scope, wishes)


def _wish(read: ReadSubject) -> ToRestore:
    line = read.line
    return ToRestore(
        subject=Subject(
            id=line.id,
            name=line.name,
            external_id=line.external_id,
            metadata=line.metadata,
            template_count=0,
            created_at=line.created_at,
            expires_at=line.expires_at,
            consent_ref=line.consent_ref,
        ),
        template_ids=[template.id for template in line.templates],
        created_at=[template.created_at for template in line.templates],
        embeddings=read.embeddings,
        crops=read.crops,
    )
