"""A checkpoint that is loaded as it was meant, or no run."""

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.runner import BaseLoop
from mmrazor.registry import HOOKS

from ...compat.checkpoints import read_checkpoint
from ...utils.errors import naming
from ..runner.checkpoint_fit import check_fit, pretrained_files
from ..runner.evaluation import bare_model
from .student_weights_hook import StudentWeightsHook


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Refuse a checkpoint that mmengine would load in part, with a warning, and go on.

    * A test needs every weight of the model; more in the file is left out.
    * A training that begins from a checkpoint (``load_from``), or a part of its network that does
      (``init_cfg`` of type 'Pretrained', ``pretrained``), needs one weight that fits: another head
      for other classes is common. A plain network takes the student of a distillation, and a
      distillation a plain network as its student.

    A run that is resumed is the ``SafeCheckpointHook``'s.

    Raises:
        FileNotFoundError, ValueError: what does not fit, before anything is loaded.
    """

    priority = 'LOWEST'  # other hooks may exchange the weights that are loaded

    def before_run(self, runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop) or runner._resume:
            return  # no weights to start from are read, or they are of no importance
        for key, path in pretrained_files(runner.cfg.model):
            module = bare_model(runner)
            # model.backbone.init_cfg.checkpoint, model.pretrained: of the backbone
            for name in key.removesuffix('.init_cfg.checkpoint').split('.')[1:]:
                module = getattr(module, 'backbone' if name == 'pretrained' else name, None)
            if module is None:  # an argument by another name than the part
                continue
            with naming(key):
                content = read_checkpoint(path)
                check_fit(module, content, 'start', repr(path), may_have_prefix=True)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        if runner._resume:
            return
        StudentWeightsHook().after_load_checkpoint(runner, checkpoint)
        model = bare_model(runner)
        model = model.module if isinstance(model, BaseTTAModel) else model
        purpose = 'start' if isinstance(runner._train_loop, BaseLoop) else 'test'
        check_fit(model, checkpoint, purpose, f'checkpoint {runner._load_from!r}')
