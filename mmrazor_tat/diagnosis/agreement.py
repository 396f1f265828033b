"""Do all who speak of classes mean the same ones?"""

import itertools
from collections.abc import Iterator

import numpy as np
from torch import nn

from ..compat.checkpoints import read_checkpoint
from ..utils.errors import one_line
from ..visualization.panels import num_classes_of
from .scores import NotCheckedError
from .subject import Finding, Subject


def check_agreement(subject: Subject) -> Iterator[Finding]:
    """Do teacher, student, data sets and evaluator mean the same by a label?"""
    cfg, data = subject.cfg, subject.metainfo if subject.val_batches else {}
    path = cfg.model.get('teacher_ckpt')
    content = {}
    if path and '://' not in path:
        content = read_checkpoint(path, cfg.model.get('trust_teacher_ckpt', False))
    meta = content.get('meta') or {}
    meta = meta.get('dataset_meta') or {
        k.lower(): meta[k] for k in ('CLASSES', 'PALETTE') if k in meta
    }
    found = False
    others = {'training data': subject.train_metainfo, 'teacher': meta}
    for who, name in itertools.product(others, ('classes', 'palette', 'reduce_zero_label')):
        own, other = data.get(name), others[who].get(name)
        is_told_by_names = name == 'palette' and data.get('classes') and others[who].get('classes')
        is_known = own is not None and other is not None and not is_told_by_names
        if not is_known or np.array_equal(*map(_plain, (own, other))):
            continue
        found = True
        remedy = f'give the data sets of train, val and test_dataloader the same {name}'
        if who == 'teacher':
            remedy += f', {name}={other}' if name == 'reduce_zero_label' else ' as the teacher'
        yield Finding(
            f'{who} and validation data differ in {name}',
            f'validation data {one_line(str(own), 80)}; {who} {one_line(str(other), 80)}',
            'the same in both: else a label, or a channel of the logits, is another class',
            remedy,
        )
    count, classes = num_classes_of(subject.model.student), len(subject.classes)
    if classes and count not in (None, classes):
        found = True
        yield Finding(
            'the student has another number of classes than the data set',
            f'its decode head {count}, the data set {classes}',
            'the same',
            f'num_classes={classes} in model.architecture.decode_head',
        )
    head = getattr(subject.model.student, 'decode_head', None)
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    ids = {} if head is None else {'decode_head.ignore_index': getattr(head, 'ignore_index', 255)}
    evaluators = cfg.get('val_evaluator') or []
    for part in evaluators if isinstance(evaluators, list) else [evaluators]:
        if 'ignore_index' in part:
            ids['val_evaluator.ignore_index'] = part['ignore_index']
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    while dataset.get('dataset') or dataset.get('datasets'):  # a wrapper around others
        dataset = dataset.get('dataset') or dataset['datasets'][0]
    if ids:
        ids['dataset.ignore_index'] = dataset.get('ignore_index', 255)
    if len(set(ids.values())) > 1:
        yield Finding(
            'the losses and the data set ignore different labels',
            ', '.join(f'{key} {value}' for key, value in ids.items()),
            "one value: the pixels that are nobody's are ignored everywhere, and no others",
            f'set all of them to {ids["dataset.ignore_index"]}',
        )
    elif not found and not meta:
        raise NotCheckedError("the data set's meta in the teacher's checkpoint")


def _plain(value):
    """Names without case and underscores."""
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], str):
        return [name.lower().replace('_', ' ').strip() for name in value]
    return value
