"""ONNX files: what they compute, and when none is written."""

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from mmrazor_tat.export import onnx_file
from mmrazor_tat.export.onnx_file import ABSOLUTE, RELATIVE, WholeImage, check_onnx, write_onnx

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')


@pytest.fixture
def network(segmentor) -> WholeImage:
    torch.manual_seed(0)
    model = MODELS.build(segmentor())
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return WholeImage(model)


class Scale(nn.Module):
    """Logits of two classes: the first channel, and a multiple of it."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, input):
        return torch.cat([input[:, :1], self.factor * input[:, :1]], 1)


def axes(path) -> list:
    dims = onnx.load(str(path)).graph.input[0].type.tensor_type.shape.dim
    return [dim.dim_param or dim.dim_value for dim in dims]


@pytest.mark.parametrize('exporter', ['this torch has', 'older torch has'])
def test_a_fixed_size_with_any_number_of_images(network, tmp_path, monkeypatch, exporter):
    if exporter.startswith('older'):
        export = torch.onnx.export
        monkeypatch.setattr(onnx_file, '_exports_programs', lambda: False)
        monkeypatch.setattr(torch.onnx, 'export', lambda *a, **k: export(*a, dynamo=False, **k))
    image = torch.randn(1, 3, 48, 64)
    path = tmp_path / 'a.onnx'
    write_onnx(network, image.repeat(2, 1, 1, 1), False, dict(mean=[1.5], order='RGB'), path)
    assert axes(path) == ['batch', 3, 48, 64]
    props = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert props == dict(mean='[1.5]', order='RGB')
    cases = check_onnx(path, network, image, is_dynamic=False)
    assert [case.shape for case in cases] == [(1, 3, 48, 64), (3, 3, 48, 64)]
    with torch.no_grad():
        greatest = network(image).abs().max().item()
    assert cases[0].tolerance == pytest.approx(RELATIVE * greatest + ABSOLUTE)
    assert all(case.difference < case.tolerance / 10 for case in cases)


def test_a_file_that_computes_something_else_is_refused(tmp_path):
    path = tmp_path / 'a.onnx'
    example = torch.rand(2, 3, 8, 8) + 0.1
    write_onnx(Scale(2.0), example, True, {}, path)
    assert axes(path) == ['batch', 3, 'height', 'width']
    cases = check_onnx(path, Scale(2.0), example[:1], is_dynamic=True)
    assert [case.shape for case in cases] == [
        (1, 3, 8, 8),
        (3, 3, 8, 8),
        (1, 3, 21, 12),
        (3, 3, 36, 35),
    ]
    assert max(case.difference for case in cases) == 0
    message = r'input of \(1, 3, 8, 8\) the logits of the ONNX file differ .* up to 0.\d+; at most'
    with pytest.raises(ValueError, match=message):
        check_onnx(path, Scale(2.5), example[:1], is_dynamic=True)
    with pytest.raises(
        ValueError, match=r'gives logits of \(1, 2, 8, 8\), torch of \(1, 2, 4, 8\)'
    ):
        check_onnx(path, nn.Sequential(Scale(2.0), nn.AvgPool2d((2, 1))), example[:1], False)


def test_a_fixed_file_does_not_pass_as_a_dynamic_one(tmp_path):
    path = tmp_path / 'a.onnx'
    image = torch.rand(1, 3, 8, 8)
    write_onnx(Scale(2.0), image.repeat(2, 1, 1, 1), False, {}, path)
    message = r'cannot run the ONNX file on an input of \(1, 3, 21, 12\) .*try --onnx-size'
    with pytest.raises(ValueError, match=message):
        check_onnx(path, Scale(2.0), image, is_dynamic=True)
    path.write_bytes(b'no onnx')
    with pytest.raises(ValueError, match='the ONNX file is not valid'):
        check_onnx(path, Scale(2.0), image, is_dynamic=False)


def test_a_network_that_torch_cannot_write(tmp_path):
    class Unwritable(nn.Module):
        def forward(self, input):
            return input if input.sum() > 0 else -input

    message = r'cannot write this network as ONNX with dynamic sizes: try a fixed one \(--onnx-size'
    with pytest.raises(ValueError, match=message):
        write_onnx(Unwritable(), torch.rand(2, 3, 8, 8), True, {}, tmp_path / 'a.onnx')
