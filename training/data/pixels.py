"""Whether a network takes the images of a pack."""

from contract.manifest import InputSpec
from training.data.pack import Pack, PackError


def refuse_other_pixels(pack: Pack, spec: InputSpec, taker: str) -> None:
    """Raise PackError unless `taker`, in words, whose input is `spec`, takes the images of `pack`.

    Images that were packed as they are (alignment `none`, no fit) suit any fit.
    """
    height, width = pack.images.shape[1:3]
    alignment, fit = pack.index.alignment, pack.index.fit or spec.fit
    if (width, height, alignment, fit) != (spec.width, spec.height, spec.alignment, spec.fit):
        raise PackError(
            f"{pack.root} has images of {_words(width, height, alignment, fit)}; {taker} takes "
            f"{_words(spec.width, spec.height, spec.alignment, spec.fit)}."
        )


def _words(width: int, height: int, alignment: str, fit: str | None) -> str:
    return f"{width}x{height}, alignment {alignment}" + (f", fit {fit}" if fit else "")
