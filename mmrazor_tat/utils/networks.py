"""Networks of a config: trained, as their training began, and weights to start from."""

import contextlib
import copy
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

from mmengine import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import set_random_seed
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch import nn
from torch.utils.data import DataLoader

from ..compat.checkpoints import read_checkpoint
from .configs import is_recipe, model_of
from .errors import UserError, naming
from .files import save_atomically

_STUDENT = 'architecture.'
# What a test pipeline reads beside the image.
_READS_LABELS = ('LoadAnnotations',)
_SHOWN = 3  # lines of what does not fit


def trained_model(
    cfg: Config, checkpoint: Optional[str] = None, with_teacher: bool = False
) -> nn.Module:
    """The model of a config, which stays as it is, in eval mode on the CPU, with the weights of a
    checkpoint of its own training; None: random ones. A plain network also takes the student of a
    distillation checkpoint. ``with_teacher``: that of a recipe is loaded from its ``teacher_ckpt``.

    FileNotFoundError or ValueError for a checkpoint, or the teacher's, that is not there, cannot be
    read or does not fit, or another teacher than that of the checkpoint.
    """
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(f'config {cfg.filename!r} has no model')
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    model_cfg = copy.deepcopy(cfg.model)  # mmseg writes into it
    if is_recipe(cfg) and not with_teacher:
        model_cfg.teacher_ckpt = None
    if cfg.get('data_preprocessor') and 'data_preprocessor' not in model_cfg:
        model_cfg.data_preprocessor = cfg.data_preprocessor  # as the Runner does
    with naming(f'{cfg.filename}, model'):
        model = MODELS.build(model_cfg)
    if is_recipe(cfg) and with_teacher:
        model._require_loaded_teacher()
    if checkpoint is not None:
        load_trained_weights(model, checkpoint)
        if with_teacher and getattr(model, 'teacher_of_checkpoint', None):
            raise ValueError(
                f'checkpoint {checkpoint!r} was made with another teacher than teacher_ckpt '
                f'{model.teacher_ckpt!r}: one {model.teacher_of_checkpoint}. Set '
                'model.teacher_ckpt to that one'
            )
    return revert_sync_batchnorm(model).eval()


def load_trained_weights(model: nn.Module, checkpoint: str) -> None:
    """Load every weight of ``model``; see :func:`trained_model`."""
    content = read_checkpoint(str(checkpoint))
    weights = content.get('state_dict', content) if isinstance(content, dict) else content
    if not isinstance(weights, dict):
        raise ValueError(f'checkpoint {checkpoint!r} holds no weights')
    is_recipe, of_recipe = hasattr(model, 'architecture'), student_weights(weights)
    if not is_recipe and of_recipe:
        weights = of_recipe
    elif is_recipe and not of_recipe:
        raise ValueError(
            f'checkpoint {checkpoint!r} holds a plain network, the config is of a distillation: '
            "take the checkpoint of the distillation, or the student's own config"
        )
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
        more = f' (and {len(lines) - _SHOWN} more such lines)' if len(lines) > _SHOWN else ''
        raise ValueError(
            f'checkpoint {checkpoint!r} does not fit the {type(model).__name__} of the config: '
            + ' '.join(line[:300] for line in lines[:_SHOWN])
            + more
        ) from error


def student_weights(weights: dict) -> dict:
    """Those of the student among the weights of a distillation checkpoint, by its own names."""
    return {k[len(_STUDENT) :]: v for k, v in weights.items() if k.startswith(_STUDENT)}


def image_batch(cfg: Config, image: str, split: str = 'test') -> dict[str, Any]:
    """One image through the pipeline of a split, 'test' or 'val', as its data loader would give it:
    'inputs' and 'data_samples', one of each, for ``model.data_preprocessor`` or ``val_step``.

    FileNotFoundError or ValueError where there is no such image, or it cannot be read.
    """
    if not Path(image).is_file():
        raise FileNotFoundError(f'there is no image {str(image)!r}')
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    pipeline = [t for t in pipeline_of(cfg, split) if t['type'].split('.')[-1] not in _READS_LABELS]
    sample = dict(img_path=str(image), seg_fields=[], reduce_zero_label=False)
    try:
        data = Compose(pipeline)(sample)
    except Exception as error:  # cv2.error, AttributeError of None, and what backends raise
        raise ValueError(f'{str(image)!r} cannot be read as an image: {error}') from error
    return pseudo_collate([data])


def pipeline_of(cfg: Config, split: str = 'test') -> Sequence[dict]:
    """The transforms of the images of a split; of a wrapper around others, those of the first."""
    dataset = cfg[f'{split}_dataloader'].dataset
    while 'pipeline' not in dataset:  # a wrapper around others
        inner = dataset.get('dataset') or dataset.get('datasets')
        dataset = inner[0] if isinstance(inner, list) else inner
    return dataset.pipeline


class NoInitialWeightsError(UserError):
    """The weights that a training began with cannot be had."""


def untrained_model(cfg: Config, seed: Optional[int]) -> nn.Module:
    """The model of a config as the Runner starts to train it, in eval mode on the CPU.

    That holds for a training on the kind of device at hand: the same seed gives a GPU and a CPU
    other numbers. The global random numbers are seeded. NoInitialWeightsError where there is no
    seed, or weights that the config names for the student (a file, or ImageNet's) cannot be loaded.
    """
    if seed is None:
        raise NoInitialWeightsError('neither the checkpoint nor the config has the seed of the run')
    set_random_seed(seed)
    # The Runner draws on the device that it trains on, and a GPU draws other numbers.
    model = trained_model(cfg, with_teacher=is_recipe(cfg)).to(get_device())
    if 'max_iters' in (cfg.get('train_cfg') or {}):
        # The Runner's loop by iterations wraps the data loader before it calls init_weights; in
        # mmengine 0.10.7 that draws a number, in 0.10.12 it does not.
        _InfiniteDataloaderIterator(DataLoader([0]))
    try:
        with quiet():  # of every parameter
            model.init_weights()
        if cfg.get('load_from') and not cfg.get('resume'):
            content = read_checkpoint(cfg.load_from, 'load_from')
            model.load_state_dict(content.get('state_dict', content), strict=False)
    except (OSError, RuntimeError, ValueError) as error:  # what downloads and files raise
        raise NoInitialWeightsError(
            f'the weights that the training began with cannot be had: {error}'
        ) from error
    return model.cpu().eval()


def seed_of(cfg: Config, meta: dict) -> Optional[int]:
    """The seed of the run that made a checkpoint, from its ``meta``, else the config's."""
    seed = meta.get('seed')
    return cfg.get('randomness', {}).get('seed') if seed is None else seed


@contextlib.contextmanager
def quiet(logger: Optional[logging.Logger] = None) -> Iterator[None]:
    """Inside, a logger, else mmengine's, says errors alone."""
    logger = logger or MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def initial_weights(cfg: Config, path: Path, seed: int) -> str:
    """Save freshly drawn weights of the network that a config trains, of a recipe its student; the
    path.

    A training starts from them with ``init_cfg=dict(type='Pretrained', checkpoint=...)``. ImageNet
    weights that the config names are part of what is saved.
    """
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    set_random_seed(seed)
    model = MODELS.build(model_of(cfg))
    with quiet():
        model.init_weights()
    save_atomically({'state_dict': model.state_dict()}, path)
    return str(path)
