"""Web pages that stand alone: templates of this package, images within the page."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

from .figures import plt


def render(template: str, **context: Any) -> str:
    """The text of a page: a file of ``templates``, with what it names, which is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / 'templates'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**context)


def image_uri(picture: np.ndarray) -> str:
    """An image, (H, W, 3) uint8 RGB, as the data URI of a PNG: for ``src`` of an ``<img>``."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format='PNG', optimize=True)
    return png_uri(buffer.getvalue())


def figure_uri(figure: Figure, dpi: int = 110) -> str:
    """The same of a figure of matplotlib, which is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=dpi)
    plt.close(figure)
    return png_uri(buffer.getvalue())


def png_uri(png: bytes) -> str:
    """The same of what is a PNG already."""
    return 'data:image/png;base64,' + base64.b64encode(png).decode('ascii')
