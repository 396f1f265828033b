"""The READMEs of the classification recipes say what the configs do."""

import re
import runpy

import pytest
import torch
from classification_docs import (
    BASE,
    CONFIGS,
    FILES,
    METHODS,
    NETWORKS,
    OLD,
    PAIRS,
    STAGES,
    TABLE,
    classification,
    network,
    page,
    readme,
    recorders,
    section,
)
from mmengine import Config
from mmrazor.registry import MODELS

from mmrazor_tat.benchmark.suites import load_suite

COUNTS = {6: 'six', 7: 'seven'}


class TestReadmes:
    @pytest.mark.parametrize('folder', METHODS)
    def test_the_parts(self, folder):
        assert re.search(r'\$\$[^$]+\$\$', readme(folder)) and '](https://' in readme(folder)
        titles = re.findall('^## (.*)', readme(folder), re.MULTILINE)
        assert titles == ['Parts', 'Weights', 'Recipes'] or folder in OLD
        text = ' '.join(readme(folder).split())
        assert 'No full run has been made yet' in text
        assert 'model.teacher_ckpt=PATH' in classification(folder, 'Recipes')

    @pytest.mark.parametrize('folder', [*METHODS, *NETWORKS])
    def test_links_within_the_repository(self, folder):
        links = re.findall(r'\]\((?!https://)([^)#]*)#?([^)]*)\)', readme(folder))
        assert links
        for path, anchor in links:
            target = page(folder).parent / path
            assert target.exists(), path
            if anchor:
                headings = re.findall('^#+ (.*)', target.read_text(), re.MULTILINE)
                assert anchor in [title.lower().replace(' ', '-') for title in headings]

    @pytest.mark.parametrize('folder', METHODS)
    def test_the_named_recipes_are_all_that_there_are(self, folder):
        text = classification(folder, 'Recipes')
        found = []
        for name in re.findall(r'`([^` /]+_(?:cifar100|imagenet))`', text):
            matches = sorted(path.stem for path in (CONFIGS / folder).glob(f'{name}.py'))
            assert matches, name
            found += matches
            if '*' in name:
                assert f'{COUNTS[len(matches)]} pairs of [configs/students/cifar100.md]' in text
        assert sorted(found) == FILES[folder]

    @pytest.mark.parametrize('folder', METHODS)
    def test_the_fragments_of_the_recipes(self, folder):
        used = set()
        for name in FILES[folder]:
            recipe = (CONFIGS / folder / f'{name}.py').read_text()
            used |= set(re.findall(r"classification/methods/(\w+)\.py'", recipe))
        text = classification(folder, 'Recipes')
        named = set(re.findall(r'`(?:methods/)?(\w+)\.py`', text))
        assert f'[`methods/{folder}.py`]' in text and named <= used

    @pytest.mark.parametrize('folder', STAGES)
    def test_of_four_stages_the_last_one_is_the_feature(self, folder):
        name = folder.replace('_', '-')
        for pair in ('resnet56', 'vgg13', *({'imagenet'} & {*TABLE[name]['pairs']})):
            last = {'feature', 'feature_pre'} & recorders(name, pair)
            assert bool(last) == (pair != 'resnet56')

    @pytest.mark.parametrize('folder', METHODS)
    def test_the_records(self, folder):
        text = classification(folder, 'Parts')
        if folder in STAGES:
            assert 'three stages (four of a VGG' in text and 'whose last is `feature`' in text
            stages = {'stage1', 'stage2', 'stage3'}
            before = {f'{k}_pre' for k in stages} if folder == 'review_kd' else set()
            assert stages | before == recorders(folder.replace('_', '-')) - {'stem'}
            assert ('`stage1_pre`' in text) == bool(before)
            assert ('the stem' in text) == ('stem' in recorders(folder.replace('_', '-')))
        else:
            assert set(re.findall(r'record `(\w+)`', text)) == recorders(folder.replace('_', '-'))


