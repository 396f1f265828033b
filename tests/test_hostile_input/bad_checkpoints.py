"""Bad checkpoints: how a file is made, and what the line must say of it."""

import os
import pickle
from pathlib import Path

import torch


class Payload:
    """Pickled code: whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def _code(path: Path, world) -> None:
    weights = torch.load(world.checkpoint, weights_only=False)
    torch.save({**weights, 'payload': Payload(path.parent / 'code_ran')}, path)


def _old_code(path: Path, world) -> None:
    path.write_bytes(pickle.dumps(Payload(path.parent / 'code_ran')))


def _cut(part: float):
    def make(path: Path, world) -> None:
        content = world.checkpoint.read_bytes()
        path.write_bytes(content[: int(part * len(content))])

    return make


def _foreign(path: Path, world) -> None:
    weights = dict(torch.nn.Sequential(torch.nn.Linear(3, 4)).state_dict())
    content = dict(state_dict=weights, meta=dict(iter=1, epoch=0), optimizer={}, message_hub={})
    torch.save(content, path)


# How, what the line says beside the file's name. All readers must refuse these.
FILES = {
    'missing': (lambda path, world: None, ('there is no file',)),
    'a folder': (lambda path, world: path.mkdir(), ('there is no file',)),
    'empty': (lambda path, world: path.write_bytes(b''), ('damaged',)),
    'a text': (lambda path, world: path.write_text('weights, honestly\n'), ('damaged',)),
    'a short text': (lambda path, world: path.write_text('junk\n'), ('no file of torch.save',)),
    'cut in half': (_cut(0.5), ('damaged',)),
    'cut at its end': (_cut(0.999), ('damaged',)),
    'pickled code': (_code, ('pickled code', 'refused')),
    'pickled code of old': (_old_code, ('damaged, or no checkpoint',)),
    'foreign': (_foreign, ()),
    'a list': (lambda path, world: torch.save([torch.zeros(3)], path), ()),
    'no weights': (lambda path, world: torch.save(dict(state_dict={}), path), ()),
}  # fmt: skip
_INIT = 'model.backbone.init_cfg'
_NEEDED = ('missing', 'cut in half', 'pickled code', 'foreign')
# Who reads it: the tool and its arguments ({} is the file), and the files that are tried.
READERS = {
    'teacher_ckpt': ('train', ['{recipe}', '--cfg-options', 'model.teacher_ckpt={}'], FILES),
    'resume': ('train', ['{plain}', '--resume', '{}'], FILES),
    'load_from': ('train', ['{plain}', '--cfg-options', 'load_from={}'], _NEEDED),
    'pretrained': ('train', ['{plain}', '--cfg-options', 'pretrained={}'], _NEEDED),
    'init_cfg': (
        'train',
        ['{plain}', '--cfg-options', f'{_INIT}.type=Pretrained', f'{_INIT}.checkpoint={{}}'],
        _NEEDED,
    ),
    'test': ('test', ['{plain}', '{}'], FILES),
    'export_student': ('export_student', ['{recipe}', '{}', '{out}'], _NEEDED),
    'visualize_attention': (
        'visualize_attention',
        ['{recipe}', '{}', '{data}/JPEGImages/val_00000.jpg'],
        _NEEDED,
    ),
    'compare_segmentation': ('compare_segmentation', ['{recipe}', '{}', '--out', '{out}'], _NEEDED),
}
