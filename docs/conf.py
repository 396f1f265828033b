"""The documentation site: ``make docs``."""

import re
from pathlib import Path

import yaml

import mmrazor_tat

HERE = Path(__file__).parent
ROOT = HERE.parent
ADDRESS = 'https://github.com/mmrazor-tat/mmrazor_tat'

project = 'mmrazor_tat'
author = 'the mmrazor_tat authors'
copyright = author
release = mmrazor_tat.__version__
html_title = f'mmrazor_tat {release}'
extensions = [
    'myst_nb',
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.napoleon',
]
html_theme = 'furo'
html_theme_options = {
    'source_repository': ADDRESS,
    'source_branch': 'main',
    'source_directory': 'docs/',
}
html_static_path = ['static']
html_css_files = ['tables.css']
exclude_patterns = ['_build']
myst_enable_extensions = ['dollarmath', 'amsmath']
myst_heading_anchors = 4
# The notebook is executed by its test, and its outputs are kept.
nb_execution_mode = 'off'
autodoc_member_order = 'bysource'
autodoc_inherit_docstrings = False  # of mmengine's hooks and torch's modules they say nothing
autodoc_typehints = 'none'  # the docstrings give shapes and units
napoleon_use_rtype = False
napoleon_use_ivar = True
# The text of a page is written for the repository's reader as well: code blocks without a language
# are output.
highlight_language = 'none'


def write_recipes(app) -> None:
    """A page for each folder of recipes: its README, and a table of its metafile."""
    out = HERE / 'recipes'
    out.mkdir(exist_ok=True)
    for old in out.glob('*.md'):
        old.unlink()
    rows, pages = [], []
    for name in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']:
        folder = Path(name).parent
        metafile = yaml.safe_load((ROOT / name).read_text())
        text = (ROOT / folder / 'README.md').read_text()
        keys = [
            key
            for key in ('Teacher', 'Student', 'Network')
            if key in metafile['Models'][0]['Metadata']
        ]
        head = ['recipe', *keys, 'Training Data', 'Batch Size']
        table = [f'| {" | ".join(head)} |', '|---' * len(head) + '|']
        for model in metafile['Models']:
            said = [str(model['Metadata'].get(key, '')) for key in head[1:]]
            link = f'[`{model["Name"]}`]({ADDRESS}/blob/main/{model["Config"]})'
            table.append(f'| {link} | {" | ".join(said)} |')
        page = f'{_linked(text, ROOT / folder)}\n\n## All recipes\n\n' + '\n'.join(table) + '\n'
        (out / f'{folder.name}.md').write_text(page)
        pages.append(folder.name)
        collection = metafile['Collections'][0]
        title = collection['Name'] if len(metafile['Collections']) == 1 else folder.name
        rows.append(f'| [{title}]({folder.name}.md) | {len(metafile["Models"])} |')
    index = (
        '# Recipes\n\nWritten from the metafiles in `configs`. No full run has been made yet.\n\n'
    )
    index += '| folder | recipes |\n|---|---|\n' + '\n'.join(rows) + '\n\n'
    index += '```{toctree}\n:hidden:\n\n' + '\n'.join(pages) + '\n```\n'
    (out / 'index.md').write_text(index)


def _linked(text: str, folder: Path) -> str:
    """Links of a page in ``folder`` that lead out of the site, as addresses of the repository.

    Pictures are taken along.
    """

    def address(match) -> str:
        target = (folder / match[2]).resolve()
        stays = folder.is_relative_to(HERE) and target.is_relative_to(HERE)
        if stays or not target.exists():
            return match[0]
        kind = 'tree' if target.is_dir() else 'blob'
        path = target.relative_to(ROOT)
        return f'{match[1]}({ADDRESS}/{kind}/main/{path}{match[3] or ""})'

    return re.sub(r'(?<!!)(\[[^\]]*\])\((?!https?://|#)([^)#]+)(#[^)]*)?\)', address, text)


def link_outside(app, docname, source) -> None:
    source[0] = _linked(source[0], (HERE / docname).parent)


def setup(app) -> None:
    app.connect('builder-inited', write_recipes)
    app.connect('source-read', link_outside)
