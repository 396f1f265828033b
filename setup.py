"""Packaging. Version pins live in requirements/; what is named here never replaces a user's torch,
mmcv, mmengine or mmsegmentation."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
ADDRESS = 'https://github.com/mmrazor-tat/mmrazor_tat'


def version() -> str:
    text = (HERE / 'mmrazor_tat' / 'version.py').read_text()
    return re.search(r"^__version__ = '(.+)'$", text, re.MULTILINE).group(1)


setup(
    name='mmrazor_tat',
    version=version(),
    description='Target-aware transformer distillation (TaT) for MMRazor and MMSegmentation',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='the mmrazor_tat authors',
    url=ADDRESS,
    project_urls={
        'Documentation': f'{ADDRESS}/tree/main/docs',
        'Changelog': f'{ADDRESS}/blob/main/CHANGELOG.md',
        'Issues': f'{ADDRESS}/issues',
    },
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='knowledge distillation, semantic segmentation, OpenMMLab',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['mmrazor_tat', 'mmrazor_tat.*']),
    # OpenMMLab's convention: configs and tools travel inside the package, under .mim, which is a
    # folder of links in the source tree.
    package_data={
        'mmrazor_tat': [
            f'.mim/{kind}' for kind in ('**/*.py', '**/*.yml', '**/*.md', '**/*.sh', '*.yml')
        ]
        + ['.mim/configs/small/demo/teacher.pth'],
        'mmrazor_tat.visualization': ['templates/*.j2'],
    },
    # mmrazor names ordered-set only, but imports joblib as well.
    install_requires=['mmrazor>=1.0.0', 'joblib', 'pandas'],
    # torchvision has to be the build for the user's torch.
    extras_require={
        'classification': ['mmpretrain>=1.2.0', 'torchvision'],
        'onnx': ['onnx', 'onnxruntime', 'onnxscript'],
        # tools/benchmark.py; on a cluster.
        'suites': ['scipy', 'filelock'],
        'slurm': ['submitit'],
    },
    zip_safe=False,
)
