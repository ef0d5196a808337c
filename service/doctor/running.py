"""Whether a service answers, and is ready."""

import argparse
from typing import Final

import httpx

from service.client import ApiError
from service.commands.connection import ServiceError, connect, in_words, url_of
from service.doctor.finding import Finding

TIMEOUT_S: Final = 5.0
SERVICE: Final = "service"


def check_service(args: argparse.Namespace) -> tuple[bool, Finding]:
    """Whether one answers at the URL, and what was found."""
    where = url_of(args)
    try:
        with connect(args, timeout_s=TIMEOUT_S) as client:
            ready = client.readyz()
    except ServiceError as error:
        return False, Finding.failed(SERVICE, error)
    except ApiError as error:
        return True, Finding("fail", SERVICE, f"{where} is not ready: {in_words(error)}")
    except httpx.ConnectError:
        return False, Finding("ok", SERVICE, f"none runs at {where}")
    except httpx.TransportError as error:
        words = str(error) or type(error).__name__
        return False, Finding("fail", SERVICE, f"{where} gives no answer: {words}; see its log.")
    enrolled = "give a key to hear how many are enrolled"
    if ready.subject_count is not None:
        enrolled = f"{ready.subject_count} subjects, {ready.template_count} templates"
    return True, Finding(
        "ok",
        SERVICE,
        f"{where} is ready: {ready.bundle.id} by {ready.embedder_runtime} on {ready.device} in "
        f"{ready.precision}, {enrolled}",
    )