class TestPlainNetworks:
    def test_the_table(self):
        """Parameters of the networks as they are built, the paper's figures, the pairs' roles."""
        rows = re.findall(
            r'^\| (\S+) \| `(\S+)` \| (.*) \| (.*) \| (.*) \|$', readme('cifar100'), re.M
        )
        assert sorted(name for _, name, *_ in rows) == FILES['cifar100']
        runs = load_suite('cifar100').runs
        for title, name, parameters, role, paper in rows:
            (path,) = CONFIGS.glob(f'*/{name}.py')
            model = runpy.run_path(str(path))['model']
            with torch.device('meta'):
                backbone = MODELS.build(model['backbone'])
            count = sum(p.numel() for p in backbone.parameters())
            count += (model['head']['in_channels'] + 1) * 100
            assert f'{count:,}' == parameters, name
            short = name.split('_')[0]
            assert network(short) == title and f'{runs[short].paper:.2f}' == paper
            pairs = [[network(side) for side in pair.split('_')[:2]] for pair in PAIRS]
            teaches = {student for teacher, student in pairs if teacher == title}
            learns = {teacher for teacher, student in pairs if student == title}
            kind, others = role.split(' of ')
            assert set(others.split(' and ')) == (teaches if kind == 'teacher' else learns)
            assert not (teaches and learns)

    def test_the_pairs(self):
        (listed,) = re.findall(r'The seven pairs: (.*?)\. ', ' '.join(readme('cifar100').split()))
        pairs = [' -> '.join(network(side) for side in pair.split('_')[:2]) for pair in PAIRS]
        assert sorted(' '.join(listed.split()).split(', ')) == sorted(pairs)

    @pytest.mark.parametrize('folder, schedule', [('cifar100', '240e'), ('imagenet', '100e')])
    def test_the_protocol(self, folder, schedule):
        cfg = Config.fromfile(BASE / f'schedules/{folder}_{schedule}.py')
        optimizer, steps = cfg.optim_wrapper.optimizer, cfg.param_scheduler
        text = section(folder, 'Protocol')
        *first, last = map(str, steps.milestones)
        rate = re.search(r'learning rate (\S+), x (\S+) after', text)
        decay = re.search(r'weight decay (\S+),', text).group(1)
        assert f'{cfg.train_cfg.max_epochs} epochs, {optimizer.type}, learning rate' in text
        assert (float(rate[1]), float(rate[2])) == (optimizer.lr, steps.gamma)
        assert f'after the epochs {", ".join(first)} and {last}, ' in text
        assert float(decay) == optimizer.weight_decay
        batch = cfg.auto_scale_lr.base_batch_size
        if folder == 'cifar100':
            data = Config.fromfile(BASE / 'datasets/cifar100.py')
            crop, flip, _ = data.train_dataloader.dataset.pipeline
            assert f'batch {batch} on one GPU' in text and f'momentum {optimizer.momentum},' in text
            assert data.train_dataloader.batch_size == batch
            assert (crop.padding, crop.crop_size, flip.type) == (4, 32, 'RandomFlip')
            assert 'a crop of 32 x 32 of the image padded by 4, and a flip' in text
        else:
            gpus, images = re.search(r'(\d+) GPUs x (\d+) images', text).groups()
            assert int(gpus) * int(images) == batch

    def test_the_commands_name_what_is_there(self):
        text = readme('cifar100') + readme('imagenet')
        named = re.findall(r'(?:configs|tools)/[\w/.-]+\.py', text)
        assert len(named) == 9
        assert all((CONFIGS.parent / path).exists() for path in named)
        work_dir, epochs = re.search(r'work_dirs/(\S+)/epoch_(\d+)\.pth', text).groups()
        assert work_dir in FILES['cifar100'] and f'-{epochs}e_' in work_dir
        floor = Config.fromfile(BASE / 'teachers/cifar100.py').teacher_hooks.teacher_check.floor
        assert f'below {floor} top-1' in ' '.join(readme('cifar100').split())
