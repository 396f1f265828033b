"""What a reader can see for himself: the teacher's predictions, and where TaT looks."""

import contextlib

from ..utils.configs import is_classifier
from ..visualization.attention.figure import attention_figure
from ..visualization.attention.image import attention_of_image
from ..visualization.figures import plt
from ..visualization.panels import Network, compare, paint_label
from ..visualization.web_page import figure_uri
from .subject import Subject


def pictures(subject: Subject, count: int = 3) -> dict[str, str]:
    """Data URIs by title; none of a classification."""
    if is_classifier(subject.cfg) or not subject.val_batches:
        return {}
    model, found = subject.model, {}
    with contextlib.suppress(ValueError):  # a teacher of other classes, or labels of another size
        network = Network('teacher', 'student', model.teacher_val_step)
        shown = compare(subject.cfg, [network], count, subject.num_images)
        size = len(shown.samples)
        figure, axes = plt.subplots(size, 3, figsize=(7, 2.3 * size), layout='constrained')
        for row, sample in zip(axes.reshape(size, 3), shown.samples):
            maps = [paint_label(x, shown.palette) for x in (sample.label, sample.predictions[0])]
            titles = sample.name, 'label', f'teacher, {sample.miou[0]:.1f} mIoU'
            for axis, picture, title in zip(row, (sample.image, *maps), titles):
                axis.imshow(picture, interpolation='nearest')
                axis.set_title(title, fontsize=9, parse_math=False)
                axis.set_axis_off()
        found["The teacher's predictions, the worst images first"] = figure_uri(figure)
    with contextlib.suppress(ValueError):  # no TaT loss
        path = subject.val_batches[0]['data_samples'][0].img_path
        state = attention_of_image(model, subject.cfg, path, split='val')
        found['Where TaT looks'] = figure_uri(attention_figure({'now': state}))
    return found
