"""The call about the audit log."""

from service.audit_answer import AuditList
from service.client.call import Call, answer, fields


def list_audit(*, limit: int | None = None, cursor: str | None = None) -> Call[AuditList]:
    """One page of what was done to all collections and keys, and by which key, oldest first."""
    return Call(
        method="GET",
        path="/v1/audit",
        params=fields(limit=limit, cursor=cursor),
        parse=answer(AuditList),
    )
