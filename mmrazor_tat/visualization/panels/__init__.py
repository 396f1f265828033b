"""Segmentation panels: several networks on the same validation images, compared and drawn."""

from .compare import check_counts, compare
from .networks import Network, load_networks, num_classes_of, plain_network, validation_data
from .paint import paint_label
from .results import Comparison, NetworkScores, Sample, Section
from .save import check_out, panels_context, save_panels, scores_table

__all__ = [
    'Comparison',
    'Network',
    'NetworkScores',
    'Sample',
    'Section',
    'check_counts',
    'check_out',
    'compare',
    'load_networks',
    'num_classes_of',
    'paint_label',
    'panels_context',
    'plain_network',
    'save_panels',
    'scores_table',
    'validation_data',
]
