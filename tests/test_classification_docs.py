"""The READMEs and metafiles of the classification recipes say what the configs do."""

import re
import runpy

import mmengine
import pytest
import torch
from classification_docs import (
    BASE,
    CONFIGS,
    DATA,
    FILES,
    FOLDERS,
    METHODS,
    OLD,
    PAIRS,
    STAGES,
    classification,
    network,
    readme,
    recorders,
    section,
)
from mmengine import Config
from mmrazor.registry import MODELS

COUNTS = {6: 'six', 7: 'seven'}
# The paper's top-1 on CIFAR-100, teachers and students without distillation.
PAPER = {
    'WRN-40-2': 75.61,
    'ResNet-56': 72.34,
    'ResNet-110': 74.31,
    'ResNet-32x4': 79.42,
    'VGG-13': 74.64,
    'WRN-16-2': 73.26,
    'WRN-40-1': 71.98,
    'ResNet-20': 69.06,
    'ResNet-32': 71.14,
    'ResNet-8x4': 72.50,
    'VGG-8': 70.36,
}


def test_all_are_here():
    """15 methods on seven pairs, FSP on six, 14 recipes on ImageNet; eleven networks and one."""
    found = [name for folder in METHODS for name in FILES[folder]]
    assert len([name for name in found if name.endswith('cifar100')]) == 15 * 7 + 6
    assert len([name for name in found if name.endswith('imagenet')]) == 14
    assert len(FILES['cifar100']) == 11 and FILES['imagenet'] == ['resnet18_8xb256-100e_imagenet']


class TestMetafiles:
    @pytest.mark.parametrize('folder', FOLDERS)
    def test_they_name_the_recipes(self, folder):
        metafile = mmengine.load(CONFIGS / folder / 'metafile.yml')
        collections = [collection['Name'] for collection in metafile['Collections']]
        named = {}
        for model in metafile['Models']:
            assert model['In Collection'] in collections
            assert model['Config'] == f'configs/{folder}/{model["Name"]}.py'
            named[model['Name']] = model['Metadata']
        assert list(named) == sorted(named)
        assert [name for name in named if name.endswith(tuple(DATA))] == FILES[folder]
        for name in FILES[folder]:
            networks, gpus, batch, epochs, data = re.fullmatch(
                r'(.+)_(\d)xb(\d+)-(\d+)e_(.+)', name
            ).groups()
            *method, last = networks.split('_')
            expected = {'Network': network(last)}
            if method:
                expected = {'Student': network(last), 'Teacher': network(method[1])}
            assert named[name] == {
                **expected,
                'Training Data': DATA[data],
                'Epochs': int(epochs),
                'Batch Size': int(gpus) * int(batch),
            }

    @pytest.mark.parametrize('folder', FOLDERS)
    def test_the_paper_is_the_one_of_the_readme(self, folder):
        for collection in mmengine.load(CONFIGS / folder / 'metafile.yml')['Collections']:
            assert collection['README'] == f'configs/{folder}/README.md'
            assert f']({collection["Paper"]["URL"]})' in readme(folder)

    def test_the_index_has_all(self):
        found = sorted(CONFIGS.glob('*/metafile.yml'))
        assert mmengine.load(CONFIGS.parent / 'model-index.yml')['Import'] == [
            path.relative_to(CONFIGS.parent).as_posix() for path in found
        ]


class TestReadmes:
    @pytest.mark.parametrize('folder', METHODS)
    def test_the_parts(self, folder):
        assert re.search(r'\$\$[^$]+\$\$', readme(folder)) and '](https://' in readme(folder)
        titles = re.findall('^## (.*)', readme(folder), re.MULTILINE)
        assert titles == ['Parts', 'Weights', 'Recipes'] or folder in OLD
        text = ' '.join(readme(folder).split())
        assert 'No full run has been made yet' in text
        assert 'model.teacher_ckpt=PATH' in classification(folder, 'Recipes')

    @pytest.mark.parametrize('folder', FOLDERS)
    def test_links_within_the_repository(self, folder):
        links = re.findall(r'\]\((?!https://)([^)#]*)#?([^)]*)\)', readme(folder))
        assert links
        for path, anchor in links:
            target = CONFIGS / folder / path
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
                assert f'{COUNTS[len(matches)]} pairs of [configs/cifar100]' in text
        assert sorted(found) == FILES[folder]

    @pytest.mark.parametrize('folder', METHODS)
    def test_the_fragments_of_the_recipes(self, folder):
        """The pair is the name's; of four stages the last one is the feature."""
        used = set()
        for name in FILES[folder]:
            recipe = (CONFIGS / folder / f'{name}.py').read_text()
            if './tat' in recipe:  # one of TaT's families: a fragment over a recipe
                used |= set(re.findall(r"classification/methods/(\w+)\.py'", recipe))
                continue
            assert f"classification/pairs/{name.split('_', 1)[1]}.py'" in recipe
            method = re.search(r"classification/methods/(\w+)\.py'", recipe).group(1)
            used.add(method)
            if folder in STAGES:
                has_four = 'vgg' in name or 'imagenet' in name
                last = {'feature', 'feature_pre'} & recorders(method)
                assert bool(last) == has_four, name
        text = classification(folder, 'Recipes')
        named = set(re.findall(r'`(?:methods/)?(\w+)\.py`', text))
        assert f'[`methods/{folder}.py`]' in text and named <= used

    @pytest.mark.parametrize('folder', METHODS)
    def test_the_records(self, folder):
        text = classification(folder, 'Parts')
        if folder in STAGES:
            assert 'three stages (four of a VGG' in text and 'whose last is `feature`' in text
            stages = {'stage1', 'stage2', 'stage3'}
            before = {f'{k}_pre' for k in stages} if folder == 'review_kd' else set()
            assert stages | before == recorders(folder) - {'stem'}
            assert ('`stage1_pre`' in text) == bool(before)
            assert ('the stem' in text) == ('stem' in recorders(folder))
        else:
            assert set(re.findall(r'record `(\w+)`', text)) == recorders(folder)


class TestPlainNetworks:
    def test_the_table(self):
        """Parameters of the networks as they are built, the paper's figures, the pairs' roles."""
        rows = re.findall(
            r'^\| (\S+) \| `(\S+)` \| (.*) \| (.*) \| (.*) \|$', readme('cifar100'), re.M
        )
        assert sorted(name for _, name, *_ in rows) == FILES['cifar100']
        for title, name, parameters, role, paper in rows:
            model = runpy.run_path(str(CONFIGS / f'cifar100/{name}.py'))['model']
            with torch.device('meta'):
                backbone = MODELS.build(model['backbone'])
            count = sum(p.numel() for p in backbone.parameters())
            count += (model['head']['in_channels'] + 1) * 100
            assert f'{count:,}' == parameters, name
            assert network(name.split('_')[0]) == title and f'{PAPER[title]:.2f}' == paper
            pairs = [[network(side) for side in pair.split('_')[:2]] for pair in PAIRS]
            teaches = {student for teacher, student in pairs if teacher == title}
            learns = {teacher for teacher, student in pairs if student == title}
            kind, others = role.split(' of ')
            assert set(others.split(' and ')) == (teaches if kind == 'teacher' else learns)
            assert not (teaches and learns)

    def test_the_pairs(self):
        (listed,) = re.findall(r'^The seven pairs: (.*?)\. ', readme('cifar100'), re.M | re.S)
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
