"""Parts of one image averaged down to small ones, many at a time.

A summed-area table gives the sum of any rectangle from four of its numbers, so that the time does
not grow with the size of the parts. What comes out is what torch's interpolation `area` gives.

Shapes: B parts, S side of what comes out.
"""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Edges = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class AreaTable:
    """Of an RGB image, uint8 (H, W, 3)."""

    def __init__(self, image_HW3: Pixels) -> None:
        height, width = image_HW3.shape[:2]
        # Sums beyond 32 bits wrap round, and differences of them wrap back.
        table = np.zeros((height + 1, width + 1, 3), dtype=np.uint32)
        np.cumsum(image_HW3, axis=0, dtype=np.uint32, out=table[1:, 1:])
        np.cumsum(table[1:, 1:], axis=1, dtype=np.uint32, out=table[1:, 1:])
        self._table, self._places = table, table.reshape(-1, 3)
        self.height, self.width = height, width

    def means(self, boxes_B4: Edges, size: tuple[int, int]) -> Floats:
        """float32 (B, *size, 3), 0 to 255, of parts by their edges: left, top, right, bottom.

        size: height and width. The edges lie on the image and make a part of one pixel at least.
        """
        left, top, right, bottom = boxes_B4.T
        first_y, last_y = _bins(top, bottom, size[0])
        first_x, last_x = _bins(left, right, size[1])
        sums = self._at(last_y, last_x)
        sums -= self._at(first_y, last_x)
        sums -= self._at(last_y, first_x)
        sums += self._at(first_y, first_x)
        return _shares(sums, last_y - first_y, last_x - first_x)

    def whole(self, size: tuple[int, int]) -> Floats:
        """float32 (1, *size, 3) of the image."""
        nothing, ends = np.zeros(1, dtype=np.int64), np.array([self.height, self.width])
        first_y, last_y = _bins(nothing, ends[:1], size[0])
        first_x, last_x = _bins(nothing, ends[1:], size[1])
        rows = self._table[last_y[0]] - self._table[first_y[0]]
        sums = rows.take(last_x[0], axis=1) - rows.take(first_x[0], axis=1)
        return _shares(sums[None], last_y - first_y, last_x - first_x)

    def _at(self, y_BS: Edges, x_BS: Edges) -> npt.NDArray[np.uint32]:
        place = y_BS[:, :, None] * (self.width + 1) + x_BS[:, None, :]
        found: npt.NDArray[np.uint32] = self._places.take(place.ravel(), axis=0)
        return found.reshape(*place.shape, 3)


def _shares(sums: npt.NDArray[np.uint32], rows_BS: Edges, columns_BS: Edges) -> Floats:
    """Sums of bins by how many pixels each has."""
    means = sums.astype(np.float32)
    means /= (rows_BS[:, :, None, None] * columns_BS[:, None, :, None]).astype(np.float32)
    return means


def _bins(low_B: Edges, high_B: Edges, count: int) -> tuple[Edges, Edges]:
    """Where each of `count` bins begins and ends, (B, count): whole pixels that it touches."""
    length, number = (high_B - low_B)[:, None], np.arange(count)
    first = low_B[:, None] + number * length // count
    last = low_B[:, None] - (-(number + 1) * length // count)
    return first, last
