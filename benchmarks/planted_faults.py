"""A gallery with planted faults, drawn from photos of known people: who is in it and what is wrong.

Shapes: P photos, N templates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


class TooFewPeopleError(ValueError):
    """The photos do not suffice for such a gallery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misplaced:
    """A template that shows another person than its subject does.

    template: its place in the plan. belongs_to: the subject that the person is, None where the
    person is not enrolled.
    """

    template: int
    belongs_to: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Which photo is a template of which subject, and the faults in that.

    photos, subjects: int64 (N,). duplicates: pairs of subjects that are one person, (lower,
    higher).
    """

    photos: Indices
    subjects: Indices
    duplicates: frozenset[tuple[int, int]]
    misplaced: tuple[Misplaced, ...]


def plan_gallery(
    people_P: Indices, shape: Sequence[int], *, duplicates: int, misplaced: int, seed: int
) -> Plan:
    """A gallery of len(shape) subjects; those of `shape[i]` templates each, in a drawn order.

    people_P: who each photo shows. duplicates: that many subjects are a second id of a person who
    is enrolled already, by other photos. misplaced: so many subjects of two or more templates have
    one photo of somebody else instead of an own one; every second time this person is enrolled,
    too, by other photos. No subject has more than one fault. Raises TooFewPeopleError.
    """
    choose = np.random.default_rng(seed)
    sizes = [int(size) for size in choose.permutation(np.asarray(shape))]
    draw = _Draw(people_P, choose)
    wrong = misplaced // 2
    several = [i for i in reversed(range(len(sizes))) if sizes[i] > 1][:misplaced]
    if len(several) < misplaced:
        raise TooFewPeopleError("Too few subjects have the two templates that a fault needs.")
    plain = [i for i in range(len(sizes)) if i not in set(several)]
    if len(plain) < 2 * duplicates + wrong:
        raise TooFewPeopleError("Too few subjects for so many faults.")
    twice = list(zip(plain[:duplicates], plain[duplicates : 2 * duplicates], strict=True))
    owners = plain[2 * duplicates : 2 * duplicates + wrong]
    photos: dict[int, list[int]] = {}
    # Those who need many photos choose first.
    for first, second in sorted(twice, key=lambda pair: -sizes[pair[0]] - sizes[pair[1]]):
        taken = draw.person(sizes[first] + sizes[second])
        photos[first], photos[second] = taken[: sizes[first]], taken[sizes[first] :]
    spare = {}
    rest = [i for i in range(len(sizes)) if i not in photos]
    needs = {i: sizes[i] + (i in owners) - (i in several) for i in rest}
    for i in sorted(rest, key=lambda i: -needs[i]):
        photos[i] = draw.person(needs[i])
        if i in owners:
            spare[i] = photos[i].pop()
    faults: list[tuple[int, int | None]] = []
    for n, i in enumerate(several):
        owner = owners[n] if n < wrong else None
        photos[i].insert(0, draw.person(1)[0] if owner is None else spare[owner])
        faults.append((i, owner))
    order = [(i, photo) for i in range(len(sizes)) for photo in photos[i]]
    starts = np.cumsum([0, *sizes])
    return Plan(
        photos=np.array([photo for _, photo in order], dtype=np.int64),
        subjects=np.array([i for i, _ in order], dtype=np.int64),
        duplicates=frozenset((min(pair), max(pair)) for pair in twice),
        misplaced=tuple(
            Misplaced(template=int(starts[i]), belongs_to=owner) for i, owner in faults
        ),
    )


class _Draw:
    """People, each given out once."""

    def __init__(self, people_P: Indices, choose: np.random.Generator) -> None:
        order = choose.permutation(len(people_P))
        self._photos: dict[int, list[int]] = {}
        for photo in order.tolist():
            self._photos.setdefault(int(people_P[photo]), []).append(photo)

    def person(self, count: int) -> list[int]:
        """`count` photos of somebody who has not been given out."""
        for who, photos in self._photos.items():
            if len(photos) >= count:
                del self._photos[who]
                return photos[:count]
        raise TooFewPeopleError(f"There is nobody left with {count} photos.")
