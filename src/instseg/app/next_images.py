"""``instseg next``: choose the images to label next, and write them with pre-labels."""

from __future__ import annotations

import warnings

from omegaconf import DictConfig
from rich.console import Console

from instseg.analysis.next_images.scanned import Scan
from instseg.app.build_predictor import build_predictor
from instseg.app.check_calls import check_calls
from instseg.app.check_config import checked_next_config
from instseg.app.job import current_job
from instseg.app.next_choice import choose_images
from instseg.app.next_gain import expected_gain
from instseg.app.next_output import NextOutput
from instseg.app.next_scan import scan_images, scan_key
from instseg.app.next_summary import print_choice, print_next_step, print_unreadable
from instseg.core.command_line import EXIT_INTERRUPTED
from instseg.data.reading.image_files import find_images
from instseg.prediction.sources import source_folder
from instseg.prediction.twice import has_features

COLOURS = "the network has no features of images; the colours of 8 x 8 px tell which images are alike"


def next_images(composed: DictConfig) -> int:
    """Choose images to label next.

    Returns:
        The exit code of the program: 0 all images done, 2 some could not be read, 1 none could, 130 interrupted.

    Raises:
        InstsegError: anything the user can fix, before any work where it can be known before.
    """
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in other scripts are drawn as boxes
    config, job, console = checked_next_config(composed), current_job(), Console()
    check_calls(config.resolved)
    output, source = NextOutput(config), list(config.source)
    paths = [path for path in find_images(source) if not output.contains(path)][: config.limit]
    labelled = find_images(list(config.labelled)) if config.labelled else []
    predictor, identity = build_predictor(config, job)
    options = [override for override in job.overrides if override.startswith("model.")]
    scan = Scan(output.path / "scan", scan_key(identity, options, config.min_size, config.max_size, config.precision))
    if not has_features(predictor):
        console.print(f"[yellow]note:[/] {COLOURS}", soft_wrap=True)
    unreadable = scan_images(predictor, [*paths, *labelled], scan, config.batch_size, console)
    if unreadable is None:
        return EXIT_INTERRUPTED
    print_unreadable(console, unreadable)
    seen, known = ([path for path in some if scan.knows(path)] for some in (paths, labelled))
    if not seen:
        return 1
    folder = source_folder(source, paths)
    choice = choose_images(scan.of(seen), scan.of(known), config.count, folder)
    exit_code = 2 if unreadable else 0
    if not choice.paths:
        console.print("nothing to choose: every image is a near duplicate of a labelled one", soft_wrap=True)
        return exit_code
    summary = output.write(predictor, choice, folder, identity, console)
    summary.print(console)
    print_choice(console, choice, config.count, len(seen))
    print_next_step(console, config, expected_gain(config, len(choice.paths)), output.formats)
    return summary.exit_code or exit_code
