"""That the exported network predicts what the recipe's trained student predicts, to the bit."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine import Config
from torch import Tensor, nn

from ..utils.networks import image_batch


class Prediction(NamedTuple):
    """Of one image."""

    inputs: Tensor  # what the backbone takes first, (1, 3, H, W)
    logits: Tensor  # resized to the image, (classes, H, W); of a classifier its scores, (classes,)
    labels: Tensor  # (1, H, W); of a classifier (1,)


def predict_by_recipe(model: nn.Module, cfg: Config, image: str) -> Prediction:
    """By a trained model as the validation of its config runs it."""
    network = getattr(model, 'architecture', model)
    return _predict(network, lambda: model.test_step(image_batch(cfg, image))[0])


def load_shipped(config: Path, checkpoint: Path, classifies: bool) -> nn.Module:
    """``mmseg.apis.init_model``, or ``mmpretrain.get_model``, on the CPU."""
    with contextlib.redirect_stdout(io.StringIO()):  # mmengine prints the file's name
        if classifies:
            from mmpretrain import get_model

            return get_model(str(config), pretrained=str(checkpoint), device='cpu')
        from mmseg.apis import init_model

        return init_model(str(config), str(checkpoint), device='cpu')


def predict_shipped(model: nn.Module, image: str, classifies: bool) -> Prediction:
    """By a model that :func:`load_shipped` gave, as its package runs it."""
    if classifies:
        from mmpretrain.apis import ImageClassificationInferencer

        infer = ImageClassificationInferencer(model)
        infer.show_progress = False
        return _predict(model, lambda: infer(image, return_datasamples=True)[0])
    from mmseg.apis import inference_model

    return _predict(model, lambda: inference_model(model, image))


def prove_equal(expected: Prediction, got: Prediction) -> None:
    """Raise ValueError where anything differs; the error names the first that does."""
    for name, cause in (
        ('inputs', 'the image reaches the network differently (test_pipeline, data_preprocessor)'),
        ('logits', 'the networks differ'),
        ('labels', 'the labels are chosen differently'),
    ):
        a, b = getattr(expected, name), getattr(got, name)
        if torch.equal(a, b):
            continue
        what = f'{name} of {tuple(b.shape)} instead of {tuple(a.shape)}'
        if a.shape == b.shape:
            worst = (a.double() - b.double()).abs().max().item()
            what = f'{(a != b).sum():,} of {a.numel():,} {name} differ, by up to {worst:g}'
        raise ValueError(
            f'the exported student does not predict what the recipe predicts: {what}; {cause}'
        )


def prove_same_weights(expected: nn.Module, got: nn.Module) -> None:
    """Raise ValueError unless both have the same weights and buffers by the same names.

    One image need not pass through all of them: an auxiliary head is for the training alone.
    """
    a, b = expected.state_dict(), got.state_dict()
    wrong = sorted(a.keys() ^ b.keys()) or [k for k in a if not torch.equal(a[k].float(), b[k])]
    if wrong:
        raise ValueError(
            f'the exported student has other weights than the recipe: {", ".join(wrong[:5])}'
            + (f' and {len(wrong) - 5} more' if len(wrong) > 5 else '')
        )


def _predict(network: nn.Module, run: Callable[[], Any]) -> Prediction:
    inputs = []
    hook = network.backbone.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    try:
        with torch.no_grad():
            sample = run()
    finally:
        hook.remove()
    if 'pred_score' in sample:
        return Prediction(inputs[0], sample.pred_score, sample.pred_label)
    return Prediction(inputs[0], sample.seg_logits.data, sample.pred_sem_seg.data)
