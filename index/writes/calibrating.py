"""Storing what was measured on a collection's own templates."""

from contract.errors import ContractMismatchError
from index.tables import calibrations, collections
from index.writes.effect import Effect
from index.writes.scope import Scope


def store_calibration(
    scope: Scope, contract_id: str, *, made_at: str, record: str
) -> tuple[int, Effect]:
    """Replace the collection's calibration; the new one's number.

    Raises ContractMismatchError: other embeddings are searched by now than it was measured on.
    """
    searched = collections.get_contract(scope.c, scope.searched.contract)
    if searched.id != contract_id:
        raise ContractMismatchError(gallery_contract_id=searched.id, bundle_contract_id=contract_id)
    number = calibrations.replace_calibration(
        scope.c, scope.searched, made_at=made_at, record=record
    )
    scope.log("calibrate", calibration=number)
    return number, Effect(revision=scope.revision)
