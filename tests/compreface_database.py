"""A database as CompreFace 1.2 has it, with drawn photos in it, and its dumps.

The tables are those that its migrations leave: what an import reads, and some that it must pass by.
"""

import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.postgres_server import PostgresServer

TABLES: Final = """
CREATE TABLE "user" (
    id bigint PRIMARY KEY, email varchar(63) NOT NULL UNIQUE, password varchar(255));
CREATE TABLE app (
    id bigint PRIMARY KEY, name varchar(255) NOT NULL, guid varchar(36) NOT NULL UNIQUE,
    api_key varchar(36) NOT NULL UNIQUE);
CREATE TABLE model (
    id bigint PRIMARY KEY, name varchar(255) NOT NULL, guid varchar(36) NOT NULL UNIQUE,
    app_id bigint NOT NULL REFERENCES app (id) ON UPDATE CASCADE ON DELETE CASCADE,
    api_key varchar(36) NOT NULL UNIQUE, type varchar(1) NOT NULL, created_date timestamp,
    UNIQUE (name, app_id));
CREATE TABLE subject (
    id uuid PRIMARY KEY, api_key varchar(36) REFERENCES model (api_key) ON UPDATE CASCADE
    ON DELETE CASCADE, subject_name varchar(255), UNIQUE (api_key, subject_name));
CREATE TABLE img (id uuid PRIMARY KEY, content bytea NOT NULL);
CREATE TABLE embedding (
    id uuid PRIMARY KEY,
    subject_id uuid REFERENCES subject (id) ON UPDATE CASCADE ON DELETE CASCADE,
    embedding float8[] NOT NULL, calculator varchar(255) NOT NULL,
    img_id uuid REFERENCES img (id));
INSERT INTO "user" VALUES (1, 'owner@example.org', 'COPY public.img (id, content) FROM stdin;');
"""
DEMO_KEY: Final = "00000000-0000-0000-0000-000000000002"


class ComprefaceDatabase:
    """A CompreFace's database with the services that every one comes with."""

    def __init__(self, server: PostgresServer) -> None:
        """Make it."""
        self._server = server
        self.dsn = server.create_database()
        self._models = 0
        self._execute(TABLES)
        self._apps: dict[str, int] = {}
        self.add_service("Demo", "Demo_application", key=DEMO_KEY)
        self.add_service("Detection_Demo", "Demo_application", kind="D")
        self.add_service("Verification_Demo", "Demo_application", kind="V")
        # The faces of the demo come without their photos.
        self.add_subject(DEMO_KEY, "Someone", {str(uuid.uuid4()): None})

    def add_service(
        self, name: str, application: str, *, kind: str = "R", key: str | None = None
    ) -> str:
        """Its key."""
        if application not in self._apps:
            self._apps[application] = len(self._apps)
            self._execute(
                "INSERT INTO app VALUES (%s, %s, %s, %s)",
                self._apps[application], application, str(uuid.uuid4()), str(uuid.uuid4()),
            )  # fmt: skip
        key = key or str(uuid.uuid4())
        self._models += 1
        self._execute(
            "INSERT INTO model VALUES (%s, %s, %s, %s, %s, %s, now())",
            self._models, name, str(uuid.uuid4()), self._apps[application], key, kind,
        )  # fmt: skip
        return key

    def add_subject(self, key: str, name: str, photos: Mapping[str, bytes | None]) -> None:
        """photos: by image id; None where the image is not saved. No name is NULL there."""
        subject = uuid.uuid4()
        self._execute("INSERT INTO subject VALUES (%s, %s, %s)", subject, key, name or None)
        for image_id, data in photos.items():
            image = None if data is None else uuid.uuid4()
            if image is not None:
                self._execute("INSERT INTO img VALUES (%s, %s)", image, data)
            self._execute(
                "INSERT INTO embedding VALUES (%s, %s, %s, 'facenet.Calculator@20180402', %s)",
                image_id, subject, [0.25, -1.0], image,
            )  # fmt: skip

    def add_embedding(self, image_id: str, *, of: str) -> None:
        """The image `of` once more, as another network's embedding has it."""
        self._execute(
            "INSERT INTO embedding SELECT %s, subject_id, embedding, 'other', img_id "
            "FROM embedding WHERE id = %s",
            image_id, of,
        )  # fmt: skip

    def set_option(self, name: str, value: str) -> None:
        """A setting of PostgreSQL for this database."""
        database = psycopg.conninfo.conninfo_to_dict(self.dsn)["dbname"]
        self._execute(f"ALTER DATABASE {database} SET {name} = '{value}'")

    def _execute(self, sql: str, *values: object) -> None:
        with psycopg.connect(self.dsn) as connection:
            connection.execute(sql.encode(), values or None)

    def dump(self, path: Path, *options: str) -> Path:
        """A dump by pg_dump at `path`."""
        program = self._server.programs / "pg_dump"
        subprocess.run([program, *options, f"--file={path}", self.dsn], check=True)
        return path
