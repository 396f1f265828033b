"""Write the recipes (configs/FOLDER/METHOD_PAIR.py) and all metafiles from configs/recipes.yml.

For whoever adds a method or a pair to this repository; a recipe of one's own is made by
tools/new_recipe.py.
"""

import argparse
import re
import sys
from pathlib import Path

import yaml

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
_HEADER = """\
# Written by .dev_scripts/make_recipes.py. No results and no weights are listed: no full run has
# been made yet.
"""
_PLAIN = ('students', 'teachers')
_HEADS = {'deeplabv3': 'DeepLabV3', 'deeplabv3plus': 'DeepLabV3+'}
_DATA = {
    'voc12aug': 'Pascal VOC 2012 + Aug',
    'coco-stuff10k': 'COCO-Stuff 10k',
    'cifar100': 'CIFAR-100',
    'imagenet': 'ImageNet-1k',
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='write nothing, name what differs')
    check = parser.parse_args().check
    files = all_files(yaml.safe_load((CONFIGS / 'recipes.yml').read_text(encoding='utf-8')))
    differing = [
        path for path, text in files.items() if not path.is_file() or path.read_text() != text
    ]
    for path in () if check else differing:
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[path], encoding='utf-8')
    print(f'{len(files)} files, {len(differing)} {"differ" if check else "written"}')
    for path in differing:
        print(f'  {path.relative_to(CONFIGS.parent)}')
    return int(check and bool(differing))


def all_files(table: dict) -> dict[Path, str]:
    """The text of every recipe and metafile."""
    recipes = {}
    for name, method in table['methods'].items():
        for pair in pairs_of(method, table):
            recipes[CONFIGS / folder(name, method) / f'{name}_{pair}.py'] = recipe(
                name, method, pair, table
            )
    metafiles = {}
    for of, paper in table['papers'].items():
        names = sorted(path.stem for path in recipes if path.parent.name == of)
        metafiles[CONFIGS / of / 'metafile.yml'] = metafile(
            of, {paper[0]: (paper[1:], names)}, is_recipe=True
        )
    for of in _PLAIN:
        names = sorted(path.stem for path in (CONFIGS / of).glob('*.py'))
        collections = {
            paper[0]: (paper[1:], [name for name in names if name.startswith(begin)])
            for begin, paper in table['networks'].items()
        }
        metafiles[CONFIGS / of / 'metafile.yml'] = metafile(of, collections, is_recipe=False)
    index = ''.join(f'  - {path.relative_to(CONFIGS.parent)}\n' for path in sorted(metafiles))
    return {**recipes, **metafiles, CONFIGS.parent / 'model-index.yml': f'Import:\n{index}'}


def folder(name: str, method: dict) -> str:
    return method.get('folder', name)


def pairs_of(method: dict, table: dict) -> list[str]:
    """Those of its groups, or the single pairs that it names by a part of theirs."""
    every = [pair for group in table['pairs'].values() for pair in group]
    found = []
    for named in method['pairs']:
        found += table['pairs'].get(named) or [pair for pair in every if named in pair]
    return found


def recipe(name: str, method: dict, pair: str, table: dict) -> str:
    """The text of one recipe."""
    but = next((b for p, b in method.get('but', {}).items() if re.search(p, pair)), {})
    classifies = pair.endswith(('cifar100', 'imagenet'))
    shared = '../_base_/classification' if classifies else '../_base_'
    below = method.get('over')
    if below is None:
        bases = [f'{shared}/pairs/{pair}.py']
    else:
        beside = folder(below, table['methods'][below])
        here = '.' if beside == folder(name, method) else f'../{beside}'
        bases = [f'{here}/{below}_{pair}.py']
    fragment = but.get('fragment', method.get('fragment', name.replace('-', '_')))
    if fragment is not None:
        bases.append(f'{shared}/methods/{fragment}.py')
    listed = ''.join(f"    '{base}',\n" for base in bases)
    lines = [f"_base_ = '{bases[0]}'" if len(bases) == 1 else f'_base_ = [\n{listed}]']
    lines += but.get('lines', '').splitlines()
    if fragment is not None:
        lines.append("model = _base_.pop('method')")
    if method.get('end'):
        lines.append(method['end'])
    return '\n'.join(lines) + '\n'


def metafile(of: str, collections: dict, is_recipe: bool) -> str:
    """What mim reads: every value is a text or a number, as it puts them into lower case."""
    page = f'configs/{of}/README.md'
    content = dict(
        Collections=[
            dict(Name=name, Paper=dict(Title=title, URL=f'https://{address}'), README=page)
            for name, ((title, address), _) in collections.items()
        ],
        Models=[
            {
                'Name': model,
                'In Collection': name,
                'Config': f'configs/{of}/{model}.py',
                'Metadata': metadata(model, is_recipe),
            }
            for name, (_, models) in collections.items()
            for model in models
        ],
    )
    return _HEADER + yaml.safe_dump(content, sort_keys=False, width=1000)


def metadata(name: str, is_recipe: bool) -> dict[str, object]:
    """What the name of a config says, e.g. METHOD_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-..."""
    *words, batch, data = name.split('_')
    words = words[1:] if is_recipe else words
    head = f'{_HEADS[words.pop(0)]} ' if words[0] in _HEADS else ''
    networks = [head + _network(word) for word in words]
    roles = ('Student', 'Teacher') if is_recipe else ('Network',)
    found: dict[str, object] = dict(zip(roles, reversed(networks)))
    known = next(key for key in _DATA if key in data)
    found['Training Data'] = _DATA[known]
    if crop := data.removeprefix(known).strip('-'):
        found['Crop'] = crop
    devices, images, length, unit = re.fullmatch(r'(\d+)xb(\d+)-(\d+)(\w)', batch).groups()
    found |= {'Iterations': int(length) * 1000} if unit == 'k' else {'Epochs': int(length)}
    return found | {'Batch Size': int(devices) * int(images)}


def _network(word: str) -> str:
    """E.g. 'r101-d8' -> 'ResNet-101', 'wrn-40-2' -> 'WRN-40-2'."""
    word = re.sub(r'-d\d+$', '', word)
    if word == 'mobilenet-v2':
        return 'MobileNetV2'
    if word.startswith('wrn'):
        return word.upper()
    kind, depth = re.fullmatch(r'(resnet|r|vgg)(\w+)', word).groups()
    return f'{"VGG" if kind == "vgg" else "ResNet"}-{depth}'


if __name__ == '__main__':
    sys.exit(main())
