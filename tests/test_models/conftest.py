"""The algorithm on small networks, and what is logged."""

import copy

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS


@pytest.fixture
def algorithm(segmentor, save_weights):
    """A function that builds the algorithm: a student of 8 channels and a teacher of 16."""

    def build(distiller, **settings):
        teacher = settings.pop('teacher', None) or segmentor(16)
        student = settings.pop('architecture', None) or segmentor(8)
        if 'teacher_ckpt' not in settings:
            settings['teacher_ckpt'] = save_weights(teacher)
        networks = dict(architecture=student, teacher=teacher, distiller=distiller)
        torch.manual_seed(0)
        cfg = dict(type='mmrazor.FrozenTeacherDistill', **networks, **settings)
        return MODELS.build(copy.deepcopy(cfg))

    return build


@pytest.fixture
def told(caplog):
    """What the logger is told; ``told.text`` has all of it."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)
