"""Evaluation at one fixed size."""

from mmcv.transforms import Resize
from mmengine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SquashToSize(Resize):
    """Resize image and label to one size, whatever their shape, and evaluate there.

    As the released code of TaT (and of the DeepLab reimplementation below it) evaluates: the
    prediction is compared with the resized label, where mmseg resizes the prediction back to the
    original image. Place it after ``LoadAnnotations``.

    Args:
        scale: (width, height) in pixels.
    """

    def __init__(self, scale: tuple[int, int]) -> None:
        super().__init__(scale=scale, keep_ratio=False)

    def transform(self, results: dict) -> dict:
        results = super().transform(results)
        results['ori_shape'] = results['img_shape']  # what mmseg resizes the prediction to
        return results
