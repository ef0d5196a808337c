"""The FastAPI application around a runtime."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from service import problems
from service.access.gate import Gate, allow
from service.access.rate_limit import RateLimit
from service.body_limit import BodyLimit
from service.compreface import routes as compreface
from service.description import DescribedApp
from service.page import routes as page
from service.page.page_files import page_files
from service.reception import Reception
from service.request_id import RequestId
from service.request_metrics import RequestMetrics
from service.routes import (
    audit,
    bundles,
    calibrations,
    collections,
    enroll,
    exports,
    faces,
    feedback,
    health,
    health_reports,
    identify,
    identify_batch,
    imports,
    jobs,
    keys,
    metrics,
    reembed,
    rekey,
    subjects,
    templates,
    verify,
)
from service.runtime import Runtime
from service.tracing import telemetry_of

ROUTES = (
    enroll,
    identify,
    identify_batch,
    feedback,
    verify,
    faces,
    subjects,
    templates,
    collections,
    bundles,
    calibrations,
    health_reports,
    reembed,
    rekey,
    imports,
    exports,
    jobs,
    keys,
    audit,
    health,
    metrics,
    compreface,
    page,
)

DESCRIPTION = """Identification that needs one photo: enrol once, then match or unknown.

Faces are biometric data: enrol people only with their consent, and delete them when asked."""


def create_app(runtime: Runtime) -> FastAPI:
    """The API over `runtime`, which is closed when the application shuts down."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        runtime.close()

    app = DescribedApp(
        title="OneGlance",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        # A path with a slash too many is not there: a redirect would be an answer nobody documents.
        redirect_slashes=False,
        # An operation is called as its function here, and so is its method in a made client.
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(allow)],
        telemetry=telemetry_of(runtime.tracing),
    )
    app.state.runtime = runtime
    app.state.page_files = page_files()
    for module in ROUTES:
        app.include_router(module.router)
    problems.install(app)
    # The last one added sees a request first: a refused body has its request id, too.
    settings = runtime.settings
    app.add_middleware(
        BodyLimit,
        max_body_bytes=settings.max_body_bytes,
        limits={imports.router.prefix: settings.max_import_bytes},
    )
    app.add_middleware(Reception, workers=runtime.workers)
    app.add_middleware(
        Gate,
        keyring=runtime.keyring,
        rate_limit=RateLimit(settings.max_requests_per_minute_per_key),
    )
    app.add_middleware(RequestMetrics, metrics=runtime.metrics)
    app.add_middleware(RequestId)
    return app
