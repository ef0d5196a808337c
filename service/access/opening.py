"""The keyring that the settings ask for, and whether the service may start without a key."""

from pathlib import Path

from contract.errors import NoKeysError, OneGlanceError
from index.galleries import Galleries, is_postgres
from service.access.key_text import check_brought_key
from service.access.keyring import Keyring
from service.loopback import is_loopback
from service.settings import Settings


def open_keyring(galleries: Galleries, settings: Settings) -> Keyring:
    """The keys of an open database, and that of the settings.

    Raises NoKeysError (the service would be open to others than this machine), OneGlanceError (the
    settings' key cannot be read or is weak) or GalleryUnavailableError.
    """
    keyring = Keyring(
        galleries,
        admin_key=admin_key_of(settings),
        open_without_keys=settings.allow_no_keys or is_loopback(settings.host),
        refresh_s=settings.key_refresh_s if is_postgres(settings.gallery) else None,
    )
    if not keyring.has_keys and not keyring.is_open:
        keyring.close()
        raise NoKeysError(settings.host)
    return keyring


def admin_key_of(settings: Settings) -> str | None:
    """The settings' own key, None where they have none. Raises OneGlanceError, without the key."""
    if settings.admin_key and settings.admin_key_file is not None:
        raise OneGlanceError("Set admin_key or admin_key_file, not both.")
    key, where = settings.admin_key, "admin_key"
    if settings.admin_key_file is not None:
        key, where = _read(settings.admin_key_file), "admin_key_file"
    if not key:
        return None
    try:
        return check_brought_key(key)
    except ValueError as error:
        raise OneGlanceError(f"Setting {where}: {error}") from error


def _read(path: Path) -> str:
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise OneGlanceError(f"The admin_key_file {path} cannot be read ({why}).") from error
    if not key:
        raise OneGlanceError(f"The admin_key_file {path} is empty: write a key into it.")
    return key
