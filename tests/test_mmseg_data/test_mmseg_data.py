"""Right input is not refused: mmseg's own data configs under the checks of our tools.

``make test-slow ARGS=tests/test_mmseg_data`` runs every distinct one through tools/train.py and
tools/test.py, and mmseg's tool on the same checkpoint; with MMRAZOR_TAT_WRITE_RESULTS=PATH it
writes the table of benchmarks/mmseg_data.md there.
"""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import mmseg_layouts as layouts
import numpy as np
import pytest
import stand_ins  # noqa: F401
from mmengine import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import nn

from mmrazor_tat.engine.hooks.recipe_check_hook import _check_classes
from mmrazor_tat.engine.runner.guarded_runner import _check_settings
from mmrazor_tat.utils.config_options import _check_keys

MMSEG_TOOLS = layouts.CONFIGS.parent / 'tools'
# mmseg imports under mmcv-lite and current torch with our cures alone; its tool is as it is.
_CURED = (
    'import mmrazor_tat, runpy, sys; del sys.argv[0]; '
    'runpy.run_path(sys.argv[0], run_name="__main__")'
)
# mmseg's configs of SAN on VOC train with 21 classes, as which the data set has them, and a head
# of 20: 'background' is learned as the first of them. That is refused with reason.
_WRONG_CLASSES = {'san/san-vit-b16_voc12aug-640x640.py', 'san/san-vit-l14_voc12aug-640x640.py'}


@pytest.fixture(scope='module')
def cases() -> list[layouts.Case]:
    return layouts.cases()


def test_every_packaged_config_has_a_case(cases):
    configs = layouts.packaged_configs()
    assert len(configs) > 600
    assert sorted(name for case in cases for name in case.users) == sorted(configs)
    loaders = [case.cfg[loader] for case in cases for loader in layouts.LOADERS]
    kinds = {of['type'] for loader in loaders for of in layouts.proper(loader.dataset)}
    assert {'NightDrivingDataset', 'DarkZurichDataset', 'NYUDataset', 'LEVIRCDDataset'} < kinds
    assert len(kinds) >= 24


@pytest.mark.filterwarnings('ignore:.reduce_zero_label. will be deprecated')
def test_no_sample_of_a_packaged_data_config_is_refused(cases, segmentor, tmp_path):
    refused = {}
    for number, case in enumerate(cases):
        cfg, drawn = layouts.derive(case, tmp_path / str(number), segmentor(channels=4))
        network, read = MODELS.build(cfg.model), set()
        for name in (*layouts.LOADERS, *(['tta_dataloader'] if 'tta_dataloader' in cfg else [])):
            try:
                read |= _read_samples(cfg, network, name)
            except (ValueError, OSError) as error:
                refused[case.name, name] = str(error)
        assert len(read) == drawn or any(of == case.name for of, _ in refused), case.name
    assert refused == {}


def _read_samples(cfg, network: nn.Module, name: str) -> set[str]:
    """Read a loader's samples under the checks, which change none; the images' paths."""
    checked = layouts.checked_dataset(cfg[name], cfg, network)
    plain = Runner.build_dataloader(cfg[name], seed=0).dataset
    (first, *_) = layouts.proper(cfg[name].dataset)
    allowed = {*range(len(layouts.classes_of(first))), 255}
    paths = set()
    for index in range(min(len(plain), 6)):
        np.random.seed(index)  # mmcv's transforms draw from it
        expected = plain[index]
        np.random.seed(index)
        sample = checked[index]
        for (image, label, path), (image_of_mmseg, label_of_mmseg, _) in zip(
            _views(sample), _views(expected), strict=True
        ):
            assert image.equal(image_of_mmseg)
            assert image.shape[0] == (6 if 'img_path2' in first.data_prefix else 3)
            if label is not None:
                assert label.equal(label_of_mmseg)
                assert {*label.unique().tolist()} <= allowed
            paths.add(path)
    return paths


def _views(sample: dict) -> list[tuple]:
    """(image, label, path) of a sample, of each of its views with test-time augmentation."""
    images, data = sample['inputs'], sample['data_samples']
    if not isinstance(images, list):
        images, data = [images], [data]
    labels = [of.gt_sem_seg.data if 'gt_sem_seg' in of else None for of in data]
    return list(zip(images, labels, [of.img_path for of in data], strict=True))


