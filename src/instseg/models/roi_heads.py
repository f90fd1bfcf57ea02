"""Box and mask heads, with mask targets sampled from box masks, and detections and losses from one pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads as TorchvisionRoIHeads

from instseg.core.types import Detections, ImageSize
from instseg.models.ignored_regions import without_ignored
from instseg.models.losses import box_losses, mask_loss
from instseg.models.mask_targets import sample_mask_targets
from instseg.models.rpn import full_precision
from instseg.models.sampling import BalancedSampler, offset_indices

Features = dict[str, Tensor]


@dataclass(slots=True)
class SampledRois:
    """RoIs in the loss; every list has one entry per image, of S_i RoIs."""

    candidates: list[Tensor]  # (R_i + N_i, 4) the proposals followed by the boxes of the targets
    chosen: list[Tensor]  # int64 (S_i,) rows of candidates
    rois: list[Tensor]  # (S_i, 4) those rows
    instances: list[Tensor]  # int64 (S_i,) the matched instance of the image
    labels: list[Tensor]  # int64 (S_i,) 0 is background
    positive: list[Tensor]  # int64 (P_i,) rows of the S_i that are not background
    target_deltas: list[Tensor]  # (S_i, 4) from a RoI to the box of its instance, as the head predicts them

    @property
    def rows(self) -> Tensor:
        """Rows of the chosen RoIs among the candidates of all images, int64 (sum S_i,)."""
        return offset_indices(self.chosen, [len(boxes) for boxes in self.candidates])

    def rows_with_masks(self, targets: list[dict[str, Tensor]]) -> list[Tensor]:
        """Return those of ``positive`` whose instance has a mask; the mask loss is the mean over them.

        Args:
            targets: per image has_mask bool (N,) where some instances have none.
        """
        return [
            rows[target["has_mask"][instances[rows]]] if "has_mask" in target else rows
            for rows, instances, target in zip(self.positive, self.instances, targets, strict=True)
        ]

    def unlabelled(self, targets: list[dict[str, Tensor]], num_classes: int) -> Tensor | None:
        """Return which categories are not labelled on the image of each RoI, bool (sum S_i, num_classes), or None.

        Args:
            targets: per image unlabelled int64 (U,) where some categories are not.
            num_classes: with the background.
        """
        if not any("unlabelled" in target for target in targets):
            return None
        of_images = []
        for rois, target in zip(self.rois, targets, strict=True):
            row = torch.zeros(num_classes, dtype=torch.bool, device=rois.device)
            row = row.index_fill(0, target["unlabelled"], True) if "unlabelled" in target else row
            of_images.append(row.expand(len(rois), -1))
        return torch.cat(of_images)


class RoIHeads(TorchvisionRoIHeads):
    """torchvision's RoIHeads with box masks as targets; losses if targets are given, detections in evaluation."""

    def __init__(self, *args: object, batch_size_per_image: int, positive_fraction: float, **kwargs: object) -> None:
        super().__init__(
            *args, batch_size_per_image=batch_size_per_image, positive_fraction=positive_fraction, **kwargs
        )
        self.fg_bg_sampler = BalancedSampler(batch_size_per_image, positive_fraction)

    def forward(
        self,
        features: Features,
        proposals: list[Tensor],
        image_shapes: list[ImageSize],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[Detections], dict[str, Tensor]]:
        """Return detections and losses; all boxes are xyxy px in the network frame.

        Args:
            features: name of the level -> (B, C, H_l, W_l).
            proposals: per image (R_i, 4).
            image_shapes: (height, width) px of the images without the padding.
            targets: per image boxes (N, 4) xyxy, labels int64 (N,) and box_masks uint8 (N, M, M).
        """
        if self.training:
            assert targets is not None
            sampled = self.sample(proposals, targets)
            logits, deltas = self.box_outputs(features, sampled.rois, image_shapes)
            return [], self.losses(features, image_shapes, sampled, logits, deltas, targets)
        if targets is None:
            logits, deltas = self.box_outputs(features, proposals, image_shapes)
            return self.detect(features, image_shapes, proposals, logits, deltas), {}
        return self.detect_with_losses(features, proposals, image_shapes, targets)

    def detect_with_losses(
        self,
        features: Features,
        proposals: list[Tensor],
        image_shapes: list[ImageSize],
        targets: list[dict[str, Tensor]],
    ) -> tuple[list[Detections], dict[str, Tensor]]:
        """Return detections and losses from one pass of the box head; the sampled RoIs are among its rows.

        Args:
            features: name of the level -> (B, C, H_l, W_l).
            proposals: per image (R_i, 4) xyxy.
            image_shapes: (height, width) px of the images without the padding.
            targets: per image boxes (N, 4) xyxy, labels int64 (N,) and box_masks uint8 (N, M, M).
        """
        sampled = self.sample(proposals, targets)
        logits, deltas = self.box_outputs(features, sampled.candidates, image_shapes)
        losses = self.losses(features, image_shapes, sampled, logits[sampled.rows], deltas[sampled.rows], targets)
        num_candidates = [len(boxes) for boxes in sampled.candidates]
        # The proposals come first among the candidates of an image; the boxes of the targets after them do not count.
        rows_of_images = [torch.arange(len(boxes), device=logits.device) for boxes in proposals]
        rows = offset_indices(rows_of_images, num_candidates)
        return self.detect(features, image_shapes, proposals, logits[rows], deltas[rows]), losses

    def sample(self, proposals: list[Tensor], targets: list[dict[str, Tensor]]) -> SampledRois:
        """Match proposals and true boxes to the instances, and draw a balanced sample.

        Args:
            proposals: per image (R_i, 4) xyxy.
            targets: per image boxes (N, 4) xyxy, labels int64 (N,) and box_masks uint8 (N, M, M), and ignored regions
                where it has some.
        """
        self.fg_bg_sampler.repeatable = not self.training
        boxes = [target["boxes"].to(proposals[0].dtype) for target in targets]
        candidates = self.add_gt_proposals(proposals, boxes)
        instances, labels = self.assign_targets_to_proposals(candidates, boxes, [t["labels"] for t in targets])
        positives, negatives = self.fg_bg_sampler(without_ignored(labels, candidates, targets))
        chosen = [torch.cat(rows).sort().values for rows in zip(positives, negatives, strict=True)]
        positive = [torch.searchsorted(rows, found) for rows, found in zip(chosen, positives, strict=True)]
        instances = [index[rows] for index, rows in zip(instances, chosen, strict=True)]
        labels = [label[rows] for label, rows in zip(labels, chosen, strict=True)]
        rois = [candidate[rows] for candidate, rows in zip(candidates, chosen, strict=True)]
        # An image without instances has no box to regress to: all its RoIs are background, which has no box loss.
        matched_boxes = [
            true_boxes[index] if len(true_boxes) else roi
            for true_boxes, index, roi in zip(boxes, instances, rois, strict=True)
        ]
        target_deltas = self.box_coder.encode(matched_boxes, rois)
        return SampledRois(candidates, chosen, rois, instances, labels, positive, target_deltas)

    def box_outputs(
        self, features: Features, rois: list[Tensor], image_shapes: list[ImageSize]
    ) -> tuple[Tensor, Tensor]:
        """Return class logits (sum R, num_classes) and box deltas (sum R, num_classes * 4).

        Args:
            features: name of the level -> (B, C, H_l, W_l).
            rois: per image (R, 4) xyxy.
            image_shapes: (height, width) px of the images without the padding.
        """
        logits, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, rois, image_shapes)))
        return full_precision(logits), full_precision(deltas)

    def mask_outputs(
        self, features: Features, rois: list[Tensor], labels: Tensor, image_shapes: list[ImageSize]
    ) -> Tensor:
        """Return mask logits (sum R, m, m).

        Args:
            features: name of the level -> (B, C, H_l, W_l).
            rois: per image (R, 4) xyxy.
            labels: int64 (sum R,) category of each RoI.
            image_shapes: (height, width) px of the images without the padding.
        """
        pooled = self.mask_roi_pool(features, rois, image_shapes)
        return full_precision(self.mask_predictor(self.mask_head(pooled), labels))

    def losses(
        self,
        features: Features,
        image_shapes: list[ImageSize],
        sampled: SampledRois,
        class_logits: Tensor,
        deltas: Tensor,
        targets: list[dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        """Return the losses of Fast R-CNN (Girshick, 2015) and of Mask R-CNN (He et al., 2017).

        Args:
            features: name of the level -> (B, C, H_l, W_l).
            image_shapes: (height, width) px of the images without the padding.
            sampled: the RoIs.
            class_logits: (sum S_i, num_classes).
            deltas: (sum S_i, num_classes * 4).
            targets: per image boxes (N, 4) xyxy, labels int64 (N,) and box_masks uint8 (N, M, M), and where there are
                any, has_mask bool (N,) of instances without, and unlabelled int64 (U,) of categories.
        """
        positive = offset_indices(sampled.positive, [len(rois) for rois in sampled.rois])
        loss_classifier, loss_box = box_losses(
            class_logits,
            torch.cat(sampled.labels),
            deltas,
            torch.cat(sampled.target_deltas),
            positive,
            sampled.unlabelled(targets, class_logits.shape[1]),
        )
        with_masks = sampled.rows_with_masks(targets)
        rois, labels_of_images, matched = (
            [values[rows] for values, rows in zip(values_of_images, with_masks, strict=True)]
            for values_of_images in (sampled.rois, sampled.labels, sampled.instances)
        )
        labels = torch.cat(labels_of_images)
        instances = offset_indices(matched, [len(target["labels"]) for target in targets])
        mask_logits = self.mask_outputs(features, rois, labels, image_shapes)
        boxes = torch.cat([target["boxes"] for target in targets])
        box_masks = torch.cat([target["box_masks"] for target in targets])
        mask_targets = sample_mask_targets(
            box_masks[instances], boxes[instances], torch.cat(rois), mask_logits.shape[-1]
        )
        loss_mask = mask_loss(mask_logits, mask_targets)
        return {"loss_classifier": loss_classifier, "loss_box_reg": loss_box, "loss_mask": loss_mask}

    def detect(
        self,
        features: Features,
        image_shapes: list[ImageSize],
        proposals: list[Tensor],
        class_logits: Tensor,
        deltas: Tensor,
    ) -> list[Detections]:
        """Return the boxes that NMS within each category keeps, and their masks.

        Args:
            features: name of the level -> (B, C, H_l, W_l).
            image_shapes: (height, width) px of the images without the padding.
            proposals: per image (R_i, 4) xyxy.
            class_logits: (sum R_i, num_classes).
            deltas: (sum R_i, num_classes * 4).
        """
        boxes, scores, labels = self.postprocess_detections(class_logits, deltas, proposals, image_shapes)
        mask_probs = self.mask_outputs(features, boxes, torch.cat(labels), image_shapes).sigmoid()
        split = torch.split(mask_probs, [len(label) for label in labels])
        return [Detections(*fields) for fields in zip(boxes, labels, scores, split, strict=True)]
