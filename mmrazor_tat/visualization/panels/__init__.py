"""Segmentation panels: several networks on the same validation images, compared and drawn."""

from .compare import check_counts, compare
from .networks import Network, load_networks, plain_network, recipe_networks, validation_data
from .page import PanelsContext, panels_context
from .picture import draw_panels
from .results import Comparison, NetworkScores, Sample, Section
from .save import check_out, save_panels, scores_table

__all__ = [
    'Comparison',
    'Network',
    'NetworkScores',
    'PanelsContext',
    'Sample',
    'Section',
    'check_counts',
    'check_out',
    'compare',
    'draw_panels',
    'load_networks',
    'panels_context',
    'plain_network',
    'recipe_networks',
    'save_panels',
    'scores_table',
    'validation_data',
]
