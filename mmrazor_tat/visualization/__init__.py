"""Pictures: where attention looks, segmentations side by side, training curves, one page of all."""
