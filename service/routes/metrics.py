"""GET /metrics, for Prometheus."""

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool

from service.routes.common import RuntimeDep

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format", "content": {"text/plain": {}}}},
)
async def get_metrics(request: Request, runtime: RuntimeDep) -> Response:
    """Requests, stages, queues, decisions, and the sizes and calibrations of the collections.

    Nothing of a person is in it. OpenMetrics where Accept asks for it.
    """
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    # Not by the workers: whoever looks why they are all taken must get an answer.
    body = await run_in_threadpool(encode, runtime.metrics.registry)
    return Response(body, headers={"Content-Type": content_type})
