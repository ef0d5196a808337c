"""The FastAPI application around a runtime."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service import problems
from service.body_limit import BodyLimit
from service.request_id import RequestId
from service.routes import calibrations, enroll, health, health_reports, identify, jobs, subjects
from service.runtime import Runtime

DESCRIPTION = """Identification that needs one photo: enrol once, then match or unknown.

Faces are biometric data: enrol people only with their consent, and delete them when asked."""


def create_app(runtime: Runtime) -> FastAPI:
    """The API over `runtime`, which is closed when the application shuts down."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        runtime.close()

    app = FastAPI(title="OneGlance", version="0.1.0", description=DESCRIPTION, lifespan=lifespan)
    app.state.runtime = runtime
    for module in (enroll, identify, subjects, calibrations, health_reports, jobs, health):
        app.include_router(module.router)
    problems.install(app)
    # The last one added sees a request first: a refused body has its request id, too.
    app.add_middleware(BodyLimit, max_body_bytes=runtime.settings.max_body_bytes)
    app.add_middleware(RequestId)
    return app
