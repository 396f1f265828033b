"""The recipes and metafiles are those of configs/recipes.yml."""

import runpy
import shutil
import subprocess
import sys


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, folder / 'tools/make_recipes.py', *arguments],
        capture_output=True,
        text=True,
    )


def test_they_are_fresh(repo):
    """Else: tools/make_recipes.py."""
    found = run(repo, '--check')
    assert found.returncode == 0, found.stdout


def test_every_recipe_is_of_the_table(repo):
    """None is left of a method or a pair that is gone."""
    found = run(repo, '--check').stdout
    count = sum(
        len([*folder.glob('*.py'), *folder.glob('metafile.yml')])
        for folder in (repo / 'configs').iterdir()
        if (folder / 'metafile.yml').is_file() and folder.name not in ('students', 'teachers')
    )
    assert found.startswith(f'{count + 3} files, 0 differ')  # two metafiles more, and the index


def test_what_differs_is_named_and_written(repo, tmp_path):
    for name in ('configs', 'tools'):
        shutil.copytree(repo / name, tmp_path / name)
    gone = 'configs/kd/kd_resnet56_resnet20_1xb64-240e_cifar100.py'
    (tmp_path / gone).unlink()
    (tmp_path / 'configs/cwd/metafile.yml').write_text('')
    shutil.copy(repo / 'model-index.yml', tmp_path)
    found = run(tmp_path, '--check')
    assert found.returncode == 1 and found.stdout.splitlines()[1:] == [
        f'  {gone}',
        '  configs/cwd/metafile.yml',
    ]
    assert run(tmp_path).returncode == 0
    assert (tmp_path / gone).read_text() == (repo / gone).read_text()
    assert run(tmp_path, '--check').returncode == 0


def test_what_a_name_says(repo):
    metadata = runpy.run_path(str(repo / 'tools/make_recipes.py'))['metadata']
    assert metadata('tat-kl_resnet32x4_resnet8x4_1xb64-240e_cifar100', True) == {
        'Student': 'ResNet-8x4',
        'Teacher': 'ResNet-32x4',
        'Training Data': 'CIFAR-100',
        'Epochs': 240,
        'Batch Size': 64,
    }
    assert metadata('wrn-40-2_1xb64-240e_cifar100', False)['Network'] == 'WRN-40-2'
    assert metadata('vgg13_1xb64-240e_cifar100', False)['Network'] == 'VGG-13'
    assert metadata('resnet18_8xb256-100e_imagenet', False) == {
        'Network': 'ResNet-18',
        'Training Data': 'ImageNet-1k',
        'Epochs': 100,
        'Batch Size': 2048,
    }
    name = 'kd_deeplabv3_r101-d8_mobilenet-v2-d8_4xb4-40k_coco-stuff10k-512x512'
    assert metadata(name, True) == {
        'Student': 'DeepLabV3 MobileNetV2',
        'Teacher': 'DeepLabV3 ResNet-101',
        'Training Data': 'COCO-Stuff 10k',
        'Crop': '512x512',
        'Iterations': 40000,
        'Batch Size': 16,
    }
