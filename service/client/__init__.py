"""A typed client of the HTTP API. It needs httpx and pydantic, no model and no server code.

    with Client("http://localhost:8000") as client:
        client.enroll("maria.jpg", name="Maria")
        faces = client.identify("party.jpg").faces

Answers are the service's own models (service/schemas.py and service/*_answer.py).
AsyncClient has the same calls, to be awaited.
"""

from service.client.async_client import AsyncClient
from service.client.client import Client
from service.client.error import ApiError

__all__ = ["ApiError", "AsyncClient", "Client"]
