"""The places of a collection's contracts: which is searched, which comes next, which was before."""

from index.tables import collections
from index.writes.scope import Scope


def set_beside(scope: Scope, *, next_contract: int | None, former: int | None) -> None:
    """Leave what is searched, and say what is beside it, by contracts' numbers."""
    collections.set_contracts(
        scope.c,
        scope.collection.number,
        contract=scope.collection.contract_number,
        next_contract=next_contract,
        former=former,
    )


def search_next(scope: Scope, contract: int) -> None:
    """Search what came next, by its contract's number; what was searched becomes the former."""
    collections.set_contracts(
        scope.c,
        scope.collection.number,
        contract=contract,
        next_contract=None,
        former=scope.collection.contract_number,
    )
