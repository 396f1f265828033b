"""The student's batch, renormalized for the teacher, against the teacher's own preprocessor."""

import pytest
import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample

from mmrazor_tat.models.teacher.input import TeacherInput

STUDENT = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 6, 5), generator=generator, dtype=torch.uint8)

    def data():
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 6, 5, dtype=torch.long)))
        return dict(inputs=[image.clone()], data_samples=[sample])

    return data


@pytest.mark.parametrize(
    'settings',
    [
        dict(mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True),
        dict(mean=[103.53, 116.28, 123.675], std=[1.0, 2.0, 3.0]),  # BGR
        dict(pad_val=7),  # raw values
        dict(**STUDENT, pad_val=-1),
        STUDENT,
    ],
)
def test_it_is_what_the_teacher_s_own_preprocessor_gives(data, settings):
    student = SegDataPreProcessor(**STUDENT, size=(8, 8))
    teacher = SegDataPreProcessor(**settings, size=(8, 8))
    ours, theirs = student(data(), True), teacher(data(), True)
    convert = TeacherInput(student, teacher)
    before = ours['inputs'].clone()
    result = convert(ours['inputs'], ours['data_samples'])
    torch.testing.assert_close(result, theirs['inputs'], rtol=0, atol=1e-4)
    assert torch.equal(ours['inputs'], before)
    assert convert.changes == (settings is not STUDENT)
    assert (result is ours['inputs']) == (settings is STUDENT)


def test_a_teacher_without_one_takes_the_student_s():
    convert = TeacherInput(SegDataPreProcessor(**STUDENT), None)
    x = torch.randn(2, 3, 4, 4)
    assert convert(x) is x


def test_mmengine_s_plain_one_gives_the_images_as_they_are_read(data):
    student = SegDataPreProcessor(**STUDENT, size=(6, 5))
    ours = student(data(), True)
    result = TeacherInput(student, BaseDataPreprocessor())(ours['inputs'], ours['data_samples'])
    torch.testing.assert_close(result[0], data()['inputs'][0].float(), rtol=0, atol=1e-4)


def test_the_algorithm_gives_it_to_the_teacher_only(algorithm, segmentor, lean_distiller, batch):
    teacher = segmentor(16)
    teacher.data_preprocessor.update(mean=[0.0] * 3, std=[1.0] * 3, bgr_to_rgb=False)
    model = algorithm(lean_distiller, teacher=teacher).train()
    seen = {}
    for name, network in (('teacher', model.teacher), ('student', model.student)):
        network.backbone.register_forward_hook(
            lambda module, args, output, name=name: seen.__setitem__(name, args[0])
        )
    inputs, samples = batch()
    model.loss(inputs, samples)
    std, mean = (torch.tensor(STUDENT[key]).view(1, 3, 1, 1) for key in ('std', 'mean'))
    torch.testing.assert_close(seen['teacher'], (inputs * std + mean).flip(1))
    assert torch.equal(seen['student'], inputs)
