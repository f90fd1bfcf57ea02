"""The card of an exported file: a page beside it that says what it holds and how it was checked."""

from __future__ import annotations

from collections.abc import Sequence

from instseg.core.categories import Categories
from instseg.core.text import plural
from instseg.deploy.agreement import MAX_BOX_PX, MAX_SCORE, MIN_MASK_IOU, Agreement
from instseg.deploy.export import Exported
from instseg.deploy.measured import MAX_AP_DIFFERENCE, ApComparison
from instseg.prediction.exported import ExportRecord
from instseg.prediction.thresholds import AUTO, choose_thresholds

HEADER = ("image", "instances", "box, px", "score", "mask IoU")


def card(exported: Exported, images_are: str) -> str:
    """Return the card as Markdown.

    Args:
        exported: the file.
        images_are: the origin of the images it was compared on, in words.
    """
    name, record = exported.path.name, exported.record
    kind = f"{record.format} in {record.quantized}" if record.quantized else record.format
    return "\n".join(
        [
            f"# {name}",
            "",
            f"Instance segmentation, exported by instseg {record.written_by} as {kind}, "
            f"{exported.num_bytes / 1e6:.1f} MB. It takes an image of any size; what it finds may be nothing.",
            "",
            *_origin(exported),
            *_categories(exported),
            *_agreement(exported, images_are),
            *_use(exported),
        ]
    )


def _origin(exported: Exported) -> list[str]:
    origin = exported.record.origin
    rows = [f"- {key}: {origin[key]}" for key in ("checkpoint", "run", "epoch") if origin.get(key) is not None]
    metrics = origin.get("metrics")
    if isinstance(metrics, dict):
        rows += [f"- {metric}: {value:.3f}" for metric, value in metrics.items()]
    return ["## Origin", "", *rows, ""] if rows else []


def _categories(exported: Exported) -> list[str]:
    record = exported.record
    thresholds = choose_thresholds(AUTO, Categories(tuple(record.categories)), record.operating_points)
    rows = [
        f"| {label} | {name} | {thresholds.by_category[name]:.3f} |"
        for label, name in enumerate(record.categories, start=1)
    ]
    return [
        "## Categories",
        "",
        f"Score thresholds: {thresholds.origin}. They are applied after the network, and each call may have its own.",
        "",
        *table(("label", "name", "threshold"), rows),
        "",
    ]


def _agreement(exported: Exported, images_are: str) -> list[str]:
    limits = (
        f"Asked for: boxes within {MAX_BOX_PX} px, scores within {MAX_SCORE}, mask IoU of at least {MIN_MASK_IOU}."
        if exported.gain is None
        else "In int8 that differs; what counts is AP."
    )
    return [
        "## Compared with PyTorch",
        "",
        f"On {images_are}. {limits}",
        "",
        *table(HEADER, [f"| {' | '.join(row)} |" for row in map(cells, exported.agreements)]),
        "",
        *_accuracy(exported.ap),
        "",
        *([f"{exported.gain}.", ""] if exported.gain else []),
    ]


def _accuracy(ap: ApComparison | None) -> list[str]:
    if ap is None:
        return ["Test AP was not compared: no test images were at hand, or they were left out."]
    said = f"Test mask AP on {plural(ap.num_images, 'image')}: {ap.reference:.4f} in PyTorch, {ap.found:.4f} exported"
    if ap.difference is None:
        return [f"{said} (at most {MAX_AP_DIFFERENCE} apart)."]
    return [f"{said}, a difference of {ap.difference}, with the interval of 95 % of a paired bootstrap."]


def _use(exported: Exported) -> list[str]:
    record, name = exported.record, exported.path.name
    return [
        "## Use",
        "",
        f'`instseg predict checkpoint={name} source=images/`, in Python `instseg.load("{name}")`, or over HTTP '
        f"`instseg serve checkpoint={name}`; all without PyTorch. In another program:",
        "",
        f"1. Resize the image, RGB, so that its shorter side has {record.min_size} px and its longer one at most "
        f"{record.max_size}.",
        f"2. Inputs and outputs: {record.signature}.",
        *_suppression(record),
        "3. The metadata `instseg`, in OpenVINO's files under `rt_info`, holds all of the above as json.",
        "",
    ]


def _suppression(record: ExportRecord) -> list[str]:
    if record.candidates is None:
        return []
    return [
        "   It leaves candidates: of two of one label whose boxes have an IoU above "
        f"{record.candidates.iou_threshold:g} drop the worse, and keep the best {record.candidates.per_image}. "
        "`instseg predict` does, and has `nms=mask` and `nms=soft`."
    ]


def table(header: Sequence[str], rows: Sequence[str]) -> list[str]:
    """Return a table of Markdown.

    Args:
        header: of its columns.
        rows: each as a line.
    """
    return [f"| {' | '.join(header)} |", "|" + "---|" * len(header), *rows]


def cells(agreement: Agreement) -> tuple[str, ...]:
    """Return the row of an image."""
    return (
        agreement.image,
        str(agreement.num_instances),
        f"{agreement.box_px:.1e}",
        f"{agreement.score:.1e}",
        f"{agreement.mask_iou:.5f}",
    )
