"""The recipes and metafiles are those of configs/recipes.yml."""

import runpy
import shutil
import subprocess
import sys


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, folder / '.dev_scripts/make_recipes.py', *arguments],
        capture_output=True,
        text=True,
    )


def test_every_recipe_is_of_the_table(repo):
    """All are fresh (else: .dev_scripts/make_recipes.py), and none is left of what is gone."""
    found = run(repo, '--check')
    assert found.returncode == 0, found.stdout
    count = sum(
        len([*folder.glob('*.py'), *folder.glob('metafile.yml')])
        for folder in (repo / 'configs').iterdir()
        if (folder / 'metafile.yml').is_file() and folder.name not in ('students', 'teachers')
    )
    assert found.stdout.startswith(
        f'{count + 3} files, 0 differ'
    )  # two metafiles more, and the index


def test_what_differs_is_named_and_written(repo, tmp_path):
    for name in ('configs', '.dev_scripts'):
        shutil.copytree(repo / name, tmp_path / name)
    gone = 'configs/kd/kd_resnet56_resnet20_1xb64-240e_cifar100.py'
    (tmp_path / gone).unlink()
    (tmp_path / 'configs/cwd/metafile.yml').write_text('')
    shutil.copy(repo / 'model-index.yml', tmp_path)
    found = run(tmp_path, '--check')
    differ = [f'  {gone}', '  configs/cwd/metafile.yml']
    assert found.returncode == 1 and found.stdout.splitlines()[1:] == differ
    assert run(tmp_path).returncode == 0
    assert (tmp_path / gone).read_text() == (repo / gone).read_text()
    assert run(tmp_path, '--check').returncode == 0


def test_what_a_name_says(repo):
    metadata = runpy.run_path(str(repo / '.dev_scripts/make_recipes.py'))['metadata']
    keys = 'Training Data', 'Epochs', 'Batch Size'
    name = 'tat-kl_resnet32x4_resnet8x4_1xb64-240e_cifar100'
    networks = dict(Student='ResNet-8x4', Teacher='ResNet-32x4')
    assert metadata(name, True) == networks | dict(zip(keys, ('CIFAR-100', 240, 64)))
    for name, network in (('wrn-40-2', 'WRN-40-2'), ('vgg13', 'VGG-13')):
        assert metadata(f'{name}_1xb64-240e_cifar100', False)['Network'] == network
    found = metadata('resnet18_8xb256-100e_imagenet', False)
    assert found == {'Network': 'ResNet-18', **dict(zip(keys, ('ImageNet-1k', 100, 2048)))}
    name = 'kd_deeplabv3_r101-d8_mobilenet-v2-d8_4xb4-40k_coco-stuff10k-512x512'
    networks = dict(Student='DeepLabV3 MobileNetV2', Teacher='DeepLabV3 ResNet-101')
    training = {'Training Data': 'COCO-Stuff 10k', 'Crop': '512x512', 'Iterations': 40000}
    assert metadata(name, True) == networks | training | {'Batch Size': 16}