def test_no_packaged_config_is_refused_for_its_settings(tmp_path):
    options = _keys_that_are_read()
    assert {'auto_scale_lr', 'load_from', 'randomness', 'tta_model', 'work_dir'} < options
    refused = {}
    for name, packaged in layouts.packaged_configs().items():
        cfg = packaged.copy()
        cfg.work_dir = str(tmp_path)
        try:
            _check_settings(cfg)
            _check_keys(cfg, dict.fromkeys(options))
        except (ValueError, OSError) as error:
            refused[name] = str(error)
    assert refused == {}


def _keys_that_are_read() -> set[str]:
    """Keys at a config's top that mmengine's Runner or mmseg's tools read."""
    tools = [(MMSEG_TOOLS / f'{name}.py').read_text() for name in ('train', 'test')]
    found = set()
    for source in (inspect.getsource(Runner), *tools):
        found |= {*re.findall(r"\bcfg\.get\(\s*'(\w+)'", source)}
        found |= {*re.findall(r'^\s+(?:self\.)?cfg\.(\w+)(?:\.\w+)* = ', source, re.MULTILINE)}
    return found


def test_no_packaged_config_is_refused_for_its_classes():
    refused, built = {}, set()
    for name, cfg in layouts.packaged_configs().items():
        runner = SimpleNamespace(cfg=cfg)
        for split in ('train', 'val'):
            classes = layouts.classes_of(cfg[f'{split}_dataloader'].dataset)
            dataset = SimpleNamespace(metainfo=dict(classes=classes))
            setattr(runner, f'{split}_dataloader', SimpleNamespace(dataset=dataset))
        runner.model = _network(cfg.model, len(classes), built)
        try:
            _check_classes(runner)
        except ValueError as error:
            refused[name] = str(error)
    assert built == {'STDCHead', 'VPDDepthHead'}  # whose tasks are others
    assert {name: line for name, line in refused.items() if name not in _WRONG_CLASSES} == {}
    assert refused.keys() >= _WRONG_CLASSES


def _network(cfg: dict, classes: int, built: set[str]) -> nn.Module:
    """A network with the heads of a config: without weights, but for those of other classes."""
    network = _unbuilt(cfg)
    for name in ('decode_head', 'auxiliary_head'):
        heads = cfg.get(name) or []
        parts = []
        for head in heads if isinstance(heads, list) else [heads]:
            part = _unbuilt(head)
            if getattr(part, 'num_classes', None) not in (None, classes):
                built.add(head['type'])
                part = MODELS.build(head)
            parts.append(part)
        if parts:
            setattr(network, name, nn.ModuleList(parts) if isinstance(heads, list) else parts[0])
    return network


def _unbuilt(cfg: dict) -> nn.Module:
    kind = MODELS.get(f'mmseg.{cfg["type"]}')
    part = kind.__new__(kind)
    nn.Module.__init__(part)
    vars(part).update({key: cfg[key] for key in ('num_classes', 'out_channels') if key in cfg})
    return part


@pytest.mark.slow
def test_our_tools_take_every_packaged_data_config_and_score_as_mmsegs(
    cases, segmentor, repo, tmp_path
):
    rows = []
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        cfg, _ = layouts.derive(case, folder / 'data', segmentor(channels=4))
        cfg.dump(folder / 'config.py')
        rows.append(Row(case, cfg, *_run(repo, folder)))
    if path := os.environ.get('MMRAZOR_TAT_WRITE_RESULTS'):
        Path(path).write_text(_table(rows))
    assert {row.case.name: row.refused for row in rows if row.refused} == {}
    assert {row.case.name: row.ours for row in rows if row.ours != row.of_mmseg} == {}
    assert all(row.ours['scores'] for row in rows)


