"""Scenes as CLEVR has them, drawn by numpy: shapes in two sizes, eight colours and two materials on a gray ground.

A scene is made from a seed alone. Its objects have different colours, do not overlap, and lie apart in both directions.
Each object's visible pixels are its ground-truth mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .vocabulary import COLOURS, MATERIALS, SHAPES, SIZES

RGB = {
    "gray": (87, 87, 87),
    "red": (173, 35, 35),
    "blue": (42, 75, 215),
    "green": (29, 105, 20),
    "brown": (129, 74, 25),
    "purple": (129, 38, 192),
    "cyan": (41, 208, 208),
    "yellow": (255, 238, 51),
}
"""CLEVR's own colours."""
RADII = {"small": 4.4, "large": 7.6}
"""Half of an object's height, in pixels of an image of 64 x 64."""
GROUND = 0.62
FEWEST, MOST = 3, 5
APART = 2.5  # pixels of 64: between the centres of two objects, in each direction


@dataclass(frozen=True)
class Thing:
    """One object; x to the right and y downwards, in shares of the image's side."""

    size: str
    color: str
    material: str
    shape: str
    x: float
    y: float

    @property
    def radius(self) -> float:
        """Half of its height, as a share of the image's side."""
        return RADII[self.size] / 64


@dataclass(frozen=True)
class Scene:
    """image (side, side, 3) uint8; masks (objects, side, side) boolean, the pixels of each object."""

    things: tuple[Thing, ...]
    image: np.ndarray
    masks: np.ndarray


def make_scene(generator: np.random.Generator, side: int = 64, most: int = MOST) -> Scene:
    """A random scene: 3 to `most` objects, every attribute evenly and independently chosen, colours without
    repetition."""
    count = int(generator.integers(FEWEST, most + 1))
    colours = generator.permutation(len(COLOURS))[:count]
    while True:
        things: list[Thing] = []
        for colour in colours:
            size, material, shape = (names[generator.integers(len(names))] for names in (SIZES, MATERIALS, SHAPES))
            placed = _placed(generator, things, RADII[size] / 64)
            if placed is None:
                break
            things.append(Thing(size, COLOURS[colour], material, shape, *placed))
        if len(things) == count:
            return draw(tuple(things), side, generator)


def _placed(generator: np.random.Generator, things: list[Thing], radius: float) -> tuple[float, float] | None:
    """A free place, or None if fifty tries found none."""
    margin = 1.15 * radius
    for x, y in generator.uniform(margin, 1 - margin, (50, 2)):
        if all(
            min(abs(x - t.x), abs(y - t.y)) * 64 >= APART and np.hypot(x - t.x, y - t.y) >= 1.25 * (radius + t.radius)
            for t in things
        ):
            return float(x), float(y)
    return None


def draw(things: tuple[Thing, ...], side: int, generator: np.random.Generator) -> Scene:
    """The image, the lower objects in front; the generator adds a little noise."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) / side
    image = np.full((side, side, 3), GROUND) + 0.08 * (rows - 0.5)[..., None]
    masks = np.zeros((len(things), side, side), dtype=bool)
    for number in sorted(range(len(things)), key=lambda n: things[n].y):
        thing = things[number]
        inside, light = _SOLIDS[thing.shape]((columns - thing.x) / thing.radius, (rows - thing.y) / thing.radius)
        image[inside] = _shaded(thing, light[inside])
        masks[:, inside] = False
        masks[number] = inside
    image += generator.normal(0, 0.01, image.shape)
    return Scene(things, (image.clip(0, 1) * 255).round().astype(np.uint8), masks)


def _shaded(thing: Thing, light: np.ndarray) -> np.ndarray:
    """Colours (n, 3) at places of brightness `light` in [0, 1]: metal has strong contrast and a white highlight."""
    colour = np.array(RGB[thing.color]) / 255
    if thing.material == "rubber":
        return colour * (0.75 + 0.3 * light)[:, None]
    glare = (light > 0.8)[:, None] * 0.75
    return colour * (0.25 + 0.95 * light)[:, None] * (1 - glare) + glare


def _sphere(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inside, and brightness, at places (u, v) in radii from the centre."""
    return u**2 + v**2 <= 1, (1 - np.hypot(u + 0.35, v + 0.4) / 1.4).clip(0, 1)


def _cube(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A front, a bright top and a dark right side, seen from above and from the right."""
    depth = 0.45
    up, across = depth - 1 - v, u - 1 + depth  # how far beyond the front's upper and right edges
    front = (u >= -1) & (across <= 0) & (up <= 0) & (v <= 1)
    top = (up > 0) & (up <= depth) & (u - up >= -1) & (u - up <= 1 - depth)
    right = (across > 0) & (across <= depth) & (v + across >= depth - 1) & (v + across <= 1)
    return front | top | right, np.where(top, 0.95, np.where(right, 0.15, 0.5 - 0.15 * u))


def _cylinder(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A wall that is dark at both sides, under a bright elliptic top."""
    top = (u / 0.75) ** 2 + ((v + 0.7) / 0.3) ** 2 <= 1
    bottom = (u / 0.75) ** 2 + ((v - 0.7) / 0.3) ** 2 <= 1
    wall = (abs(u) <= 0.75) & (abs(v) <= 0.7)
    return top | bottom | wall, np.where(top, 0.95, (0.7 - 0.8 * abs(u + 0.2)).clip(0, 1))


_SOLIDS = {"sphere": _sphere, "cube": _cube, "cylinder": _cylinder}
