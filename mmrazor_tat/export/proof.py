"""That the exported network predicts what the recipe's trained student predicts, to the bit."""

import contextlib
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine import Config
from torch import Tensor, nn

from ..utils.networks import image_batch


@dataclass(frozen=True)
class Prediction:
    """Of one image.

    Attributes:
        inputs: what the backbone takes first, (1, 3, H, W).
        logits: resized to the image, (classes, H, W); of a classifier its scores, (classes,).
        labels: (1, H, W); of a classifier (1,).
    """

    inputs: Tensor
    logits: Tensor
    labels: Tensor


def predict_by_recipe(model: nn.Module, cfg: Config, image: str) -> Prediction:
    """By a trained model as the validation of its config runs it."""
    network = getattr(model, 'architecture', model)
    return _predict(network, lambda: model.test_step(image_batch(cfg, image))[0])


def predict_by_mmseg(model: nn.Module, image: str) -> Prediction:
    """By a model that ``mmseg.apis.init_model`` gave."""
    from mmseg.apis import inference_model

    return _predict(model, lambda: inference_model(model, image))


def load_by_mmseg(config: Path, checkpoint: Path) -> nn.Module:
    """``mmseg.apis.init_model`` on the CPU."""
    from mmseg.apis import init_model

    with contextlib.redirect_stdout(io.StringIO()):  # mmengine prints the file's name
        return init_model(str(config), str(checkpoint), device='cpu')


def predict_by_mmpretrain(model: nn.Module, image: str) -> Prediction:
    """By a classifier that ``mmpretrain.get_model`` gave."""
    from mmpretrain.apis import ImageClassificationInferencer

    infer = ImageClassificationInferencer(model)
    infer.show_progress = False
    return _predict(model, lambda: infer(image, return_datasamples=True)[0])


def load_by_mmpretrain(config: Path, checkpoint: Path) -> nn.Module:
    """``mmpretrain.get_model`` on the CPU."""
    from mmpretrain import get_model

    with contextlib.redirect_stdout(io.StringIO()):  # mmengine prints the file's name
        return get_model(str(config), pretrained=str(checkpoint), device='cpu')


def prove_equal(expected: Prediction, got: Prediction) -> float:
    """The greatest difference of the logits, which is 0.

    Raises:
        ValueError: anything differs; the error names the first that does.
    """
    for name, cause in (
        ('inputs', 'the image reaches the network differently (test_pipeline, data_preprocessor)'),
        ('logits', 'the networks differ'),
        ('labels', 'the labels are chosen differently'),
    ):
        a, b = getattr(expected, name), getattr(got, name)
        if a.shape != b.shape:
            raise ValueError(
                f'the exported student does not predict what the recipe predicts: {name} of '
                f'{tuple(b.shape)} instead of {tuple(a.shape)}; {cause}'
            )
        if not torch.equal(a, b):
            different = (a != b).nonzero()
            worst = (a.double() - b.double()).abs().max().item()
            raise ValueError(
                'the exported student does not predict what the recipe predicts: '
                f'{len(different):,} of {a.numel():,} {name} differ, by up to {worst:g}, the first '
                f'at {tuple(different[0].tolist())} of {tuple(a.shape)}; {cause}'
            )
    return (expected.logits - got.logits).abs().max().item()


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


def _predict(network: nn.Module, run: Any) -> Prediction:
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


def sha256_of(path: Any) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
