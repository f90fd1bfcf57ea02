"""Transfer of weights to a model, by category name in the predictors, and the report of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from instseg.core.categories import Categories
from instseg.core.channels import terminal_lines
from instseg.core.errors import InstsegError
from instseg.core.text import list_names
from instseg.models.feature_backbone import PretrainedBackbone
from instseg.models.state_dict import BACKGROUND, BODY, StateDict, WeightsFile

PREDICTORS = {  # module -> rows per category
    "roi_heads.box_predictor.cls_score": 1,
    "roi_heads.box_predictor.bbox_pred": 4,
    "roi_heads.mask_predictor.mask_fcn_logits": 1,
}
MAX_LISTED = 8  # tensors an error names
MAX_LISTED_CATEGORIES = 12


@dataclass(frozen=True, slots=True)
class WeightsReport:
    """Report of the transfer for every tensor of the model; prints as a table."""

    source: str
    loaded: tuple[str, ...] = ()  # all rows from the file
    transferred: tuple[str, ...] = ()  # predictor tensors with the rows of known categories from the file
    new: tuple[str, ...] = ()  # left as initialised
    categories: Mapping[str, str] = field(default_factory=dict)  # transferred category -> its name in the source
    new_categories: tuple[str, ...] = ()
    sizes: Mapping[str, tuple[int, int]] = field(
        default_factory=dict
    )  # tensor -> number of values from the file, of new values

    @property
    def is_complete(self) -> bool:
        """True if no tensor and no row of the model is new."""
        return not (self.new or self.transferred or self.new_categories)

    @property
    def is_from_scratch(self) -> bool:
        """True if every tensor is new."""
        return not (self.loaded or self.transferred)

    def __rich__(self) -> Table:
        table = Table(
            "part",
            "loaded",
            "transferred",
            "new",
            title=terminal_lines(f"weights: {self.source}"),
            title_justify="left",
        )
        for column in table.columns[1:]:
            column.justify = "right"
        for part in dict.fromkeys(map(_part, self.sizes)):
            table.add_row(part, *(f"{count:,}" if count else "" for count in self._counts(part)))
        table.caption, table.caption_justify = terminal_lines(self._caption()), "left"
        return table

    def _counts(self, part: str) -> tuple[int, int, int]:
        names = [name for name in self.sizes if _part(name) == part]
        loaded = sum(self.sizes[name][0] for name in names if name not in self.transferred)
        transferred = sum(self.sizes[name][0] for name in names if name in self.transferred)
        return loaded, transferred, sum(self.sizes[name][1] for name in names)

    def _caption(self) -> str:
        same = [name if name == source else f"{name} (from {source})" for name, source in self.categories.items()]
        lines = [f"categories transferred: {list_names(same, MAX_LISTED_CATEGORIES)}"] if same else []
        if self.new_categories and self.source != "none":
            lines.append(f"categories new: {list_names(self.new_categories, MAX_LISTED_CATEGORIES)}")
        return "\n".join(lines)

    def __str__(self) -> str:
        text = StringIO()
        Console(file=text, width=100).print(self)
        return text.getvalue().rstrip()


def _part(name: str) -> str:
    """Return the part that a tensor belongs to: backbone.body, backbone.fpn, rpn, roi_heads.box_head, ..."""
    first, second = name.split(".")[:2]
    return first if first == "rpn" else f"{first}.{second}"


def apply_weights(model: nn.Module, file: WeightsFile, categories: Categories | Sequence[str] | int) -> WeightsReport:
    """Copy weights into the model. All tensors except the predictors' must fit exactly.

    Rows of the box and mask predictors are matched by category name (ignoring case, "_" and "-"), the background row
    too. A bare number of categories has no names: then predictors are copied only if they have the same size. Rows
    without a counterpart stay as initialised.

    Args:
        model: the model.
        file: the weights.
        categories: the model's categories, or their number.

    Raises:
        InstsegError: the weights do not fit; the message lists the tensors.
    """
    own = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    given = {key: value for key, value in file.state_dict.items() if not key.endswith("num_batches_tracked")}
    wanted = {key: value for key, value in own.items() if key.startswith(BODY) or not file.backbone_only}
    _check_fit(wanted, given, file, model)
    names = _row_names(categories)
    pairs = [] if file.backbone_only else _matching_rows(names, file.row_names, _num_rows(own), _num_rows(given))
    new_state = dict(own)
    sizes = {key: (0, value.numel()) for key, value in own.items()}
    for key, value in wanted.items():
        rows_per_category = PREDICTORS.get(key.rpartition(".")[0])
        if rows_per_category is None:
            new_state[key], sizes[key] = given[key], (value.numel(), 0)
            continue
        new_state[key] = _copy_rows(value, given[key], pairs, rows_per_category)
        copied = value.numel() * len(pairs) // _num_rows(own)
        sizes[key] = (copied, value.numel() - copied)
    model.load_state_dict(new_state, strict=False)  # not strict: the batch-norm counters stay at zero
    return _report(file, sizes, names, pairs)


def _check_fit(wanted: StateDict, given: StateDict, file: WeightsFile, model: nn.Module) -> None:
    """Raise InstsegError with both architectures and the first tensors that do not fit."""
    problems = [f"{key}: expected by the model, not in the file" for key in wanted if key not in given]
    problems += [f"{key}: in the file, unknown to the model" for key in given if key not in wanted]
    for key in wanted.keys() & given.keys():
        skip = 1 if key.rpartition(".")[0] in PREDICTORS else 0
        if wanted[key].shape[skip:] != given[key].shape[skip:]:
            problems.append(f"{key}: expected {tuple(wanted[key].shape)}, found {tuple(given[key].shape)}")
    if not problems:
        return
    listed = "\n  ".join(sorted(problems)[:MAX_LISTED])
    more = f"\n  and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
    raise InstsegError(
        f"model.weights={file.source!r} do not fit the model: {_expected_and_found(file, model)}\n  {listed}{more}"
    )


def _expected_and_found(file: WeightsFile, model: nn.Module) -> str:
    body = model.get_submodule(BODY.removesuffix("."))
    if isinstance(body, PretrainedBackbone):
        return f"expected the weights of {body.name}{'' if file.backbone_only else ' under this pyramid'}, found others"
    ours = WeightsFile("", model.state_dict(), backbone_only=file.backbone_only)
    return (
        f"the file holds {file.architecture} with norm={file.norm}, the model is {ours.architecture} with "
        f"norm={ours.norm}"
    )


def _row_names(categories: Categories | Sequence[str] | int) -> tuple[str, ...] | None:
    if isinstance(categories, int):
        return None
    return (BACKGROUND, *(categories.names if isinstance(categories, Categories) else categories))


def _num_rows(state: StateDict) -> int:
    return len(state["roi_heads.box_predictor.cls_score.bias"])


def _matching_rows(
    names: tuple[str, ...] | None, source_names: tuple[str, ...] | None, num_rows: int, num_source_rows: int
) -> list[tuple[int, int]]:
    """Return pairs (row of the model, row of the file) of the same category."""
    if names is None or source_names is None:
        return [(row, row) for row in range(num_rows)] if num_rows == num_source_rows else []
    source_rows = {_plain(name): row for row, name in reversed(list(enumerate(source_names))) if name != "N/A"}
    return [(row, source_rows[_plain(name)]) for row, name in enumerate(names) if _plain(name) in source_rows]


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _copy_rows(own: Tensor, given: Tensor, pairs: list[tuple[int, int]], rows_per_category: int) -> Tensor:
    """Return ``own`` with the rows of the matching categories from ``given``; both (categories * rows, ...)."""
    if not pairs:
        return own
    to_rows, from_rows = torch.tensor(pairs, device=own.device).T
    result = own.clone().view(-1, rows_per_category, *own.shape[1:])
    result[to_rows] = given.to(own).view(-1, rows_per_category, *own.shape[1:])[from_rows]
    return result.view_as(own)


def _report(
    file: WeightsFile,
    sizes: dict[str, tuple[int, int]],
    names: tuple[str, ...] | None,
    pairs: list[tuple[int, int]],
) -> WeightsReport:
    categories: dict[str, str] = {}
    if names is not None and file.row_names is not None:
        categories = {names[row]: file.row_names[source] for row, source in pairs if row > 0}
    return WeightsReport(
        file.source,
        loaded=tuple(key for key, (copied, new) in sizes.items() if copied and not new),
        transferred=tuple(key for key, (copied, new) in sizes.items() if copied and new),
        new=tuple(key for key, (copied, _) in sizes.items() if not copied),
        categories=categories,
        new_categories=tuple(name for name in (names or ())[1:] if name not in categories),
        sizes=sizes,
    )


def report_without_weights(model: nn.Module) -> WeightsReport:
    """Return the report of a model that no weights were read for: every tensor is new."""
    sizes = {key: (0, value.numel()) for key, value in model.state_dict().items() if "num_batches" not in key}
    return WeightsReport("none", new=tuple(sizes), sizes=sizes)
