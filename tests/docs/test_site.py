"""The parts of the site that are made from the source are those of today; mkdocs checks the rest (make docs)."""

from __future__ import annotations

import runpy

from documented import ROOT
from test_architecture import MAY_IMPORT

ROOMS = runpy.run_path(str(ROOT / "docs" / "site" / "draw_rooms.py"))


def test_the_map_of_the_rooms_is_drawn_from_the_table_of_today():
    assert ROOMS["MAP"].read_text() == ROOMS["draw"](MAY_IMPORT), "python docs/site/draw_rooms.py"


def test_an_arrow_is_left_out_where_a_longer_way_leads_to_the_room():
    table = {"cellar": set(), "kitchen": {"cellar"}, "attic": {"kitchen", "cellar"}}
    assert ROOMS["shortest_table"](table) == {"cellar": set(), "kitchen": {"cellar"}, "attic": {"kitchen"}}
    assert ROOMS["floors_of"](table) == {"cellar": 0, "kitchen": 1, "attic": 2}


def test_the_readme_is_read_in_one_sitting():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
