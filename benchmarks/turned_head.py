"""A head turned in three dimensions: the photo as the skin of a generic head, seen from elsewhere.

The head is an ellipsoid with a nose, sockets of the eyes, lips and a chin, in the pixels of the
112 x 112 template, of which 1.8 mm make one (the eyes are 63 mm apart). It is turned about the
vertical through its middle and drawn over the photo, nearest points last. What the photo does not
show, the side and the back of the head, repeats what it shows at the same place from the front.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from contract.alignment import TEMPLATE, similarity_transform

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]
Float = npt.NDArray[np.float64]

# Middle of the head, and its half axes to the side, down and to the front: heads are about 150 mm
# wide, 230 high and 195 deep, with the eyes half way up.
CENTRE: Final = (56.0, 54.0)
AXES: Final = (43.0, 63.0, 54.0)
# Where the surface stands out of the ellipsoid (or into it): x, y, widths to the side, up and
# down, and how far.
RELIEF: Final = (
    (56.0, 70.0, 6.0, 14.0, 5.0, 11.0),  # nose
    (38.3, 51.6, 8.0, 7.0, 7.0, -4.0),  # sockets
    (73.5, 51.6, 8.0, 7.0, 7.0, -4.0),
    (56.0, 92.0, 12.0, 7.0, 7.0, 3.0),  # lips
    (56.0, 110.0, 12.0, 7.0, 9.0, 4.0),  # chin
)
_STEP_DEG: Final = 0.4


def turned_head(
    photo_HW3: Pixels, landmarks_52: Points, *, yaw_deg: float, pitch_deg: float = 0.0
) -> Pixels:
    """The photo with its head turned; the landmarks are those of the photo as it is."""
    surface, skin = _surface(), _head_points()
    to_photo = similarity_transform(TEMPLATE, landmarks_52)
    linear, shift = to_photo[:, :2], to_photo[:, 2]
    colours = _sample(photo_HW3, skin[:, :2] @ linear.T + shift)
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    x, y, z = surface.T
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    y, z = y * np.cos(pitch) + z * np.sin(pitch), z * np.cos(pitch) - y * np.sin(pitch)
    seen = z > 0
    places = (np.stack([x, y], axis=1) + CENTRE) @ linear.T + shift
    order = np.argsort(z[seen], kind="stable")
    return _drawn(photo_HW3, places[seen][order], colours[seen][order])


def _surface() -> Float:
    """Points from the middle of the head, (N, 3): x to the right, y down, z to the front."""
    return np.asarray(_head_points() - np.array([*CENTRE, 0.0]))


def _head_points() -> Float:
    azimuth = np.radians(np.arange(-180, 180, _STEP_DEG))
    height = np.radians(np.arange(-90, 90, _STEP_DEG))
    a, h = (grid.ravel() for grid in np.meshgrid(azimuth, height))
    x = CENTRE[0] + AXES[0] * np.cos(h) * np.sin(a)
    y = CENTRE[1] + AXES[1] * np.sin(h)
    z = AXES[2] * np.cos(h) * np.cos(a)
    relief = np.zeros_like(z)
    for x0, y0, side, up, down, height_px in RELIEF:
        rise = np.where(y < y0, up, down)
        relief += height_px * np.exp(-(((x - x0) / side) ** 2) - ((y - y0) / rise) ** 2)
    # Only the front has a face.
    z = np.where(z > 0, z + relief * np.clip(z / 10, 0, 1), z)
    return np.stack([x, y, z], axis=1)


def _sample(photo_HW3: Pixels, places_N2: Float) -> Float:
    """Colours (N, 3) between the pixels; at the border beyond it."""
    height, width = photo_HW3.shape[:2]
    x = np.clip(places_N2[:, 0], 0, width - 1.001)
    y = np.clip(places_N2[:, 1], 0, height - 1.001)
    left, top = x.astype(int), y.astype(int)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    photo = photo_HW3.astype(np.float64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    upper = photo[top, left] * (1 - fx) + photo[top, right] * fx
    lower = photo[bottom, left] * (1 - fx) + photo[bottom, right] * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


def _drawn(photo_HW3: Pixels, places_N2: Float, colours_N3: Float, finer: int = 2) -> Pixels:
    """The points over the photo, later ones in front; drawn `finer` times as large."""
    height, width = photo_HW3.shape[:2]
    size = (width * finer, height * finer)
    canvas = np.array(Image.fromarray(photo_HW3).resize(size, Image.Resampling.BICUBIC))
    cells = np.floor((places_N2 + 0.5) * finer).astype(int)
    on = ((cells >= 0) & (cells < size)).all(axis=1)
    canvas[cells[on, 1], cells[on, 0]] = colours_N3[on].round().astype(np.uint8)
    return np.asarray(Image.fromarray(canvas).reduce(finer))
