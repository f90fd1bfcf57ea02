"""Section of a comparison with pictures of what is fixed and broken, the runs side by side."""

from __future__ import annotations

from collections.abc import Sequence

from instseg.analysis.change_kinds import Changes
from instseg.analysis.page.content import Galleries, Gallery, Section
from instseg.analysis.shown import Showcase, Sight, in_turns

MAX_SHOWN = 24
"""Of a gallery."""


def change_section(changes: Sequence[Changes], showcase: Showcase) -> Section:
    """Choose what is shown of the changes from the first run to each other one.

    Args:
        changes: to each other run.
        showcase: collects what is shown.
    """
    found = [kind for one in changes for kind in _kinds(one)]
    galleries: dict[str, list[int]] = {gallery.key: [] for gallery, _ in found}
    for number, sight in in_turns([sights[:MAX_SHOWN] for _, sights in found]):
        if (shown := showcase.add(sight)) is not None:
            galleries[found[number][0].key].append(shown)
    showcase.shown.galleries = galleries
    content = [_counted(gallery, len(sights), len(galleries[gallery.key])) for gallery, sights in found]
    explanation = (
        "At the thresholds of each run and a mask IoU of 0.5. What costs most in the run that is wrong comes first. A "
        "click shows the whole image, with all runs."
    )
    return Section("changes", "Fixed and broken", explanation, Galleries(content))


def _kinds(changes: Changes) -> list[tuple[Gallery, list[Sight]]]:
    one, other = changes.one, changes.other
    found = "Objects that {} finds under their category, and {} not."
    alone = "Found by {} alone where nothing is labelled, or a second time."
    texts = {
        "fixed": (changes.fixed, f"Fixed by {other}", found.format(other, one)),
        "broken": (changes.broken, f"Broken by {other}", found.format(one, other)),
        "gone": (changes.gone, f"Wrong detections gone in {other}", alone.format(one)),
        "new": (changes.new, f"Wrong detections new in {other}", alone.format(other)),
    }
    return [
        (Gallery(f"{kind}-{other}", title, explanation), sights) for kind, (sights, title, explanation) in texts.items()
    ]


def _counted(gallery: Gallery, num_sights: int, num_shown: int) -> Gallery:
    shown = "" if num_shown == num_sights else f", {num_shown} shown"
    return Gallery(gallery.key, f"{gallery.title} ({num_sights:,}{shown})", gallery.explanation)
