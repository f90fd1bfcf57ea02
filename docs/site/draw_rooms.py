"""Draw the map of the rooms: python docs/site/draw_rooms.py writes docs/rooms.svg.

The table is that of tests/test_architecture.py. An arrow is left out where a longer way leads to the same room.
"""

from __future__ import annotations

import graphlib
import itertools
import runpy
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAP = ROOT / "docs" / "rooms.svg"

TASKS = {
    "core": "types, geometry, files",
    "data": "labels to batches",
    "models": "networks and weights",
    "evaluation": "matching, AP, intervals",
    "visualization": "pure drawing",
    "runs": "the run folder",
    "distributed": "ranks and signals",
    "training": "the loop and callbacks",
    "checkpoints": "saving and resuming",
    "prediction": "predictor and writers",
    "deploy": "files for other runtimes",
    "auditing": "what is wrong with data",
    "analysis": "mistakes of a model",
    "profiling": "where the time goes",
    "sweeps": "many runs as one",
    "app": "the commands",
}
WIDTH, BOX, HEIGHT, FLOOR = 1080, 178, 54, 104
"""Of the picture, of a room and from floor to floor, px."""
STYLE = """
.rooms { color: #1c2330; --room: #eef1fb; --line: #5468c4; font-family: system-ui, sans-serif }
.rooms rect { fill: var(--room); stroke: var(--line); stroke-width: 1.5 }
.rooms path { fill: none; stroke: var(--line); stroke-width: 1.5; opacity: .75 }
.rooms marker path { fill: var(--line); stroke: none; opacity: 1 }
.rooms text { fill: currentColor; text-anchor: middle; font-size: 13px }
.rooms .name { font-size: 17px; font-weight: 600 }
@media (prefers-color-scheme: dark) { .rooms { color: #e7eaf0; --room: #232a3d; --line: #8ea2ff } }
"""
Table = Mapping[str, set[str]]
Point = tuple[float, float]


def draw(may_import: Mapping[str, str]) -> str:
    """Return the map as SVG.

    Args:
        may_import: room -> the rooms that it may import, separated by spaces.
    """
    table = {room: set(below.split()) for room, below in may_import.items()}
    arrows = shortest_table(table)
    floors = floors_of(table)
    places = places_of(arrows, floors)
    height = FLOOR * (max(floors.values()) + 1) + 10
    y = {room: height - FLOOR * (floor + 1) + 20 for room, floor in floors.items()}
    lines = [_line(_way(room, below, floors, places, y)) for room in table for below in sorted(arrows[room])]
    boxes = [_box(room, places[room, floors[room]], y[room]) for room in table]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rooms" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="The rooms of the package, and which may import which">'
    )
    marker = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker>'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", f"<defs>{marker}</defs>", *lines, *boxes, "</svg>", ""])


def shortest_table(table: Table) -> Table:
    """Leave out the arrows beside which there is a longer way (the transitive reduction).

    Args:
        table: room -> rooms that it may import.
    """

    @cache
    def reached(room: str) -> frozenset[str]:
        return frozenset(table[room]).union(*map(reached, table[room]))

    return {
        room: {one for one in below if not any(one in reached(other) for other in below)}
        for room, below in table.items()
    }


def floors_of(table: Table) -> dict[str, int]:
    """Return the floor of each room: one above the highest of those that it may import.

    Args:
        table: room -> rooms that it may import.
    """
    floors: dict[str, int] = {}
    for room in graphlib.TopologicalSorter(table).static_order():
        floors[room] = 1 + max((floors[below] for below in table[room]), default=-1)
    return floors


def places_of(arrows: Table, floors: Mapping[str, int]) -> dict[tuple[str, int], float]:
    """Place rooms, and the shafts in which arrows to a room pass a floor, so that few arrows cross.

    Args:
        arrows: room -> rooms below that an arrow leads to.
        floors: room -> floor.

    Returns:
        Room or destination of a shaft, and floor -> middle, px from the left.
    """
    above = {
        (below, floor) for room in arrows for below in arrows[room] for floor in range(floors[below] + 1, floors[room])
    }
    rows: list[list[tuple[str, int]]] = [[] for _ in range(max(floors.values()) + 1)]
    for key in [*floors.items(), *sorted(above)]:
        rows[key[1]].append(key)
    links = [
        pair for room in arrows for below in arrows[room] for pair in itertools.pairwise(_keys(room, below, floors))
    ]
    places = {key: place for row in rows for key, place in zip(row, _spread(row, floors), strict=True)}
    for sweep in range(12):
        for row in rows if sweep % 2 else rows[::-1]:
            row.sort(key=lambda key: _mean_of_neighbours(key, links, places))
            places.update(zip(row, _spread(row, floors), strict=True))
    return places


def _keys(room: str, below: str, floors: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(room, floors[room]), *((below, floor) for floor in range(floors[room] - 1, floors[below] - 1, -1))]


def _mean_of_neighbours(
    key: tuple[str, int], links: list[tuple[tuple[str, int], ...]], places: Mapping[tuple[str, int], float]
) -> float:
    near = [places[other] for link in links if key in link for other in link if other != key]
    return sum(near) / len(near) if near else places[key]


def _spread(row: list[tuple[str, int]], floors: Mapping[str, int]) -> list[float]:
    """Return the middles of a floor's rooms and shafts, with equal gaps."""
    widths = [BOX if floors[name] == floor else 24 for name, floor in row]
    gap = min(60.0, (WIDTH - sum(widths)) / (len(row) + 1))
    left = (WIDTH - sum(widths) - gap * (len(row) - 1)) / 2
    starts = itertools.accumulate(widths, lambda at, width: at + width + gap, initial=left)
    return [start + width / 2 for start, width in zip(starts, widths, strict=False)]


def _way(
    room: str, below: str, floors: Mapping[str, int], places: Mapping[tuple[str, int], float], y: Mapping[str, int]
) -> list[Point]:
    """Return the points of an arrow: from under a room, through the shafts, to the top of another."""
    keys = _keys(room, below, floors)
    points: list[Point] = [(places[keys[0]], y[room] + HEIGHT)]
    for key in keys[1:-1]:
        top = y[room] + FLOOR * (floors[room] - key[1])
        points += [(places[key], top), (places[key], top + HEIGHT)]
    return [*points, (places[keys[-1]], y[below] - 2)]


def _line(points: list[Point]) -> str:
    path = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        middle = (y1 + y2) / 2
        path += f"C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    return f'<path d="{path}" marker-end="url(#head)"/>'


def _box(room: str, x: float, y: int) -> str:
    return (
        f'<rect x="{x - BOX / 2:.0f}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="8"/>'
        f'<text class="name" x="{x:.0f}" y="{y + 23}">{room}</text><text x="{x:.0f}" y="{y + 42}">{TASKS[room]}</text>'
    )


if __name__ == "__main__":
    MAP.write_text(draw(runpy.run_path(str(ROOT / "tests" / "test_architecture.py"))["MAY_IMPORT"]), encoding="utf-8")
