"""Predictions from windows and mirror images, and the pictures of the worst images."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tasks.contract import TrialError
from tasks.segmentation.evaluation import Truth, evaluate, make_truth, predict
from tasks.segmentation.masked import IGNORE, MaskedSplit, load_scenes
from tasks.segmentation.params import MAX_SCORES, Params
from tasks.segmentation.pictures import NUM_PICTURES, SIDE, overlay, picture_samples

CLASSES = 4


def make(shapes: list[tuple[int, int]], params: Params) -> Truth:
    rng = np.random.default_rng(0)
    labels = [rng.integers(0, CLASSES, shape).astype(np.uint8) for shape in shapes]
    masks = {
        "labels": np.concatenate([each.ravel() for each in labels]),
        "shape": np.array(shapes),
    }
    return make_truth(masks, params)


def random_scores(rows: Sequence[int]) -> Tensor:
    """Class scores [W, C, 3, 3] that depend on the window's number."""
    return torch.stack(
        [torch.randn(CLASSES, 3, 3, generator=torch.Generator().manual_seed(row)) for row in rows]
    )


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("evaluation", ["whole", "slide"])
def test_predictions_agree_with_a_slow_oracle(evaluation: str, flip: bool) -> None:
    params = Params(evaluation=evaluation, flip=flip, image_size=32, crop_size=24)  # type: ignore[arg-type]
    truth = make([(20, 30), (20, 30), (33, 16)], params)
    for images in truth.chunks(CLASSES):
        found = predict(truth, images, random_scores)[0].numpy()
        for image, mask in zip(images, found, strict=True):
            height, width = truth.shapes[image]
            total = np.zeros((CLASSES, height, width))
            for number, (top, left, high, wide), mirrored in truth.windows[image]:
                scores = random_scores([number])
                if mirrored:
                    scores = torch.flip(scores, [3])
                full = F.interpolate(scores, (high, wide), mode="bilinear").softmax(1)[0].numpy()
                for y in range(high):
                    for x in range(wide):
                        if 0 <= top + y < height and 0 <= left + x < width:
                            total[:, top + y, left + x] += full[:, y, x]
            np.testing.assert_array_equal(mask, total.argmax(0))


def test_chunks_hold_equal_images_in_order() -> None:
    truth = make([(8, 8)] * 70 + [(8, 9)] + [(8, 8)], Params())
    chunks = list(truth.chunks(CLASSES))
    assert [len(chunk) for chunk in chunks] == [64, 6, 1, 1]
    assert [image for chunk in chunks for image in chunk] == list(range(72))


def test_chunks_of_large_images_stay_within_the_memory() -> None:
    truth = make([(512, 683)] * 5 + [(4000, 3000)] * 2, Params())
    chunks = list(truth.chunks(7))
    num_scores = 7 * 512 * 683  # of one image
    assert 3 * num_scores <= MAX_SCORES < 4 * num_scores
    assert [len(chunk) for chunk in chunks] == [3, 2, 1, 1]
    assert [image for chunk in chunks for image in chunk] == list(range(7))
    assert max(map(len, truth.chunks(2))) == 5


def test_scores_that_are_not_finite_fail_the_trial() -> None:
    # Of several chunks and windows, one score.
    truth = make([(8, 8), (30, 40)], Params(evaluation="slide", image_size=32, crop_size=24))

    def score(rows: Sequence[int]) -> Tensor:
        scores = random_scores(rows)
        scores[[row == 1 for row in rows], 0, 0, 0] = torch.nan
        return scores

    with pytest.raises(TrialError, match="not finite"):
        evaluate(truth, score, CLASSES, boundaries=False)


def test_pictures_show_the_worst_images_first() -> None:
    split = load_scenes("val")
    masks = [split.load_mask(index) for index in range(20)]
    values = {
        "labels": np.concatenate([mask.ravel() for mask in masks]),
        "shape": np.array([mask.shape for mask in masks]),
    }
    truth = make_truth(values, Params())
    small = MaskedSplit(
        image_ids=split.image_ids[:20],
        classes=split.classes,
        load=split.load,
        load_mask=split.load_mask,
    )

    def score(rows: Sequence[int]) -> Tensor:  # right, except for the images from 10 on
        wrong = [masks[row] if row < 10 else np.roll(masks[row], 3 * row) for row in rows]
        return F.one_hot(torch.from_numpy(np.stack(wrong)).long(), 11).permute(0, 3, 1, 2).float()

    scores = evaluate(truth, score, 11, boundaries=True)
    samples = scores.samples(small)
    pictures = picture_samples(small, truth, score, samples["image_iou"])
    assert samples.keys() == pictures.keys()
    assert {len(column) for column in pictures.values()} == {3 * NUM_PICTURES}
    assert pictures["view"][::NUM_PICTURES] == ["worst images", "truth", "prediction"]
    ious = pictures["image_iou"][:NUM_PICTURES]
    assert ious == sorted(samples["image_iou"])[:NUM_PICTURES]
    assert set(pictures["image"][:10]) == set(small.image_ids[10:])
    opened = [Image.open(io.BytesIO(picture)) for picture in pictures["picture"]]
    assert {image.size for image in opened} == {(SIDE, SIDE)}
    worst = small.image_ids.index(pictures["image"][0])
    np.testing.assert_array_equal(opened[0], split.load(worst))
    np.testing.assert_array_equal(opened[NUM_PICTURES], overlay(split.load(worst), masks[worst]))


def test_overlay_colors_classes_and_leaves_the_background() -> None:
    image = Image.new("RGB", (3, 1), (100, 100, 100))
    shown = np.asarray(overlay(image, np.array([[0, 1, IGNORE]], np.uint8)))
    assert shown[0, 0].tolist() == [100, 100, 100]
    assert shown[0, 1].tolist() == [118, 35, 35]  # VOC's first color, (128, 0, 0)
    assert (shown[0, 2] > 190).all()