def _run(repo: Path, folder: Path) -> tuple[str, dict, dict]:
    """Two iterations, a validation, a test with our tool and with mmseg's: what was refused, and
    what both printed."""
    config, checkpoint = folder / 'config.py', folder / 'train/iter_2.pth'
    steps = {
        'train': (repo / 'tools/train.py', config),
        'ours': (repo / 'tools/test.py', config, checkpoint),
        'of_mmseg': ('-c', _CURED, MMSEG_TOOLS / 'test.py', config, checkpoint),
    }
    path = os.pathsep.join([str(Path(__file__).parent), os.environ['PYTHONPATH']])
    found = dict(ours={}, of_mmseg={})
    for step, command in steps.items():
        run = subprocess.run(
            [sys.executable, *map(str, command), '--work-dir', str(folder / step)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'},
        )
        if run.returncode:
            refused = f'{step}: {run.stdout.strip().splitlines()[-1]}'
            return refused, found['ours'], found['of_mmseg']
        if step == 'train':
            assert re.search(r'Iter\(val\) \[\d+/\d+\]    (aAcc|d1): ', run.stdout)
        else:
            found[step] = _printed(run.stdout)
    return '', found['ours'], found['of_mmseg']


class Row(NamedTuple):
    """A data config that was run."""

    case: layouts.Case
    cfg: Config
    refused: str
    ours: dict
    of_mmseg: dict

    @property
    def text(self) -> str:
        """Its row of the table."""
        datasets = [next(layouts.proper(self.cfg[name].dataset)) for name in layouts.LOADERS]
        kinds = dict.fromkeys(dataset.type for dataset in datasets)
        outer = self.cfg.train_dataloader.dataset.type
        evaluator = self.cfg.test_evaluator
        same = 'the same' if self.ours == self.of_mmseg else _text(self.of_mmseg)
        columns = (
            self.case.name,
            len(self.case.users),
            ', '.join(kinds),
            '' if outer in kinds else outer,
            ' '.join([evaluator.type, *evaluator.get('iou_metrics', [])]),
            _text(self.ours),
            same if self.of_mmseg else '',
            self.refused or 'no',
        )
        return '| ' + ' | '.join(map(str, columns)) + ' |'


def _printed(output: str) -> dict[str, list[str]]:
    """What an evaluator printed: its scores, and the lines of the table of the classes."""
    lines = output.splitlines()
    last = [line for line in lines if 'Iter(test)' in line][-1].split(']', 1)[1]
    scores = [found for found in re.findall(r'\w+: \S+', last) if 'time: ' not in found]
    return dict(scores=scores, table=[line for line in lines if line[:1] in ('|', '+')])


def _text(printed: dict[str, list[str]]) -> str:
    return ', '.join(printed.get('scores', []))


def _table(rows: list[Row]) -> str:
    titles = "data config|leaf configs|data sets|wrapper|evaluator|our scores|mmseg's|refused"
    head = ['| ' + titles.replace('|', ' | ') + ' |', '|' + ' --- |' * (titles.count('|') + 1)]
    lacking = layouts.lacking_packages()
    names = '\n'.join(f'- {package}: {", ".join(of)}' for package, of in lacking.items())
    return _TEXT.format(rows='\n'.join([*head, *(row.text for row in rows)]), names=names)


_TEXT = """# mmseg's own data configs through our tools

Every distinct data part of mmseg's packaged configs (data sets, wrappers, pipelines, evaluators;
not sizes, batches and folders) through `tools/train.py`, two iterations and a validation, and
`tools/test.py`, with the checks, and mmseg's packaged `tools/test.py` on the same checkpoint. The
data are drawn in each data set's layout, crops are 64 x 64, and the network is a tiny DeepLabV3
(for depth a `DepthEstimator`), so the scores are those of chance: what counts is that nothing is
refused, and that both tools print the same scores and the same table of the classes.

Made by `MMRAZOR_TAT_WRITE_RESULTS=PATH make test-slow ARGS=tests/test_mmseg_data`. A data config is
named after its fragment in `_base_/datasets`, or after the first config that has it.

{rows}

Left out: the `Albu` augmentation of LEVIR-CD and NYU (albumentations). Stand-ins read LEVIR-CD's
images in place of gdal, and DSDL's lists in place of dsdl. The training data of SAN on VOC get the
20 classes that mmseg's config gives to its validation data and its head.

Configs whose network needs a package that was not installed; their data parts are above:

{names}
"""
