"""What the two commands that re-key share: what may be new, and what has come of it in words."""

import argparse


def add_new_ones(parser: argparse.ArgumentParser) -> None:
    """Declare --new-secret and --new-row-key."""
    parser.add_argument(
        "--new-secret",
        action="store_true",
        help="make a new secret first: where the former one, too, may be in the wrong hands",
    )
    parser.add_argument(
        "--new-row-key",
        action="store_true",
        help="where rows are encrypted: make a new key for that first",
    )


def rekeyed_in_words(
    collection_id: str,
    *,
    secret_id: str,
    former_secret_id: str | None,
    former_in_use: bool,
    row_key_id: str | None,
) -> str:
    """What protects the collection now, and what is to be done about the former secret."""
    now = f"{collection_id} is protected by the secret {secret_id}"
    if row_key_id is not None:
        now = f"{now}, its rows are encrypted by the key {row_key_id}"
    if former_secret_id is None:
        return f"{now}: keep a copy of it apart from the database"
    if former_secret_id == secret_id:
        return f"{now}, with a new salt"
    if former_in_use:
        return f"{now}; other collections still need {former_secret_id}: re-key them, too"
    return (
        f"{now}; nothing in this gallery needs {former_secret_id} any more, only backups of "
        "before: remove its line from the file of secrets when you can do without them"
    )
