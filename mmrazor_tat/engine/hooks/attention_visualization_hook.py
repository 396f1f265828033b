"""Pictures of the attention while a network trains."""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmrazor.registry import HOOKS

from ...models.losses.base import check_count
from ...utils.configs import require_segmentation
from ...utils.errors import naming
from ..runner.evaluation import bare_model


@HOOKS.register_module()
class AttentionVisualizationHook(Hook):
    """Paint where target-aware attention looks, before, while and after the network trains.

    A picture of each image (:mod:`mmrazor_tat.visualization.attention`) at the first iteration,
    every ``interval`` iterations and at the end, always of the same points. They go to the
    runner's visualizer: with mmengine's ``LocalVisBackend`` they are files
    ``vis_data/vis_image/attention_IMAGE_ITERATION.png``, with its ``TensorboardVisBackend`` images
    ``attention_IMAGE`` by iteration. The images go through the validation's pipeline, whole. The
    training goes on as if there were no hook: no weight, statistic or random number is touched.
    A picture that cannot be made after that is warned of. With several processes the main one
    paints and the others wait.

    Args:
        interval: iterations between two pictures.
        num_images: the first ones of the validation set.
        images: paths of images, instead of those.
        points: (x, y) in pixels of the image files, the same for all images. None: chosen by the
            teacher's map, see :mod:`mmrazor_tat.visualization.attention.target_points`.
        count: how many, if they are chosen.

    Raises:
        ValueError: a setting out of range; before training: a model without a TaT loss, no image,
            or a point that lies outside one.
        FileNotFoundError: before training, an image that is not there.
    """

    priority = 'LOW'

    def __init__(
        self,
        interval: int = 1000,
        num_images: int = 2,
        images: Optional[Sequence[str]] = None,
        points: Optional[Sequence[tuple[float, float]]] = None,
        count: int = 3,
    ) -> None:
        for name, value in dict(interval=interval, num_images=num_images, count=count).items():
            check_count(name, value)
        self.interval, self.num_images, self.count = interval, num_images, count
        self.images = images
        with naming(f'points must be a list of (x, y), got {points!r}'):
            self.points = points and [(float(x), float(y)) for x, y in points]
        self._paths: dict[str, str] = {}  # by name in the visualizer
        self._first: Optional[int] = None  # the iteration of the first pictures
        self._last: Optional[int] = None  # and of the last

    def before_train(self, runner) -> None:
        # Here and below: an import of this package brings no drawing along.
        from ...visualization.attention.image import read_image
        from ...visualization.attention.maps import require_tat_loss

        try:
            require_tat_loss(bare_model(runner))
        except ValueError as error:
            raise ValueError(f'AttentionVisualizationHook: {error}') from error
        require_segmentation(runner.cfg, 'AttentionVisualizationHook: its pictures')
        self._paths = {}
        for path in self.images or self._of_validation_set(runner):
            read_image(path, self.points)
            name, same = f'attention_{Path(path).stem}', len(self._paths)
            self._paths[f'{name}-{same + 1}' if name in self._paths else name] = str(path)
        self._first = runner.iter
        self._paint(runner, runner.iter)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.every_n_train_iters(runner, self.interval):
            self._paint(runner, runner.iter + 1)

    def after_train(self, runner) -> None:
        if self._last != runner.iter:
            self._paint(runner, runner.iter)

    def _paint(self, runner, step: int) -> None:
        self._last = step
        if not is_main_process():
            return
        try:
            self._add_pictures(runner, step)
        except Exception as error:
            if step == self._first:  # before the first iteration: nothing is lost
                raise
            runner.logger.warning(f'AttentionVisualizationHook: no picture at {step}: {error}')

    def _add_pictures(self, runner, step: int) -> None:
        from ...visualization.attention.figure import attention_figure, figure_pixels
        from ...visualization.attention.image import attention_of_image

        for name, path in self._paths.items():
            settings = runner.cfg, path, self.points, self.count, 'val'
            attention = attention_of_image(bare_model(runner), *settings)
            panel = attention_figure({f'iteration {step:,}': attention})
            pixels = figure_pixels(panel)
            for backend in runner.visualizer._vis_backends.values():
                # To MLflow's it is the name of a file, of a format, that the next would replace.
                is_file = type(backend).__name__ == 'MLflowVisBackend'
                backend.add_image(f'{name}_{step}.png' if is_file else name, pixels, step)

    def _of_validation_set(self, runner) -> list[str]:
        if runner.cfg.get('val_dataloader') is None:
            raise ValueError(
                'AttentionVisualizationHook: the config has no val_dataloader to take images from: '
                'give images=[PATH, ...]'
            )
        dataset = runner.val_dataloader.dataset
        indices = range(min(self.num_images, len(dataset)))
        return [dataset.get_data_info(index)['img_path'] for index in indices]
