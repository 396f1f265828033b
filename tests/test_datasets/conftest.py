"""CIFAR-100's python layout by hand: pickles as Python 2 wrote them, and archives of them."""

import io
import struct
import tarfile

import numpy as np
import pytest


def _text(value: bytes) -> bytes:
    """The opcode of a text of Python 2."""
    return b'T' + struct.pack('<i', len(value)) + value


def _list(values: list) -> bytes:
    items = (_text(v) if isinstance(v, bytes) else b'J' + struct.pack('<i', v) for v in values)
    return b'](' + b''.join(items) + b'e'


def _array(value: np.ndarray) -> bytes:
    """As the published files hold it; numpy's names and arguments are those of its version 1."""
    rows, columns = value.shape
    dtype = b'cnumpy\ndtype\n(' + _text(b'u1') + b'K\x00K\x01tR(K\x03' + _text(b'|')
    dtype += b'NNN' + 2 * b'J\xff\xff\xff\xff' + b'K\x00tb'
    shape = b'(J' + struct.pack('<i', rows) + b'J' + struct.pack('<i', columns) + b't'
    new = b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t' + _text(b'b') + b'tR'
    return new + b'(K\x01' + shape + dtype + b'\x89' + _text(value.tobytes()) + b'tb'


def _python2_pickle(content: dict) -> bytes:
    write = {list: _list, bytes: _text, np.ndarray: _array}
    items = (_text(key.encode()) + write[type(value)](value) for key, value in content.items())
    return b'\x80\x02}(' + b''.join(items) + b'u.'


@pytest.fixture(scope='session')
def python2_pickle():
    """A function that gives the pickle of a dict of lists, bytes and (N, M) uint8 arrays."""
    return _python2_pickle


@pytest.fixture
def two_images() -> np.ndarray:
    """(2, 3072) uint8: red everywhere 0 and 50, green its row, blue 100 + its column."""
    rows, columns = np.mgrid[:32, :32]
    data = np.empty((2, 3, 32, 32), np.uint8)
    data[:, 0] = np.array([0, 50])[:, None, None]
    data[:, 1] = rows
    data[:, 2] = 100 + columns
    return data.reshape(2, -1)


@pytest.fixture
def cifar_files(two_images) -> dict[str, bytes]:
    """train: two images of the classes 2 and 0; test: the second of them; meta: 3 and 2 names."""
    return {
        'meta': _python2_pickle(
            {
                'fine_label_names': [b'apple', b'bear', b'clock'],
                'coarse_label_names': [b'living', b'things'],
            }
        ),
        'train': _python2_pickle(
            {
                'filenames': [b'clock_s_1.png', b'apple_s_2.png'],
                'batch_label': b'training batch 1 of 1',
                'fine_labels': [2, 0],
                'coarse_labels': [1, 0],
                'data': two_images,
            }
        ),
        'test': _python2_pickle(
            {'fine_labels': [1], 'coarse_labels': [0], 'data': two_images[1:]},
        ),
    }


@pytest.fixture
def write_cifar():
    """A function that writes files below ``cifar-100-python/``, into a folder or an archive."""

    def write(path, files):
        if '.t' not in path.name:
            for name, content in files.items():
                (path / 'cifar-100-python' / name).parent.mkdir(parents=True, exist_ok=True)
                (path / 'cifar-100-python' / name).write_bytes(content)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, 'w:gz' if path.name.endswith('gz') else 'w') as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f'cifar-100-python/{name}')
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return path

    return write
