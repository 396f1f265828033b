"""What a user gets from the built wheel, in an environment without this source tree."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import mmrazor_tat


@pytest.fixture(scope='module')
def wheel(repo, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('wheel')
    command = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation']
    # A copy: building leaves folders behind in the source.
    source = tmp_path_factory.mktemp('source') / 'mmrazor_tat'
    names = ['mmrazor_tat', 'configs', 'tools', 'setup.py', 'pyproject.toml', 'README.md']
    names += ['LICENSE', 'model-index.yml', 'dataset-index.yml']
    source.mkdir()
    subprocess.run(['cp', '-a', *names, source], cwd=repo, check=True)
    subprocess.run([*command, '-w', str(out), str(source)], check=True)
    (path,) = out.glob('mmrazor_tat-*.whl')
    return path


@pytest.fixture(scope='module')
def python(wheel, tmp_path_factory):
    """A function that runs code where the wheel is installed and this source tree is not."""
    root = tmp_path_factory.mktemp('environment')
    venv.create(root, with_pip=True)
    executable = root / 'bin' / 'python'
    subprocess.run([executable, '-m', 'pip', 'install', '-q', '--no-deps', wheel], check=True)
    # The packages below us come from the present environment; paths named in a .pth are not
    # searched for further .pth, so its editable install of ours is not seen.
    (site,) = root.glob('lib/python*/site-packages')
    (site / 'below.pth').write_text(sysconfig.get_path('purelib') + '\n')

    def python(code: str) -> str:
        run = subprocess.run([executable, '-c', code], capture_output=True, text=True, cwd=root)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip().splitlines()[-1]

    python.root = root
    return python


def test_the_installed_package_is_the_wheel_s(python):
    where = python('import mmrazor_tat; print(mmrazor_tat.__file__)')
    assert Path(where).is_relative_to(python.root)
    version = python('import importlib.metadata as m; print(m.version("mmrazor_tat"))')
    assert version == mmrazor_tat.__version__


def test_configs_tools_and_templates_are_all_in_it(python, repo):
    code = (
        'import mmrazor_tat, pathlib\n'
        'root = pathlib.Path(mmrazor_tat.__file__).parent\n'
        'folders = root / ".mim", root / "visualization/templates"\n'
        'files = [p for folder in folders for p in folder.rglob("*") if p.is_file()]\n'
        'print(sorted(str(p.relative_to(root)) for p in files if "__pycache__" not in p.parts))'
    )

    def files(folder) -> list[str]:
        paths = (path for path in folder.rglob('*') if path.is_file())
        return [str(p.relative_to(repo)) for p in paths if '__pycache__' not in p.parts]

    expected = ['model-index.yml', 'dataset-index.yml']
    expected += [*files(repo / 'configs'), *files(repo / 'tools')]
    templates = files(repo / 'mmrazor_tat/visualization/templates')
    assert len(expected) > 30 and len(templates) > 1
    templates = [path.removeprefix('mmrazor_tat/') for path in templates]
    assert python(code) == str(sorted([*(f'.mim/{path}' for path in expected), *templates]))


def test_a_config_of_ours_is_inherited_and_found(python):
    name = 'tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py'
    code = (
        'import mmrazor_tat, torch\n'
        'from mmengine import Config\n'
        'from mmengine.hub import get_config\n'
        'from mmengine.registry import MODELS, init_default_scope\n'
        'init_default_scope("mmseg")\n'
        f'cfg = Config.fromstring("_base_ = \'mmrazor_tat::{name}\'", ".py")\n'
        f'assert get_config("mmrazor_tat::{name}").model == cfg.model\n'
        'cfg.model.update(teacher_ckpt=None, data_preprocessor=cfg.data_preprocessor)\n'
        'with torch.device("meta"):\n'
        '    model = MODELS.build(cfg.model)\n'
        'print(type(model).__name__, model.distiller.distill_losses["loss_tat"].out_channel)'
    )
    assert python(code) == 'FrozenTeacherDistill 512'


def test_a_config_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="no config 'tat.py'.*_base_/methods/tat.py"):
        mmrazor_tat.config_path('tat.py')


def test_requirements_replace_nothing_of_a_user_s():
    """Neither torch nor any flavour of the OpenMMLab packages is named as a dependency."""
    from importlib.metadata import requires

    always = [line for line in requires('mmrazor_tat') if 'extra ==' not in line]
    assert sorted(line.split('>')[0] for line in always) == ['joblib', 'mmrazor', 'pandas']
    extras = [line.split(';')[0].strip() for line in requires('mmrazor_tat') if line not in always]
    runtime = ['onnx', 'onnxruntime', 'onnxscript']
    others = ['filelock', 'mmpretrain>=1.2.0', 'scipy', 'submitit', 'torchvision']
    assert sorted(extras) == sorted(runtime + others)
