"""What becomes of a record before a loss."""

from .margin_relu_connector import MarginReLUConnector
from .review_kd_connector import ReviewKDConnector
from .tat_connector import TaTConnector

__all__ = ['MarginReLUConnector', 'ReviewKDConnector', 'TaTConnector']
