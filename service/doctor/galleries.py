"""Whether the gallery opens, and whose embeddings its collections hold."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

from contract.bundle import Bundle
from contract.errors import GalleryLockedError, OneGlanceError
from index import postgres_schema, sqlite_schema
from index.galleries import Galleries, is_postgres
from index.tables.collections import StoredCollection
from index.tiers import POLICIES
from index.upkeep import rows_to_encrypt, schema_version
from service.doctor.finding import Finding
from service.locations import in_words
from service.settings import Settings

GALLERY: Final = "gallery"


def check_gallery(
    settings: Settings, bundles: Sequence[Bundle], *, running: bool
) -> Iterator[Finding]:
    """What was found. running: a service answers, which may well be the one that has the file."""
    where = in_words(settings.gallery)
    try:
        version = schema_version(settings.gallery)
    except GalleryLockedError:
        yield _locked(where, running)
        return
    except ModuleNotFoundError as error:
        package = f"needs the package {error.name}: pip install 'oneglance[postgres]'."
        yield Finding("fail", GALLERY, f"{where} {package}")
        return
    except (OneGlanceError, OSError) as error:
        yield Finding.failed(GALLERY, error)
        return
    if version is None:
        yield Finding("ok", GALLERY, f"{where} is not there yet: the service makes it")
        return
    newest = (postgres_schema if is_postgres(settings.gallery) else sqlite_schema).SCHEMA_VERSION
    if version < newest:
        # To open it is to change it.
        yield Finding(
            "warn",
            GALLERY,
            f"{where} has schema {version}, this release {newest}: keep a copy, then migrate it by "
            "`oneglance gallery migrate`, or start the service, which does the same.",
        )
        return
    try:
        opened = Galleries.open(
            settings.gallery, secrets=settings.secrets, row_keys=settings.row_keys
        )
        with closing(opened) as galleries:
            yield Finding("ok", GALLERY, f"{where} opens, schema {version}")
            for collection in galleries.collections():
                contract_id = galleries.contract_of(collection).id
                yield _collection(collection, contract_id, settings, bundles)
                yield _protection(galleries, collection)
            yield from _files(settings)
            yield from _rows(galleries)
    except (OneGlanceError, OSError) as error:
        yield Finding.failed(GALLERY, error)


def _locked(where: str, running: bool) -> Finding:
    if running:
        return Finding("ok", GALLERY, f"{where} is in use by a running service: not looked into")
    return Finding(
        "warn",
        GALLERY,
        f"{where} is in use by another process, and no service answers at this URL: name the "
        "service by --url, or stop that process.",
    )


def _collection(
    collection: StoredCollection, contract_id: str, settings: Settings, bundles: Sequence[Bundle]
) -> Finding:
    own = next((b for b in bundles if b.manifest.contract.id == contract_id), None)
    what = (
        f"{collection.id}: {collection.subject_count} subjects, {collection.template_count} "
        f"templates, {_index(collection, settings)}"
    )
    if own is not None:
        bundle = f"{own.manifest.name}@{own.manifest.version}"
        return Finding("ok", "collection", f"{what}, of bundle {bundle}")
    advice = "name its bundle by --bundle-path or --further-bundle-paths"
    if collection.id == settings.collection:
        return Finding(
            "fail",
            "collection",
            f"{what}; its embeddings are of contract {contract_id}, which none of the bundles "
            f"makes: the service will not start; {advice}.",
        )
    return Finding(
        "warn", "collection", f"{what}; its bundle is not here, so it is not served: {advice}."
    )


def _protection(galleries: Galleries, collection: StoredCollection) -> Finding:
    """Whether the templates are turned by a secret, and whether that is there."""
    try:
        secret_id = galleries.secret_id_of(collection)
        if secret_id is None:
            return Finding(
                "warn",
                "secret",
                f"the templates of {collection.id} are not protected: whoever has the database can "
                f"match them elsewhere; protect them by `oneglance collections rekey "
                f"{collection.id}`.",
            )
        secrets = galleries.protector.secrets
        secrets.get(secret_id, of=f"The collection {collection.id!r}")
    except OneGlanceError as error:
        return Finding.failed("secret", error)
    return Finding(
        "ok",
        "secret",
        f"{collection.id} is protected by {secret_id} of {secrets.place}: keep a copy apart",
    )


def _files(settings: Settings) -> Iterator[Finding]:
    """Files of secrets that others on this machine may read."""
    for secrets in (settings.secrets, settings.row_keys):
        if secrets is not None and secrets.open_to_others():
            words = f"{secrets.path} may be read by others on this machine: chmod 600."
            yield Finding("warn", "secret", words)


def _rows(galleries: Galleries) -> Iterator[Finding]:
    """Where rows are encrypted, whether all of them are, by the newest key."""
    left = rows_to_encrypt(galleries)
    if left is None:
        return
    if left:
        yield Finding(
            "warn",
            "secret",
            f"{left} rows are not encrypted by the newest row key: `oneglance collections rekey` "
            "of each collection does it.",
        )
    else:
        yield Finding("ok", "secret", "all embeddings and pictures are encrypted")


def _index(collection: StoredCollection, settings: Settings) -> str:
    """How the collection is searched, in words."""
    if is_postgres(settings.gallery):
        return "searched in PostgreSQL"
    policy = POLICIES[settings.search_tier]
    if policy is None:
        return "index flat"
    if collection.template_count > policy.above:
        return f"index {policy.finder}"
    return f"index flat ({policy.finder} above {policy.above})"
