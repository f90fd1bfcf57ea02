"""Claim: images that ``instseg next`` chooses teach as much as more images that chance chooses, or do not.

    python benchmarks/next_images.py run --data ../shared/data --weights imagenet --out rounds.jsonl
    python benchmarks/next_images.py table rounds.jsonl

A person labels 10 % of a pool, trains, labels more up to 18 %, trains, and so on to 30 %: each 0.6 of the next. The
first images are the same for every rule. ``next`` is the rule of the command, ``uncertain`` and ``diverse`` its two
factors alone, ``random`` is chance. All trainings take as many steps, whatever the number of images, and start from
weights of ImageNet, whose stages stay as they are. Each is one line of the file, and one that is there is not run
again. Intervals of 95 % are Student's, of the paired differences over the seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from processes import apart
from resumable import add_line, commands, read_lines
from small_data import FIXED, test, train
from small_data_table import mean_with_interval

from instseg.analysis.next_images.choice import Candidates, choose
from instseg.analysis.next_images.uncertainty import uncertainty
from instseg.app.build_data import build_datamodule, build_dataset
from instseg.app.build_model import build_model
from instseg.app.build_module import build_optimizer
from instseg.app.compose import compose
from instseg.app.config import RunConfig
from instseg.app.read_config import read_config
from instseg.core.segmenter import DescribesImages, InstanceSegmenter, as_module
from instseg.core.types import Batch
from instseg.data.index.columns import Index
from instseg.data.prepared import PreparedDataset
from instseg.data.splits.near_duplicates import perceptual_hashes, similar_groups
from instseg.prediction.mirrored import mirrored_back
from instseg.prediction.twice import mirrored_batch

DAMAGES = ("airbag", "astar", "cam_catlagi", "cizik", "far_hasar", "gocuk", "kaput_hasar", "kirik-kayip")
SETS = {
    "shapes": (
        "dataset=shapes", "dataset.num_images={train: 800, val: 1, test: 100}", "dataset.max_instances=5",
        "dataset.empty_fraction=0.4",
    ),
    "nuclei": ("dataset=coco", "dataset.root={data}/nuclei_coco", "augmentation.min_size=192",
               "augmentation.max_size=256"),
    "car_damage": (
        "dataset=coco", "dataset.root={data}/car_damage", "augmentation.min_size=192", "augmentation.max_size=256",
        "dataset.categories=[damage]", f"dataset.rename={{{', '.join(f'{name}: damage' for name in DAMAGES)}}}",
    ),
}  # fmt: skip
"""The first is as images come from a camera: many are empty, and one category is rare. Damages are one category: of
eight, none is learnt from so few images."""
RARE, KEPT, POOL = "ring", 0.12, 400
"""Category of shapes of whose images so many are kept, and the size of the pool after that."""
RULES = ("random", "next", "uncertain", "diverse")
FRACTIONS = (0.1, 0.18, 0.3)

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Round:
    """A line of the file: a training on the images that a rule has chosen so far."""

    dataset: str
    seed: int
    rule: str
    fraction: float
    images: list[int]  # positions in the pool
    chosen: dict[str, list[int]]  # rule -> what it chooses then
    num_instances: int
    ap: float
    low: float
    high: float
    ap_50: float

    @property
    def key(self) -> tuple[object, ...]:
        return self.dataset, self.seed, self.rule, self.fraction


def composed(arguments: argparse.Namespace, dataset: str, seed: int) -> RunConfig:
    overrides = [override.replace("{data}", str(arguments.data.absolute())) for override in SETS[dataset]]
    model = ("model=mobilenet_fpn", f"model.weights={arguments.weights}", "model.trainable_layers=0")
    settings = (*FIXED, f"seed={seed}", "dataset.seed=0", f"cache_dir={arguments.cache}", "run_dir=none")
    return read_config(compose("train", [*overrides, *model, *settings, *arguments.overrides]), RunConfig)


def pool_of(dataset: str, prepared: PreparedDataset) -> Index:
    """The training images; of shapes, few of those with the category that is to be rare."""
    whole = prepared.indices["train"]
    if dataset != "shapes":
        return whole
    is_rare = whole.has_category()[:, whole.categories.label(RARE) - 1]
    is_kept = ~is_rare | (np.random.default_rng(0).random(len(whole)) < KEPT)
    return Index(whole.folder, whole.rows[is_kept][:POOL])


def run(arguments: argparse.Namespace, dataset: str, seed: int, rule: str, step: int, images: list[int]) -> Round:
    """Train on these images of the pool, test, and choose more by each rule that goes on from here."""
    torch.set_num_threads(1)
    config = composed(arguments, dataset, seed)
    prepared = build_dataset(config)
    pool = pool_of(dataset, prepared)
    part = Index(pool.folder, np.sort(pool.rows[images]))
    data = build_datamodule(config, PreparedDataset(prepared.folder, {**prepared.indices, "train": part}, []))
    torch.manual_seed(seed)
    network = build_model(config.model, data.categories)
    optimizer = build_optimizer(config.optimizer)(as_module(network), config.batch_size)
    train(network, data, optimizer, lambda steps: steps / arguments.steps)
    values, _ = test(network, data, "test")
    going_on = [one for one in arguments.rules if one != "random" and (step == 0 or one == rule)]
    chosen: dict[str, list[int]] = {}
    if step + 1 < len(FRACTIONS) and going_on:
        every = build_datamodule(config, PreparedDataset(prepared.folder, dict.fromkeys(prepared.indices, pool), []))
        candidates, others = looked_at(network, every.test_dataloader(), pool, images)
        count = round(FRACTIONS[step + 1] * len(pool)) - len(images)
        chosen = {one: others[ORDERS[one](candidates, count)].tolist() for one in going_on}
    return Round(
        dataset=dataset, seed=seed, rule=rule, fraction=FRACTIONS[step], images=images, chosen=chosen,
        num_instances=part.num_instances, **{name: round(value, 4) for name, value in values.items()},
    )  # fmt: skip


@torch.inference_mode()
def looked_at(
    network: InstanceSegmenter, batches: Iterable[Batch], pool: Index, labelled: Sequence[int]
) -> tuple[Candidates, Integers]:
    """What the command knows of the images that have no labels yet, and their positions in the pool."""
    assert isinstance(network, DescribesImages)
    doubts, features = [], []
    for batch in batches:
        (found,), described = network.predictions_and_features(batch)
        (mirrored,) = network.predict(mirrored_batch(batch))
        doubts.append(uncertainty(found, mirrored_back(mirrored)).total)
        features.append(described[0].float().numpy())
    groups = similar_groups(perceptual_hashes([pool.path(index) for index in range(len(pool))]))
    others, described_all = np.setdiff1d(np.arange(len(pool)), labelled), np.stack(features)
    return (
        Candidates(np.array(doubts)[others], described_all[others], groups[others], described_all[labelled],
                   groups[labelled]),
        others,
    )  # fmt: skip


def by_next(candidates: Candidates, count: int) -> Integers:
    return np.array([one.index for one in choose(candidates, count)])


def by_uncertainty(candidates: Candidates, count: int) -> Integers:
    order: Integers = np.argsort(-candidates.uncertainties, kind="stable")[:count]
    return order


def by_diversity(candidates: Candidates, count: int) -> Integers:
    return by_next(dataclasses.replace(candidates, uncertainties=np.zeros(len(candidates.groups))), count)


ORDERS: dict[str, Callable[[Candidates, int], Integers]] = {
    "next": by_next,
    "uncertain": by_uncertainty,
    "diverse": by_diversity,
}


def run_all(arguments: argparse.Namespace) -> None:
    """Run what the file does not hold; each round goes on from the one before."""
    done = {one.key: one for one in read_lines(arguments.out, Round)}
    for seed, dataset in product(arguments.seeds, arguments.sets):
        order = apart(random_order, arguments, dataset, seed)
        for rule, step in product(arguments.rules, range(len(FRACTIONS))):
            name = rule if step else "random"
            if (dataset, seed, name, FRACTIONS[step]) in done:
                continue
            if name == "random":
                images = order[: round(FRACTIONS[step] * len(order))]
            else:
                before = done[dataset, seed, rule if step > 1 else "random", FRACTIONS[step - 1]]
                images = before.images + before.chosen[rule]
            one = apart(run, arguments, dataset, seed, name, step, images)
            done[one.key] = one
            add_line(arguments.out, one)
            print(*one.key, len(images), one.num_instances, one.ap, one.ap_50, flush=True)


def random_order(arguments: argparse.Namespace, dataset: str, seed: int) -> list[int]:
    size = len(pool_of(dataset, build_dataset(composed(arguments, dataset, seed))))
    return [int(index) for index in np.random.default_rng(seed).permutation(size)]


def table(rounds: Sequence[Round]) -> Iterator[str]:
    """A Markdown table: each rule against chance, with as many images and with 1 / 0.6 as many."""
    yield "| set | images | rule | AP | instances | less that of chance | chance with 1 / 0.6 as many | less that |"
    yield "|---|---|---|---|---|---|---|---|"
    for dataset, step, rule in product(SETS, range(1, len(FRACTIONS)), RULES):
        own, same, more = (
            {one.seed: one for one in rounds if (one.dataset, one.rule, one.fraction) == (dataset, name, fraction)}
            for name, fraction in ((rule, FRACTIONS[step]), ("random", FRACTIONS[step]), ("random", next_of(step)))
        )
        if own:
            size = f"{len(next(iter(own.values())).images)} ({FRACTIONS[step]:.0%})"
            instances = statistics.mean(one.num_instances for one in own.values())
            cells = [
                "" if rule == "random" else less(own, same),
                mean_ap(more),
                "" if rule == "random" else less(own, more),
            ]
            yield f"| {' | '.join([dataset, size, rule, mean_ap(own), f'{instances:.0f}', *cells])} |"


def next_of(step: int) -> float:
    """The next fraction, NaN after the last."""
    return [*FRACTIONS, math.nan][step + 1]


def mean_ap(rounds: Mapping[int, Round]) -> str:
    return f"{statistics.mean(one.ap for one in rounds.values()):.3f}" if rounds else ""


def less(own: Mapping[int, Round], others: Mapping[int, Round]) -> str:
    """The difference of the APs of the seeds that both have, with its interval."""
    both = sorted(own.keys() & others.keys())
    return mean_with_interval([own[seed].ap - others[seed].ap for seed in both]) if both else ""


def options() -> argparse.ArgumentParser:
    parser, runs = commands(__doc__, "indices of the sets")
    runs.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    runs.add_argument("--rules", nargs="+", default=list(RULES[:2]), choices=RULES)
    runs.add_argument("--steps", type=int, default=200, help="of each training")
    return parser


if __name__ == "__main__":
    given = options().parse_args()
    if given.command == "run":
        run_all(given)
    else:
        print("\n".join(table(read_lines(given.file, Round))))
