"""What the checks look at, both networks, their maps and gradients, the logs; what they give."""

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import torch
from mmengine import Config
from mmengine.device import get_device
from mmengine.runner import Runner, set_random_seed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..compat.checkpoints import read_checkpoint
from ..engine.hooks.gradient_balance_hook import factors_of
from ..engine.runner.optimizer import learning_rates
from ..models.distillers.records import replaced_records
from ..models.gradient_shares import LossGradient
from ..utils.config_settings import type_name
from ..utils.configs import is_classifier, is_recipe
from ..utils.errors import naming, said
from ..utils.networks import seed_of, trained_model, untrained_model
from ..visualization.curves import Run
from ..visualization.panels import num_classes_of
from .scores import NotCheckedError, confusion, error_of_difference, score, spread_batches

Maps = dict[tuple, Tensor]  # by (recorder, from_student, ...)


@dataclass(frozen=True)
class Finding:
    """A likely reason for a student that does not gain."""

    cause: str  # in one line
    measured: str
    expected: str
    remedy: str  # what to type, or to change
    bars: dict[str, float] = field(default_factory=dict)  # what was compared, for a picture


class Subject:
    """A distillation as its training begins, or with the weights of a checkpoint.

    Args:
        cfg: of the recipe.
        checkpoint: of its training; None: as it begins.
        plain: the plain student, trained; None: unknown.
        run, plain_run: logs of both.
        num_images: of the validation, from all over it; None: 12, of a classification 256.
        num_batches: training batches to look at maps and gradients.

    Attributes:
        classes: of the data, in the order of their ids; empty where it names none.
        metainfo, train_metainfo: of the data sets.
        iterations: of the training.
        maps: by batch the tensors that the losses read.
        images: by batch the input (B, C, H, W).
        gradients: by batch what :func:`loss_gradients` gives.
        trained: the student's weights that the optimizer moves.
        reached: by loss, how many of the student's trained weights its gradient reaches.
        measured: what the checks note.
        failure: what a training step ended with; '' where it did not.
        values_per_channel: by batch norm of the student or the distiller, of the first batch.

    Raises:
        ValueError, FileNotFoundError: no recipe; no checkpoint or validation data there.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: Optional[str] = None,
        plain: Optional[nn.Module] = None,
        run: Optional[Run] = None,
        plain_run: Optional[Run] = None,
        num_images: Optional[int] = None,
        num_batches: int = 4,
    ) -> None:
        if not is_recipe(cfg):
            raise ValueError(f'config {cfg.filename!r} is no distillation recipe: nothing to check')
        self.cfg, self.checkpoint, self.run, self.plain_run = cfg, checkpoint, run, plain_run
        if checkpoint is None:
            model = untrained_model(cfg, seed_of(cfg, {}) or 0)
        else:
            model = trained_model(cfg, checkpoint, with_teacher=True)
            model.distiller.balance_factors = factors_of(read_checkpoint(checkpoint))
        self.model = model.to(get_device())
        self.plain = None if plain is None else plain.to(get_device())
        self.distiller = model.distiller
        self.names = list(self.distiller.loss_forward_mappings)
        self.measured: dict[str, Any] = {}
        self.val_batches: list[dict] = []
        self.num_images, self.classes, self.metainfo = 0, (), {}
        if cfg.get('val_dataloader'):
            loader = _loader(cfg, 'val')
            self.metainfo = getattr(loader.dataset, 'metainfo', {})
            self.classes = tuple(self.metainfo.get('classes') or ())
            count = num_images or (256 if is_classifier(cfg) else 12)
            self.val_batches = spread_batches(loader, count)
            self.num_images = sum(len(batch['inputs']) for batch in self.val_batches)
        self.maps: list[Maps] = []
        self.images: list[Tensor] = []
        self.gradients: list[dict[str, dict[str, LossGradient]]] = []
        rates = learning_rates(model, cfg.get('optim_wrapper') or {})
        weights = [p for p in model.student.parameters() if p.requires_grad]
        self.trained = [p for p in weights if rates.get(id(p), 1) > 0]
        self.reached: dict[str, int] = {}
        self.values_per_channel: dict[str, int] = {}
        self.train_metainfo: dict = {}
        self.iterations = 0
        set_random_seed(0)
        before = copy.deepcopy(self.model.state_dict())
        self.failure = ''  # what a training step ends with
        try:
            loader, loop = _loader(cfg, 'train'), cfg.get('train_cfg') or {}
            self.train_metainfo = getattr(loader.dataset, 'metainfo', {})
            epochs = loop.get('max_epochs') or 0
            self.iterations = loop.get('max_iters') or epochs * len(loader)
            for _, batch in zip(range(num_batches), loader):
                self._look_at(batch)
        except Exception as error:  # of whatever kind, it is a finding
            self.failure = said(error)
        self.model.load_state_dict(before)  # the running statistics of batch norms
        self.model.eval()

    def tables(self, step: Callable[[Any], list]) -> np.ndarray:
        """(G, C, C), those of a network on the validation images, see :func:`confusion`."""
        return confusion(step, self.val_batches, len(self.classes))

    def compared(self, tables: dict[str, np.ndarray]) -> tuple[dict[str, float], float]:
        """The scores of two networks, and the standard error of their difference."""
        scores = {name: self.score(table.sum(0)) for name, table in tables.items()}
        return scores, error_of_difference(*tables.values(), self.metric)

    def score(self, table: np.ndarray) -> float:
        """mIoU or accuracy, see :func:`score`."""
        return score(table, self.metric)

    @functools.cached_property
    def teacher_tables(self) -> np.ndarray:
        if not self.val_batches:
            raise NotCheckedError('a val_dataloader')
        if num_classes_of(self.model.teacher) not in (None, len(self.classes)):
            raise NotCheckedError('a teacher of the classes of the data set')
        tables = self.tables(self.model.teacher_val_step)
        self.measured['teacher'] = {'score': self.score(tables.sum(0))}
        return tables

    @property
    def teacher_confusion(self) -> np.ndarray:
        return self.teacher_tables.sum(0)

    @property
    def student_has_learnt(self) -> bool:
        """Whether it has weights of a training, this one or one before."""
        init = self.cfg.model.architecture.get('init_cfg') or {}
        is_pretrained = isinstance(init, dict) and init.get('type') == 'Pretrained'
        return bool(self.checkpoint or self.cfg.get('load_from') or is_pretrained)

    def hooks(self, kind: str) -> list[dict]:
        """The config's hooks of a type."""
        hooks = [*(self.cfg.get('default_hooks') or {}).values()]
        hooks += self.cfg.get('custom_hooks') or []
        return [hook for hook in hooks if hook and type_name(hook.get('type')) == kind]

    @property
    def metric(self) -> str:
        return 'accuracy' if is_classifier(self.cfg) else 'mIoU'

    def keys(self, name: str) -> list[tuple]:
        """Those of the maps that a loss reads."""
        keys = []
        with self.replayed({}, keys), torch.no_grad():
            for record in self.distiller.loss_forward_mappings[name].values():
                place = record.get('record_idx', 0), record.get('data_idx')
                self.distiller.raw_record(record['recorder'], record['from_student'], *place)
        return keys

    def source(self, key: tuple) -> str:
        """A record for a reader, e.g. "the teacher's 'feature' (decode_head.bottleneck)"."""
        side = 'student' if key[1] else 'teacher'
        return f"the {side}'s {key[0]!r} ({self.distiller.recorder(key[0], key[1]).source})"

    def replayed(self, maps: Maps, keys: Optional[list] = None):
        """Inside, the losses read these maps; what they read is added to ``keys``."""

        def replace(key: tuple, data: Any) -> Any:
            if keys is not None:
                keys.append(key)
            return maps.get(key, data)

        return replaced_records(self.distiller, replace)

    def _look_at(self, batch: Any) -> None:
        model = self.model.train()
        data = model.data_preprocessor(batch, True)
        if self.images and data['inputs'].shape != self.images[0].shape:
            return  # of another size: maps of one are compared
        maps: Maps = {}

        def keep(key: tuple, data: Any) -> Any:
            if isinstance(data, Tensor):
                maps[key] = data
            return data

        handles = [] if self.images else self._count_values()
        model.measures_gradients = True
        with replaced_records(self.distiller, keep):
            losses = model.loss(data['inputs'], data.get('data_samples'))
        for handle in handles:
            handle.remove()
        if not self.images:
            for name in self.names:
                self.reached[name] = _reach(losses[f'distill.{name}'], self.trained)
        self.gradients.append(model.loss_gradients)
        self.maps.append({key: x.detach() for key, x in maps.items()})
        self.images.append(data['inputs'])

    def _count_values(self) -> list:
        def hook(name):
            def count(_, inputs):
                self.values_per_channel[name] = inputs[0].numel() // inputs[0].shape[1]

            return count

        norms = [*self.model.student.named_modules(), *self.distiller.named_modules()]
        return [
            module.register_forward_pre_hook(hook(name))
            for name, module in norms
            if isinstance(module, _BatchNorm) and module.training
        ]


def _loader(cfg: Config, split: str):
    loader_cfg = copy.deepcopy(cfg[f'{split}_dataloader'])
    loader_cfg.update(num_workers=0, persistent_workers=False)
    with naming(f'{split}_dataloader'):
        return Runner.build_dataloader(loader_cfg, seed=0)


def _reach(loss: Tensor, weights: list[Tensor]) -> int:
    if not loss.requires_grad or not weights:
        return 0
    gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return sum(x.numel() for x in gradients if x is not None and x.any())
